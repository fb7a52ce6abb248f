"""Takes out of graphs what nobody reads any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .graph import Graph, Node, Value


@dataclass(frozen=True)
class Narrowing:
    """Positions of what a node with bodies keeps: of its inputs and outputs, and of the inputs and outputs of every
    body."""

    inputs: Sequence[int]
    outputs: Sequence[int]
    body_inputs: Sequence[int]
    body_outputs: Sequence[int]

    def apply(self, node: Node, touched: dict[Node, None]) -> None:
        """Narrow the node; what dies in its bodies goes, and producers that lose a reader are added to `touched`."""
        for body in node.bodies.values():
            body.set_outputs([body.outputs[i] for i in self.body_outputs])
            sweep(body, touched)
            body.inputs = [body.inputs[i] for i in self.body_inputs]
        before = list(node.inputs)
        node.set_inputs([before[i] for i in self.inputs])
        for value in before:
            if value is not None and value.producer is not None:
                touched[value.producer] = None
            elif value is not None:
                drop_unused_initializer(value)
        node.outputs = [node.outputs[i] for i in self.outputs]
        for index, output in enumerate(node.outputs):
            if output is not None:
                output.index = index


def is_read(node: Node) -> bool:
    """Whether anything reads an output of the node."""
    for value in node.outputs:  # noqa: SIM110  (asked of every node, where a generator would show)
        if value is not None and value.uses:
            return True
    return False


def sweep(graph: Graph, touched: dict[Node, None]) -> None:
    """Remove every node of a graph that nobody reads."""
    node = graph.last
    while node is not None:
        previous = node.previous
        remove_if_dead(node, touched)
        while previous is not None and not previous.alive:
            previous = previous.previous
        node = previous


def remove_if_dead(node: Node, touched: dict[Node, None]) -> list[Node]:
    """Remove a node that nobody reads, and then its producers, and unused initializers; returns what went.

    Producers that stay have lost a reader, and the node whose body it was does less: they are added to `touched`.
    """
    removed: list[Node] = []
    stack = [node]
    while stack:
        candidate = stack.pop()
        if not candidate.alive or is_read(candidate):
            continue
        read = [v for v in candidate.inputs if v is not None]
        if candidate.bodies:
            read.extend(candidate.captured())
        owner = candidate.graph.owner
        candidate.graph.unlink(candidate)
        removed.append(candidate)
        while owner is not None:
            touched[owner] = None
            owner = owner.graph.owner
        for value in read:
            if value.producer is not None:
                stack.append(value.producer)
                touched[value.producer] = None
                if len(value.uses) == 1:
                    for reader in value.readers:
                        touched[reader] = None
            else:
                drop_unused_initializer(value)
    return removed


def drop_unused_initializer(value: Value) -> bool:
    """Remove an initializer that nobody reads, with its listing as an input if no caller can set it."""
    if value.uses or value.tensor is None or value.overridable or value.name in value.graph.annotating:
        return False
    value.graph.initializers.pop(value, None)
    if value in value.graph.inputs:
        value.graph.inputs.remove(value)
    return True
