"""recognize-softmax: exponentials divided by their sum are Softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, either, maybe, op
from ..compiler.rewriter import Rewriter
from .recognition.reductions import axes_of, keeps_dims
from .recognition.standard_operators import require_operator
from .values.readers import refuse_readers_outside

_X = any_("x")
_SHIFTED = op("Sub", _X, op("ReduceMax", _X, maybe(any_("max axes")), node="max", shared=True), shared=True)
_POWERS = op("Exp", either(_SHIFTED, _X), shared=True)
_SUM = op("ReduceSum", _POWERS, maybe(any_("sum axes")), node="sum", shared=True)


@dataclass(frozen=True)
class RecognizeSoftmax(RewritePass):
    """Replace exponentials divided by their sum by Softmax.

    Before => After
        e = Exp(x - ReduceMax(x))      y = e / ReduceSum(e)   =>   y = Softmax(x)
        e = Exp(x)                     y = e / ReduceSum(e)   =>   y = Softmax(x)

    Legal when
        The reductions keep and reduce the same single axis, and the inner values have no other reader. Before opset
        13, when Softmax flattened its input, the axis must be the last one. The second form in half precision is left
        alone: Exp overflows above 11 there, which ordinary inputs reach, so that the original is NaN where Softmax is
        not.

    Pays when
        Always: three to five nodes become one.

    Numerics
        The same formula. In float32 the second form is NaN where an element is above 88.7 or all are below -104;
        Softmax is right there.
    """

    name: ClassVar[str] = "recognize-softmax"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("Div", _POWERS, _SUM),
        op("Mul", _POWERS, op("Reciprocal", _SUM), commutative=True),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        x, reductions = match["x"], [match.named[name] for name in ("sum", "max") if name in match.named]
        axes = axes_of(reductions[0])
        if axes is None or x.rank is None:
            rewriter.refuse("the axes are not known")
        if len(axes) != 1 or any(axes_of(node) != axes or not keeps_dims(node) for node in reductions):
            rewriter.refuse("the reductions are not over one axis that they keep")
        if len(reductions) == 1 and x.dtype == dtypes.FLOAT16:
            rewriter.refuse("in half precision Exp overflows above 11, where Softmax does not")
        if rewriter.opset() < 13 and axes[0] != x.rank - 1:
            rewriter.refuse("before opset 13 Softmax flattens the axes behind its own")
        require_operator("Softmax", x.dtype, rewriter)
        refuse_readers_outside(match, rewriter)
        rewriter.replace(match.root.output, rewriter.op("Softmax", [x], axis=axes[0]))
