"""flatten-variadic: Max of Max, Min of Min and Sum of Sum are one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op, other_readers
from ..compiler.rewriter import Rewriter


@dataclass(frozen=True)
class FlattenVariadic(RewritePass):
    """Merge Max, Min or Sum with those of the same kind that it reads.

    Before => After
        Max(Max(a, b), c)        =>   Max(a, b, c)
        Sum(a, Sum(b, c))        =>   Sum(a, b, c)

    Legal when
        The inner result has no other reader, and operands are broadcast (from opset 8 on), so that the order in which
        they meet does not matter to the shape.

    Pays when
        Always.

    Numerics
        Max and Min: unchanged. Sum: the additions may be in another order.
    """

    name: ClassVar[str] = "flatten-variadic"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Max|Min|Sum"),)

    @property
    def depth(self) -> int:
        return 2

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        operands: list[Value | None] = []
        reason = ""
        for value in root.inputs:
            inner = None if value is None else value.producer
            if value is None or inner is None or inner.op != root.op or inner.graph is not root.graph:
                operands.append(value)
            elif any(reader is not root for reader, _ in value.uses):
                operands.append(value)
                reason = other_readers(value)
            else:
                rewriter.include([inner])
                operands += inner.inputs
        if len(operands) == len(root.inputs):
            rewriter.refuse(reason)
        if root.version < 8:
            rewriter.refuse("operands are not broadcast before opset 8")
        rewriter.replace(root.output, rewriter.op(root.op, operands, name=root.name))
