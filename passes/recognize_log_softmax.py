"""recognize-log-softmax: the logarithm of a softmax is LogSoftmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, maybe, op
from ..compiler.rewriter import Rewriter
from .recognition.reductions import axes_of, keeps_dims
from .recognition.standard_operators import require_operator
from .values.readers import refuse_readers_outside

_X = any_("x")
_SHIFTED = op("Sub", _X, op("ReduceMax", _X, maybe(any_("max axes")), node="max"), shared=True)
_SUM = op("ReduceSum", op("Exp", _SHIFTED), maybe(any_("sum axes")), node="sum")


@dataclass(frozen=True)
class RecognizeLogSoftmax(RewritePass):
    """Replace the logarithm of a softmax by LogSoftmax.

    Before => After
        y = Log(Softmax(x))                            =>   y = LogSoftmax(x)
        d = x - ReduceMax(x)
        y = d - Log(ReduceSum(Exp(d)))                 =>   y = LogSoftmax(x)

    Legal when
        The inner values have no other reader. The second form must keep and reduce one axis, the last one before opset
        13, when LogSoftmax flattened its input.

    Pays when
        Always.

    Numerics
        The same formula. Where a softmax underflows to 0 (about 104 below the largest element in float32) the first
        form is minus infinity; LogSoftmax is right there.
    """

    name: ClassVar[str] = "recognize-log-softmax"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("Log", op("Softmax", _X, node="softmax")),
        op("Sub", _SHIFTED, op("Log", _SUM)),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        x = match["x"]
        require_operator("LogSoftmax", x.dtype, rewriter)
        softmax = match.named.get("softmax")
        if softmax is not None:
            axis = softmax.attr("axis")
        else:
            axis = self._reduced_axis(match, rewriter)
            refuse_readers_outside(match, rewriter)
        rewriter.replace(match.root.output, rewriter.op("LogSoftmax", [x], axis=axis))

    def _reduced_axis(self, match: Match, rewriter: Rewriter) -> int:
        reductions, rank = [match.node("sum"), match.node("max")], match["x"].rank
        axes = axes_of(reductions[0])
        if axes is None or rank is None:
            rewriter.refuse("the axes are not known")
        if len(axes) != 1 or any(axes_of(node) != axes or not keeps_dims(node) for node in reductions):
            rewriter.refuse("the reductions are not over one axis that they keep")
        if rewriter.opset() < 13 and axes[0] != rank - 1:
            rewriter.refuse("before opset 13 LogSoftmax flattens the axes behind its own")
        return axes[0]
