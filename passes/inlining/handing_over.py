"""Lets existing values stand for the outputs of a node, graph outputs included, which must keep their names."""

from __future__ import annotations

from collections.abc import Sequence

from ...compiler.graph import Node, Value
from ...compiler.rewriter import Rewriter


def hand_over(node: Node, results: Sequence[Value | None], rewriter: Rewriter) -> None:
    """Replace the outputs of a node by values; where a graph output would lose its name, by an Identity of one."""
    given: set[Value] = set()
    for old, new in zip(node.outputs, results):
        if old is not None and new is not None and old.uses:
            hand_over_one(old, new, rewriter, twice=new in given)
            given.add(new)


def hand_over_one(old: Value, new: Value, rewriter: Rewriter, *, twice: bool = False) -> None:
    """Replace one value; `twice`: the new one stands for another graph output already."""
    if old.is_graph_output and (twice or not rewriter.is_new(new)):
        new = rewriter.op("Identity", [new])
    rewriter.replace(old, new)
