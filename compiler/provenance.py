"""Which nodes a rewrite concerns beyond those that it names: owners of bodies, and nodes of the source."""

from __future__ import annotations

from collections.abc import Sequence

from .graph import Node


def owners_of(nodes: Sequence[Node]) -> list[Node]:
    """The nodes in whose bodies these lie, at any depth: what they do has changed."""
    owners: dict[Node, None] = {}
    for graph in dict.fromkeys(node.graph for node in nodes):
        owner = graph.owner
        while owner is not None and owner not in owners:
            owners[owner] = None
            owner = owner.graph.owner
    return list(owners)


def origins_of(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Names of the source nodes that these nodes stand for, each once, in graph order of the matched nodes."""
    names: dict[str, None] = {}
    for node in sorted(nodes, key=lambda n: n.order):
        for name in node.origins or (node.label,):
            names[name] = None
    return tuple(names)
