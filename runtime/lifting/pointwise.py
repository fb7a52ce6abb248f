"""Layers that treat each element alone: arithmetic, activations, scales, choices and conversions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto, helper

from .element_types import FLOATS, onnx_type, weights_tensor
from .emitter import Frame

_BINARY = {
    "SUM": "Add", "PROD": "Mul", "MAX": "Max", "MIN": "Min", "SUB": "Sub", "DIV": "Div", "POW": "Pow", "AND": "And",
    "OR": "Or", "XOR": "Xor", "EQUAL": "Equal", "GREATER": "Greater", "LESS": "Less",
}  # fmt: skip
_UNARY = {
    "EXP": "Exp", "LOG": "Log", "SQRT": "Sqrt", "RECIP": "Reciprocal", "ABS": "Abs", "NEG": "Neg", "SIN": "Sin",
    "COS": "Cos", "TAN": "Tan", "SINH": "Sinh", "COSH": "Cosh", "ASIN": "Asin", "ACOS": "Acos", "ATAN": "Atan",
    "ASINH": "Asinh", "ACOSH": "Acosh", "ATANH": "Atanh", "CEIL": "Ceil", "FLOOR": "Floor", "ERF": "Erf", "NOT": "Not",
    "SIGN": "Sign", "ROUND": "Round", "ISINF": "IsInf", "ISNAN": "IsNaN",
}  # fmt: skip


def elementwise(frame: Frame) -> str:
    """Two operands."""
    kind = frame.layer.choice("op")
    a, b = frame.x
    if kind == "FLOOR_DIV":
        return _floor_division(frame, a, b)
    if kind not in _BINARY:
        return str(frame.refuse(f"ONNX has no operation {kind}"))
    return frame.op(_BINARY[kind], a, b)


def _floor_division(frame: Frame, a: str, b: str) -> str:
    """Rounded down also where integers of unlike signs are divided."""
    quotient = frame.op("Div", a, b)
    if frame.type(0) in FLOATS:
        return frame.op("Floor", quotient)
    rest = frame.op("Sub", a, frame.op("Mul", quotient, b))
    zero = frame.scalar(0, frame.type(0))
    unlike = frame.op("Xor", frame.op("Less", rest, zero), frame.op("Less", b, zero))
    down = frame.op("And", unlike, frame.op("Not", frame.op("Equal", rest, zero)))
    return frame.op("Sub", quotient, frame.cast(down, frame.type(0)))


def unary(frame: Frame) -> str:
    """One operand."""
    kind = frame.layer.choice("op")
    if kind not in _UNARY:
        return str(frame.refuse(f"ONNX has no operation {kind}"))
    if kind in ("CEIL", "FLOOR", "ROUND") and frame.type(0) not in FLOATS:
        return frame.op("Identity", frame.x[0])
    if kind in ("ISINF", "ISNAN") and frame.type(0) == TensorProto.FLOAT16:
        return frame.op(_UNARY[kind], frame.cast(frame.x[0], TensorProto.FLOAT))
    return frame.op(_UNARY[kind], frame.x[0])


def _clip(frame: Frame) -> str:
    low, high = (frame.scalar(value, frame.type(0)) for value in (frame.raw.alpha, frame.raw.beta))
    return frame.op("Min", frame.op("Max", frame.x[0], low), high)


def _softplus(frame: Frame) -> str:
    alpha, beta = (frame.scalar(value, frame.type(0)) for value in (frame.raw.alpha, frame.raw.beta))
    return frame.op("Mul", frame.op("Softplus", frame.op("Mul", frame.x[0], beta)), alpha)


def _scaled_tanh(frame: Frame) -> str:
    alpha, beta = (frame.scalar(value, frame.type(0)) for value in (frame.raw.alpha, frame.raw.beta))
    return frame.op("Mul", frame.op("Tanh", frame.op("Mul", frame.x[0], beta)), alpha)


def _relu(frame: Frame) -> str:
    if frame.type(0) in FLOATS:
        return frame.op("Relu", frame.x[0])
    return frame.op("Max", frame.x[0], frame.scalar(0, frame.type(0)))


_ACTIVATIONS: dict[str, Callable[[Frame], str]] = {
    "RELU": _relu,
    "SIGMOID": lambda frame: frame.op("Sigmoid", frame.x[0]),
    "TANH": lambda frame: frame.op("Tanh", frame.x[0]),
    "SOFTSIGN": lambda frame: frame.op("Softsign", frame.x[0]),
    "LEAKY_RELU": lambda frame: frame.op("LeakyRelu", frame.x[0], alpha=frame.raw.alpha),
    "ELU": lambda frame: frame.op("Elu", frame.x[0], alpha=frame.raw.alpha),
    "SELU": lambda frame: frame.op("Selu", frame.x[0], alpha=frame.raw.alpha, gamma=frame.raw.beta),
    "HARD_SIGMOID": lambda frame: frame.op("HardSigmoid", frame.x[0], alpha=frame.raw.alpha, beta=frame.raw.beta),
    "THRESHOLDED_RELU": lambda frame: frame.op("ThresholdedRelu", frame.x[0], alpha=frame.raw.alpha),
    "GELU_ERF": lambda frame: frame.op("Gelu", frame.x[0]),
    "GELU_TANH": lambda frame: frame.op("Gelu", frame.x[0], approximate="tanh"),
    "CLIP": _clip,
    "SOFTPLUS": _softplus,
    "SCALED_TANH": _scaled_tanh,
}


def activation(frame: Frame) -> str:
    """An activation function."""
    kind = frame.layer.choice("type")
    if kind not in _ACTIVATIONS:
        return str(frame.refuse(f"ONNX has no activation {kind}"))
    return _ACTIVATIONS[kind](frame)


def scale(frame: Frame) -> str:
    """(x * scale + shift) ** power, each for the tensor, a channel or an element."""
    result = frame.x[0]
    for op_type, attribute in (("Mul", "scale"), ("Add", "shift"), ("Pow", "power")):
        weights = getattr(frame.raw, attribute)
        if len(weights) if isinstance(weights, np.ndarray) else weights.size:
            result = frame.op(op_type, result, _scale_weights(frame, attribute))
    return result if result != frame.x[0] else frame.op("Identity", result)


def _scale_weights(frame: Frame, attribute: str) -> str:
    weights, mode, rank = getattr(frame.raw, attribute), frame.layer.choice("mode"), frame.rank()
    axis = frame.raw.channel_axis
    if mode == "ELEMENTWISE":
        shape = (1,) * axis + (frame.tensor(0).shape or ())[axis:]
    else:
        shape = tuple(weights.size if mode == "CHANNEL" and a == axis else 1 for a in range(rank))
    own = frame.tensor(0).type
    if isinstance(weights, np.ndarray):
        own = helper.np_dtype_to_tensor_dtype(weights.dtype)
    tensor = weights_tensor(weights, own, shape, frame.emitter.fresh(f"{frame.layer.name}.{attribute}"))
    name = frame.emitter.weights(tensor)
    return name if own == frame.type(0) else frame.cast(name, frame.type(0))


def parametric_relu(frame: Frame) -> str:
    """A slope for negative numbers that is a tensor."""
    x, slope = frame.x
    negative = frame.op("Less", x, frame.scalar(0, frame.type(0)))
    return frame.op("Where", negative, frame.op("Mul", x, slope), x)


def select(frame: Frame) -> str:
    """One of two tensors for each element."""
    condition, first, second = frame.x
    if frame.type(1) == TensorProto.BOOL:
        chosen = frame.op("And", condition, first)
        return frame.op("Or", chosen, frame.op("And", frame.op("Not", condition), second))
    return frame.op("Where", condition, first, second)


def identity(frame: Frame) -> str:
    """The tensor itself, or in another type."""
    if frame.layer.outputs[0].type != frame.tensor(0).type:
        return frame.cast(frame.x[0], frame.layer.outputs[0].type)
    return frame.op("Identity", frame.x[0])


def cast(frame: Frame) -> str:
    """Another type."""
    to = onnx_type(frame.layer.choice("to_type"))
    return frame.cast(frame.x[0], to)
