"""A few nodes with their surroundings, as they are or as a rewrite plans them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ..graph import Graph, Node, Value


class Scenario:
    """Nodes whose cost is asked for, and who reads what they produce.

    Args:
        nodes: the nodes; they need not be in a graph yet.
        stand_ins: new value -> the value in the graph whose readers it is going to have.
        removed: nodes that a rewrite takes away, so that they read nothing any more.
    """

    def __init__(
        self, nodes: Sequence[Node], stand_ins: Mapping[Value, Value] | None = None, removed: Collection[Node] = ()
    ) -> None:
        self.nodes = list(dict.fromkeys(nodes))
        self._stand_ins = dict(stand_ins or {})
        self._replaced = {old: new for new, old in self._stand_ins.items()}
        self._removed = set(removed)
        self._inside: dict[Value, dict[Node, None]] = {}
        for node in self.nodes:
            for value in self.inputs(node):
                if value is not None:
                    self._inside.setdefault(value, {})[node] = None

    def inputs(self, node: Node) -> list[Value | None]:
        """What a node is going to read."""
        return [None if value is None else self._replaced.get(value, value) for value in node.inputs]

    def neighbours(self, steps: int) -> list[Node]:
        """Nodes that go on from what is replaced, so far away that a change of layout may reach them."""
        found: dict[Node, None] = {}
        frontier = list(self._replaced)
        for _ in range(steps):
            readers = [r for v in frontier for r in v.readers if r not in self._removed and r not in found]
            found.update(dict.fromkeys(readers))
            frontier = [v for reader in readers for v in reader.outputs if v is not None]
        return list(found)

    def readers(self, value: Value) -> list[Node | Graph]:
        """Who reads a value, each once: nodes of the scenario, and readers outside that stay."""
        found: dict[Node | Graph, None] = {}
        found.update(dict.fromkeys(self._inside.get(value, ())))
        for reader, _ in self._stand_ins.get(value, value).uses:
            if reader not in self._removed:
                found[reader] = None
        return list(found)

    def sole_reader(self, value: Value) -> Node | None:
        """The only reader, if it is a node."""
        found = self.readers(value)
        return found[0] if len(found) == 1 and isinstance(found[0], Node) else None

    def boundary(self) -> list[Value]:
        """Values that nodes of the scenario read and do not make, constants left out."""
        made = {v for node in self.nodes for v in node.outputs}
        return [v for v in self._inside if v not in made and v.constant is None]
