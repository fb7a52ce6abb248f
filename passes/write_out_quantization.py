"""write-out-quantization: quantization that TensorRT does not read is done in float arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph import Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, op
from ..compiler.rewriter import Rewriter
from .quantization.linear import Linear, along_axis, as_float, clipped, linear
from .quantization.whole_numbers import RANGES


@dataclass(frozen=True)
class WriteOutQuantization(RewritePass):
    """Round and limit numbers in float where a quantizer works with what TensorRT does not read.

    Before => After
        DequantizeLinear(QuantizeLinear(x, s, z), s, z)   =>   Clip(Round(x / s), low - z, high - z) * s
        QuantizeLinear(x, s, z)                           =>   Cast(Clip(Round(x / s) + z, low, high))
        DequantizeLinear(q, s, z)                         =>   (Cast(q) - z) * s

    TensorRT reads int8 with a zero point of 0 and constant scales. It refuses a zero point that is not 0, takes uint8
    for int8 without a message, and may crash on a scale that is no constant. It is part of the pipeline `tensorrt`.

    Legal when
        The real numbers are float32, the integers have 8 or 16 bits, scales along an axis are constants, and the
        operator set is 11 or later. In the first form both zero points are the same.

    Pays when
        Always, for the model could not be built, or would compute something else. What TensorRT reads is left alone.

    Numerics
        Unchanged for finite numbers: the integers are exact in float32. A NaN stays one, where the original gives
        some integer.
    """

    name: ClassVar[str] = "write-out-quantization"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("DequantizeLinear", op("QuantizeLinear", node="quantize", shared=True), any_("scale"), any_("zero")),
        op("DequantizeLinear", op("QuantizeLinear", node="quantize", shared=True), any_("scale")),
        op("QuantizeLinear|DequantizeLinear"),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        form = linear(root)
        first = linear(match.named["quantize"]) if "quantize" in match.named else None
        if form.read_by_tensorrt and (first is None or first.read_by_tensorrt):
            rewriter.refuse("")
        if form.integer not in RANGES:
            rewriter.refuse("")
        if rewriter.opset() < 11:
            rewriter.refuse(f"it needs opset 11, the model has {rewriter.opset()}")
        if first is not None:
            if not _same_zero(first, form):
                rewriter.refuse("the two zero points may differ")
            whole = _rounded(first, rewriter)
            real = rewriter.op("Mul", [clipped(whole, _limits(first, True, rewriter), rewriter),
                                       along_axis(form.scale, root, rewriter)], name=root.name)  # fmt: skip
        elif root.op == "QuantizeLinear":
            real = _quantized(form, rewriter)
        else:
            real = _dequantized(form, rewriter)
        rewriter.replace(root.output, real)


def _same_zero(one: Linear, other: Linear) -> bool:
    if one.integer != other.integer:
        return False
    if one.zero is other.zero:
        return True
    left, right = one.zeros, other.zeros
    return left is not None and right is not None and left.size == right.size and bool(np.all(left == right))


def _rounded(form: Linear, rewriter: Rewriter) -> Value:
    scale = along_axis(form.scale, form.node, rewriter)
    return rewriter.op("Round", [rewriter.op("Div", [form.node.inputs[0], scale])])


def _limits(form: Linear, shifted: bool, rewriter: Rewriter) -> list[Value]:
    """The smallest and the largest integer, less the zero point where it is taken off."""
    low, high = RANGES[form.integer]  # type: ignore[index]
    numbers = [rewriter.constant(np.array(limit, np.float32), "limit") for limit in (low, high)]
    if not shifted or form.zero is None or form.symmetric:
        return numbers
    zeros = form.zeros
    if zeros is not None and zeros.size == 1:
        return [rewriter.constant(np.array(limit - int(zeros.flat[0]), np.float32), "limit") for limit in (low, high)]
    zero = as_float(along_axis(form.zero, form.node, rewriter), rewriter)
    return [rewriter.op("Sub", [number, zero]) for number in numbers]


def _quantized(form: Linear, rewriter: Rewriter) -> Value:
    whole = _rounded(form, rewriter)
    if form.zero is not None and not form.symmetric:
        whole = rewriter.op("Add", [whole, as_float(along_axis(form.zero, form.node, rewriter), rewriter)])
    limited = clipped(whole, _limits(form, False, rewriter), rewriter)
    return rewriter.op("Cast", [limited], to=form.integer, name=form.node.name)


def _dequantized(form: Linear, rewriter: Rewriter) -> Value:
    integers = form.node.inputs[0]
    assert integers is not None
    if integers.constant is not None:
        rewriter.refuse("")
    whole = as_float(integers, rewriter)
    if form.zero is not None and not form.symmetric:
        whole = rewriter.op("Sub", [whole, as_float(along_axis(form.zero, form.node, rewriter), rewriter)])
    return rewriter.op("Mul", [whole, along_axis(form.scale, form.node, rewriter)], name=form.node.name)
