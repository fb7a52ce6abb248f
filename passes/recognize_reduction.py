"""recognize-reduction: sums of squares and of absolute values are reductions of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.arithmetic_pattern import scalar
from ..compiler.cost import elements
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, either, maybe, op
from ..compiler.rewriter import Rewriter
from .recognition.reductions import axes_of, keeps_dims, reduction
from .recognition.standard_operators import require_operator

_X = any_("x")
_AXES = maybe(any_("axes"))
_SQUARE = either(op("Mul", _X, _X), op("Pow", _X, scalar(2.0)))
_LARGEST = 1 << 16  # elements


@dataclass(frozen=True)
class RecognizeReduction(RewritePass):
    """Replace a sum of squares or of absolute values by the reduction that computes it.

    Before => After
        y = ReduceSum(x * x)            =>   y = ReduceSumSquare(x)
        y = Sqrt(ReduceSumSquare(x))    =>   y = ReduceL2(x)
        y = ReduceSum(Abs(x))           =>   y = ReduceL1(x)

    The square may be a Pow with exponent 2.

    Legal when
        x is float, double or bfloat16, the axes are known, and the inner results have no other reader. Not in half
        precision, where x * x overflows from 256 and vanishes below 2e-4, and the reduction does not. Log of a sum of
        Exp is left alone: it is infinite above 88.7, and ReduceLogSumExp is not.

    Pays when
        At most 65,536 elements are reduced (symbolic dimensions count as 1): ONNX Runtime's kernels of these
        reductions are slower than a product and a sum, which matters for larger tensors only.

    Numerics
        The sum is associated differently.
    """

    name: ClassVar[str] = "recognize-reduction"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("ReduceSum", _SQUARE, _AXES, node="reduction", value="squares"),
        op("Sqrt", op("ReduceSumSquare", _X, _AXES, node="reduction")),
        op("ReduceSum", op("Abs", _X, value="absolute"), _AXES, node="reduction"),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        x, node = match["x"], match.node("reduction")
        if match.root.op == "Sqrt":
            kind = "ReduceL2"
        else:
            kind = "ReduceL1" if "absolute" in match.values else "ReduceSumSquare"
        axes = axes_of(node)
        if x.dtype not in dtypes.FLOATING:
            rewriter.refuse("")
        if x.dtype == dtypes.FLOAT16:
            rewriter.refuse("in half precision the inner results overflow and vanish earlier")
        require_operator(kind, x.dtype, rewriter)
        if axes is None:
            rewriter.refuse("the axes are not known")
        if not axes:
            rewriter.refuse("nothing is reduced")
        if elements(x) > _LARGEST:
            rewriter.refuse(f"{kind} of so many elements is slower in ONNX Runtime")
        name = match.root.name or node.name
        rewriter.replace(match.root.output, reduction(kind, x, axes, keeps_dims(node), rewriter, name))
