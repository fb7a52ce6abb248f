"""Who reads a value: what a rewrite must know before it lets the value change or go."""

from __future__ import annotations

from collections.abc import Iterable

from ...compiler.graph import Node, Value
from ...compiler.pattern import Match, other_readers
from ...compiler.rewriter import Rewriter


def refuse_other_readers(value: Value, rewriter: Rewriter, *, keeps_shape: bool = False) -> None:
    """Refuse if anything but one input of one node reads the value.

    keeps_shape: the value stays what it is but for its elements, so that readers of the shape do not matter.
    """
    readers = [r for r, _ in value.uses if not (keeps_shape and isinstance(r, Node) and r.op in ("Shape", "Size"))]
    if len(readers) > 1 or value.is_graph_output:
        rewriter.refuse(other_readers(value))


def refuse_readers_outside(match: Match, rewriter: Rewriter) -> None:
    """Refuse if anything but the matched nodes reads what they compute, the root's result aside.

    For patterns in which one node is read twice (`shared=True`): all of its readers must go with it.
    """
    refuse_readers_elsewhere(match.nodes, match.root, rewriter)


def refuse_readers_elsewhere(nodes: Iterable[Node], last: Node, rewriter: Rewriter) -> None:
    """Refuse if anything but these nodes reads what they compute, the result of the last one aside."""
    inside = set(nodes)
    for node in dict.fromkeys(nodes):
        for value in node.outputs:
            if node is not last and value is not None and any(reader not in inside for reader, _ in value.uses):
                rewriter.refuse(other_readers(value))


def dying(root: Node, others: Iterable[Node]) -> set[Node]:
    """The nodes, root among them, that nobody reads any more once the root is gone; `others` lead to it."""
    dead, alive = {root}, set(others)
    while True:
        found = {node for node in alive if all(reader in dead for v in node.outputs if v for reader, _ in v.uses)}
        if not found:
            return dead
        dead |= found
        alive -= found
