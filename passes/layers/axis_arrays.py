"""Constants beside a tensor that vary along some of its axes only, and how they move through views of the tensor.

The form: a float64 array of rank 0 if it is one number, else with one axis per axis of the tensor, of extent 1 where
it does not vary. An array in this form never broadcasts the tensor.
"""

from __future__ import annotations

import numpy as np

from ...compiler import symbolic
from ...compiler.graph import Node, Shape, Value
from ...compiler.rewriter import Rewriter

VIEW_OPS = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
_LARGEST = 1 << 20  # elements; what varies along that much is no scale or bias


def beside(constant: np.ndarray, tensor: Value, rewriter: Rewriter) -> np.ndarray:
    """The constant in the form above (integers keep their type); refuses if it broadcasts `tensor`, or might."""
    constant = constant if constant.dtype.kind in "iu" else constant.astype(np.float64)
    if constant.ndim == 0:
        return constant
    shape = tensor.shape
    if shape is None:
        rewriter.refuse("the rank of the tensor is not known")
    if constant.ndim > len(shape):
        rewriter.refuse("the constant has more axes than the tensor")
    aligned = constant.reshape((1,) * (len(shape) - constant.ndim) + constant.shape)
    if any(extent not in (1, known) for extent, known in zip(aligned.shape, shape)):
        rewriter.refuse("the constant broadcasts the tensor")
    return collapsed(aligned)


def shortest(array: np.ndarray) -> np.ndarray:
    """The array without the leading axes of extent 1, which broadcasting adds by itself."""
    while array.ndim and array.shape[0] == 1:
        array = array[0]
    return array


def collapsed(array: np.ndarray) -> np.ndarray:
    """Axes along which nothing varies shortened to 1; a single number as rank 0."""
    for axis, extent in enumerate(array.shape):
        if extent > 1 and array.size <= _LARGEST:
            first = array.take([0], axis)
            if (array == first).all():
                array = first
    return array.reshape(()) if array.size == 1 else array


def below(view: Node, array: np.ndarray) -> np.ndarray | None:
    """From beside a view's output to beside its input; None if the axes cannot be followed."""
    if array.ndim == 0 or view.op == "Identity":
        return array
    source = view.inputs[0]
    if view.op == "Transpose":
        order = view.ints_attr("perm") or tuple(reversed(range(array.ndim)))
        return array.transpose(np.argsort(order))
    return None if source is None else regrouped(array, view.output.shape, source.shape)


def above(view: Node, array: np.ndarray) -> np.ndarray | None:
    """From beside a view's input to beside its output; None if the axes cannot be followed."""
    if array.ndim == 0 or view.op == "Identity":
        return array
    source = view.inputs[0]
    if view.op == "Transpose":
        return array.transpose(view.ints_attr("perm") or tuple(reversed(range(array.ndim))))
    return None if source is None else regrouped(array, source.shape, view.output.shape)


def regrouped(array: np.ndarray, old: Shape | None, new: Shape | None) -> np.ndarray | None:
    """The array after its tensor is reshaped from `old` to `new`; None if the axes cannot be followed."""
    if old is None or new is None:
        return None
    expanded, target = list(array.shape), [1] * len(new)
    for mine, others in axis_blocks(old, new):
        if all(array.shape[i] == 1 for i in mine):
            continue
        for axes, shape, extents in ((mine, old, expanded), (others, new, target)):
            for i in axes:
                extent = shape[i]
                if not isinstance(extent, int):
                    return None
                extents[i] = extent
    if np.prod(expanded, dtype=object) > _LARGEST:
        return None
    return collapsed(np.broadcast_to(array, expanded).reshape(target))


def axis_blocks(old: Shape, new: Shape) -> list[tuple[range, range]]:
    """Runs of axes of two shapes of one tensor that hold the same elements, in order, as small as can be told.

    They are matched from both ends; what is left between is one run, since the numbers of elements are equal.
    """
    front = _matching_runs(old, new)
    i, j = (front[-1][0].stop, front[-1][1].stop) if front else (0, 0)
    back = _matching_runs(old[i:][::-1], new[j:][::-1])
    ends = [
        (range(len(old) - mine.stop, len(old) - mine.start), range(len(new) - others.stop, len(new) - others.start))
        for mine, others in reversed(back)
    ]
    stop_i, stop_j = (ends[0][0].start, ends[0][1].start) if ends else (len(old), len(new))
    middle = [(range(i, stop_i), range(j, stop_j))] if i < stop_i or j < stop_j else []
    return [*front, *middle, *ends]


def _matching_runs(old: Shape, new: Shape) -> list[tuple[range, range]]:
    """The smallest runs from the front that provably have equal products."""
    runs: list[tuple[range, range]] = []
    i, j = 0, 0
    while i < len(old) and j < len(new):
        start_i, start_j = i, j
        mine, others = old[i], new[j]
        i, j = i + 1, j + 1
        while mine != others:
            if _divides(mine, others) and i < len(old):
                mine, i = symbolic.mul(mine, old[i]), i + 1
            elif _divides(others, mine) and j < len(new):
                others, j = symbolic.mul(others, new[j]), j + 1
            else:
                return runs
        runs.append((range(start_i, i), range(start_j, j)))
    return runs


def _divides(divisor: symbolic.Dim, number: symbolic.Dim) -> bool:
    """Whether the divisor has to be multiplied to reach the number: it is smaller, or a proper part of its factors."""
    return _smaller(divisor, number) or symbolic.exact_div(number, divisor) is not None


def _smaller(a: symbolic.Dim, b: symbolic.Dim) -> bool:
    return isinstance(a, int) and isinstance(b, int) and 0 < a < b
