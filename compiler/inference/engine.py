"""Runs the rules: once over a whole model, and again over what a rewrite touched."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from .. import dtypes
from ..call_order import callees_first
from ..declarations import declared_facts
from ..garbage import collection_paused
from ..graph import Graph, Node, Shape, Value
from ..model import Model
from ..refusal import Refusal
from .calls import call_facts
from .facts import RULES, Facts


def infer_model(model: Model) -> None:
    """Infer facts of the functions, whose calls rest on them, then of the main graph and its bodies."""
    with collection_paused():
        for function in callees_first(model):
            infer_graph(function)
        infer_graph(model.graph)


def infer_graph(graph: Graph) -> None:
    """Infer facts of every node's outputs in order; bodies are done by the rules of their owners."""
    for node in graph:
        infer_node(node)


def infer_node(node: Node) -> bool:
    """Infer the outputs of one node from its inputs. Returns True if anything new became known."""
    rule = RULES.get(node.op)
    function = node.graph.model.function_of(node)
    facts: Iterable[Facts] = ()
    if function is not None:
        facts = call_facts(node, function)
    elif rule is not None:
        try:
            facts = rule(node)
        except Refusal:  # an attribute that the function's caller binds, or one of another type
            facts = ()
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            node.graph.model.doubts[node, f"shapes cannot be inferred: {type(error).__name__}: {error}"] = None
            node.leave_alone()
    elif node.bodies:
        for body in node.bodies.values():
            infer_graph(body)
    changed = False
    found = iter(facts)
    for value in node.outputs:
        fact = next(found, None)
        if value is not None:
            changed |= _update(value, fact or _NOTHING)
    return changed


_NOTHING = Facts()


def _update(value: Value, fact: Facts) -> bool:
    dtype, shape, content = fact
    if (not dtype or shape is None) and value.declared is not None:
        declared_dtype, declared_shape = declared_facts(value.declared, value.graph.model)
        dtype = dtype or declared_dtype
        if shape is None:
            shape = value.shape if value.shape is not None else declared_shape
    changed = False
    if dtype and dtype != value.dtype:
        value.dtype, changed = dtype, True
    if shape is not None and shape != value.shape:
        value.shape, changed = shape, True
    if content is not None and content != value.content and _holds(dtype or value.dtype, content):
        value.content, changed = content, True
    return changed


def _holds(dtype: int, content: Shape) -> bool:
    """False if the arithmetic would have wrapped around, which the numbers of a content do not."""
    numbers = dtypes.numbers_of(dtype)
    return not numbers or all(not isinstance(x, int) or x in numbers for x in content)


def refresh(nodes: Iterable[Node]) -> list[Node]:
    """Infer these nodes again and, where something new became known, what reads them.

    Returns:
        The nodes of whose outputs or operands something new is known.
    """
    pending = deque(nodes)
    concerned: dict[Node, None] = {}
    budget = 100_000  # facts only become sharper, so this ends by itself; the bound is for a faulty plug-in rule
    while pending and budget:
        budget -= 1
        node = pending.popleft()
        if infer_node(node):
            concerned[node] = None
            for value in node.outputs:
                if value is not None:
                    for reader in value.readers:
                        concerned[reader] = None
                        pending.append(outermost_reader(reader, node.graph))
    return list(concerned)


def outermost_reader(reader: Node, graph: Graph) -> Node:
    """The node of `graph` whose body (at any depth) holds `reader`, or `reader` itself."""
    while reader.graph is not graph and reader.graph.owner is not None:
        reader = reader.graph.owner
    return reader


