"""compute-integers-in-float: products of integers, and what quantizes for them on the fly, are done in float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from onnx import TensorProto

from ..compiler import dtypes
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter
from .quantization.whole_numbers import whole_behind

_FLOAT = int(TensorProto.FLOAT)
_NARROW = {int(TensorProto.INT8), int(TensorProto.UINT8)}


@dataclass(frozen=True)
class ComputeIntegersInFloat(RewritePass):
    """Replace MatMulInteger, ConvInteger and DynamicQuantizeLinear by float arithmetic on the same whole numbers.

    Before => After
        p = MatMulInteger(a, b, za, zb)    =>   p = Cast(MatMul(Cast(a) - za, Cast(b) - zb), int32)
        q, s, z = DynamicQuantizeLinear(x)
            =>   high = Max(ReduceMax(x), 0); low = Min(ReduceMin(x), 0); s = (high - low) / 255
                 z = Clip(Round(-low / s), 0, 255); q = Clip(Round(x / s) + z, 0, 255)
        Cast(Cast(q, uint8), float)        =>   q               a whole number from 0 to 255

    TensorRT reads none of them. A weight is stored as the float numbers that it stands for. It is part of the pipeline
    `tensorrt`.

    Legal when
        The integers have 8 bits, and a zero point that is computed is one for the whole tensor; constant ones may
        differ by row on the left of a product, by column on the right, and by output channel of a convolution.

    Pays when
        Always: the model could not be built.

    Numerics
        Whole numbers are exact in float32 while sums stay below 2^24, that is for 258 products of full size or many
        more of usual size; above that a sum is rounded to 24 bits. Where all of x is 0 the scale is 1, as in ONNX
        Runtime.
    """

    name: ClassVar[str] = "compute-integers-in-float"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("MatMulInteger|ConvInteger|DynamicQuantizeLinear"),
        op("Cast", op("Cast", shared=True), where=lambda node: node.attributes.get("to") == _FLOAT),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        if node.op == "Cast":
            rewriter.replace(node.output, _exact_source(node, rewriter))
            return
        if node.op == "DynamicQuantizeLinear":
            _quantize(node, rewriter)
            return
        operands = [_whole(node, index, rewriter) for index in (0, 1)]
        if node.op == "MatMulInteger":
            result = rewriter.op("MatMul", operands, name=node.name)
        else:
            result = rewriter.op("Conv", operands, node.attributes, name=node.name)
        rewriter.replace(node.output, rewriter.op("Cast", [result], to=int(TensorProto.INT32)))


def _exact_source(cast: Node, rewriter: Rewriter) -> Value:
    """The float numbers that were cast to integers and are now cast back."""
    integers = cast.inputs[0]
    source = None if integers is None else whole_behind(integers)
    if source is None:
        rewriter.refuse("")
    return source


def _whole(node: Node, index: int, rewriter: Rewriter) -> Value:
    """An operand less its zero point, in float."""
    value, zero = node.inputs[index], node.input(2 + index)
    if value is None or value.dtype not in _NARROW:
        rewriter.refuse("an operand does not have 8 bits")
    if value.constant is not None and (zero is None or zero.constant is not None):
        shift = np.zeros((), np.int16) if zero is None else zero.constant.numpy().astype(np.int16)  # type: ignore[union-attr]
        numbers = value.constant.numpy().astype(np.int16)
        shift = _spread(shift, numbers.ndim, node, index, rewriter)
        return rewriter.constant((numbers - shift).astype(np.float32), value.name)
    whole = _in_float(value, rewriter)
    if zero is None:
        return whole
    if zero.constant is None and zero.rank != 0:
        rewriter.refuse("the zero points are not constant, and more than one")
    if zero.constant is not None:
        numbers = zero.constant.numpy().astype(np.float32)
        if value.rank is None and numbers.size > 1:
            rewriter.refuse("the rank of an operand is not known")
        shift = _spread(numbers, value.rank or 0, node, index, rewriter)
        return rewriter.op("Sub", [whole, rewriter.constant(shift, zero.name)]) if shift.any() else whole
    return rewriter.op("Sub", [whole, _in_float(zero, rewriter)])


def _spread(zeros: np.ndarray, rank: int, node: Node, index: int, rewriter: Rewriter) -> np.ndarray:
    """Zero points in a shape that broadcasts: of the rows on the left, of the columns on the right, of channels."""
    if zeros.size == 1:
        return zeros.reshape(())
    if zeros.ndim != 1 or (node.op == "ConvInteger" and index == 0):
        rewriter.refuse("the zero points are neither one for all nor one for each row or column")
    if node.op == "ConvInteger":
        return zeros.reshape(-1, *[1] * (rank - 1))
    return zeros.reshape(-1, 1) if index == 0 else zeros


def _in_float(value: Value, rewriter: Rewriter) -> Value:
    """The numbers of an integer tensor in float."""
    return whole_behind(value) or rewriter.op("Cast", [value], to=_FLOAT)


def _quantize(node: Node, rewriter: Rewriter) -> None:
    x = node.inputs[0]
    if x is None or x.dtype != dtypes.FLOAT:
        rewriter.refuse("the input is not float32")
    zero, one, most = (rewriter.constant(np.array(number, np.float32), "limit") for number in (0, 1, 255))
    high = rewriter.op("Max", [rewriter.op("ReduceMax", [x], keepdims=0), zero])
    low = rewriter.op("Min", [rewriter.op("ReduceMin", [x], keepdims=0), zero])
    width = rewriter.op("Div", [rewriter.op("Sub", [high, low]), most])
    scale = rewriter.op("Where", [rewriter.op("Equal", [width, zero]), one, width])
    middle = rewriter.op("Clip", [rewriter.op("Round", [rewriter.op("Div", [rewriter.op("Neg", [low]), scale])]),
                                  zero, most])  # fmt: skip
    shifted = rewriter.op("Add", [rewriter.op("Round", [rewriter.op("Div", [x, scale])]), middle])
    whole = rewriter.op("Clip", [shifted, zero, most])
    results = [rewriter.op("Cast", [whole], to=int(TensorProto.UINT8)), scale,
               rewriter.op("Cast", [middle], to=int(TensorProto.UINT8))]  # fmt: skip
    for old, new in zip(node.outputs, results):
        if old is not None and old.uses:
            rewriter.replace(old, new)
