"""In which precision engines compute: int8 where a model is quantized, fused attention in half precision."""

from __future__ import annotations

import numpy as np
import pytest
from engines.building import engine_of, inputs_of, model_of, parsed_network, prepared
from engines.rtx import needs_rtx
from onnx import ModelProto

pytestmark = needs_rtx

_WEIGHT = np.random.default_rng(0).integers(-127, 128, (16, 16, 3, 3))
CONV = """
    g (float[1,16,8,8] x) => (float[1,16,8,8] y) {
        q = QuantizeLinear (x, sx, zx)
        d = DequantizeLinear (q, sx, zx)
        e = DequantizeLinear <axis = 0> (w, sw, zw)
        y = Conv <pads = [1, 1, 1, 1]> (d, e)
    }"""


def quantized_conv(zero: np.ndarray, shape: tuple[int, ...] = ()) -> ModelProto:
    """A quantized convolution, whose activations have this zero point and a scale of this shape."""
    return model_of(
        CONV, sx=np.full(shape, 0.02, np.float32), zx=zero.reshape(shape), w=_WEIGHT.astype(np.int8),
        sw=np.full(16, 0.01, np.float32), zw=np.zeros(16, np.int8),
    )  # fmt: skip


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(quantized_conv(np.array(0, np.int8)), id="int8"),
        pytest.param(quantized_conv(np.array(0, np.int8), (1,)), id="a vector of one scale"),
        pytest.param(quantized_conv(np.array(128, np.uint8)), id="uint8 around 128"),
    ],
)
def test_quantized_convolutions_read_int8(model: ModelProto) -> None:
    ready = prepared(model)
    assert inputs_of(engine_of(ready), "Conv", ready) >= {"Int8"}


def test_a_vector_of_one_scale_would_cost_the_int8_kernel() -> None:
    model = quantized_conv(np.array(0, np.int8), (1,))
    for index, node in enumerate(model.graph.node):
        node.name = f"n{index}"
    assert "Int8" not in inputs_of(engine_of(model), "Conv", model)


def test_asymmetric_quantization_is_refused_as_it_is_and_built_when_prepared() -> None:
    model = quantized_conv(np.array(7, np.int8))
    assert not parsed_network(model).ok
    ready = prepared(model)
    assert engine_of(ready).bindings["y"] == ("Output", "Float", (1, 16, 8, 8))


def test_a_quantized_bias_is_refused_as_it_is_and_built_when_prepared() -> None:
    text = CONV.replace("(d, e)", "(d, e, b)").replace("y = Conv", "b = DequantizeLinear <axis = 0> (i, si)\n y = Conv")
    model = model_of(
        text, sx=np.array(0.02, np.float32), zx=np.array(0, np.int8), w=_WEIGHT.astype(np.int8),
        sw=np.full(16, 0.01, np.float32), zw=np.zeros(16, np.int8), i=np.arange(16, dtype=np.int32),
        si=np.full(16, 0.0002, np.float32),
    )  # fmt: skip
    assert not parsed_network(model).ok
    ready = prepared(model)
    assert inputs_of(engine_of(ready), "Conv", ready) >= {"Int8"}


def test_integer_layers_are_built_when_prepared() -> None:
    model = model_of(
        """
        g (float[4,32] x) => (float[4,16] y) {
            q, s, z = DynamicQuantizeLinear (x)
            p = MatMulInteger (q, w, z)
            f = Cast <to = 1> (p)
            y = Mul (f, s)
        }""", w=_WEIGHT.reshape(-1)[: 32 * 16].reshape(32, 16).astype(np.int8),
    )  # fmt: skip
    assert not parsed_network(model).ok
    assert engine_of(prepared(model)).bindings["y"] == ("Output", "Float", (4, 16))


def test_a_table_of_8_bits_behind_a_gather_is_built_when_prepared() -> None:
    model = model_of(
        """
        g (int64[4] ids) => (float[4,16] y) {
            c = Cast <to = 1> (q)
            t = Mul (c, s)
            y = Gather <axis = 0> (t, ids)
        }""", q=_WEIGHT.reshape(-1)[: 32 * 16].reshape(32, 16).astype(np.int8), s=np.array(0.02, np.float32),
    )  # fmt: skip
    assert engine_of(prepared(model)).bindings["y"] == ("Output", "Float", (4, 16))


ATTENTION = """
    g (TYPE[1,4,64,64] q, TYPE[1,4,64,64] k, TYPE[1,4,64,64] v) => (TYPE[1,4,64,64] y) {
        [turn] t = Transpose <perm = [0, 1, 3, 2]> (k)
        [scores] s = MatMul (q, t)
        [scale] m = Mul (s, c)
        [soft] p = Softmax <axis = -1> (m)
        [mix] y = MatMul (p, v)
    }"""


@pytest.mark.parametrize("kind, fused", [("float16", True), ("float", False)])
def test_attention_is_fused_in_half_precision_only(kind: str, fused: bool) -> None:
    scale = np.array(0.125, np.float16 if kind == "float16" else np.float32)
    model = model_of(ATTENTION.replace("TYPE", kind), c=scale)
    whole = {"scores", "soft", "mix"}
    assert any(whole <= set(layer.nodes) for layer in engine_of(model, "8.9").layers) == fused


def test_the_attention_operator_is_built_in_float32_too() -> None:
    model = model_of(
        "g (float[1,2,8,8] q, float[1,2,8,8] k, float[1,2,8,8] v) => (float[1,2,8,8] y) { y = Attention (q, k, v) }", 24
    )
    assert engine_of(model).bindings["y"] == ("Output", "Float", (1, 2, 8, 8))
