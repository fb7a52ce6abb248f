"""Operators that slide a window over the spatial axes, which are all alike to them: Conv and pooling."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...compiler.graph import Node
from ...compiler.tensor import Tensor
from .layouts import SHARED_LIMIT, Order, Reordering


def pooled(node: Node, order: Order) -> Reordering | None:
    """A pooling whose spatial axes are in another order; positions of maxima are numbers in the old order."""
    return None if len(node.outputs) > 1 else _windowed(node, order)


def convolved(node: Node, order: Order) -> Reordering | None:
    """A Conv whose spatial axes, and those of its constant weight, are in another order."""
    found, weight = _windowed(node, order), node.input(1)
    constant = None if weight is None else weight.constant
    if found is None or weight is None or constant is None or len(constant.shape) != order.rank:
        return None
    if len(weight.uses) > 1 and constant.nbytes > SHARED_LIMIT:
        return None
    found.constants[1] = partial(_turned, order, constant)
    return found


def _turned(order: Order, weight: Tensor) -> np.ndarray:
    return np.ascontiguousarray(order.apply(weight.numpy()))


def _windowed(node: Node, order: Order) -> Reordering | None:
    count = order.rank - 2
    if order.axes[:2] != (0, 1) or len(order) != order.rank or len(order.kept) != order.rank:
        return None
    found = Reordering.of_first(node, order)
    spatial = [axis - 2 for axis in order.kept[2:]]
    for name in ("kernel_shape", "strides", "dilations", "pads"):
        given = node.ints_attr(name)
        if not given:
            continue
        if len(given) != (2 * count if name == "pads" else count):
            return None
        ends = [axis + count for axis in spatial] if name == "pads" else []
        found.attributes[name] = tuple(given[axis] for axis in [*spatial, *ends])
    return found
