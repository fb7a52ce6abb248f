"""Loops and scans of constants that are small enough to be run while optimizing."""

from __future__ import annotations

from ...compiler.cost import cost_of
from ...compiler.graph import Graph, Node
from ...compiler.inference import content_of
from ...compiler.symbolic import product
from .determinism import is_deterministic

_MOST_TRIPS = 1024
_MOST_WORK = 1 << 26  # floating-point operations of all iterations
_LARGEST = 1 << 20  # elements of a value of the body in all iterations; its extents must be numbers


def is_bounded(node: Node) -> bool:
    """True for a Loop or Scan of few iterations over small values, which captures constants only."""
    body = node.bodies.get("body")
    trips = None if body is None else _most_trips(node)
    if body is None or trips is None or trips > _MOST_TRIPS:
        return False
    captured = list(node.captured())
    names = [value.name for value in (*captured, *node.inputs, *node.outputs) if value is not None]
    if any(value.constant is None for value in captured) or not node.graph.model.repeated_names.isdisjoint(names):
        return False
    return _is_small(body, trips) and trips * sum(cost_of(inner).flops for inner in body) <= _MOST_WORK


def _most_trips(node: Node) -> int | None:
    """A number of iterations that is never exceeded."""
    if node.op == "Loop":
        limit = content_of(node.input(0))
        found = limit[0] if limit is not None and len(limit) == 1 else None
    elif node.op == "Scan" and node.version >= 9:
        count = node.int_attr("num_scan_inputs", 0)
        axes = node.ints_attr("scan_input_axes") or (0,) * count
        first = node.inputs[-count] if 0 < count <= len(node.inputs) else None
        found = None if first is None or not first.shape else first.shape[axes[0]]
    else:
        return None
    return found if isinstance(found, int) else None


def _is_small(body: Graph, trips: int) -> bool:
    for node in body:
        if node.bodies or node.domain or not is_deterministic(node):
            return False
        for value in node.outputs:
            count = None if value is None or value.shape is None else product(value.shape)
            if value is not None and (not isinstance(count, int) or count * trips > _LARGEST):
                return False
    return True
