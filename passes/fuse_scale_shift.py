"""fuse-scale-shift: constant Mul, Div, Add and Sub disappear into the layer below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, known, op
from ..compiler.rewriter import Rewriter
from .linear_layers import LINEAR_OPS, fold_output_affine, per_channel

_LINEAR = op(LINEAR_OPS, node="linear")


@dataclass(frozen=True)
class FuseScaleShift(RewritePass):
    """Fold a constant scale or shift per output channel into the linear layer that feeds it.

    Before => After
        y = Conv(x, w, b) * s   =>   y = Conv(x, w * s, b * s)
        y = s - Gemm(x, w, b)   =>   y = Gemm(x, -w, s - b)          either operand order, Mul, Div, Add, Sub

    Legal when
        The constant is one finite number, or one per output channel, and does not broadcast the layer's output;
        weights and bias are constants that the caller cannot override; the layer's output has no other reader;
        nothing overflows. Division by the layer's output is not affine and not matched.

    Pays when
        Always; except a large weight that other layers share, which would be stored twice. MatMul takes a shift only
        at rank 2, where it becomes Gemm.

    Numerics
        Computed in float64 and rounded once; x / c becomes x * (1 / c).
    """

    name: ClassVar[str] = "fuse-scale-shift"
    patterns: ClassVar[tuple[OpPattern, ...]] = (
        op("Add|Mul", _LINEAR, known("c"), commutative=True),
        op("Sub|Div", _LINEAR, known("c")),
        op("Sub", known("c"), _LINEAR),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root, linear = match.root, match.node("linear")
        if root.version < 7:
            rewriter.refuse("broadcasting is explicit before opset 7")
        constant = per_channel(match.array("c"), linear, rewriter)
        one, zero = np.ones_like(constant), np.zeros_like(constant)
        match root.op:
            case "Add":
                scale, shift = one, constant
            case "Mul":
                scale, shift = constant, zero
            case "Div":
                with np.errstate(divide="ignore"):
                    scale, shift = one / constant, zero
            case _ if root.inputs[0] is match["c"]:
                scale, shift = -one, constant
            case _:
                scale, shift = one, -constant
        rewriter.replace(root.output, fold_output_affine(linear, scale, shift, rewriter))
