"""Nodes that TensorRT's parser reads as something else are known; their like that it reads as they are, are not."""

from __future__ import annotations

import onnx.parser
import pytest

from planish.compiler.inference import infer_model
from planish.compiler.reading import load
from planish.compiler.tensorrt_limits import doubtful, misread

RNN = """(float[3,2,4] x, float[1,3,4] w, float[1,3,3] r) => (float[3,1,3] h)
    { y, h = RNN<hidden_size = 3LAYOUT>(x, w, r) }"""
CAST = "(float[3] x) => (float8e4m3fn[3] y) { y = Cast<to = 17SATURATE>(x) }"
ATTENTION = """(float[1,2,4,8] q, int64[1] n) => (float[1,2,4,8] y)
    { y = Attention<is_causal = CAUSAL>(q, q, q, , , , n) }"""
LOOP = """(INPUT float x) => (float y) {
    CONSTANT n = Constant<value = int64 {3}>()
    y = Loop<body = b (int64 i, bool c, float v) => (bool d, float w) { d = Identity(c) w = Add(v, v) }>(n, t, x) }"""
CASES: dict[str, tuple[str, str]] = {
    "layout": (RNN.replace("LAYOUT", ", layout = 1"), "layout=1"),
    "layout 0": (RNN.replace("LAYOUT", ", layout = 0"), ""),
    "saturation": (CAST.replace("SATURATE", ", saturate = 0"), "saturates"),
    "saturation by default": (CAST.replace("SATURATE", ""), ""),
    "saturation of others": ("(float[3] x) => (int32[3] y) { y = Cast<to = 6, saturate = 0>(x) }", ""),
    "lengths of causal keys": (ATTENTION.replace("CAUSAL", "1"), "nonpad_kv_seqlen"),
    "lengths of keys": (ATTENTION.replace("CAUSAL", "0"), ""),
    "window": ("(float[1,2,4,8] q) => (float[1,2,4,8] y) { y = Attention<left_window_size = 2>(q, q, q) }", "window"),
    "no window": ("(float[1,2,4,8] q) => (float[1,2,4,8] y) { y = Attention<left_window_size = -1>(q, q, q) }", ""),
    "condition given": (LOOP.replace("INPUT", "bool t,").replace("CONSTANT", ""), "another name"),
    "condition computed": (
        LOOP.replace("INPUT", "").replace("CONSTANT", "o = Constant<value_float = 1.0>() t = Less(x, o)"), ""
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), CASES.values(), ids=CASES)
def test_what_is_misread_is_known(text: str, said: str) -> None:
    model = load(onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 24]>\ng {text}'))
    infer_model(model)
    found = [problem for node in model.nodes() if (problem := misread(node))]
    assert len(found) == bool(said) and all(said in problem for problem in found)


@pytest.mark.parametrize(("text", "doubted"), [
    ("(float[n,1,4] x) => (float[a] y) { y = Squeeze(x) }", True),
    ("(float[2,1,4] x) => (float[2,4] y) { y = Squeeze(x) }", False),
    ("(float[n,1,4] x) => (float[n,4] y) <int64[1] a = {1}> { y = Squeeze(x, a) }", False),
])  # fmt: skip
def test_a_squeeze_of_what_is_open_is_doubted(text: str, doubted: bool) -> None:
    model = load(onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 24]>\ng {text}'))
    infer_model(model)
    assert [bool(doubtful(node)) for node in model.nodes()] == [doubted]
