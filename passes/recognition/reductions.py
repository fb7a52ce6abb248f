"""Reduce operators as they are spelled at each opset, and which axes they reduce."""

from __future__ import annotations

from collections.abc import Sequence

from ...compiler.graph import Node, Shape, Value
from ...compiler.inference.reduction import reduced_axes
from ...compiler.rewriter import Rewriter

REDUCTIONS = frozenset({
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceSumSquare",
})  # fmt: skip
_GLOBAL_POOLS = {"GlobalAveragePool": "ReduceMean", "GlobalMaxPool": "ReduceMax"}
POOLS_AND_REDUCTIONS = "|".join(sorted(REDUCTIONS | set(_GLOBAL_POOLS)))


def kind_of(node: Node) -> str:
    """The Reduce operator that the node is, or that its global pooling amounts to."""
    return _GLOBAL_POOLS.get(node.op, node.op)


def axes_of(node: Node) -> tuple[int, ...] | None:
    """The reduced axes, sorted and counted from the front; None if they or the rank are not known."""
    x = node.inputs[0]
    if x is None or x.rank is None:
        return None
    if node.op in _GLOBAL_POOLS:
        return tuple(range(2, x.rank))
    return reduced_axes(node, x.rank)


def keeps_dims(node: Node) -> bool:
    """Whether reduced axes stay as axes of extent 1."""
    return node.op in _GLOBAL_POOLS or bool(node.int_attr("keepdims", 1))


def reduced_shape(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    """The shape after a reduction."""
    return tuple(1 if i in axes else d for i, d in enumerate(shape) if keepdims or i not in axes)


def reduction(op_type: str, x: Value, axes: Sequence[int], keepdims: bool, rewriter: Rewriter, name: str) -> Value:
    """A new Reduce node; its axes are an attribute before opset 18 (13 for ReduceSum), then an input."""
    first = 13 if op_type == "ReduceSum" else 18
    if rewriter.opset() < first:
        return rewriter.op(op_type, [x], axes=tuple(axes), keepdims=int(keepdims), name=name)
    axes_input = rewriter.ints(axes, f"{name}.axes" if name else "axes")
    return rewriter.op(op_type, [x, axes_input], keepdims=int(keepdims), name=name)
