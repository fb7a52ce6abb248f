"""Exact kernels that move elements: reshapes, slices, gathers, concatenations, and what makes shapes and ranges.

Each takes the node and its input arrays and gives the output arrays; a case that it does not cover raises `NotCovered`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ...compiler.graph import Node
from ...compiler.tensor import Tensor
from .determinism import is_inference_dropout

Arrays = Sequence["np.ndarray | None"]
Kernel = Callable[[Node, Arrays], Sequence[np.ndarray]]
LARGEST = 64 << 20  # bytes of one result; beyond that the copies made while folding cost more than the node


class NotCovered(Exception):
    """The kernel does not do this case; the backend may."""


class Undefined(Exception):
    """No number is right (a division by 0), or which one comes out depends on the machine: nobody must compute it."""


def allow(elements: int, array: np.ndarray) -> None:
    """Raise NotCovered if so many elements like those of `array` are too many to be made."""
    if elements * array.itemsize > LARGEST:
        raise NotCovered


def _given(array: np.ndarray | None) -> np.ndarray:
    if array is None:
        raise NotCovered
    return array


def _numbers(inputs: Arrays, index: int) -> list[int] | None:
    array = inputs[index] if index < len(inputs) else None
    return None if array is None else [int(x) for x in array.ravel()]


def _axes(node: Node, inputs: Arrays, index: int) -> list[int] | None:
    attribute = node.ints_attr("axes")
    return _numbers(inputs, index) if attribute is None else list(attribute)


def _identity(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    return (_given(inputs[0]),)


def _dropout(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    array = _given(inputs[0])
    if not is_inference_dropout(node) or len(node.outputs) > 1:
        raise NotCovered
    return (array,)


def _reshape(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    array = _given(inputs[0])
    target = node.ints_attr("shape") if node.version < 5 else _numbers(inputs, 1)
    if target is None:
        raise NotCovered
    if not node.int_attr("allowzero", 0):
        target = [array.shape[i] if extent == 0 else extent for i, extent in enumerate(target)]
    return (array.reshape(target),)


def _flatten(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    array = _given(inputs[0])
    axis = node.int_attr("axis", 1)
    axis = axis + array.ndim if axis < 0 else axis
    rows = math.prod(array.shape[:axis])
    return (array.reshape(rows, math.prod(array.shape[axis:])),)


def _squeeze(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    axes = _axes(node, inputs, 1)
    return (np.squeeze(_given(inputs[0]), None if axes is None else tuple(axes)),)


def _unsqueeze(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    axes = _axes(node, inputs, 1)
    if axes is None:
        raise NotCovered
    return (np.expand_dims(_given(inputs[0]), tuple(axes)),)


def _transpose(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    return (np.ascontiguousarray(np.transpose(_given(inputs[0]), node.ints_attr("perm"))),)


def _concat(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    default = 1 if node.version < 4 else 0
    return (np.concatenate([_given(array) for array in inputs], node.int_attr("axis", default)),)


def _slice(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    array = _given(inputs[0])
    steps: Sequence[int] | None = None
    if node.version < 10:
        starts, ends, axes = (node.ints_attr(name) for name in ("starts", "ends", "axes"))
    else:
        starts, ends, axes, steps = (_numbers(inputs, i) for i in (1, 2, 3, 4))  # type: ignore[assignment]
    if starts is None or ends is None:
        raise NotCovered
    window = [slice(None)] * array.ndim
    count = range(len(starts))
    for axis, start, end, step in zip(axes or count, starts, ends, steps or (1 for _ in count), strict=True):
        first, last, _ = slice(start, end, step).indices(array.shape[axis])
        window[axis] = slice(first, None if step < 0 and last < 0 else last, step)
    return (np.ascontiguousarray(array[tuple(window)]),)


def _split(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    array = _given(inputs[0])
    axis = node.int_attr("axis", 0)
    attribute = node.ints_attr("split")
    sizes = _numbers(inputs, 1) if attribute is None else list(attribute)
    if sizes is None:
        part = -(-array.shape[axis] // len(node.outputs))
        sizes = [part] * (len(node.outputs) - 1)
        sizes.append(array.shape[axis] - sum(sizes))
    if sum(sizes) != array.shape[axis] or min(sizes) < 0:
        raise NotCovered
    return [np.ascontiguousarray(a) for a in np.split(array, np.cumsum(sizes)[:-1], axis)]


def _gather(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    array, indices, axis = _given(inputs[0]), _given(inputs[1]), node.int_attr("axis", 0)
    allow(array.size // max(array.shape[axis], 1) * indices.size, array)
    return (np.take(array, indices, axis=axis),)


def _expand(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    array = _given(inputs[0])
    target = np.broadcast_shapes(array.shape, tuple(_numbers(inputs, 1) or ()))
    allow(math.prod(target), array)
    return (np.ascontiguousarray(np.broadcast_to(array, target)),)


def _tile(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    array, repeats = _given(inputs[0]), _numbers(inputs, 1)
    if node.version < 6 or repeats is None or len(repeats) != array.ndim:
        raise NotCovered
    allow(array.size * math.prod(repeats), array)
    return (np.tile(array, repeats),)


def _pad(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    array = _given(inputs[0])
    amounts = _numbers(inputs, 1) if node.version >= 11 else None
    if amounts is None or min(amounts, default=0) < 0 or node.str_attr("mode", "constant") != "constant":
        raise NotCovered
    fill = inputs[2] if len(inputs) > 2 else None
    axes = _numbers(inputs, 3)
    sides = [(0, 0)] * array.ndim
    for position, axis in enumerate(range(array.ndim) if axes is None else axes):
        sides[axis] = (amounts[position], amounts[position + len(amounts) // 2])
    allow(math.prod(n + sum(s) for n, s in zip(array.shape, sides)), array)
    value = np.zeros((), array.dtype) if fill is None else fill.reshape(())
    return (np.pad(array, sides, constant_values=value),)


def _shape(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    extents = _given(inputs[0]).shape
    end = node.attr("end")
    window = slice(node.int_attr("start", 0), end if isinstance(end, int) else None)
    return (np.array(extents[window], np.int64),)


def _size(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    return (np.array(_given(inputs[0]).size, np.int64),)


def _constant_of_shape(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    value = node.attr("value")
    fill = value.numpy().reshape(()) if isinstance(value, Tensor) else np.zeros((), np.float32)
    extents = _numbers(inputs, 0) or []
    allow(math.prod(extents), fill)
    return (np.full(extents, fill, fill.dtype),)


def _range(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    start, limit, step = (_given(array) for array in inputs)
    if start.dtype.kind not in "iu":
        raise NotCovered
    numbers = range(int(start), int(limit), int(step))
    allow(len(numbers), start)
    return (np.array(numbers, start.dtype),)


def _where(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    condition, yes, no = (_given(array) for array in inputs)
    allow(math.prod(np.broadcast_shapes(condition.shape, yes.shape, no.shape)), yes)
    return (np.where(condition, yes, no),)


def _trilu(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    array, offset = _given(inputs[0]), _numbers(inputs, 1)
    keep = np.triu if node.int_attr("upper", 1) else np.tril
    return (keep(array, offset[0] if offset else 0),)


def _non_zero(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    array = _given(inputs[0])
    if not array.ndim:
        raise NotCovered
    return (np.array(np.nonzero(array), np.int64),)


MOVEMENT: dict[str, Kernel] = {
    "Identity": _identity,
    "Dropout": _dropout,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "Expand": _expand,
    "Tile": _tile,
    "Pad": _pad,
    "Shape": _shape,
    "Size": _size,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Where": _where,
    "Trilu": _trilu,
    "NonZero": _non_zero,
}
