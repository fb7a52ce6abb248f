"""eliminate-idempotents: operators that find their work done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.graph import Node
from ..compiler.graph_pass import RewritePass
from ..compiler.inference import content_of
from ..compiler.pattern import Match, RootPattern, any_, op
from ..compiler.rewriter import Rewriter
from ..compiler.symbolic import Dim

_ROUNDING = "Ceil|Floor|Round"


@dataclass(frozen=True)
class EliminateIdempotents(RewritePass):
    """Remove an operator whose input is what it makes of anything.

    Before => After
        Floor(Ceil(x)), Round(Floor(x)), ...   =>   the inner one
        Round(Cast(n))                         =>   Cast(n)      of an integer or truth value n
        Sign(Sign(x)), Hardmax(Hardmax(x))     =>   the inner one
        Trilu(Trilu(x, k), k)                  =>   Trilu(x, k)  of the same triangle

    Legal when
        The inner result is whole (or infinite, or NaN), or the inner operator is the same with the same attributes and
        constant inputs. The inner one may have other readers.

    Pays when
        Always.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "eliminate-idempotents"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op(_ROUNDING, op(_ROUNDING, shared=True, node="inner")),
        op(_ROUNDING, op("Cast", any_("n"), shared=True, node="inner")),
        op("Sign", op("Sign", shared=True, node="inner")),
        op("Hardmax", op("Hardmax", shared=True, node="inner")),
        op("Trilu", op("Trilu", shared=True, node="inner")),
        op("Trilu", op("Trilu", shared=True, node="inner"), any_("k")),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root, inner = match.root, match.node("inner")
        if inner.op == "Cast" and match["n"].dtype not in dtypes.INTEGER | {dtypes.BOOL}:
            rewriter.refuse("")
        if root.op == "Hardmax" and root.int_attr("axis", 1) != inner.int_attr("axis", 1):
            rewriter.refuse("it is along another axis")
        if root.op == "Trilu":
            if root.int_attr("upper", 1) != inner.int_attr("upper", 1):
                rewriter.refuse("it keeps another triangle")
            if _diagonal(root, rewriter) != _diagonal(inner, rewriter):
                rewriter.refuse("it keeps another diagonal")
        rewriter.replace(root.output, inner.output)


def _diagonal(node: Node, rewriter: Rewriter) -> Dim:
    if node.input(1) is None:
        return 0
    known = content_of(node.inputs[1])
    if known is None:
        rewriter.refuse("the diagonal is not a constant")
    return known[0]
