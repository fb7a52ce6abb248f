"""What the target of a run changes: which operators may appear, which pipeline runs, and what is reported."""

from __future__ import annotations

import onnx
import onnx.parser
import pytest

import planish
from planish.compiler.target_operators import NOT_READ_BY_TENSORRT, objection
from planish.models import build, names
from planish.passes import PIPELINES

MODEL = """
<ir_version: 10, opset_import: ["" : 17]>
g (float[2,3,8,8] x, float[4,4] m, uint8[4] a, uint8[4] b) => (float[2,2,8,8] y, float[4,4] t, uint8[4] s, uint8[4] q) {
    c = Conv (x, w)
    y = Relu (c)
    t = Trilu (m)
    [shift] s = BitShift <direction = "LEFT"> (a, b)
    row = Softmax <axis = 1> (m)
    flat = ReduceMax <axes = [0], keepdims = 0> (row)
    [quantize] q = QuantizeLinear (flat, scale, zero)
}
"""


def optimized(target: str, **options: object) -> planish.Result:
    proto = onnx.parser.parse_model(MODEL)
    weights = {"w": [0.5] * 6, "scale": [0.1]}
    for name, numbers in weights.items():
        shape = [2, 3, 1, 1] if name == "w" else []
        proto.graph.initializer.append(onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, shape, numbers))
    proto.graph.initializer.append(onnx.helper.make_tensor("zero", onnx.TensorProto.UINT8, [], [0]))
    return planish.optimize(proto, target=target, **options)  # type: ignore[arg-type]


def domains(result: planish.Result) -> set[str]:
    return {node.domain for node in result.proto().graph.node}


def test_standard_operators_only_unless_asked() -> None:
    assert domains(optimized("onnx")) == domains(optimized("tensorrt")) == {""}


def test_ort_gets_operators_of_its_own() -> None:
    result = optimized("ort")
    assert result.after.ops["com.microsoft::FusedConv"] == 1 and result.after.ops["Relu"] == 0
    assert {o.domain: o.version for o in result.proto().opset_import} == {"": 17, "com.microsoft": 1}
    assert result.parity is not None and result.parity.status == "proven"


def test_tensorrt_gets_defaults_written_out_and_a_report() -> None:
    result = optimized("tensorrt")
    trilu = next(n for n in result.proto().graph.node if n.op_type == "Trilu")
    assert [(a.name, a.i) for a in trilu.attribute] == [("upper", 1)]
    found = {(r.node, r.text) for r in result.remarks if r.kind == "analysis"}
    assert found == {("shift", "TensorRT does not read BitShift")}
    assert "QuantizeLinear" not in result.after.ops  # to uint8, which TensorRT would take for int8
    assert "TensorRT does not read BitShift" in str(result)
    assert not [r for r in optimized("onnx").remarks if r.kind == "analysis"]


def test_the_target_chooses_the_pipeline_and_passes_overrule_it() -> None:
    assert optimized("onnx").pipeline == PIPELINES["default"]
    assert optimized("ort").pipeline == PIPELINES["ort"]
    assert optimized("tensorrt").pipeline == PIPELINES["tensorrt"]
    assert domains(optimized("ort", passes="default")) == {""}


@pytest.mark.parametrize(
    "op_type, domain, admitted",
    [
        ("Relu", "", {"onnx", "ort", "tensorrt"}),
        ("FusedConv", "com.microsoft", {"ort"}),
        ("Unique", "", {"onnx", "ort"}),
        ("Unique", "my.domain", {"onnx", "ort", "tensorrt"}),
    ],
)
def test_operators_are_admitted_by_target(op_type: str, domain: str, admitted: set[str]) -> None:
    assert {target for target in ("onnx", "ort", "tensorrt") if not objection(op_type, domain, target)} == admitted


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("target", ["ort", "tensorrt"])
def test_models_stay_right(name: str, target: str) -> None:
    model = build(name)
    result = planish.optimize(model, target=target)
    assert result.parity is not None and result.parity.status == "proven" and not result.held_back
    new = set(result.after.ops) - set(result.before.ops)
    assert target == "ort" or not {op for op in new if "::" in op or op in NOT_READ_BY_TENSORRT}
