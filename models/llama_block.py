"""A LLaMA decoder (Touvron et al. 2023), two small layers with a key/value cache, as optimum exports it.

RMSNorm in small ops (Pow, ReduceMean, Add, Sqrt, Div, Mul, Mul), rotary embeddings whose angles are computed in
the graph, grouped-query attention (Unsqueeze, Expand, Reshape), a causal mask made from Range, a SiLU gate, and
an output layer that is the transposed embedding. Batch, sequence and past are dynamic.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from .graph_builder import BOOL, FLOAT, INT64, GraphBuilder, Shape
from .layers import dense, dimension, normal, reshape, silu, slice_, uniform, unsqueeze

VOCABULARY = 97
HIDDEN = 32
HEADS = 4
KEY_VALUE_HEADS = 2
HEAD = HIDDEN // HEADS
INNER = 88
LAYERS = 2


def _rms_norm(b: GraphBuilder, x: str, name: str) -> str:
    with b.scope(name):
        mean = b.op("ReduceMean", b.op("Pow", x, b.constant(2.0)), axes=[-1], keepdims=1)
        root = b.op("Sqrt", b.op("Add", mean, b.constant(1e-6)))
        scaled = b.op("Mul", x, b.op("Div", b.constant(1.0), root))
        return b.op("Mul", b.weight("weight", uniform(b, (HIDDEN,), 0.6, 1.4)), scaled)


def _angles(b: GraphBuilder, positions: str) -> tuple[str, str]:
    """Cosines and sines, [batch, 1, sequence, HEAD], of position x frequency (Su et al. 2021, RoFormer)."""
    frequencies = b.weight("inv_freq", (10000.0 ** (-np.arange(0, HEAD, 2) / HEAD)).astype(np.float32)[None, :, None])
    where = b.op("Cast", unsqueeze(b, positions, 1), to=FLOAT)
    half = b.op("Transpose", b.op("MatMul", frequencies, where), perm=[0, 2, 1])
    both = b.op("Concat", half, half, axis=-1)
    return unsqueeze(b, b.op("Cos", both), 1), unsqueeze(b, b.op("Sin", both), 1)


def _rotate(b: GraphBuilder, x: str, angles: tuple[str, str]) -> str:
    half = unsqueeze(b, b.op("Div", dimension(b, x, 3), b.constant(2)), 0)
    low = slice_(b, x, 0, half, 3)
    high = slice_(b, x, half, 2**63 - 1, 3)
    turned = b.op("Concat", b.op("Neg", high), low, axis=-1)
    return b.op("Add", b.op("Mul", x, angles[0]), b.op("Mul", turned, angles[1]))


def _causal_mask(b: GraphBuilder, mask: str, sequence: str, past: str) -> str:
    """Boolean [batch, 1, sequence, total]: a key is seen if it is not later than its query and not padding."""
    total = b.op("Add", past, sequence)
    queries = unsqueeze(b, b.op("Range", past, total, b.constant(1)), 1)
    keys = unsqueeze(b, b.op("Range", b.constant(0), total, b.constant(1)), 0)
    causal = unsqueeze(b, b.op("LessOrEqual", keys, queries), 0, 1)
    real = unsqueeze(b, b.op("Cast", mask, to=BOOL), 1, 2)
    return b.op("And", causal, real)


def _heads(b: GraphBuilder, x: str, heads: int) -> str:
    split = reshape(b, x, dimension(b, x, 0), dimension(b, x, 1), heads, HEAD)
    return b.op("Transpose", split, perm=[0, 2, 1, 3])


def _repeated(b: GraphBuilder, x: str) -> str:
    """Each key/value head for its group of query heads: [batch, KEY_VALUE_HEADS, ...] -> [batch, HEADS, ...]."""
    batch, length = dimension(b, x, 0), dimension(b, x, 2)
    dims = [unsqueeze(b, batch, 0), b.constant([KEY_VALUE_HEADS]), b.constant([HEADS // KEY_VALUE_HEADS])]
    target = b.op("Concat", *dims, unsqueeze(b, length, 0), b.constant([HEAD]), axis=0)
    wide = b.op("Expand", unsqueeze(b, x, 2), target)
    return reshape(b, wide, batch, HEADS, length, HEAD)


def _attention(b: GraphBuilder, x: str, angles: tuple[str, str], mask: str, layer: int) -> str:
    query = _rotate(b, _heads(b, dense(b, x, HIDDEN, HIDDEN, name="q_proj", bias=False), HEADS), angles)
    narrow = HEAD * KEY_VALUE_HEADS
    key = _heads(b, dense(b, x, HIDDEN, narrow, name="k_proj", bias=False), KEY_VALUE_HEADS)
    value = _heads(b, dense(b, x, HIDDEN, narrow, name="v_proj", bias=False), KEY_VALUE_HEADS)
    key = b.op("Concat", f"past_key_values.{layer}.key", _rotate(b, key, angles), axis=2)
    value = b.op("Concat", f"past_key_values.{layer}.value", value, axis=2)
    cached: Shape = ["batch", KEY_VALUE_HEADS, "total", HEAD]
    keys, values = _repeated(b, key), _repeated(b, value)
    b.output(key, f"present.{layer}.key", cached)
    b.output(value, f"present.{layer}.value", cached)
    scores = b.op("MatMul", query, b.op("Transpose", keys, perm=[0, 1, 3, 2]))
    scores = b.op("Div", scores, b.constant(math.sqrt(HEAD)))
    scores = b.op("Where", mask, scores, b.constant(float(np.finfo(np.float32).min)))
    context = b.op("Transpose", b.op("MatMul", b.op("Softmax", scores, axis=-1), values), perm=[0, 2, 1, 3])
    context = reshape(b, context, dimension(b, x, 0), dimension(b, x, 1), HIDDEN)
    return dense(b, context, HIDDEN, HIDDEN, name="o_proj", bias=False)


def _feed_forward(b: GraphBuilder, x: str) -> str:
    gate = silu(b, dense(b, x, HIDDEN, INNER, name="gate_proj", bias=False))
    up = dense(b, x, HIDDEN, INNER, name="up_proj", bias=False)
    return dense(b, b.op("Mul", gate, up), INNER, HIDDEN, name="down_proj", bias=False)


def _inputs(b: GraphBuilder) -> tuple[str, str, str]:
    ids = b.input("input_ids", ["batch", "sequence"], INT64, below=VOCABULARY)
    mask = b.input("attention_mask", ["batch", "total"], INT64, below=2)
    positions = b.input("position_ids", ["batch", "sequence"], INT64, below=64)
    for layer in range(LAYERS):
        for part in ("key", "value"):
            b.input(f"past_key_values.{layer}.{part}", ["batch", KEY_VALUE_HEADS, "past", HEAD])
    return ids, mask, positions


def llama_block(seed: int = 0) -> onnx.ModelProto:
    """Ids, mask, positions and a cache of `past` -> logits [batch, sequence, 97] and the cache of `total`.

    `total`, the mask's length, has to be `past` + `sequence`.
    """
    b = GraphBuilder("llama_block", opset=17, seed=seed)
    ids, mask, positions = _inputs(b)
    embedding = b.weight("model.embed_tokens.weight", normal(b, (VOCABULARY, HIDDEN)))
    x = b.op("Gather", embedding, ids, name="model/embed_tokens")
    seen = _causal_mask(b, mask, dimension(b, ids, 1), dimension(b, "past_key_values.0.key", 2))
    with b.scope("model"):
        angles = _angles(b, positions)
        for layer in range(LAYERS):
            with b.scope(f"layers.{layer}"):
                with b.scope("self_attn"):
                    attended = _attention(b, _rms_norm(b, x, "input_layernorm"), angles, seen, layer)
                x = b.op("Add", x, attended)
                with b.scope("mlp"):
                    x = b.op("Add", x, _feed_forward(b, _rms_norm(b, x, "post_attention_layernorm")))
        x = _rms_norm(b, x, "norm")
    logits = b.op("MatMul", x, b.op("Transpose", embedding, perm=[1, 0]), name="lm_head/MatMul")
    b.output(logits, "logits", ["batch", "sequence", VOCABULARY])
    return b.model(__doc__ or "")
