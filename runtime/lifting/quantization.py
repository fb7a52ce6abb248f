"""Layers between real numbers and their codes. They see the types as they are."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .element_types import onnx_type
from .emitter import Frame

_CODED_BY_HAND = frozenset({TensorProto.FLOAT4E2M1})  # neither ONNX Runtime nor all versions of the operators know them


def quantize(frame: Frame) -> str:
    """Codes of real numbers: per tensor, along an axis, or in blocks."""
    frame = _in_float32(frame)
    to = onnx_type(frame.layer.choice("to_type"))
    if to in _CODED_BY_HAND:
        return frame.cast(frame.op("Div", frame.x[0], _scale_of_each(frame)), to)
    if frame.has(2) and frame.type(2) == to:
        return frame.op("QuantizeLinear", *frame.x[:3], **_granularity(frame))
    return frame.op("QuantizeLinear", *frame.x[:2], output_dtype=to, **_granularity(frame))


def dequantize(frame: Frame) -> str:
    """Real numbers of codes."""
    to = onnx_type(frame.layer.choice("to_type"))
    codes, scale = frame.x[0], frame.x[1]
    if frame.type(1) != TensorProto.FLOAT:
        scale = frame.x[1] = frame.cast(scale, TensorProto.FLOAT)
    if frame.type(0) in _CODED_BY_HAND:
        numbers = frame.op("Mul", frame.cast(codes, TensorProto.FLOAT), _scale_of_each(frame))
    else:
        zero_point = frame.x[2:3] if frame.has(2) and frame.type(2) == frame.type(0) else []
        numbers = frame.op("DequantizeLinear", codes, scale, *zero_point, **_granularity(frame))
    return numbers if to == TensorProto.FLOAT else frame.cast(numbers, to)


def _in_float32(frame: Frame) -> Frame:
    for index in (0, 1):
        if frame.type(index) != TensorProto.FLOAT:
            frame.x[index] = frame.cast(frame.x[index], TensorProto.FLOAT)
    return frame


def _granularity(frame: Frame) -> dict[str, int]:
    """The attributes axis and block_size."""
    data, scale = frame.tensor(0).shape, frame.tensor(1).shape
    if data is None or scale is None:
        return dict(frame.refuse("the rank of its scale is not known"))
    if not scale:
        return {}
    if len(scale) == 1:
        return {"axis": frame.raw.axis}
    blocked = [axis for axis, (whole, part) in enumerate(zip(data, scale, strict=True)) if whole != part]
    if len(blocked) > 1 or -1 in (*data, *scale):
        frame.refuse(f"blocks along more than one axis, or of unknown size: {list(scale)} scales for {list(data)}")
    axis = blocked[0] if blocked else 0
    return {"axis": axis, "block_size": data[axis] // scale[axis]}


def _scale_of_each(frame: Frame) -> str:
    """The scale of each element, so that it can be multiplied."""
    found, scale = _granularity(frame), frame.x[1]
    if not found:
        return scale
    axis, rank = found["axis"] % frame.rank(), frame.rank()
    if "block_size" not in found:
        along = [1] * rank
        along[axis] = -1
        return frame.op("Reshape", scale, frame.ints(along))
    shape = frame.tensor(0).shape or ()
    repeated = np.repeat(np.arange(shape[axis] // found["block_size"]), found["block_size"])
    return frame.op("Gather", scale, frame.emitter.constant(repeated.astype(np.int64)), axis=axis)
