"""fold-dequantized-constants: a constant that TensorRT does not dequantize is stored as what it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from onnx import TensorProto

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, known, maybe, op
from ..compiler.rewriter import Rewriter
from ..compiler.tensor import Tensor
from .quantization.linear import linear

_NARROW = {TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16}


@dataclass(frozen=True)
class FoldDequantizedConstants(RewritePass):
    """Compute the DequantizeLinear of a constant that TensorRT cannot read.

    Before => After
        DequantizeLinear(bias: int32, s)            =>   bias: float
        DequantizeLinear(w: int8, s, z)             =>   w: float          z is not 0

    Exporters quantize a bias to int32; TensorRT keeps it in float. It reads int8 weights with a zero point of 0 only.
    The pass is part of the pipeline `tensorrt`.

    Legal when
        Integers, scales and zero points are constants, of one scale or of scales along an axis, and the result is
        float32.

    Pays when
        The constant is int32, or is of 8 or 16 bits and not what TensorRT reads; then it takes more bytes.

    Numerics
        Rounded once, where the original rounds the product of the integer in float32.
    """

    name: ClassVar[str] = "fold-dequantized-constants"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("DequantizeLinear", known("integers"), known("scale"), maybe(known("zero"))),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        form = linear(node)
        if form.read_by_tensorrt:
            rewriter.refuse("")
        if form.integer not in {*_NARROW, TensorProto.INT32}:
            rewriter.refuse("")
        zeros = form.zeros
        assert zeros is not None
        if form.integer == TensorProto.INT32 and zeros.any():
            rewriter.refuse("a zero point of int32 has to be 0")
        integers = match.array("integers").astype(np.int64)
        scales, shifts = (_spread(array, integers.ndim, node.int_attr("axis", 1))
                          for array in (match.array("scale").astype(np.float64), zeros))  # fmt: skip
        real = ((integers - shifts) * scales).astype(np.float32)
        if real.shape != integers.shape:
            rewriter.refuse("the scales do not go with the constant")
        rewriter.replace(node.output, rewriter.stand_in(node.output, Tensor.from_array(real)))


def _spread(numbers: np.ndarray, rank: int, axis: int) -> np.ndarray:
    if numbers.size == 1:
        return numbers.reshape(())
    axis = axis + rank if axis < 0 else axis
    return numbers.reshape([-1 if i == axis else 1 for i in range(rank)])
