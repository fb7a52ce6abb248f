"""recognize-softplus: Log(1 + Exp(x)) is Softplus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.arithmetic_pattern import plus, scalar
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, either, op
from ..compiler.rewriter import Rewriter
from .recognition.standard_operators import require_elementwise, require_operator

_X = any_("x")
_POSITIVE_PART = either(op("Relu", _X), op("Max", _X, scalar(0.0), commutative=True))
_FALLING = op("Neg", op("Abs", _X))
_REST = either(op("Log", plus(op("Exp", _FALLING), 1)), op("Softplus", _FALLING))
_STABLE = op("Add", _REST, _POSITIVE_PART, commutative=True)


@dataclass(frozen=True)
class RecognizeSoftplus(RewritePass):
    """Replace the written-out softplus by Softplus.

    Before => After
        y = Log(1 + Exp(x))                            =>   y = Softplus(x)
        y = Relu(x) + Log(1 + Exp(-Abs(x)))            =>   y = Softplus(x)

    Legal when
        x is float or half (ONNX Runtime has no Softplus of double), and the inner values have no other reader. The
        first form in half precision is left alone: Exp overflows above 11 there, which ordinary inputs reach, so that
        the original is infinite where Softplus is not.

    Pays when
        Always.

    Numerics
        Wherever the original is finite the absolute difference is at most the rounding of 1 + Exp(x). In float32 the
        first form overflows to infinity above 88.7; Softplus gives x there.
    """

    name: ClassVar[str] = "recognize-softplus"
    patterns: ClassVar[tuple[RootPattern, ...]] = (_STABLE, op("Log", plus(op("Exp", _X), 1)))

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        x = match["x"]
        require_operator("Softplus", x.dtype, rewriter)
        if match.root.op == "Log" and x.dtype == dtypes.FLOAT16:
            rewriter.refuse("in half precision Exp overflows above 11, where Softplus does not")
        require_elementwise(match, x, rewriter)
        rewriter.replace(match.root.output, rewriter.op("Softplus", [x]))
