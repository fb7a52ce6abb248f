"""Axis attributes counted from the front, and shapes of which only the rank is known."""

from __future__ import annotations

from ..graph import Node, Shape, Value
from .facts import unknown_dim


def axis_within(axis: int, rank: int) -> int | None:
    """The axis counted from the front; None if the rank has no such axis (the model is not legal then)."""
    if not -rank <= axis < rank:
        return None
    return axis + rank if axis < 0 else axis


def known(value: Value | None) -> tuple[int, Shape | None]:
    """(dtype, shape) of an input, (0, None) if it is omitted."""
    return (0, None) if value is None else (value.dtype, value.shape)


def unknown_shape(node: Node, output: int, rank: int) -> Shape:
    """A shape of which only the rank is known."""
    return tuple(unknown_dim(node, output, axis) for axis in range(rank))
