"""What is known of a value: element type, shape and, for small integer tensors, the elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .. import dtypes, symbolic
from ..graph import Node, Shape, Value

CONTENT_LIMIT = 256  # elements; shape arithmetic is far below, and weights must not be decoded for nothing


class Facts(NamedTuple):
    """dtype: 0 if unknown; shape: None if the rank is unknown; content: row-major elements, None if unknown."""

    dtype: int = dtypes.UNKNOWN
    shape: Shape | None = None
    content: Shape | None = None


Rule = Callable[[Node], Sequence[Facts]]
RULES: dict[str, Rule] = {}


def rule(*ops: str) -> Callable[[Rule], Rule]:
    """Register a function as the inference rule of these ops (keys as in `Node.op`)."""

    def register(function: Rule) -> Rule:
        for op in ops:
            RULES[op] = function
        return function

    return register


def unknown_dim(node: Node, output: int, axis: int) -> symbolic.Dim:
    """The symbol of a dimension that depends on data; the same one each time it is asked for."""
    return node.graph.model.dimension_symbol(node, output, axis)


def content_of(value: Value | None) -> Shape | None:
    """Elements of an integer or bool tensor as symbolic integers: inferred, or read from a small constant."""
    if value is None:
        return None
    if value.content is None:
        tensor = value.constant
        if tensor is not None and tensor.size <= CONTENT_LIMIT and tensor.dtype in _COUNTABLE:
            value.content = tuple(int(x) for x in tensor.numpy().ravel())
    return value.content


_COUNTABLE = dtypes.INTEGER | {dtypes.BOOL}
