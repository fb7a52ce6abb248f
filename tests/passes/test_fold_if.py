"""An If whose branch hands out one value twice, which ONNX Runtime itself computes wrongly."""

from __future__ import annotations

import numpy as np
import onnx.parser
from onnx.reference import ReferenceEvaluator

from planish.runtime.optimize import optimize

TEXT = """<ir_version: 10, opset_import: ["" : 17]>
g (float[N,3] x) => (float[N,3] y, float[N,3] z) <bool c = {1}> {
    y, z = If (c) <
        then_branch = t () => (float[N,3] p, float[N,3] p) { p = Relu (x) },
        else_branch = e () => (float[N,3] q, float[N,3] r) { q = Neg (x) r = Exp (x) }
    >
}"""


def test_one_value_of_the_branch_becomes_two_graph_outputs() -> None:
    model = onnx.parser.parse_model(TEXT)
    result = optimize(model, passes="fold-if", verify="off")
    assert [node.op for node in result.model.nodes()] == ["Relu", "Identity"]
    feeds = {"x": np.array([[-1, 0, 2]], np.float32)}
    for wanted, found in zip(ReferenceEvaluator(model).run(None, feeds), result_of(result.proto(), feeds), strict=True):
        assert np.array_equal(wanted, found)


def result_of(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return list(ReferenceEvaluator(model).run(None, feeds))
