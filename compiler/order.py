"""Topological order that changes only where the graph changed."""

from __future__ import annotations

import heapq

from .errors import PassError
from .graph import Graph, Node


def sort_nodes(graph: Graph) -> None:
    """Restore the topological order of a graph marked `unsorted`: Kahn's algorithm, smallest old position first."""
    if not graph.unsorted:
        return
    waiting: dict[Node, int] = {}
    followers: dict[Node, list[Node]] = {}
    for node in graph:
        producers = {p for p in _producers(node, graph) if p is not node}
        waiting[node] = len(producers)
        for producer in producers:
            followers.setdefault(producer, []).append(node)
    ready = [(node.order, position, node) for position, node in enumerate(graph) if not waiting[node]]
    heapq.heapify(ready)
    position, done = len(waiting), []
    while ready:
        node = heapq.heappop(ready)[2]
        done.append(node)
        for follower in followers.get(node, ()):
            waiting[follower] -= 1
            if not waiting[follower]:
                position += 1
                heapq.heappush(ready, (follower.order, position, follower))
    if len(done) != len(waiting):
        stuck = next(node for node, count in waiting.items() if count)
        raise PassError("the graph has a cycle", where=stuck.label)
    _relink(graph, done)
    graph.unsorted = False


def _relink(graph: Graph, nodes: list[Node]) -> None:
    for before, after in zip([None, *nodes], [*nodes, None], strict=True):
        if before is not None:
            before.next = after
        if after is not None:
            after.previous = before
    graph.first, graph.last = (nodes[0], nodes[-1]) if nodes else (None, None)
    graph.renumber()


def _producers(node: Node, graph: Graph) -> list[Node]:
    """Nodes of `graph` that must come before `node`, for what it reads itself and what its bodies capture."""
    values = [v for v in node.inputs if v is not None]
    if node.bodies:
        values.extend(node.captured())
    return [v.producer for v in values if v.producer is not None and v.graph is graph]
