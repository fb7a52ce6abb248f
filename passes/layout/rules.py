"""Operators that work as well on tensors whose axes stand in another order, and what changes in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ...compiler import dtypes
from ...compiler.graph import Node, Value
from ...compiler.inference import content_of
from ...compiler.inference.movement import axes_of, normalize_axis
from ...compiler.inference.movement_extent import pad_amounts
from ...compiler.inference.reduction import reduced_axes
from ...compiler.refusal import Refusal
from ...compiler.tensor import Tensor
from ..views.view_ops import permutation
from .layouts import SHARED_LIMIT, Order, Reordering, same_everywhere
from .size_rules import resized, with_numbers_per_axis
from .window_rules import convolved, pooled

Rule = Callable[[Node, Order], Reordering | None]

_ELEMENTWISE = (
    "Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "BitShift", "BitwiseAnd",
    "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Div", "Elu", "Equal",
    "Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "IsInf",
    "IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not",
    "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh",
    "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor",
)  # fmt: skip
_REDUCTIONS = (
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceSumSquare",
)  # fmt: skip


def reordering(node: Node, order: Order) -> Reordering | None:
    """How `node` works with its widest tensor permuted; None where it cannot."""
    rule = _RULES.get(node.op)
    if rule is None or any(value is None for value in node.outputs):
        return None
    try:
        found = rule(node, order)
    except Refusal:  # an attribute that the function's caller binds
        return None
    return None if found is None else found.normalized()


def widest_order(node: Node, order: Order, *, is_output: bool) -> Order | None:
    """The order of the node's widest tensor that goes with the order of one of its tensors."""
    try:
        dropped = _dropped_axes(node)
    except Refusal:
        return None
    narrow = node.input(0) if node.op == "Unsqueeze" else node.output
    wide = node.output if node.op == "Unsqueeze" else node.input(0)
    if dropped is None or wide is None or narrow is None or wide.rank is None or narrow.rank is None:
        return None
    if dropped and is_output == (narrow is node.output):
        return order.extended(dropped) if order.rank == narrow.rank else None
    return order if order.rank == max(wide.rank, narrow.rank) else None


def _dropped_axes(node: Node) -> Sequence[int] | None:
    """Axes of the widest tensor that the narrower one does not have; None if they are not known."""
    wide = node.output if node.op == "Unsqueeze" else node.input(0)
    if wide is None or wide.rank is None:
        return None
    if node.op in ("Squeeze", "Unsqueeze"):
        return _unit_axes(node, wide.rank)
    if node.op in _REDUCING and not node.int_attr("keepdims", 1):
        return reduced_axes(node, wide.rank) if node.op in _REDUCTIONS else (_axis(node, wide.rank, 0),)
    if node.op == "Gather" and node.inputs[1] is not None and node.inputs[1].rank == 0:
        return (_axis(node, wide.rank, 0),)
    return ()


def _unit_axes(node: Node, rank: int) -> tuple[int, ...] | None:
    if node.op == "Squeeze" and node.ints_attr("axes") is None and node.input(1) is None:
        return None
    return axes_of(node, 1, rank)


def _axis(node: Node, rank: int, default: int) -> int:
    return normalize_axis(node.int_attr("axis", default), rank)


def _elementwise(node: Node, order: Order) -> Reordering | None:
    if node.version < 7 and node.attr("broadcast", 0):
        return None  # an attribute says which axes the second operand has
    return same_everywhere(node, order)


def _along_axis(default: int) -> Rule:
    """Operators with an attribute `axis` and all tensors of the same rank."""

    def rule(node: Node, order: Order) -> Reordering | None:
        return _with_axis(Reordering.of_first(node, order), order.position(_axis(node, order.rank, default)))

    return rule


def _with_axis(found: Reordering, axis: int | None) -> Reordering | None:
    if axis is None:
        return None
    found.attributes["axis"] = axis
    return found


def _softmax(node: Node, order: Order) -> Reordering | None:
    if node.version >= 13:
        return _along_axis(-1)(node, order)
    together = range(_axis(node, order.rank, 1), order.rank)  # older versions normalize over all further axes at once
    moved = order.positions(together)
    start = len(order) - len(together)
    if moved is None or set(moved) != set(range(start, len(order))):
        return None
    return _with_axis(Reordering.of_first(node, order), start)


def _concat(node: Node, order: Order) -> Reordering | None:
    found = Reordering([], [order])
    for index, value in enumerate(node.inputs):
        if value is None or not order.fits(value.shape):
            return None
        constant = value.constant
        found.inputs.append(order if constant is None else None)
        if constant is not None:
            found.constants[index] = partial(_applied, order, constant)
    return _with_axis(found, order.position(_axis(node, order.rank, 1 if node.version < 4 else 0)))


