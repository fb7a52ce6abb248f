"""simplify-negation: signs that cancel or move into a sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, op
from ..compiler.rewriter import Rewriter
from .values.readers import refuse_readers_outside

_A, _B = any_("a"), any_("b")
_MINUS_A, _MINUS_B = op("Neg", _A), op("Neg", _B)
_BOTH = (op("Neg", _A, shared=True), op("Neg", _B, shared=True))  # they may be one and the same


@dataclass(frozen=True)
class SimplifyNegation(RewritePass):
    """Cancel negations, and let a sum or difference take one in.

    Before => After
        a - (-b)                         =>   a + b
        a + (-b), (-b) + a               =>   a - b
        (-a) * (-b), (-a) / (-b)         =>   a * b, a / b
        -(-a)                            =>   a
        Abs(-a)                          =>   Abs(a)

    Legal when
        The negation has no other reader (for -(-a) it may). In any type that has the operators: integers wrap around
        alike on both sides.

    Pays when
        Always.

    Numerics
        Unchanged, bit for bit. -(a - b) is not b - a, whose zero has the other sign.
    """

    name: ClassVar[str] = "simplify-negation"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("Mul|Div", *_BOTH),
        op("Sub", _A, _MINUS_B),
        op("Add", _A, _MINUS_B, commutative=True),
        op("Neg", op("Neg", _A, shared=True)),
        op("Abs", _MINUS_A),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root, a = match.root, match["a"]
        if root.version < 7 and "b" in match.values:
            rewriter.refuse("broadcasting is explicit before opset 7")
        if root.op in ("Mul", "Div"):
            refuse_readers_outside(match, rewriter)
        match root.op:
            case "Neg":
                result = a
            case "Abs":
                result = rewriter.op("Abs", [a], name=root.name)
            case _:
                kind = {"Sub": "Add", "Add": "Sub"}.get(root.op, root.op)
                result = rewriter.op(kind, [a, match["b"]], name=root.name)
        rewriter.replace(root.output, result)
