"""Exact kernels that compute: integers, comparisons, and the float operations that IEEE 754 rounds correctly."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ...compiler import dtypes
from ...compiler.graph import Node
from .exact_movement import Arrays, Kernel, NotCovered, Undefined, allow

_IEEE = frozenset({"f2", "f4", "f8"})  # numpy types whose + - * / and square root are rounded correctly


def _all_given(inputs: Arrays) -> list[np.ndarray]:
    present = [array for array in inputs if array is not None]
    if len(present) != len(inputs) or len({array.dtype for array in present}) != 1:
        raise NotCovered
    allow(math.prod(np.broadcast_shapes(*(array.shape for array in present))), present[0])
    return present


def _is_integer(array: np.ndarray) -> bool:
    return array.dtype.kind in "iu"


def _is_exact(array: np.ndarray) -> bool:
    return _is_integer(array) or array.dtype.str[1:] in _IEEE


def _is_bool(array: np.ndarray) -> bool:
    return array.dtype == bool


def _binary(function: Callable[..., np.ndarray], fits: Callable[[np.ndarray], bool]) -> Kernel:
    def run(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
        one, other = _all_given(inputs)
        if not fits(one) or (node.version < 7 and one.shape != other.shape):
            raise NotCovered  # before opset 7 broadcasting was an attribute
        return (function(one, other),)

    return run


def _invert(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    return (np.logical_not(_all_given(inputs)[0]),)


def _divide(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    one, other = _all_given(inputs)
    if not _is_exact(one) or (node.version < 7 and one.shape != other.shape):
        raise NotCovered
    if not _is_integer(one):
        return (np.divide(one, other).astype(one.dtype, copy=False),)
    smallest = np.iinfo(one.dtype).min
    if not other.all() or (smallest and (one == smallest).any() and (other == -1).any()):
        raise Undefined("an integer is divided by 0, or the quotient does not fit")
    quotient = one // other
    # numpy rounds down, ONNX towards zero
    return ((quotient + ((quotient < 0) & (quotient * other != one))).astype(one.dtype),)


def _modulo(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    one, other = _all_given(inputs)
    if not _is_integer(one):
        raise NotCovered
    if not other.all():
        raise Undefined("an integer is divided by 0")
    return ((np.fmod if node.int_attr("fmod", 0) else np.mod)(one, other),)


def _fold_all(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    arrays = _all_given(inputs)
    if not _is_integer(arrays[0]) or node.version < 8:
        raise NotCovered
    function = {"Sum": np.add, "Max": np.maximum, "Min": np.minimum}[node.op]
    result = arrays[0]
    for array in arrays[1:]:
        result = function(result, array)
    return (result,)


def _elementwise(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    (array,) = _all_given(inputs)
    rounding = {"Sqrt": np.sqrt, "Floor": np.floor, "Ceil": np.ceil, "Round": np.rint}
    if not _is_exact(array) or (_is_integer(array) and node.op not in ("Neg", "Abs", "Sign")):
        raise NotCovered
    if node.op == "Sign" and not _is_integer(array):
        raise NotCovered  # of NaN
    if node.op == "Reciprocal":
        return (np.divide(array.dtype.type(1), array).astype(array.dtype, copy=False),)
    function = {"Neg": np.negative, "Abs": np.abs, "Sign": np.sign, **rounding}[node.op]
    return (np.asarray(function(array)).astype(array.dtype, copy=False),)


def _reduce(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    array = inputs[0]
    given = inputs[1] if len(inputs) > 1 else None
    if array is None or not _is_integer(array):
        raise NotCovered
    axes = node.ints_attr("axes") if given is None else tuple(int(a) for a in given.ravel())
    if not axes and node.int_attr("noop_with_empty_axes", 0):
        return (array,)
    keep = bool(node.int_attr("keepdims", 1))
    where = tuple(axes) if axes else None
    if node.op in ("ReduceSum", "ReduceProd"):
        function = np.sum if node.op == "ReduceSum" else np.prod
        if np.any(function(np.abs(array.astype(np.float64)), axis=where) > np.iinfo(array.dtype).max):
            raise NotCovered  # kernels overflow in different ways
        return (function(array, axis=where, keepdims=keep, dtype=array.dtype),)
    return ((np.max if node.op == "ReduceMax" else np.min)(array, axis=where, keepdims=keep),)


def _cast(node: Node, inputs: Arrays) -> Sequence[np.ndarray]:
    (array,) = _all_given(inputs)
    target = dtypes.to_numpy(node.int_attr("to", 0))
    if array.dtype == target:
        return (array,)
    plain = array.dtype.kind in "iub" or array.dtype.str[1:] in _IEEE
    if not plain or not (target.kind in "iub" or target.str[1:] in _IEEE):
        raise NotCovered
    if array.dtype.kind == "f" and target.kind != "b":
        if target.kind == "f" and target.itemsize < array.dtype.itemsize and array.dtype.itemsize == 8:
            raise NotCovered  # a kernel may round twice
        if target.kind in "iu" and not _fits(array, target):
            raise Undefined("a float does not fit into the integer type")
    if array.dtype.kind in "iu" and target.str[1:] == "f2":
        raise NotCovered  # a kernel may round twice
    return (array.astype(target),)


def _fits(array: np.ndarray, target: np.dtype[np.generic]) -> bool:
    if not array.size:
        return True
    limits = np.iinfo(target)  # type: ignore[type-var]
    whole = np.trunc(array.astype(np.float64))
    return bool(np.isfinite(whole).all() and (whole >= float(limits.min)).all() and (whole < float(limits.max)).all())


_SAME_TYPE = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}
_COMPARISONS = {
    "Less": np.less, "Greater": np.greater, "LessOrEqual": np.less_equal, "GreaterOrEqual": np.greater_equal,
}  # fmt: skip
_LOGICAL = {"And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor}

ARITHMETIC: dict[str, Kernel] = {
    **{op: _binary(function, _is_exact) for op, function in {**_SAME_TYPE, **_COMPARISONS}.items()},
    **{op: _binary(function, _is_bool) for op, function in _LOGICAL.items()},
    "Equal": _binary(np.equal, lambda array: _is_exact(array) or _is_bool(array)),
    "Not": _invert,
    "Div": _divide,
    "Mod": _modulo,
    "Sum": _fold_all,
    "Max": _fold_all,
    "Min": _fold_all,
    "Neg": _elementwise,
    "Abs": _elementwise,
    "Sign": _elementwise,
    "Sqrt": _elementwise,
    "Floor": _elementwise,
    "Ceil": _elementwise,
    "Round": _elementwise,
    "Reciprocal": _elementwise,
    "ReduceSum": _reduce,
    "ReduceProd": _reduce,
    "ReduceMax": _reduce,
    "ReduceMin": _reduce,
    "Cast": _cast,
}
