"""Invariants of the IR, as a table; checked after every pass in tests and on demand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from . import dtypes
from .errors import PassError
from .graph import Graph, Node, Value
from .model import Model
from .scopes import values_of

Invariant = Callable[[Graph], Iterator[str]]


def verify(model: Model, culprit: str = "") -> None:
    """Raise PassError naming every broken invariant; `culprit` is the pass that ran last."""
    broken = [
        f"{name}: {text}" for graph in model.graphs() for name, rule in INVARIANTS.items() for text in rule(graph)
    ]
    if broken:
        raise PassError("broken invariants: " + "; ".join(broken[:5]), where=culprit)


def _one_producer(graph: Graph) -> Iterator[str]:
    for node in graph:
        for index, value in enumerate(node.outputs):
            if value is not None and (value.producer is not node or value.index != index):
                yield f"{value.name} does not know its producer {node.label}"
    for value in (*graph.inputs, *graph.initializers, *graph.sparse_initializers):
        if value.producer is not None:
            yield f"{value.name} is an input or initializer, but {value.producer.label} produces it"


def _at_home(graph: Graph) -> Iterator[str]:
    for value in values_of(graph):
        if value.graph is not graph:
            yield f"{value.name} believes to be in another graph"
    for node in graph:
        if node.graph is not graph or not node.alive:
            yield f"{node.label} believes to be in another graph or removed"
        for key, body in node.bodies.items():
            if body.owner is not node:
                yield f"the body {key} of {node.label} believes to be another node's"


def _constants(graph: Graph) -> Iterator[str]:
    for value in graph.initializers:
        if value.tensor is None:
            yield f"initializer {value.name} has no tensor"
        elif graph.in_function:
            yield f"{value.name} is an initializer of a function, which can have none"
    for value in graph.inputs:
        if value.tensor is not None and value not in graph.initializers:
            yield f"input {value.name} has a tensor, but is no initializer"


def _uses_complete(graph: Graph) -> Iterator[str]:
    for node in graph:
        for index, value in enumerate(node.inputs):
            if value is not None and (node, index) not in value.uses:
                yield f"{value.name} does not know its reader {node.label}"
    for index, value in enumerate(graph.outputs):
        if (graph, index) not in value.uses:
            yield f"{value.name} does not know that it is output {index} of {graph.name}"
    for value in values_of(graph):
        yield from _living_readers(value)


def _living_readers(value: Value) -> Iterator[str]:
    for reader, index in value.uses:
        if isinstance(reader, Node):
            if not reader.alive or reader.input(index) is not value:
                yield f"{value.name} lists {reader.label} as a reader, which it is not"
        elif index >= len(reader.outputs) or reader.outputs[index] is not value:
            yield f"{value.name} is listed as output {index} of {reader.name}, which it is not"


def _visible_inputs(graph: Graph) -> Iterator[str]:
    for node in graph:
        for value in node.inputs:
            if value is not None and not value.graph.encloses(graph):
                yield f"{node.label} reads {value.name}, which is out of its scope"
    for value in graph.outputs:
        if not value.graph.encloses(graph):
            yield f"{value.name} is an output of {graph.name}, but out of its scope"


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
    if declared is None and graph is graph.model.graph:
        declared = graph.model.output_names
    if declared is not None and declared != [value.name for value in graph.outputs]:
        yield f"outputs {declared} became {[value.name for value in graph.outputs]}"


def _output_types(graph: Graph) -> Iterator[str]:
    """Only element types: many files declare shapes that are wrong, and runtimes let it pass."""
    for value in graph.outputs if graph is graph.model.graph else ():
        declared = value.declared
        if declared is not None and declared.WhichOneof("value") == "tensor_type" and value.dtype:
            stated = declared.tensor_type.elem_type
            if stated and stated != value.dtype:
                yield f"output {value.name} of type {dtypes.name_of(stated)} became {dtypes.name_of(value.dtype)}"


def _unique_names(graph: Graph) -> Iterator[str]:
    seen: dict[str, Value] = {}
    for value in values_of(graph):
        if not value.name or seen.setdefault(value.name, value) is not value:
            yield f"'{value.name}' is used twice or empty"
    outer = graph.owner.graph if graph.owner is not None else None
    while outer is not None:
        for value in values_of(outer):
            if value.name in seen and value.name not in graph.model.repeated_names:
                yield f"'{value.name}' is used in {graph.path} and in a graph around it"
        outer = outer.owner.graph if outer.owner is not None else None


INVARIANTS: dict[str, Invariant] = {
    "one-producer": _one_producer,
    "at-home": _at_home,
    "constants": _constants,
    "uses-complete": _uses_complete,
    "visible-inputs": _visible_inputs,
    "topological-order": _topological,
    "linked-order": _linked,
    "output-names": _output_names,
    "output-types": _output_types,
    "unique-names": _unique_names,
}
