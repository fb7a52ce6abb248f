"""Calls of local functions: what a function's body says of its outputs whoever calls it."""

from __future__ import annotations

from collections.abc import Sequence

from ..graph import Graph, Node, Shape
from .facts import Facts, unknown_dim


def call_facts(node: Node, function: Graph) -> Sequence[Facts]:
    """Facts of a call's outputs. The body is shared by all calls, so its symbols mean something else in each of them:
    element types, ranks, numbers and numeric contents carry over, every symbol becomes one of this call."""
    facts = []
    for index, value in enumerate(function.outputs):
        shape: Shape | None = None
        if value.shape is not None:
            shape = tuple(
                d if isinstance(d, int) else unknown_dim(node, index, axis) for axis, d in enumerate(value.shape)
            )
        content = value.content
        if content is not None and not all(isinstance(d, int) for d in content):
            content = None
        facts.append(Facts(value.dtype, shape, content))
    return facts
