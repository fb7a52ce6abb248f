"""eliminate-repeated-operands: an operand given twice to Max, Min, And or Or counts once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter


@dataclass(frozen=True)
class EliminateRepeatedOperands(RewritePass):
    """Drop operands that Max, Min, And and Or are given twice, and write a Sum of two as Add.

    Before => After
        Max(a, b, a)        =>   Max(a, b)
        Min(a, a), a or a   =>   a
        Sum(a, b)           =>   Add(a, b)

    Legal when
        Always: the operators are idempotent, NaN included, and the same tensor adds no axes. A Sum broadcasts from
        opset 8 on, as Add does.

    Pays when
        Always; Add is what other passes know.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "eliminate-repeated-operands"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("Max|Min|And|Or|Sum"),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        operands = [value for value in node.inputs if value is not None]
        if node.op == "Sum":
            if len(operands) != 2 or node.version < 8:
                rewriter.refuse("")
            rewriter.replace(node.output, rewriter.op("Add", operands, name=node.name))
            return
        distinct = list(dict.fromkeys(operands))
        if len(distinct) == len(operands):
            rewriter.refuse("")
        rewriter.replace(node.output, distinct[0] if len(distinct) == 1 else rewriter.clone(node, distinct))
