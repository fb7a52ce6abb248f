"""Attention and what belongs to it: written out in parts, each in float32."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .emitter import Frame


def attention(frame: Frame) -> str:
    """Scores of queries and keys, masked and made weights, times values."""
    whole = frame.raw.attention
    forms = {getattr(getattr(whole, form, None), "name", "PADDED_BHND") for form in ("query_form", "key_value_form")}
    if forms != {"PADDED_BHND"} or getattr(whole, "normalization_quantize_scale", None) is not None:
        frame.refuse("packed sequences or quantized weights")
    if getattr(whole, "key_value_lengths", None) is not None:
        frame.refuse("lengths of keys")
    q, k, v = (frame.float32(index) for index in range(3))
    k, v = (_repeated(frame, part, q) for part in (k, v))
    scores = frame.op("MatMul", q, frame.op("Transpose", k, perm=[0, 1, 3, 2]))
    if frame.has(3):
        scores = _masked(frame, scores, 3)
    kind = getattr(getattr(whole, "causal_kind", None), "name", "UPPER_LEFT" if whole.causal else "NONE")
    if kind != "NONE":
        scores = _causal(frame, scores, kind)
    if whole.norm_op.name == "SOFTMAX":
        scores = frame.op("Softmax", scores, axis=-1)
    result, to = frame.op("MatMul", scores, v), frame.result_type()
    return result if to == TensorProto.FLOAT else frame.cast(result, to)


def attention_output(frame: Frame) -> str:
    """The end of an attention: what the layer at its start gives."""
    return frame.op("Identity", frame.x[0])


def _repeated(frame: Frame, keys: str, queries: str) -> str:
    """Each head of keys as often as there are heads of queries for it."""
    heads, kept = frame.extent(queries, 1), frame.extent(keys, 1)
    # head of the query * heads of the keys / heads of the queries
    which = frame.op("Div", frame.op("Mul", frame.count(heads), kept), heads)
    return frame.op("Gather", keys, which, axis=1)


def _masked(frame: Frame, scores: str, index: int) -> str:
    mask = frame.x[index]
    if frame.type(index) == TensorProto.BOOL:
        nothing = frame.scalar(-np.inf, TensorProto.FLOAT)
        return frame.op("Where", mask, scores, nothing)
    return frame.op("Add", scores, frame.float32(index))


def _causal(frame: Frame, scores: str, kind: str) -> str:
    rows, columns = frame.extent(scores, 2), frame.extent(scores, 3)
    row = frame.op("Unsqueeze", frame.count(rows), frame.ints([1]))
    if kind == "LOWER_RIGHT":
        row = frame.op("Add", row, frame.op("Sub", columns, rows))
    hidden = frame.op("Greater", frame.count(columns), row)
    return frame.op("Where", hidden, frame.scalar(-np.inf, TensorProto.FLOAT), scores)


def rotary_embedding(frame: Frame) -> str:
    """Pairs of elements turned by angles that depend on the position."""
    raw, x = frame.raw, frame.x[0]
    cosine, sine = (_angles(frame, index) for index in (1, 2))
    rotated, rest = x, ""
    width = raw.rotary_embedding_dim
    if width:
        rotated = frame.op("Slice", x, frame.ints([0]), frame.ints([width]), frame.ints([-1]))
        rest = frame.op("Slice", x, frame.ints([width]), frame.ints([np.iinfo(np.int64).max]), frame.ints([-1]))
    shape = frame.shape(rotated)
    split = frame.ints([0, 0, 0, -1, 2] if raw.interleaved else [0, 0, 0, 2, -1])
    pairs, axis = frame.op("Reshape", rotated, split), 4 if raw.interleaved else 3
    a, b = (frame.op("Gather", pairs, frame.ints(index), axis=axis) for index in (0, 1))
    first = frame.op("Sub", frame.op("Mul", a, cosine), frame.op("Mul", b, sine))
    second = frame.op("Add", frame.op("Mul", a, sine), frame.op("Mul", b, cosine))
    first, second = (frame.op("Unsqueeze", part, frame.ints([axis])) for part in (first, second))
    turned = frame.op("Reshape", frame.op("Concat", first, second, axis=axis), shape)
    return frame.op("Concat", turned, rest, axis=-1) if rest else turned


def _angles(frame: Frame, index: int) -> str:
    """Of each batch and position, with an axis for the heads."""
    cache = frame.x[index]
    if frame.has(3):
        cache = frame.op("Gather", cache, frame.int64(3), axis=0)
    return frame.op("Unsqueeze", cache, frame.ints([1]))


def cache_update(frame: Frame) -> str:
    """New keys or values written into a cache, from a position of each sequence on."""
    cache, update = frame.x[:2]
    at = frame.op("Reshape", frame.int64(2), frame.ints([-1, 1, 1, 1]))
    step = frame.op("Reshape", frame.count(frame.extent(update, 2)), frame.ints([1, 1, -1, 1]))
    places = frame.op("Expand", frame.op("Add", at, step), frame.shape(update))
    return frame.op("ScatterElements", cache, places, update, axis=2)
