"""QuantizeLinear and DequantizeLinear taken apart: scale, zero point, range of the integers, and axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from ...compiler import dtypes
from ...compiler.graph import Node, Value
from ...compiler.refusal import Refusal
from ...compiler.rewriter import Rewriter
from .whole_numbers import whole_behind


@dataclass(frozen=True)
class Linear:
    """A QuantizeLinear or DequantizeLinear of float32: real = (integer - zero) * scale.

    integer: element type of the integers. zero: None where it is 0 everywhere.
    """

    node: Node
    integer: int
    scale: Value
    zero: Value | None

    @property
    def zeros(self) -> np.ndarray | None:
        """The zero points, None if they are not constant."""
        if self.zero is None:
            return np.zeros((), np.int64)
        return None if self.zero.constant is None else self.zero.constant.numpy().astype(np.int64)

    @property
    def symmetric(self) -> bool:
        return self.zeros is not None and not self.zeros.any()

    @property
    def read_by_tensorrt(self) -> bool:
        """Whether TensorRT takes it as it is: signed, symmetric, with constant scales."""
        return self.integer == TensorProto.INT8 and self.symmetric and self.scale.constant is not None


def linear(node: Node) -> Linear:
    """What a QuantizeLinear or DequantizeLinear works with; refuses blocks and other types than float32."""
    scale, zero = node.input(1), node.input(2)
    data = node.input(0)
    if scale is None or data is None:
        raise Refusal("")
    if node.int_attr("block_size", 0):
        raise Refusal("the scales are of blocks")
    real = data if node.op == "QuantizeLinear" else node.output
    if real.dtype != dtypes.FLOAT or scale.dtype != dtypes.FLOAT:
        raise Refusal(f"it is of {dtypes.name_of(real.dtype)}, not of float32")
    integer = node.output.dtype if node.op == "QuantizeLinear" else data.dtype
    return Linear(node, integer, scale, zero)


def along_axis(parameter: Value, node: Node, rewriter: Rewriter) -> Value:
    """A scale or zero point in a shape that broadcasts over the data: (C,) becomes (C, 1, 1)."""
    data = node.input(0)
    if parameter.rank == 0:
        return parameter
    assert data is not None
    if parameter.rank != 1 or data.rank is None:
        raise Refusal("the rank of the data or of the scales is not known")
    axis = node.int_attr("axis", 1)
    behind = data.rank - 1 - (axis + data.rank if axis < 0 else axis)
    if parameter.constant is not None:
        numbers = parameter.constant.numpy()
        shape = () if numbers.size == 1 else (numbers.size, *[1] * behind)
        return rewriter.constant(numbers.reshape(shape), parameter.name)
    if parameter.shape != (1,):
        raise Refusal("the scales along an axis are not constant")
    return rewriter.op("Reshape", [parameter, rewriter.ints([], "scalar")])


def as_float(value: Value, rewriter: Rewriter) -> Value:
    """The numbers of an integer tensor as float32."""
    if value.constant is not None:
        return rewriter.constant(value.constant.numpy().astype(np.float32), value.name)
    return whole_behind(value) or rewriter.op("Cast", [value], to=int(TensorProto.FLOAT))


def clipped(value: Value, limits: Sequence[Value], rewriter: Rewriter) -> Value:
    """The numbers within limits, which may differ along an axis."""
    low, high = limits
    if low.rank == 0 and high.rank == 0:
        return rewriter.op("Clip", [value, low, high])
    return rewriter.op("Min", [rewriter.op("Max", [value, low]), high])
