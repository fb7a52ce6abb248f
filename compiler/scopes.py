"""Names in graphs that lie in each other: a file finds values by name, the innermost one first."""

from __future__ import annotations

from collections.abc import Iterator

from .graph import Graph, Value
from .model import Model

Confusion = tuple[Value, Value]  # what is meant, and what the name leads to


def separate_names(model: Model) -> None:
    """Rename values of bodies that stand between a value of an outer graph and its readers."""
    if model.repeated_names:
        for top in (model.graph, *model.functions.values()):
            while found := next(confusions(top), None):
                found[1].name = model.fresh_name(found[1].name)


def confusions(graph: Graph, outer: dict[str, Value] | None = None) -> Iterator[Confusion]:
    """Places where a body reads a value under a name that leads to another value."""
    visible = {**(outer or {}), **{value.name: value for value in values_of(graph)}}
    reads = [value for node in graph for value in node.inputs if value is not None]
    for value in (*reads, *graph.outputs):
        found = visible.get(value.name, value)
        if found is not value:
            yield value, found
    for node in graph:
        for body in node.bodies.values():
            yield from confusions(body, visible)


def values_of(graph: Graph) -> Iterator[Value]:
    """The values that a graph defines: inputs, initializers, outputs of its nodes; what is two of these comes twice."""
    yield from graph.inputs
    yield from graph.initializers
    yield from graph.sparse_initializers
    for node in graph:
        for value in node.outputs:
            if value is not None:
                yield value
