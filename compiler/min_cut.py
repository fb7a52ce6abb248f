"""Minimum cuts of small directed graphs with integer capacities: Dinic's algorithm."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable


class FlowNetwork:
    """A directed graph with capacities; edges between the same two vertices add up."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._capacity: list[int] = []  # edge 2k leads forward, edge 2k + 1 back
        self._head: list[int] = []
        self._edges: list[list[int]] = []

    def connect(self, tail: Hashable, head: Hashable, capacity: int, back: int = 0) -> None:
        """Add an edge, and one in the other direction with capacity `back`."""
        source, target = self._number(tail), self._number(head)
        self._edges[source].append(len(self._head))
        self._edges[target].append(len(self._head) + 1)
        self._head += (target, source)
        self._capacity += (capacity, back)

    def _number(self, vertex: Hashable) -> int:
        found = self._numbers.get(vertex)
        if found is None:
            found = self._numbers[vertex] = len(self._edges)
            self._edges.append([])
        return found

    def minimum_cut(self, source: Hashable, sink: Hashable) -> tuple[int, set[Hashable]]:
        """(capacity of a minimum cut, the vertices on the source's side); uses the capacities up."""
        start, end = self._number(source), self._number(sink)
        value = 0
        while True:
            levels = self._levels(start)
            if end not in levels:
                return value, {vertex for vertex, number in self._numbers.items() if number in levels}
            value += self._blocking_flow(start, end, levels)

    def _levels(self, start: int) -> dict[int, int]:
        levels = {start: 0}
        queue = deque([start])
        while queue:
            vertex = queue.popleft()
            for edge in self._edges[vertex]:
                if self._capacity[edge] and self._head[edge] not in levels:
                    levels[self._head[edge]] = levels[vertex] + 1
                    queue.append(self._head[edge])
        return levels

    def _blocking_flow(self, start: int, end: int, levels: dict[int, int]) -> int:
        """Push along shortest paths until none is left, without recursion."""
        total = 0
        tried = dict.fromkeys(levels, 0)
        path: list[int] = []
        vertex = start
        while True:
            if vertex == end:
                amount = min(self._capacity[edge] for edge in path)
                total += amount
                for edge in path:
                    self._capacity[edge] -= amount
                    self._capacity[edge ^ 1] += amount
                path, vertex = [], start
            edges = self._edges[vertex]
            while tried[vertex] < len(edges):
                edge = edges[tried[vertex]]
                if self._capacity[edge] and levels.get(self._head[edge], -1) == levels[vertex] + 1:
                    path.append(edge)
                    vertex = self._head[edge]
                    break
                tried[vertex] += 1
            else:
                if not path:
                    return total
                edge = path.pop()
                vertex = self._head[edge ^ 1]
                tried[vertex] += 1