def _applied(order: Order, constant: Tensor) -> np.ndarray:
    return order.apply(constant.numpy())


def _reduce(node: Node, order: Order) -> Reordering | None:
    axes, keep = reduced_axes(node, order.rank), bool(node.int_attr("keepdims", 1))
    if axes is None:
        return None
    found = Reordering.of_first(node, order)
    if node.input(1) is None and node.ints_attr("axes") is None:
        found.outputs = [order if keep or not axes else None]  # all axes or none, in any layout
        return found
    moved = sorted(position for axis in axes if (position := order.position(axis)) is not None)
    if axes and not moved:
        return None  # over axes of extent 1 only, which go
    found.outputs = [order if keep else order.without(axes)]
    return _with_axes(found, moved, node)


def _with_axes(found: Reordering, axes: Sequence[int], node: Node) -> Reordering:
    """The same with other axes where the node has its own."""
    if node.ints_attr("axes") is None:
        return found.with_vector(1, axes)
    found.attributes["axes"] = tuple(axes)
    return found


def _argument(node: Node, order: Order) -> Reordering | None:
    axis = _axis(node, order.rank, 0)
    found = Reordering.of_first(node, order)
    found.outputs = [order if node.int_attr("keepdims", 1) else order.without((axis,))]
    return _with_axis(found, order.position(axis))


def _cumulative(node: Node, order: Order) -> Reordering | None:
    axis, value = content_of(node.input(1)), node.input(1)
    if axis is None or value is None or value.constant is None or not isinstance(axis[0], int):
        return None
    moved, shape = order.position(normalize_axis(axis[0], order.rank)), value.constant.shape
    if moved is None:
        return None
    found = Reordering.of_first(node, order)
    found.constants[1] = lambda: np.full(shape, moved, np.int64)
    return found


def _pad(node: Node, order: Order) -> Reordering | None:
    amounts = pad_amounts(node, order.rank)
    if amounts is None or node.version < 2 or not _is_constant(node.input(1)) or not _is_constant(node.input(3)):
        return None
    known = [[n for n in side if isinstance(n, int)] for side in amounts]
    if any(len(side) != order.rank or any(side[axis] for axis in order.dropped) for side in known):
        return None
    numbers = [number for side in known for number in order.pick(side, 0)]
    found = Reordering.of_first(node, order)
    if node.version < 11:
        found.attributes["pads"] = tuple(numbers)
        return found
    if node.input(3) is not None:
        found.with_vector(3, range(len(order)))
    return found.with_vector(1, numbers)


def _is_constant(value: Value | None) -> bool:
    return value is None or value.constant is not None


def _slice(node: Node, order: Order) -> Reordering | None:
    found = Reordering.of_first(node, order)
    if node.version < 10:
        axes = node.ints_attr("axes") or tuple(range(len(node.ints_attr("starts") or ())))
        moved = order.positions([normalize_axis(axis, order.rank) for axis in axes])
        found.attributes["axes"] = None if moved is None else tuple(moved)
        return None if moved is None else found
    known = _sliced_axes(node, order.rank)
    moved = None if known is None else order.positions(known)
    if moved is None or not _is_constant(node.input(3)):
        return None
    found.inputs += [None] * (4 - len(found.inputs))
    return found.with_vector(3, moved)


def _sliced_axes(node: Node, rank: int) -> Sequence[int] | None:
    if node.input(3) is not None:
        return axes_of(node, 3, rank)
    starts = node.input(1)
    count = starts.shape[0] if starts is not None and starts.shape is not None and len(starts.shape) == 1 else None
    return range(count) if isinstance(count, int) else None


def _squeeze(node: Node, order: Order) -> Reordering | None:
    axes = _unit_axes(node, order.rank)
    moved = None if axes is None else order.positions(axes)
    if axes is None or moved is None or not _is_constant(node.input(1)):
        return None
    found = Reordering.of_first(node, order)
    if node.op == "Squeeze":
        found.outputs = [order.without(axes)]
    else:
        found.inputs[0] = order.without(axes)
    return _with_axes(found, sorted(moved), node)


def _gather(node: Node, order: Order) -> Reordering | None:
    indices, axis = node.input(1), _axis(node, order.rank, 0)
    if indices is None or indices.rank not in (0, 1):
        return None
    found = Reordering.of_first(node, order)
    found.outputs = [order if indices.rank else order.without((axis,))]
    return _with_axis(found, order.position(axis))


def _by_element(node: Node, order: Order) -> Reordering | None:
    """GatherElements and ScatterElements: all tensors have the same rank and meaning of axes."""
    if any(v is None or v.rank != order.rank or v.constant is not None for v in node.inputs):
        return None
    found = Reordering([order] * len(node.inputs), [order])
    return _with_axis(found, order.position(_axis(node, order.rank, 0)))


