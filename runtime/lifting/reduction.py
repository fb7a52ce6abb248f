"""Layers that look along axes: reductions, sorting, softmax, norms, running sums."""

from __future__ import annotations

from onnx import TensorProto

from .emitter import Frame

_REDUCTIONS = {
    "SUM": "ReduceSum", "PROD": "ReduceProd", "MAX": "ReduceMax", "MIN": "ReduceMin", "AVG": "ReduceMean",
}  # fmt: skip


def reduce(frame: Frame) -> str:
    """One number for all along some axes."""
    kind = frame.layer.choice("op")
    if kind not in _REDUCTIONS:
        return frame.op("Identity", frame.x[0])
    axes = frame.ints(frame.layer.bits("axes", frame.rank()))
    return frame.op(_REDUCTIONS[kind], frame.x[0], axes, keepdims=int(frame.raw.keep_dims), noop_with_empty_axes=1)


def top_k(frame: Frame) -> list[str]:
    """The largest or the smallest along an axis, in order, and where they stand."""
    axis = frame.layer.bits("axes", frame.rank())[0]
    number = frame.vector(1) if frame.has(1) else frame.ints([frame.raw.k])
    largest = int(frame.layer.choice("op") == "MAX")
    values, indices = frame.ops("TopK", frame.x[0], number, outputs=2, axis=axis, largest=largest)
    if len(frame.layer.outputs) > 1 and frame.result_type(1) != TensorProto.INT64:
        indices = frame.cast(indices, frame.result_type(1))
    return [values, indices]


def softmax(frame: Frame) -> str:
    """Exponentials that add up to 1 along an axis."""
    (axis,) = frame.layer.bits("axes", frame.rank())
    return frame.op("Softmax", frame.x[0], axis=axis)


def cumulative(frame: Frame) -> str:
    """Running sums."""
    kind, raw = frame.layer.choice("op"), frame.raw
    if kind != "SUM":
        frame.refuse(f"ONNX has no running {kind}")
    return frame.op("CumSum", frame.x[0], frame.x[1], exclusive=int(raw.exclusive), reverse=int(raw.reverse))


def normalization(frame: Frame) -> str:
    """Mean 0 and variance 1 along axes or over groups of channels, then scale and bias; computed in float32."""
    own = frame.result_type()
    x, scale, bias = (frame.float32(index) for index in range(3))
    groups = frame.raw.num_groups
    axes, whole = frame.layer.bits("axes", frame.rank()), frame.shape(x)
    data = x
    if groups != 1:
        data, axes = frame.op("Reshape", x, frame.ints([0, groups, -1])), [2]
    result = _standardized(frame, data, axes)
    if groups != 1 and not getattr(frame.raw, "is_v2", False):
        scale, bias = (frame.op("Reshape", part, frame.ints([1, groups, 1])) for part in (scale, bias))
        result = frame.op("Add", frame.op("Mul", result, scale), bias)
        result = frame.op("Reshape", result, whole)
    else:
        result = frame.op("Reshape", result, whole) if groups != 1 else result
        result = frame.op("Add", frame.op("Mul", result, scale), bias)
    return result if own == TensorProto.FLOAT else frame.cast(result, own)


def _standardized(frame: Frame, data: str, axes: list[int]) -> str:
    along = frame.ints(axes)
    centred = frame.op("Sub", data, frame.op("ReduceMean", data, along))
    variance = frame.op("ReduceMean", frame.op("Mul", centred, centred), along)
    epsilon = frame.scalar(frame.raw.epsilon, TensorProto.FLOAT)
    return frame.op("Div", centred, frame.op("Sqrt", frame.op("Add", variance, epsilon)))
