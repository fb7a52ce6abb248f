"""recognize-lp-normalization: division by the norm along an axis is LpNormalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, maybe, op
from ..compiler.rewriter import Rewriter
from .recognition.reductions import axes_of, keeps_dims
from .recognition.standard_operators import require_operator

_X = any_("x")
_NORM = op("ReduceL1|ReduceL2", _X, maybe(any_("axes")), node="norm")


@dataclass(frozen=True)
class RecognizeLpNormalization(RewritePass):
    """Replace a division by the L1 or L2 norm along an axis by LpNormalization.

    Before => After
        y = x / ReduceL2(x, axis)   =>   y = LpNormalization(x) {axis}
        y = x / ReduceL1(x, axis)   =>   y = LpNormalization(x) {axis, p=1}

    Legal when
        The norm keeps and reduces one axis and has no other reader. A norm that is kept away from 0 by a Clip, a Max or
        an addition is another function.

    Pays when
        Always.

    Numerics
        The same formula. Where all elements are 0 the original is NaN, and the operator is defined to be 0.
    """

    name: ClassVar[str] = "recognize-lp-normalization"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("Div", _X, _NORM),
        op("Mul", _X, op("Reciprocal", _NORM), commutative=True),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        x, norm = match["x"], match.node("norm")
        axes = axes_of(norm)
        if axes is None:
            rewriter.refuse("the axes are not known")
        if len(axes) != 1 or not keeps_dims(norm):
            rewriter.refuse("the norm is not over one axis that it keeps")
        require_operator("LpNormalization", x.dtype, rewriter)
        p = 1 if norm.op == "ReduceL1" else None
        rewriter.replace(match.root.output, rewriter.op("LpNormalization", [x], axis=axes[0], p=p))
