"""shift-to-int8: integers from 0 to 255 around 128 become integers from -128 to 127 around 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from onnx import TensorProto

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from .quantization.linear import linear

_MIDDLE = 128


@dataclass(frozen=True)
class ShiftToInt8(RewritePass):
    """Quantize to int8 around 0 what is quantized to uint8 around 128.

    Before => After
        q = QuantizeLinear(x, s, 128: uint8)           =>   q = QuantizeLinear(x, s, 0: int8)
        y = DequantizeLinear(q, t, 128: uint8)         =>   y = DequantizeLinear(q, t, 0: int8)
        y = DequantizeLinear(w: uint8, s, 128: uint8)  =>   y = DequantizeLinear(w - 128: int8, s, 0: int8)

    TensorRT reads int8 with a zero point of 0 only, and takes uint8 for int8 without a message. It is part of the
    pipeline `tensorrt`.

    Legal when
        All zero points are 128 and constant. Every reader of the integers is a DequantizeLinear of this kind, so that
        nobody sees them; a weight is a constant.

    Pays when
        Always: int8 kernels become possible.

    Numerics
        Unchanged: all integers are 128 less, and so is what is taken off them.
    """

    name: ClassVar[str] = "shift-to-int8"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("QuantizeLinear"), op("DequantizeLinear"))

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        if not _around_middle(node):
            rewriter.refuse("")
        integers = node.output if node.op == "QuantizeLinear" else node.inputs[0]
        if node.op == "QuantizeLinear":
            readers = integers.readers if integers is not None else []
            if node.output.is_graph_output or not readers:
                rewriter.refuse("the integers are a graph output")
            if not all(reader.op == "DequantizeLinear" and _around_middle(reader) for reader in readers):
                rewriter.refuse("something else than a DequantizeLinear around 128 reads the integers")
            if "output_dtype" in node.attributes:
                rewriter.refuse("the type of the integers is an attribute")
            rewriter.include(readers)
            shifted = rewriter.op("QuantizeLinear", _inputs(node, node.inputs[0], rewriter), node.attributes)
            for reader in dict.fromkeys(readers):
                real = rewriter.op("DequantizeLinear", _inputs(reader, shifted, rewriter), reader.attributes,
                                   name=reader.name)  # fmt: skip
                rewriter.replace(reader.output, real)
            return
        if integers is None or integers.constant is None:
            rewriter.refuse("")
        numbers = integers.constant.numpy().astype(np.int16) - _MIDDLE
        weight = rewriter.constant(numbers.astype(np.int8), integers.name)
        real = rewriter.op("DequantizeLinear", _inputs(node, weight, rewriter), node.attributes, name=node.name)
        rewriter.replace(node.output, real)


def _around_middle(node: Node) -> bool:
    """Whether the integers are uint8 and every zero point is the constant 128."""
    try:
        form = linear(node)
    except Refusal:
        return False
    zeros = form.zeros
    return form.integer == TensorProto.UINT8 and zeros is not None and bool(np.all(zeros == _MIDDLE))


def _inputs(node: Node, data: Value | None, rewriter: Rewriter) -> list[Value | None]:
    zero = node.inputs[2]
    assert zero is not None and zero.shape is not None
    shape = [extent if isinstance(extent, int) else 1 for extent in zero.shape]
    return [data, node.inputs[1], rewriter.constant(np.zeros(shape, np.int8), zero.name)]
