"""Channels that are the same number everywhere: what rows of zeros make, dead rectifiers, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...compiler.graph import Node, Value
from ...compiler.segments import Region
from .dead_channels import never_positive
from .linear_layers import joins_along, weight_index

Known = tuple[np.ndarray, np.ndarray]  # which positions are known, and their numbers in float64

_UNARY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh": np.tanh,
    "Abs": np.abs,
    "Neg": np.negative,
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
}
_SAME = frozenset({"Identity", "MaxPool", "GlobalAveragePool", "GlobalMaxPool", "Transpose"})
_BINARY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
}


def constants_of(region: Region) -> dict[Value, Known]:
    """For each member, the positions that hold one known finite number everywhere."""
    known: dict[Value, Known] = {}
    for node in region.nodes:
        if not node.has_output(0):
            continue
        with np.errstate(all="ignore"):
            if node in region.makers:
                found = _of_concat(node, region) if node.op == "Concat" else _of_layer(node, region)
            elif node in region.through:
                found = _of_node(node, region, known)
            else:
                continue
            mask, numbers = found
            known[node.output] = (mask & np.isfinite(numbers), numbers)
    return known


def _nothing(region: Region) -> Known:
    return np.zeros(region.extent, bool), np.zeros(region.extent)


def _of_layer(node: Node, region: Region) -> Known:
    """Where all weights of an output are zero, the bias is left."""
    parameters = region.parameters.get(node, {})
    dense = node.op in ("Conv", "ConvTranspose", "Gemm", "MatMul") and node.int_attr("group", 1) == 1
    index = weight_index(node) if dense else -1
    if index not in parameters:
        return _nothing(region)
    mask = ~_varies(_array(node, index), parameters[index])
    return mask, _bias(node, region)


def _varies(weight: np.ndarray, axis: int) -> np.ndarray:
    """Which positions along the axis have weights other than zero."""
    others = tuple(i for i in range(weight.ndim) if i != axis % weight.ndim)
    return np.asarray(weight.astype(bool).any(axis=others))


def _bias(node: Node, region: Region) -> np.ndarray:
    if node.op == "MatMul" or node.input(2) is None:
        return np.zeros(region.extent)
    value = node.inputs[2]
    if value is None or value.constant is None or value.constant.size not in (1, region.extent):
        return np.full(region.extent, np.nan)
    bias = np.broadcast_to(value.constant.numpy().astype(np.float64).ravel(), (region.extent,))
    return bias * (node.float_attr("beta", 1.0) if node.op == "Gemm" else 1.0)


def _of_concat(node: Node, region: Region) -> Known:
    """Constant parts that are the same all over."""
    mask, numbers = _nothing(region)
    axis, start = region.axes[node.output], 0
    if not joins_along(node, axis):
        return mask, numbers
    for value in node.inputs:
        extent = 0 if value is None or value.shape is None else value.shape[axis]
        if not isinstance(extent, int):
            return _nothing(region)
        if value is not None and value.constant is not None and value.constant.size:
            rows = np.moveaxis(value.constant.numpy().astype(np.float64), axis, 0).reshape(extent, -1)
            mask[start : start + extent] = (rows == rows[:, :1]).all(axis=1)
            numbers[start : start + extent] = rows[:, 0]
        start += extent
    return mask, numbers


def _of_node(node: Node, region: Region, known: dict[Value, Known]) -> Known:
    inputs = [known.get(v, _nothing(region)) if v in region.axes else None for v in node.inputs if v is not None]
    first = inputs[0] if inputs else None
    if node.op in _SAME and first is not None:
        return first
    if node.op == "Relu" and first is not None:
        return first[0] | never_positive(node.inputs[0], region), np.where(first[0], np.maximum(first[1], 0), 0)
    if node.op in _UNARY and first is not None:
        return first[0], _UNARY[node.op](first[1])
    if node.op in _BINARY and len(node.inputs) == 2:
        return _of_binary(node, region, known)
    if node.op == "BatchNormalization" and first is not None:
        scale, shift, mean, variance = (_array(node, i).astype(np.float64) for i in range(1, 5))
        normal = (first[1] - mean) / np.sqrt(variance + node.float_attr("epsilon", 1e-5))
        return first[0], normal * scale + shift
    if node.op == "Conv":  # depthwise
        return ~_varies(_array(node, 1), 0), _bias(node, region)
    return _nothing(region)


def _of_binary(node: Node, region: Region, known: dict[Value, Known]) -> Known:
    """Two members, a member and a constant; or a product of which one factor is zero."""
    sides = [_side(node, i, region, known) for i in (0, 1)]
    (left, a), (right, b) = sides
    mask = left & right
    if node.op == "Mul":
        mask |= (left & (a == 0)) | (right & (b == 0))
    return mask, _BINARY[node.op](a, b)


def _side(node: Node, index: int, region: Region, known: dict[Value, Known]) -> Known:
    value = node.inputs[index]
    if value is not None and value in region.axes:
        return known.get(value, _nothing(region))
    if value is None or value.constant is None:
        return _nothing(region)
    array = value.constant.numpy().astype(np.float64)
    axis = region.parameters.get(node, {}).get(index)
    if array.size == 1:
        return np.ones(region.extent, bool), np.full(region.extent, array.ravel()[0])
    if axis is None:
        return _nothing(region)
    rows = np.moveaxis(array, axis, 0).reshape(region.extent, -1)
    return (rows == rows[:, :1]).all(axis=1), rows[:, 0]


def _array(node: Node, index: int) -> np.ndarray:
    value = node.inputs[index]
    assert value is not None and value.constant is not None
    return value.constant.numpy()
