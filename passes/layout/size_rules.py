"""Operators that change extents, in another layout: Resize, Upsample, Expand, Tile."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ...compiler.graph import Node
from ...compiler.inference.movement import normalize_axis
from .layouts import Order, Reordering


def resized(node: Node, order: Order) -> Reordering | None:
    """A Resize or Upsample whose data has its axes in another order; None where scales or sizes cannot follow."""
    found = Reordering.of_first(node, order)
    if node.op == "Upsample" and node.version < 9:
        scales = node.attr("scales")
        if not isinstance(scales, tuple) or len(scales) != order.rank:
            return None
        moved = tuple(1.0 if axis is None else scales[axis] for axis in order.axes)
        found.attributes["scales"] = moved
        return found if _interpolates_inside(node, order, moved) else None
    axes = node.ints_attr("axes")
    if axes is not None:
        positions = order.positions([normalize_axis(axis, order.rank) for axis in axes])
        found.attributes["axes"] = None if positions is None else tuple(positions)
        return found if positions is not None and node.str_attr("mode", "nearest") == "nearest" else None
    return _with_sizes(node, order, found)


def _with_sizes(node: Node, order: Order, found: Reordering) -> Reordering | None:
    sizes_at, scales_at = (3, 2) if node.op == "Resize" and node.version >= 11 else (-1, 1)
    roi = node.input(1) if scales_at == 2 else None
    if roi is not None and roi.shape != (0,):
        return None
    for index in (scales_at, sizes_at):
        value = node.input(index) if index >= 0 else None
        constant = None if value is None else value.constant
        if value is None or (constant is not None and constant.size == 0):
            continue
        source = node.inputs[0]
        if constant is None or constant.size != order.rank or source is None or source.shape is None:
            return None
        numbers = [1 if axis is None else constant.numpy()[axis] for axis in order.axes]
        kept: Sequence[object] = order.shape(source.shape) if index == sizes_at else (1,) * len(order)
        if not _interpolates_inside(node, order, [n == k for n, k in zip(numbers, kept)]):
            return None
        found.constants[index] = partial(np.array, numbers, constant.numpy().dtype)
    return found


def _interpolates_inside(node: Node, order: Order, unscaled: Sequence[object]) -> bool:
    """Whether runtimes take the result: they interpolate with the first two axes (batch and channels) unscaled."""
    if node.str_attr("mode", "nearest") == "nearest":
        return True
    return len(order) == order.rank and all(one == 1 for one in unscaled[:2])


def with_numbers_per_axis(node: Node, order: Order) -> Reordering | None:
    """Expand and Tile: a constant vector with one number per axis."""
    value, source = node.input(1), node.inputs[0]
    constant = None if value is None else value.constant
    if constant is None or source is None or constant.size != order.rank or source.rank != order.rank:
        return None
    return Reordering.of_first(node, order).with_vector(1, order.pick(constant.numpy().tolist(), 1))
