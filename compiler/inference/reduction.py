"""Reductions, argument searches and sorting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import dtypes, symbolic
from ..graph import Node, Shape, Value
from ..symbolic import Dim
from .axes import axis_within, known, unknown_shape
from .facts import Facts, content_of, rule, unknown_dim

_LIMITS: dict[int, int] = {dtypes.INT32: 2**31, dtypes.INT64: 2**63}


def reduced_axes(node: Node, rank: int) -> tuple[int, ...] | None:
    """Axes that a Reduce node reduces, sorted; None if they depend on data."""
    axes: Sequence[Dim] | None = node.ints_attr("axes")
    if axes is None and node.input(1) is not None:
        axes = content_of(node.input(1))
        if axes is None:
            return None
    if not axes:
        return () if node.int_attr("noop_with_empty_axes", 0) else tuple(range(rank))
    found = [axis_within(a, rank) if isinstance(a, int) else None for a in axes]
    counted = {a for a in found if a is not None}
    return tuple(sorted(counted)) if None not in found else None


@rule(
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceSumSquare",
)  # fmt: skip
def reduce(node: Node) -> Sequence[Facts]:
    dtype, source = known(node.input(0))
    keep = bool(node.int_attr("keepdims", 1))
    if source is None:
        everything = not keep and node.input(1) is None and not node.ints_attr("axes")
        return (Facts(dtype, () if everything and not node.int_attr("noop_with_empty_axes", 0) else None),)
    axes = reduced_axes(node, len(source))
    if axes is None:
        return (Facts(dtype, _partly_reduced(node, source, keep)),)
    shape = tuple(1 if i in axes else d for i, d in enumerate(source) if keep or i not in axes)
    content = _reduced_content(node, dtype, source) if axes == (0,) and len(source) == 1 else None
    return (Facts(dtype, shape, content),)


def _partly_reduced(node: Node, shape: Shape, keep: bool) -> Shape | None:
    """What holds whatever the axes are: with keepdims the rank stays and an extent of 1 stays 1."""
    if keep:
        return tuple(1 if d == 1 else unknown_dim(node, 0, i) for i, d in enumerate(shape))
    axes = node.input(1)
    count = axes.shape[0] if axes is not None and axes.shape is not None and len(axes.shape) == 1 else None
    if not isinstance(count, int) or not 0 < count <= len(shape):
        return None
    return unknown_shape(node, 0, len(shape) - count)


def _largest(dims: Sequence[Dim]) -> Dim:
    result = dims[0]
    for dim in dims[1:]:
        result = symbolic.maximum(result, dim)
    return result


def _smallest(dims: Sequence[Dim]) -> Dim:
    result = dims[0]
    for dim in dims[1:]:
        result = symbolic.minimum(result, dim)
    return result


_OF_CONTENT: dict[str, Callable[[Sequence[Dim]], Dim]] = {
    "ReduceProd": symbolic.product,
    "ReduceSum": symbolic.total,
    "ReduceMax": _largest,
    "ReduceMin": _smallest,
}


def _reduced_content(node: Node, dtype: int, source: Shape) -> Shape | None:
    operation, limit = _OF_CONTENT.get(node.op), _LIMITS.get(dtype)
    if operation is None or limit is None:
        return None
    elements = content_of(node.input(0))
    if not elements:  # an empty ReduceMax has no agreed result
        return None
    result = operation(elements)
    return None if isinstance(result, int) and not -limit <= result < limit else (result,)


@rule("ArgMax", "ArgMin")
def argument(node: Node) -> Sequence[Facts]:
    _, shape = known(node.input(0))
    axis = None if shape is None else axis_within(node.int_attr("axis", 0), len(shape))
    if shape is None or axis is None:
        return (Facts(dtypes.INT64),)
    keep = (1,) if node.int_attr("keepdims", 1) else ()
    return (Facts(dtypes.INT64, (*shape[:axis], *keep, *shape[axis + 1 :])),)


@rule("TopK")
def top_k(node: Node) -> Sequence[Facts]:
    """Values and indices; k is an attribute before opset 10."""
    dtype, shape = known(node.input(0))
    axis = None if shape is None else axis_within(node.int_attr("axis", -1), len(shape))
    if shape is None or axis is None:
        return (Facts(dtype), Facts(dtypes.INT64))
    extent = _top_count(node)
    result = (*shape[:axis], unknown_dim(node, 0, axis) if extent is None else extent, *shape[axis + 1 :])
    return (Facts(dtype, result), Facts(dtypes.INT64, result))


def _top_count(node: Node) -> Dim | None:
    if node.version < 10:
        attribute = node.attr("k")
        return attribute if isinstance(attribute, int) else None
    count = content_of(node.input(1))
    return count[0] if count is not None and len(count) == 1 else None


@rule("CumSum", "CumProd")
def cumulative(node: Node) -> Sequence[Facts]:
    value = node.input(0)
    dtype, shape = known(value)
    return (Facts(dtype, shape, _running_total(node, value)),)


def _running_total(node: Node, value: Value | None) -> Shape | None:
    if value is None or node.op != "CumSum" or value.dtype not in _LIMITS or value.shape is None:
        return None
    elements = content_of(value) if len(value.shape) == 1 else None
    if elements is None:
        return None
    if node.attr("reverse", 0) or node.attr("exclusive", 0):
        return None
    result: list[Dim] = []
    for element in elements:
        result.append(symbolic.add(result[-1], element) if result else element)
    limit = _LIMITS[value.dtype]
    return None if any(isinstance(d, int) and not -limit <= d < limit for d in result) else tuple(result)
