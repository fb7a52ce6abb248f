"""Values whose elements are all the same known number, whatever their shape: fills, and views of fills."""

from __future__ import annotations

import numpy as np

from ...compiler.graph import Node, Value
from ...compiler.tensor import Tensor

_VIEWS = frozenset({
    "Expand", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice", "Gather", "Identity", "Tile", "Split",
})  # fmt: skip
_DEEPEST = 32  # nodes looked through; exporters chain fewer than ten
_LARGEST = 1 << 16  # elements of a constant that are compared


def fill_of(value: Value | None) -> np.ndarray | None:
    """The one number (rank 0, of the value's own type) that every element is; None if that is not known."""
    for _ in range(_DEEPEST):
        if value is None:
            return None
        if value.constant is not None:
            return _fill_of_tensor(value.constant)
        node = value.producer
        if node is None or node.domain:
            return None
        if node.op == "ConstantOfShape":
            return _fill_of_shape_node(node)
        if node.op == "Concat":
            return _common([fill_of(v) for v in node.inputs])
        if node.op not in _VIEWS:
            return None
        value = node.input(0)
    return None


def _fill_of_shape_node(node: Node) -> np.ndarray | None:
    tensor = node.attr("value")
    if tensor is None:
        return np.zeros((), np.float32)
    return _fill_of_tensor(tensor) if isinstance(tensor, Tensor) else None


def _fill_of_tensor(tensor: Tensor) -> np.ndarray | None:
    if not 0 < tensor.size <= _LARGEST:
        return None
    flat = tensor.numpy().reshape(-1)
    if flat.dtype == object or flat.dtype.itemsize * flat.size != tensor.nbytes:  # strings and packed types
        return None
    bits = np.frombuffer(flat.tobytes(), np.uint8).reshape(flat.size, -1)
    return flat[0].reshape(()) if bool((bits == bits[0]).all()) else None


def _common(fills: list[np.ndarray | None]) -> np.ndarray | None:
    first = fills[0] if fills else None
    if first is None or any(f is None or f.tobytes() != first.tobytes() for f in fills):
        return None
    return first
