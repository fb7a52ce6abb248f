"""Bounds that the elements of a value never leave, whatever the inputs are (NaN aside, and up to rounding)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...compiler import dtypes
from ...compiler.graph import Node, Value
from ...compiler.refusal import Refusal

Range = tuple[float, float]
EVERYTHING: Range = (-math.inf, math.inf)
_DEPTH = 6  # producers looked at in a row
_LARGEST = 1 << 16  # elements of a constant that is read
_EXACT_INTEGER = 2.0**53  # beyond it float64 skips integers
_SAME = frozenset({
    "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Slice", "Gather", "Expand", "Tile", "Split",
    "DepthToSpace", "SpaceToDepth", "GatherElements", "GatherND",
})  # fmt: skip
_OPEN = frozenset({"Add", "Sum", "Concat"})  # nothing is known of the result where nothing is of one input
_POOLS = frozenset({"MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"})
_FIXED: dict[str, Range] = {
    "Sigmoid": (0, 1), "HardSigmoid": (0, 1), "Softmax": (0, 1), "Tanh": (-1, 1), "Erf": (-1, 1), "Sin": (-1, 1),
    "Cos": (-1, 1), "Softsign": (-1, 1), "Exp": (0, math.inf), "Sqrt": (0, math.inf), "Softplus": (0, math.inf),
    "ReduceL1": (0, math.inf), "ReduceL2": (0, math.inf), "ReduceSumSquare": (0, math.inf),
    "LogSoftmax": (-math.inf, 0), "Sign": (-1, 1), "HardSwish": (-0.375, math.inf), "Hardmax": (0, 1),
}  # fmt: skip


def range_of(value: Value | None, depth: int = _DEPTH) -> Range:
    """(lower, upper) bound of the elements; infinite where nothing is known."""
    if value is None:
        return EVERYTHING
    tensor = value.constant
    if tensor is not None and 0 < tensor.size <= _LARGEST and tensor.dtype in dtypes.FLOATING | dtypes.INTEGER:
        array = tensor.numpy().astype(np.float64)
        low, high = float(array.min()), float(array.max())
        exact = tensor.dtype in dtypes.FLOATING or max(-low, high) <= _EXACT_INTEGER
        return (low, high) if exact and not np.isnan(array).any() else EVERYTHING
    found = EVERYTHING
    if value.producer is not None and depth > 0 and value.index == 0:
        try:
            found = _range_of_node(value.producer, depth - 1)
        except Refusal:  # an attribute that the function's caller binds
            found = EVERYTHING
    return _within(found, limits(value.dtype))


def limits(dtype: int) -> Range:
    """What the type itself can hold."""
    if dtype in dtypes.INTEGER:
        low, high = dtypes.finite_limits(dtype)
        return float(low), float(high)
    return EVERYTHING


def _within(found: Range, outer: Range) -> Range:
    return max(found[0], outer[0]), min(found[1], outer[1])


def _range_of_node(node: Node, depth: int) -> Range:
    if node.op in _FIXED:
        return EVERYTHING if node.output.dtype in dtypes.INTEGER and node.op != "Sign" else _FIXED[node.op]
    if node.op in _SAME or (node.op == "Resize" and interpolates(node)):
        return range_of(node.input(0), depth)
    if node.op in _POOLS:
        found = range_of(node.input(0), depth)
        return _union(found, (0, 0)) if node.op == "AveragePool" else found
    rule = _RULES.get(node.op)
    return EVERYTHING if rule is None else rule(node, depth)


def interpolates(node: Node) -> bool:
    """Whether a Resize stays between its input's elements: cubic overshoots, and a crop may lie outside."""
    crops = node.str_attr("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"
    return node.str_attr("mode", "nearest") in ("nearest", "linear") and not crops


def _union(*ranges: Range) -> Range:
    return min(r[0] for r in ranges), max(r[1] for r in ranges)


def _relu(node: Node, depth: int) -> Range:
    low, high = range_of(node.input(0), depth)
    return max(low, 0), max(high, 0)


def _abs(node: Node, depth: int) -> Range:
    if node.output.dtype in dtypes.INTEGER:  # the least integer has no absolute value
        return EVERYTHING
    low, high = range_of(node.input(0), depth)
    return max(low, -high, 0), max(-low, high)


def _clip(node: Node, depth: int) -> Range:
    low, high = range_of(node.input(0), depth)
    if node.version < 11:
        bounds = ((node.float_attr("min", -math.inf),) * 2, (node.float_attr("max", math.inf),) * 2)
    else:
        present = (node.input(1) is not None, node.input(2) is not None)
        bounds = (
            range_of(node.input(1), depth) if present[0] else (-math.inf, -math.inf),
            range_of(node.input(2), depth) if present[1] else (math.inf, math.inf),
        )
    lower, upper = bounds
    return min(max(low, lower[0]), upper[0]), min(max(high, lower[1]), upper[1])


def _many(node: Node, depth: int) -> list[Range]:
    """The ranges of the inputs; only the first one of which nothing is known, where one is enough to know nothing."""
    ranges: list[Range] = []
    for value in node.inputs:
        ranges.append(range_of(value, depth))
        if ranges[-1] == EVERYTHING and node.op in _OPEN:
            return ranges[-1:]
    return ranges


def _maximum(node: Node, depth: int) -> Range:
    ranges = _many(node, depth)
    return max(r[0] for r in ranges), max(r[1] for r in ranges)


def _minimum(node: Node, depth: int) -> Range:
    ranges = _many(node, depth)
    return min(r[0] for r in ranges), min(r[1] for r in ranges)


def _concat(node: Node, depth: int) -> Range:
    return _union(*_many(node, depth))


def _where(node: Node, depth: int) -> Range:
    return _union(*_many(node, depth)[1:])


def _add(node: Node, depth: int) -> Range:
    """Integers may wrap around."""
    if node.output.dtype not in dtypes.FLOATING:
        return EVERYTHING
    ranges = _many(node, depth)
    return sum(r[0] for r in ranges), sum(r[1] for r in ranges)


def _mul(node: Node, depth: int) -> Range:
    if node.output.dtype not in dtypes.FLOATING:
        return EVERYTHING
    a, b = _many(node, depth)
    if node.inputs[0] is node.inputs[1]:
        return 0, math.inf
    corners = [x * y if x and y else 0.0 for x in a for y in b]
    return min(corners), max(corners)


def _neg(node: Node, depth: int) -> Range:
    """The least integer is its own negative."""
    if node.output.dtype not in dtypes.FLOATING:
        return EVERYTHING
    low, high = range_of(node.input(0), depth)
    return -high, -low


def _sub(node: Node, depth: int) -> Range:
    if node.output.dtype not in dtypes.FLOATING:
        return EVERYTHING
    a, b = _many(node, depth)
    return a[0] - b[1], a[1] - b[0]


_RULES: dict[str, Callable[[Node, int], Range]] = {
    "Relu": _relu, "Abs": _abs, "Clip": _clip, "Max": _maximum, "Min": _minimum, "Concat": _concat, "Where": _where,
    "Add": _add, "Sum": _add, "Mul": _mul, "Neg": _neg, "Sub": _sub,
}  # fmt: skip
