"""Conversion to another opset: only on request, with everything that the converter does not know kept."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnx.version_converter
import pytest
from onnx import ModelProto, numpy_helper

import planish
from planish import UnsupportedModelError

MODEL = """
<ir_version: 8, opset_import: ["" : 13, "local" : 1], producer_name: "test", metadata_props: ["a" : "b"]>
g (float[N,64] x, bool c, float[64] w) => (float[N,64] y, float[N,1] q) {
    [n1] h = Add (x, w)
    [n2] s = local.Gate (h)
    [n3] y = MatMul (s, big)
    [n4] q = If (c) <
        then_branch = t () => (float[N,1] o) { o = ReduceSum <keepdims = 1> (s, axes) },
        else_branch = e () => (float[N,1] p) { p = ReduceMean <axes = [1]> (s) }>
}
<domain: "local", opset_import: ["" : 13]> Gate (a) => (b) { b = Softmax <axis = 1> (a) }
"""


def model() -> ModelProto:
    proto = onnx.parser.parse_model(MODEL)
    weights = {
        "w": np.arange(64, dtype=np.float32), "axes": np.array([1]),
        "big": np.arange(4096, dtype=np.float32).reshape(64, 64) / 4096,
    }  # fmt: skip
    proto.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in weights.items())
    proto.graph.doc_string = "documented"
    proto.graph.node[0].metadata_props.add(key="k", value="v")
    proto.graph.node[3].attribute[0].g.doc_string = "a branch"
    return proto


def test_without_a_request_the_opset_stays() -> None:
    result = planish.optimize(model())
    assert {o.domain: o.version for o in result.proto().opset_import}[""] == 13


def test_the_model_is_converted_and_proven_against_the_unconverted_one() -> None:
    result = planish.optimize(model(), opset=18, passes="")
    proto = result.proto()
    onnx.checker.check_model(proto, full_check=True)
    assert {o.domain: o.version for o in proto.opset_import} == {"": 18, "local": 1}
    assert result.parity is not None and result.parity.status == "proven"
    branch = proto.graph.node[3].attribute[1].g
    assert [a.name for n in branch.node if n.op_type == "ReduceMean" for a in n.attribute] == []
    assert result.to_dict()["opsets"][""] == {"before": 13, "after": 18}


def test_what_the_converter_does_not_know_is_kept() -> None:
    proto = planish.optimize(model(), opset=18, passes="").proto()
    assert [(p.key, p.value) for p in proto.metadata_props] == [("a", "b")]
    assert [(p.key, p.value) for p in proto.graph.node[0].metadata_props] == [("k", "v")]
    assert proto.graph.doc_string == "documented" and proto.graph.node[3].attribute[0].g.doc_string == "a branch"
    assert [f.node for f in proto.functions] == [f.node for f in model().functions]
    assert [i.name for i in proto.graph.input] == ["x", "c", "w"]
    assert {t.name: t for t in proto.graph.initializer} == {t.name: t for t in model().graph.initializer}


def test_the_ir_version_rises_where_the_opset_needs_it() -> None:
    assert planish.optimize(model(), opset=18).proto().ir_version == 8
    assert planish.optimize(model(), opset=21).proto().ir_version == 10


def test_functions_whose_operators_changed_are_inlined() -> None:
    proto = model()
    kept = planish.optimize(proto, opset=18, passes="").proto().functions  # Softmax is the same in 13 and 18
    assert [f.opset_import[0].version for f in kept] == [18]
    proto.functions[0].node[0].CopyFrom(onnx.parser.parse_node("b = ReduceMean <axes = [0]> (a)"))
    result = planish.optimize(proto, opset=18, passes="")
    assert not result.proto().functions
    assert result.parity is not None and result.parity.status == "proven"
    assert {t.name for t in result.proto().graph.initializer} >= {"w", "axes", "big"}
    onnx.checker.check_model(result.proto(), full_check=True)


@pytest.mark.parametrize("version", [99, 7])
def test_what_cannot_be_converted_is_said(version: int) -> None:
    with pytest.raises(UnsupportedModelError, match="opset"):
        planish.optimize(model(), opset=version)


def test_a_model_without_standard_operators_has_no_opset() -> None:
    scaler = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["ai.onnx.ml" : 3]>
        g (float[N,2] x) => (float[N,2] y) { y = ai.onnx.ml.Scaler <offset = [1.0, 2.0], scale = [1.0, 1.0]> (x) }"""
    )
    with pytest.raises(UnsupportedModelError, match="no standard operators"):
        planish.optimize(scaler, opset=18)


def test_a_conversion_that_changes_the_numbers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    convert = onnx.version_converter.convert_version

    def faulty(given: ModelProto, version: int) -> ModelProto:
        converted = convert(given, version)
        if version == 18:
            converted.graph.node[0].op_type = "Sub"
        return converted

    monkeypatch.setattr(onnx.version_converter, "convert_version", faulty)
    with pytest.raises(UnsupportedModelError, match="converted to opset 18 the model computes something else"):
        planish.optimize(model(), opset=18)
