"""Channels that a rectifier makes zero whatever comes in: bounds of a layer by its weights, its bias and its input."""

from __future__ import annotations

import numpy as np

from ...compiler.graph import Node, Value
from ...compiler.segments import Region
from ..values.value_range import range_of
from .linear_layers import output_channels, weight_index

_LARGEST = 1 << 20  # elements of a weight that is added up
_LAYERS = ("Conv", "Gemm", "MatMul")
_STEPS = ("BatchNormalization", "Mul", "Add")
_TAME = 1e3  # bounds beyond it are not worth adding up
_SAMPLE = 8  # weights of an output that are looked at first
_DEPTH = 4  # steps between a layer and the rectifier


def never_positive(value: Value | None, region: Region) -> np.ndarray:
    """Positions of the region at which no element is above zero, NaN aside."""
    return np.asarray(_highest(value, region, _DEPTH) <= 0)


def axis_of_dead(rectifier: Node) -> int | None:
    """The channels' axis of a Relu, if a cheap look at the layer in front finds some that may never be positive."""
    layer, rank = _layer_in_front(rectifier), rectifier.output.rank
    weight = None if layer is None else layer.input(1)
    if layer is None or not rank or weight is None or weight.constant is None or weight.rank is None:
        return None
    if not 0 < weight.constant.size <= _LARGEST or weight.constant.external is not None:
        return None
    low, high = range_of(layer.inputs[0])
    if low < -_TAME:
        return None
    by_row = layer.op == "Conv" or (layer.op == "Gemm" and bool(layer.int_attr("transB", 0)))
    rows = np.moveaxis(weight.constant.numpy(), 0 if by_row else -1, 0)
    rows = rows.reshape(len(rows), -1)
    if high > _TAME and not _some_row_adds_nothing(rows):
        return None
    return 1 if layer.op == "Conv" else rank - 1


def _some_row_adds_nothing(rows: np.ndarray) -> bool:
    """Whether the weights of some output are all at most zero."""
    likely = rows[(rows[:, :_SAMPLE] <= 0).all(axis=1)]
    return bool((likely <= 0).all(axis=1).any())


def _layer_in_front(rectifier: Node) -> Node | None:
    """The layer that a Relu follows, with at most a scale and a shift in between."""
    node = rectifier
    for _ in range(_DEPTH):
        below = next((v.producer for v in node.inputs if v is not None and v.producer is not None), None)
        if below is None or below.op in _LAYERS:
            return below
        if below.op not in _STEPS:
            return None
        node = below
    return None


def _highest(value: Value | None, region: Region, depth: int) -> np.ndarray:
    """An upper bound for each position, infinite where none is known."""
    node = None if value is None else value.producer
    unknown = np.full(region.extent, np.inf)
    if node is None or depth == 0:
        return unknown
    with np.errstate(all="ignore"):
        if node in region.makers:
            return _of_layer(node, region, unknown)
        if node in region.through and node.op in _STEPS:
            scale, shift = _affine(node, region)
            below = _highest(next((v for v in node.inputs if v in region.axes), None), region, depth - 1)
            found = below * scale + shift
            return np.where((scale >= 0) & ~np.isnan(found), found, np.inf)
    return unknown


def _of_layer(node: Node, region: Region, unknown: np.ndarray) -> np.ndarray:
    """The bias, and what the input can add at most; borders are zeros."""
    parameters = region.parameters.get(node, {})
    dense = node.op in _LAYERS and node.int_attr("group", 1) == 1
    index = weight_index(node) if dense else -1
    weight = node.input(index) if index in parameters else None
    if weight is None or weight.constant is None or weight.constant.size > _LARGEST or index != 1:
        return unknown
    low, high = range_of(node.inputs[0])
    low, high = min(low, 0.0), max(high, 0.0)
    rows = np.moveaxis(weight.constant.numpy().astype(np.float64), parameters[1], 0).reshape(region.extent, -1)
    factor = node.float_attr("alpha", 1.0) if node.op == "Gemm" else 1.0
    rows = rows * factor
    up, down = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    most = np.where(up > 0, up * high, 0) + np.where(down < 0, down * low, 0)
    bias = _bias(node, region)
    return np.where(np.isnan(most + bias), np.inf, most + bias)


def _bias(node: Node, region: Region) -> np.ndarray:
    value = node.input(2) if node.op != "MatMul" else None
    if value is None:
        return np.zeros(region.extent)
    if value.constant is None or value.constant.size not in (1, output_channels(node)):
        return np.full(region.extent, np.inf)
    bias = np.broadcast_to(value.constant.numpy().astype(np.float64).ravel(), (region.extent,))
    return bias * (node.float_attr("beta", 1.0) if node.op == "Gemm" else 1.0)


def _affine(node: Node, region: Region) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift of each position; NaN where they are not known."""
    if node.op == "BatchNormalization":
        scale, shift, mean, variance = (_numbers(node, i, region) for i in range(1, 5))
        factor = scale / np.sqrt(variance + node.float_attr("epsilon", 1e-5))
        return factor, shift - mean * factor
    index = next((i for i, v in enumerate(node.inputs) if v not in region.axes), 0)
    numbers = _numbers(node, index, region)
    still = np.zeros(region.extent)
    return (numbers, still) if node.op == "Mul" else (still + 1, numbers)


def _numbers(node: Node, index: int, region: Region) -> np.ndarray:
    """The number that a constant has at each position; NaN if it has several there, or is none."""
    value = node.inputs[index]
    if value is None or value.constant is None or value in region.axes:
        return np.full(region.extent, np.nan)
    array = value.constant.numpy().astype(np.float64)
    axis = region.parameters.get(node, {}).get(index)
    if array.size == 1 or axis is None:
        return np.full(region.extent, array.ravel()[0] if array.size == 1 else np.nan)
    rows = np.moveaxis(array, axis, 0).reshape(region.extent, -1)
    return np.where((rows == rows[:, :1]).all(axis=1), rows[:, 0], np.nan)
