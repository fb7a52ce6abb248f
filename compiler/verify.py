"""Invariants of the IR, as a table; checked after every pass in tests and on demand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from .errors import PassError
from .graph import Graph, Node, Value
from .model import Model

Invariant = Callable[[Graph], Iterator[str]]


def verify(model: Model, culprit: str = "") -> None:
    """Raise PassError naming every broken invariant; `culprit` is the pass that ran last."""
    broken = [
        f"{name}: {text}" for graph in model.graphs() for name, rule in INVARIANTS.items() for text in rule(graph)
    ]
    broken += [f"unique-names: {text}" for text in _unique_names(model)]
    if broken:
        raise PassError("broken invariants: " + "; ".join(broken[:5]), where=culprit)


def _one_producer(graph: Graph) -> Iterator[str]:
    for node in graph:
        for index, value in enumerate(node.outputs):
            if value is not None and (value.producer is not node or value.index != index or value.graph is not graph):
                yield f"{value.name} does not know its producer {node.label}"


def _uses_complete(graph: Graph) -> Iterator[str]:
    for node in graph:
        for index, value in enumerate(node.inputs):
            if value is not None and (node, index) not in value.uses:
                yield f"{value.name} does not know its reader {node.label}"
        for value in node.outputs:
            if value is not None:
                yield from _living_readers(value)
    for value in [*graph.inputs, *graph.initializers]:
        yield from _living_readers(value)


def _living_readers(value: Value) -> Iterator[str]:
    for reader, index in value.uses:
        if isinstance(reader, Node):
            if not reader.alive or reader.input(index) is not value:
                yield f"{value.name} lists {reader.label} as a reader, which it is not"
        elif reader.outputs[index] is not value:
            yield f"{value.name} is listed as output {index} of {reader.name}, which it is not"


def _visible_inputs(graph: Graph) -> Iterator[str]:
    for node in graph:
        for value in node.inputs:
            if value is not None and not value.graph.encloses(graph):
                yield f"{node.label} reads {value.name}, which is out of its scope"


def _topological(graph: Graph) -> Iterator[str]:
    seen: set[Value] = {*graph.inputs, *graph.initializers, *graph.sparse_initializers}
    for node in graph:
        captured = node.captured() if node.bodies else ()
        for value in [*node.inputs, *captured]:
            if value is not None and value.graph is graph and value not in seen:
                yield f"{node.label} reads {value.name} before it is produced"
        seen.update(v for v in node.outputs if v is not None)
    for value in graph.outputs:
        if value not in seen and value.graph is graph:
            yield f"output {value.name} is not produced"


def _linked(graph: Graph) -> Iterator[str]:
    nodes = list(graph)
    if len(nodes) != graph.count:
        yield f"{len(nodes)} nodes are linked, {graph.count} are counted"
    for before, after in itertools.pairwise(nodes):
        if before.order >= after.order or after.previous is not before:
            yield f"{before.label} and {after.label} are out of order"


def _output_names(graph: Graph) -> Iterator[str]:
    declared = list(graph.function_proto.output) if graph.function_proto is not None else None
    if declared is None and graph.proto is not None and graph.owner is None and graph is graph.model.graph:
        declared = graph.model.output_names
    if declared is not None and declared != [value.name for value in graph.outputs]:
        yield f"outputs {declared} became {[value.name for value in graph.outputs]}"


INVARIANTS: dict[str, Invariant] = {
    "one-producer": _one_producer,
    "uses-complete": _uses_complete,
    "visible-inputs": _visible_inputs,
    "topological-order": _topological,
    "linked-order": _linked,
    "output-names": _output_names,
}


def _unique_names(model: Model) -> Iterator[str]:
    for top in [model.graph, *model.functions.values()]:
        yield from _names_in(top, set())


def _names_in(graph: Graph, outer: set[str]) -> Iterator[str]:
    names = set(outer)
    produced = [value for node in graph for value in node.outputs if value is not None]
    for value in [*graph.inputs, *(i for i in graph.initializers if i not in graph.inputs), *produced]:
        if not value.name or value.name in names:
            yield f"'{value.name}' is used twice or empty"
        names.add(value.name)
    for node in graph:
        for body in node.bodies.values():
            yield from _names_in(body, names)
