"""eliminate-zero-bias: a bias of zeros is omitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .values.uniform_values import fill_of

_LARGEST = 1 << 16  # elements of a bias that are looked at
_BIAS_INPUT = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "LayerNormalization": 2, "DeformConv": 3, "QLinearConv": 8}


@dataclass(frozen=True)
class EliminateZeroBias(RewritePass):
    """Omit the bias of a layer when all of it is zero.

    Before => After
        y = Conv(x, w, zeros)   =>   y = Conv(x, w)

    Covers Conv, ConvTranspose, DeformConv, Gemm, QLinearConv and LayerNormalization.

    Legal when
        Every element is known to be zero: a constant that the caller cannot override, or a fill of any shape. Gemm's
        bias is optional since opset 11.

    Pays when
        Always: a constant less, and what computed it.

    Numerics
        Unchanged, but for the sign of a zero.
    """

    name: ClassVar[str] = "eliminate-zero-bias"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("|".join(_BIAS_INPUT)),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        index = _BIAS_INPUT[node.op]
        bias = node.input(index)
        if bias is None:
            rewriter.refuse("")
        if bias.overridable and bias.tensor is not None and not bias.tensor.numpy().any():
            rewriter.refuse(f"{bias.name} is also a graph input, so the caller may override it")
        if not _is_zero(bias):
            rewriter.refuse("")
        if node.op == "Gemm" and node.version < 11:
            rewriter.refuse("Gemm needs its bias before opset 11")
        rewriter.set_input(node, index, None)
        if "beta" in node.attributes:
            rewriter.set_attribute(node, "beta", None)


def _is_zero(bias: Value) -> bool:
    if bias.constant is not None and bias.constant.size <= _LARGEST:
        return not bias.constant.numpy().any()
    fill = fill_of(bias)
    return fill is not None and not fill.any()
