"""fuse-scale-shift: constant Mul, Div, Add, Sub and Neg disappear into the layer below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .layers.affine import ARITHMETIC_OPS, affine_of, constant_operand
from .layers.layer_below import LONGEST_PATH, fuse_into_layer_below, layer_below


@dataclass(frozen=True)
class FuseScaleShift(RewritePass):
    """Fold a constant scale or shift per output channel into the linear layer that feeds it.

    Before => After
        y = Conv(x, w, b) * s   =>   y = Conv(x, w * s, b * s)
        y = s - Gemm(x, w, b)   =>   y = Gemm(x, -w, s - b)          either operand order, Mul, Div, Add, Sub, Neg
        y = Squeeze(Conv(x, w)) + t   =>   y = Squeeze(Conv(x, w, t))

    Between layer and arithmetic there may be Transpose, Reshape, Squeeze, Unsqueeze and Flatten. The weight may be
    either operand of a MatMul, and a batch of matrices.

    Legal when
        The constant is one finite number, or one per output channel (for Gemm's shift: any that does not broadcast,
        for MatMul's scale: also one per batch), and does not broadcast the layer's output; a scale needs a constant
        weight and bias that the caller cannot override, a shift only a constant bias; the layer's output has no other
        reader; nothing overflows, nor underflows as a whole. Division by the layer's output is not affine.

    Pays when
        Always; except a large weight that other layers share, which would be stored twice; a quantized weight, whose
        layer a bias in floating point would keep from running in integers; and a bias that would become a matrix.
        MatMul takes a shift only at rank 2, where it becomes Gemm.

    Numerics
        Computed in float64 and rounded once; x / c becomes x * (1 / c).
    """

    name: ClassVar[str] = "fuse-scale-shift"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op(ARITHMETIC_OPS),)

    @property
    def depth(self) -> int:
        return LONGEST_PATH

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        operands = constant_operand(root)
        x = root.inputs[0] if root.op == "Neg" else operands[0] if operands is not None else None
        place = layer_below(x, root)
        if place is None:
            rewriter.refuse("")
        fuse_into_layer_below(root, place, affine_of(root, rewriter), rewriter)
