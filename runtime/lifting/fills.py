"""Layers that make numbers from nothing: constants, sequences, random numbers."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .element_types import numpy_type, weights_tensor
from .emitter import Frame


def constant(frame: Frame) -> str:
    """Weights."""
    output = frame.layer.outputs[0]
    shape = tuple(frame.layer.dims("shape") or ())
    name = frame.emitter.claim(output.name)
    return frame.emitter.weights(weights_tensor(frame.raw.weights, output.type, shape, name))


def fill(frame: Frame) -> str:
    """Evenly spaced numbers, or random ones."""
    kind = frame.layer.choice("operation")
    shape = frame.vector(0) if frame.has(0) else frame.ints(frame.layer.dims("shape") or [])
    if kind == "LINSPACE":
        return _linspace(frame, shape)
    return _random(frame, kind, shape)


def _linspace(frame: Frame, shape: str) -> str:
    """start + delta of each axis * index along it."""
    own, rank = frame.result_type(), len(frame.layer.outputs[0].shape or ())
    start = frame.op("Reshape", _parameter(frame, 1, "alpha", own), frame.ints([]))
    steps = frame.op("Reshape", _parameter(frame, 2, "beta", own), frame.ints([-1]))
    result = frame.op("Expand", start, shape)
    for axis in range(rank):
        along = [1] * rank
        along[axis] = -1
        count = frame.cast(frame.count(frame.op("Gather", shape, frame.ints(axis))), own)
        step = frame.op("Gather", steps, frame.ints(axis))
        result = frame.op("Add", result, frame.op("Mul", frame.op("Reshape", count, frame.ints(along)), step))
    return result


def _parameter(frame: Frame, index: int, attribute: str, own: int) -> str:
    if frame.has(index):
        return frame.x[index] if frame.type(index) == own else frame.cast(frame.x[index], own)
    value = getattr(frame.raw, attribute)
    return frame.emitter.constant(np.array(0.0 if value is None else value).astype(numpy_type(own)))


def _random(frame: Frame, kind: str, shape: str) -> str:
    """Drawn by ONNX Runtime's generator: the distribution is the same, the numbers are not."""
    own = frame.result_type()
    numbers = [_parameter(frame, index, name, TensorProto.FLOAT) for index, name in ((1, "alpha"), (2, "beta"))]
    alpha, beta = (number if own == TensorProto.FLOAT else frame.cast(number, own) for number in numbers)
    like = frame.op("ConstantOfShape", shape)
    if kind == "RANDOM_UNIFORM":
        drawn = frame.op("RandomUniformLike", like, dtype=own)
        return frame.op("Add", alpha, frame.op("Mul", drawn, frame.op("Sub", beta, alpha)))
    drawn = frame.op("RandomNormalLike", like, dtype=own)
    return frame.op("Add", alpha, frame.op("Mul", drawn, beta))
