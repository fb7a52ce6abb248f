"""simplify-where: selections whose outcome, or half of it, is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, op
from ..compiler.rewriter import Rewriter
from .values.uniform_values import fill_of

_C, _A, _B, _D = any_("c"), any_("a"), any_("b"), any_("d")


@dataclass(frozen=True)
class SimplifyWhere(RewritePass):
    """Replace a Where whose condition is known by what it selects, and merge it with a Not or a Where beside it.

    Before => After
        Where(true, a, b), Where(c, a, a)       =>   a
        Where(Not(c), a, b)                     =>   Where(c, b, a)
        Where(c, a, Where(c, b, d))             =>   Where(c, a, d)
        Where(c, Where(c, a, b), d)             =>   Where(c, a, d)

    Legal when
        The condition is a constant or a fill of one value; what is selected has the shape of the result, so that
        nothing has to be broadcast. Not and the inner Where have no other reader.

    Pays when
        Always.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "simplify-where"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("Where", op("Not", _C, node="not"), _A, _B),
        op("Where", _C, _A, op("Where", _C, _B, _D, node="inner")),
        op("Where", _C, op("Where", _C, _A, _B, node="inner"), _D),
        op("Where", _C, _A, _B),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        if "not" in match.named:
            result = rewriter.op("Where", [match["c"], match["b"], match["a"]], name=root.name)
        elif "inner" in match.named:
            result = rewriter.op("Where", [match["c"], match["a"], match["d"]], name=root.name)
        else:
            result = _selected(match, rewriter)
        if "not" not in match.named and (result.shape is None or result.shape != root.output.shape):
            rewriter.refuse("what is selected may be broadcast")
        rewriter.replace(root.output, result)


def _selected(match: Match, rewriter: Rewriter) -> Value:
    if match["a"] is match["b"]:
        return match["a"]
    decision = fill_of(match["c"])
    if decision is None:
        rewriter.refuse("")
    return match["a"] if bool(decision) else match["b"]