def _matmul(node: Node, order: Order) -> Reordering | None:
    """Leading axes of both operands; all axes but the last of the first where the second is a matrix."""
    rank, (left, right) = order.rank, node.inputs[:2]
    if left is None or right is None or left.rank != rank or min(rank, len(order)) < 2:
        return None
    if right.rank == 2 and order.axes[-1] == rank - 1:
        return Reordering.of_first(node, order)
    if order.axes[-2:] == (rank - 2, rank - 1) and right.rank == rank:
        return same_everywhere(node, order)
    if order.axes[:2] == (0, rank - 1) and len(order) in (3, 4, 5):
        return _as_convolution(node, order, right)
    return None


def _as_convolution(node: Node, order: Order, matrix: Value) -> Reordering | None:
    """A product with a constant matrix over channels that come to stand behind the batch."""
    constant = matrix.constant
    if constant is None or len(constant.shape) != 2 or constant.dtype not in _CONVOLVED:
        return None
    if len(matrix.uses) > 1 and constant.nbytes > SHARED_LIMIT:
        return None
    found, spatial = Reordering.of_first(node, order), (1,) * (len(order) - 2)
    found.op_type = "Conv"
    found.constants[1] = lambda: np.ascontiguousarray(constant.numpy().T).reshape((*constant.shape[::-1], *spatial))
    return found


def _transpose(node: Node, order: Order) -> Reordering | None:
    """A Transpose of a tensor with axes of extent 1 more or fewer; one that is only reordered reads it as it is."""
    if not order.dropped and None not in order.axes:
        return None
    old = permutation(node, order.rank)
    kept = [axis for axis in range(order.rank) if old[axis] not in order.dropped]
    result: list[int | None] = list(kept)
    for position, axis in enumerate(order.axes):
        if axis is None:
            result.insert(position, None)
    new = [position for position, axis in enumerate(order.axes) if axis is None]
    found = Reordering([order], [Order(tuple(result), order.rank)])
    moved = [order.position(old[axis]) if axis is not None else new.pop(0) for axis in result]
    found.attributes["perm"] = tuple(position for position in moved if position is not None)
    return found


def _quantize(node: Node, order: Order) -> Reordering | None:
    scale = node.input(1)
    if scale is None or scale.shape is None or node.attr("block_size", 0):
        return None
    found = Reordering.of_first(node, order)
    if scale.shape in ((), (1,)):
        return found
    return _with_axis(found, order.position(_axis(node, order.rank, 1)))


def _spatial(node: Node, order: Order) -> Reordering | None:
    """Operators to which batch and channels mean something, and all further axes are alike."""
    fits = order.axes[:2] == (0, 1) and len(order) > 2
    return Reordering.of_first(node, order) if fits else None


def _batch_norm(node: Node, order: Order) -> Reordering | None:
    fits = order.axes[1:2] == (1,) and node.version >= 9 and len(node.outputs) == 1
    return Reordering.of_first(node, order) if fits else None


def _layer_norm(node: Node, order: Order) -> Reordering | None:
    axes = range(_axis(node, order.rank, -1), order.rank)
    if order.axes[len(order) - len(axes) :] != tuple(axes) or len(node.outputs) > 1:
        return None
    return _with_axis(Reordering.of_first(node, order), len(order) - len(axes))


_CONVOLVED = frozenset({dtypes.FLOAT, dtypes.FLOAT16})
_REDUCING = {*_REDUCTIONS, "ArgMax", "ArgMin"}
_RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(_REDUCTIONS, _reduce),
    **dict.fromkeys(("ArgMax", "ArgMin"), _argument),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _softmax),
    **dict.fromkeys(("Squeeze", "Unsqueeze"), _squeeze),
    **dict.fromkeys(("GatherElements", "ScatterElements"), _by_element),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _quantize),
    **dict.fromkeys(("Resize", "Upsample"), resized),
    **dict.fromkeys(("Expand", "Tile"), with_numbers_per_axis),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _layer_norm),
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), pooled),
    **dict.fromkeys(("InstanceNormalization", "GlobalAveragePool", "GlobalMaxPool"), _spatial),
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "Conv": convolved,
    "Split": _along_axis(0),
    "TopK": _along_axis(-1),
    "Transpose": _transpose,
    "LpNormalization": _along_axis(-1),
    "CumSum": _cumulative,
    "Pad": _pad,
    "Slice": _slice,
    "Gather": _gather,
    "MatMul": _matmul,
}
REORDERABLE = frozenset(_RULES)
