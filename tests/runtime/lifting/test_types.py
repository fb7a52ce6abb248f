"""Weights and values of every type that a network may hold, codes and their scales, and attention."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from planish.runtime.comparison import compare_output
from planish.runtime.onnxruntime_session import open_session

from .networks import differences, drawn, lifted, model_of


def with_weights(text: str, opset: int = 21, **weights: np.ndarray) -> ModelProto:
    """A model with initializers."""
    model = model_of(text, opset)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return model


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float"])
def test_weights_of_floating_types(kind: str) -> None:
    numpy_type = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float": np.float32}[kind]
    w = np.random.default_rng(0).standard_normal((3, 4)).astype(numpy_type)
    body = f"({kind}[2,3] x, {kind}[3,4] w) => ({kind}[2,4] y) {{ m = MatMul(x, w) y = Relu(m) }}"
    model = with_weights(body, w=w)
    model.graph.input.pop()
    feeds = {"x": np.random.default_rng(1).standard_normal((2, 3)).astype(numpy_type)}
    got = open_session(lifted(model).model).run(feeds)[0]
    want = np.maximum(feeds["x"].astype(np.float64) @ w.astype(np.float64), 0).astype(numpy_type)
    assert got.dtype == want.dtype and not compare_output("y", want, got).problem


def test_bfloat16_convolutions_have_their_weights() -> None:
    w = np.random.default_rng(0).standard_normal((2, 3, 3, 3)).astype(ml_dtypes.bfloat16)
    b = np.array([1, -1], ml_dtypes.bfloat16)
    model = with_weights(
        "(bfloat16[1,3,5,5] x, bfloat16[2,3,3,3] w, bfloat16[2] b) => (bfloat16[1,2,3,3] y) { y = Conv(x, w, b) }", 22,
        w=w, b=b,
    )  # fmt: skip
    del model.graph.input[1:]
    x = np.random.default_rng(1).standard_normal((1, 3, 5, 5)).astype(ml_dtypes.bfloat16)
    wide = with_weights(
        "(float[1,3,5,5] x, float[2,3,3,3] w, float[2] b) => (float[1,2,3,3] y) { y = Conv(x, w, b) }", 22,
        w=w.astype(np.float32), b=b.astype(np.float32),
    )  # fmt: skip
    del wide.graph.input[1:]
    want = open_session(wide).run({"x": x.astype(np.float32)})[0].astype(ml_dtypes.bfloat16)
    assert not compare_output("y", want, open_session(lifted(model).model).run({"x": x})[0]).problem


@pytest.mark.parametrize(("kind", "zero"), [("int8", np.int8(0)), ("float8e4m3fn", ml_dtypes.float8_e4m3fn(0))])
def test_codes_per_tensor_and_per_channel(kind: str, zero: np.generic) -> None:
    zero_point = np.asarray(zero)
    model = with_weights(
        f"(float[2,3] x, float s, float[4] t, {kind} z, {kind}[4] u, {kind}[3,4] w) => (float[2,4] y) "
        "{ q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) v = DequantizeLinear<axis = 1>(w, t, u) "
        "y = MatMul(d, v) }",
        s=np.array(0.1, np.float32), t=np.array([0.1, 0.2, 0.3, 0.4], np.float32), z=zero_point,
        u=np.zeros(4, zero_point.dtype), w=np.arange(-6, 6).reshape(3, 4).astype(zero_point.dtype),
    )  # fmt: skip
    del model.graph.input[1:]
    found = lifted(model)
    assert not differences(model, drawn(model), found.model)
    kept = {t.data_type for t in found.model.graph.initializer}
    assert helper.np_dtype_to_tensor_dtype(zero_point.dtype) in kept, "the weights are still codes"


def test_int4_weights_in_blocks() -> None:
    w = np.random.default_rng(0).integers(-8, 8, (32, 16)).astype(ml_dtypes.int4)
    s = np.random.default_rng(1).random((2, 16)).astype(np.float32)
    model = with_weights(
        "(float[2,32] x, int4[32,16] w, float[2,16] s) => (float[2,16] y) "
        "{ v = DequantizeLinear<axis = 0, block_size = 16>(w, s) y = MatMul(x, v) }", w=w, s=s,
    )  # fmt: skip
    del model.graph.input[1:]
    found = lifted(model)
    assert not differences(model, drawn(model), found.model)
    assert TensorProto.INT4 in {t.data_type for t in found.model.graph.initializer}


ATTENTION = {
    "plain": "(float[1,2,4,8] q, float[1,2,6,8] k, float[1,2,6,8] v) => (float[1,2,4,8] y) { y = Attention(q, k, v) }",
    "causal": "(float[1,2,6,8] q, float[1,2,6,8] k, float[1,2,6,8] v) => (float[1,2,6,8] y) "
    "{ y = Attention<is_causal = 1>(q, k, v) }",
    "causal for more keys": "(float[1,2,4,8] q, float[1,2,6,8] k, float[1,2,6,8] v) => (float[1,2,4,8] y) "
    "{ y = Attention<is_causal = 1>(q, k, v) }",
    "fewer heads of keys": "(float[1,4,4,8] q, float[1,2,6,8] k, float[1,2,6,8] v) => (float[1,4,4,8] y) "
    "{ y = Attention(q, k, v) }",
    "mask": "(float[1,2,4,8] q, float[1,2,6,8] k, float[1,2,6,8] v, float[4,6] m) => (float[1,2,4,8] y) "
    "{ y = Attention<scale = 0.5>(q, k, v, m) }",
    "open sizes": "(float[b,2,s,8] q, float[b,2,t,8] k, float[b,2,t,8] v) => (float[b,2,s,8] y) "
    "{ y = Attention(q, k, v) }",
    "half": "(float16[1,2,4,8] q, float16[1,2,6,8] k, float16[1,2,6,8] v) => (float16[1,2,4,8] y) "
    "{ y = Attention(q, k, v) }",
    "rotary": "(float[1,2,3,8] x, float[5,4] c, float[5,4] s) => (float[1,2,3,8] y) "
    "<int64[1,3] p = {0, 4, 2}> { y = RotaryEmbedding(x, c, s, p) }",
    "rotary interleaved": "(float[1,2,3,8] x, float[1,3,2] c, float[1,3,2] s) => (float[1,2,3,8] y) "
    "{ y = RotaryEmbedding<interleaved = 1, rotary_embedding_dim = 4>(x, c, s) }",
    "rms norm": "(float[2,3,8] x, float[8] s) => (float[2,3,8] y) { y = RMSNormalization(x, s) }",
}


@pytest.mark.parametrize("text", ATTENTION.values(), ids=ATTENTION)
def test_attention(text: str) -> None:
    model = model_of(text, 23)
    assert not differences(model, drawn(model, b=2, s=3, t=5))


def test_the_cache_of_keys_is_written_from_a_position_on() -> None:
    model = model_of(
        "(float[2,1,6,4] c, float[2,1,2,4] u, int64[2] i) => (float[2,1,6,4] y) { y = TensorScatter(c, u, i) }", 24
    )
    cache, update = (drawn(model)[name] for name in "cu")
    want = cache.copy()
    want[0, :, 1:3], want[1, :, 4:6] = update[0], update[1]
    got = open_session(lifted(model).model).run({"c": cache, "u": update, "i": np.array([1, 4])})[0]
    np.testing.assert_array_equal(got, want)
