"""form-scalar-scales: the one scale of a tensor is a scalar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter


@dataclass(frozen=True)
class FormScalarScales(RewritePass):
    """Give a QuantizeLinear or DequantizeLinear with one scale in all that scale as a scalar.

    Before => After
        QuantizeLinear(x, s: float[1], z: int8[1])     =>   QuantizeLinear(x, s: float, z: int8)

    TensorRT takes a vector of one scale for scales along an axis, and then computes what follows in float. It is part
    of the pipeline `tensorrt`.

    Legal when
        Scale and zero point are constants of one element, and there are no blocks.

    Pays when
        Always.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "form-scalar-scales"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("QuantizeLinear|DequantizeLinear"),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        scale, zero = node.input(1), node.input(2)
        if scale is None or scale.shape != (1,):
            rewriter.refuse("")
        if node.int_attr("block_size", 0):
            rewriter.refuse("the scale is of a block")
        for value in (scale, zero):
            if value is not None and value.constant is None:
                rewriter.refuse(f"{value.name} is not constant")
        if zero is not None and zero.shape != (1,):
            rewriter.refuse("scale and zero point have different shapes")
        for index, value in ((1, scale), (2, zero)):
            if value is not None:
                rewriter.set_input(node, index, _scalar(value, rewriter))


def _scalar(value: Value, rewriter: Rewriter) -> Value:
    assert value.constant is not None
    return rewriter.tensor(value.constant.reshaped(()), value.name)
