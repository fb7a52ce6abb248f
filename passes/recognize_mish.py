"""recognize-mish: x * Tanh(Softplus(x)) is Mish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, op
from ..compiler.rewriter import Rewriter
from .recognition.standard_operators import require_elementwise, require_operator

_X = any_("x")


@dataclass(frozen=True)
class RecognizeMish(RewritePass):
    """Replace x * Tanh(Softplus(x)) by Mish (Misra 2019).

    Before => After
        y = x * Tanh(Softplus(x))   =>   y = Mish(x)

    Legal when
        The opset is 18 or later and has Mish for the type of x, and the inner values have no other reader.

    Pays when
        Always.

    Numerics
        Mish is defined as this product.
    """

    name: ClassVar[str] = "recognize-mish"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("Mul", _X, op("Tanh", op("Softplus", _X)), commutative=True),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        x = match["x"]
        require_operator("Mish", x.dtype, rewriter)
        require_elementwise(match, x, rewriter)
        rewriter.replace(match.root.output, rewriter.op("Mish", [x]))
