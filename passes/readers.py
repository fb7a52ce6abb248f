"""Who reads a value: what a rewrite must know before it lets the value change or go."""

from __future__ import annotations

from ..compiler.graph import Value
from ..compiler.pattern import Match, other_readers
from ..compiler.rewriter import Rewriter


def refuse_other_readers(value: Value, rewriter: Rewriter) -> None:
    """Refuse if anything but one input of one node reads the value."""
    if len(value.uses) > 1 or value.is_graph_output:
        reader = "is a graph output" if value.is_graph_output else "has other readers"
        op = f"{value.producer.op} output " if value.producer is not None else ""
        rewriter.refuse(f"{op}{value.name} {reader}")


def refuse_readers_outside(match: Match, rewriter: Rewriter) -> None:
    """Refuse if anything but the matched nodes reads what they compute, the root's result aside.

    For patterns in which one node is read twice (`shared=True`): all of its readers must go with it.
    """
    matched = set(match.nodes)
    for node in matched - {match.root}:
        for value in node.outputs:
            if value is not None and any(reader not in matched for reader, _ in value.uses):
                rewriter.refuse(other_readers(value))
