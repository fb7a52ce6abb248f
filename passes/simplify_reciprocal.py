"""simplify-reciprocal: a product with a reciprocal is a quotient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.arithmetic_pattern import scalar
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, either, op
from ..compiler.rewriter import Rewriter
from .recognition.standard_operators import require_elementwise

_A, _B = any_("a"), any_("b")


@dataclass(frozen=True)
class SimplifyReciprocal(RewritePass):
    """Replace a product with a reciprocal by a quotient, and a quotient by a reciprocal by a product.

    Before => After
        a * Reciprocal(b), a * (1 / b)   =>   a / b
        a / Reciprocal(b)                =>   a * b

    Legal when
        The type is floating, the reciprocal has no other reader, and a constant 1 adds no axes.

    Pays when
        Always.

    Numerics
        The quotient is rounded once instead of twice. Where 1 / b overflows (b below 3e-39 in float32) the original
        was infinite or NaN, and a / b need not be.
    """

    name: ClassVar[str] = "simplify-reciprocal"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("Mul", _A, either(op("Reciprocal", _B), op("Div", scalar(1.0), _B)), commutative=True),
        op("Div", _A, op("Reciprocal", _B)),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root, a, b = match.root, match["a"], match["b"]
        if b.dtype not in dtypes.FLOATING:
            rewriter.refuse("1 / b of integers is rounded to 0")
        result = rewriter.op("Div" if root.op == "Mul" else "Mul", [a, b], name=root.name)
        require_elementwise(match, result, rewriter)
        rewriter.replace(root.output, result)
