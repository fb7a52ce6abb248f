"""Who reads a value: what a rewrite must know before it lets the value change or go."""

from __future__ import annotations

from ..compiler.graph import Value
from ..compiler.rewriter import Rewriter


def refuse_other_readers(value: Value, rewriter: Rewriter) -> None:
    """Refuse if anything but one input of one node reads the value."""
    if len(value.uses) > 1 or value.is_graph_output:
        reader = "is a graph output" if value.is_graph_output else "has other readers"
        op = f"{value.producer.op} output " if value.producer is not None else ""
        rewriter.refuse(f"{op}{value.name} {reader}")
