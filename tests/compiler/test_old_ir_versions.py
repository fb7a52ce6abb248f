"""Models of IR version 3, in which every initializer is listed as an input."""

from __future__ import annotations

import onnx
import onnx.parser

import planish

TEXT = """
<ir_version: {ir}, opset_import: ["" : 9]>
g (float[N,3] x, float[3,4] w = {{1,2,3,4,5,6,7,8,9,10,11,12}}, float[4] b = {{1,2,3,4}}) => (float[N,4] y) {{
    m = MatMul (x, w)
    y = Add (m, b)
}}
"""


def test_new_constants_are_listed_as_inputs() -> None:
    result = planish.optimize(onnx.parser.parse_model(TEXT.format(ir=3).replace("y = Add", "y = Mul")))
    assert result.after.nodes == 1
    proto = result.proto()
    onnx.checker.check_model(proto)
    listed = {i.name for i in proto.graph.input}
    assert listed == {"x", *(t.name for t in proto.graph.initializer)}
    assert planish.optimize(proto).after.nodes == 1


def test_listed_initializers_can_be_overridden_from_version_4_on() -> None:
    result = planish.optimize(onnx.parser.parse_model(TEXT.format(ir=4)))
    assert [i.name for i in result.proto().graph.input] == ["x", "w", "b"]
