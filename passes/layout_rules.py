"""Operators that work as well on tensors whose axes stand in another order, and what changes in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..compiler.graph import Node, Value
from ..compiler.inference import content_of
from ..compiler.inference.movement import axes_of, normalize_axis, slice_ranges
from ..compiler.inference.movement_extent import pad_amounts
from ..compiler.inference.reduction import reduced_axes
from ..compiler.refusal import Refusal
from .layouts import Order, Reordering, extended, is_identity, same_everywhere, without

Rule = Callable[[Node, Order], Reordering | None]

_ELEMENTWISE = (
    "Abs|Acos|Acosh|Add|And|Asin|Asinh|Atan|Atanh|BitShift|BitwiseAnd|BitwiseNot|BitwiseOr|BitwiseXor|Cast|Ceil|Celu|"
    "Clip|Cos|Cosh|Div|Elu|Equal|Erf|Exp|Floor|Gelu|Greater|GreaterOrEqual|HardSigmoid|HardSwish|Identity|IsInf|IsNaN|"
    "LeakyRelu|Less|LessOrEqual|Log|Max|Mean|Min|Mish|Mod|Mul|Neg|Not|Or|PRelu|Pow|Reciprocal|Relu|Round|Selu|Shrink|"
    "Sigmoid|Sign|Sin|Sinh|Softplus|Softsign|Sqrt|Sub|Sum|Swish|Tan|Tanh|ThresholdedRelu|Where|Xor"
)
_REDUCTIONS = (
    "ReduceSum|ReduceMean|ReduceMax|ReduceMin|ReduceProd|ReduceL1|ReduceL2|ReduceLogSum|ReduceLogSumExp|"
    "ReduceSumSquare"
)


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
    """The permutation of the node's widest tensor that goes with the permutation of one of its tensors."""
    try:
        dropped = _dropped_axes(node)
    except Refusal:
        return None
    narrow = node.input(0) if node.op == "Unsqueeze" else node.output
    wide = node.output if node.op == "Unsqueeze" else node.input(0)
    if dropped is None or wide is None or narrow is None or wide.rank is None or narrow.rank is None:
        return None
    if dropped and is_output == (narrow is node.output):
        return extended(order, dropped) if len(order) == narrow.rank else None
    return order if len(order) == max(wide.rank, narrow.rank) else None


def _dropped_axes(node: Node) -> Sequence[int] | None:
    """Axes of the widest tensor that the narrower one does not have; None if they are not known."""
    wide = node.output if node.op == "Unsqueeze" else node.input(0)
    if wide is None or wide.rank is None:
        return None
    if node.op in ("Squeeze", "Unsqueeze"):
        return _unit_axes(node, wide.rank)
    if node.op in _REDUCING and not node.int_attr("keepdims", 1):
        return reduced_axes(node, wide.rank) if node.op in _REDUCTIONS.split("|") else (_axis(node, wide.rank, 0),)
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
        found = _first_only(node, order)
        found.attributes["axis"] = order.index(_axis(node, len(order), default))
        return found

    return rule


def _first_only(node: Node, order: Order) -> Reordering:
    """Only the first input is permuted, and all outputs alike."""
    return Reordering([order] + [None] * (len(node.inputs) - 1), [order] * len(node.outputs))


def _softmax(node: Node, order: Order) -> Reordering | None:
    rank = len(order)
    if node.version >= 13:
        return _along_axis(-1)(node, order)
    together = set(range(_axis(node, rank, 1), rank))  # older versions normalize over all further axes at once
    start = rank - len(together)
    if set(order[start:]) != together:
        return None
    found = _first_only(node, order)
    found.attributes["axis"] = start
    return found


def _concat(node: Node, order: Order) -> Reordering | None:
    if any(v is None or v.rank != len(order) for v in node.inputs):
        return None
    found = same_everywhere(node, order)
    if found is not None:
        for index, value in enumerate(node.inputs):  # an operand of extents 1 is not broadcast here
            if found.inputs[index] is None and index not in found.constants and value is not None:
                constant = value.constant
                if constant is None:
                    found.inputs[index] = order
                else:
                    found.constants[index] = lambda c=constant: c.numpy().transpose(order)  # type: ignore[misc]
        found.attributes["axis"] = order.index(_axis(node, len(order), 1 if node.version < 4 else 0))
    return found


def _reduce(node: Node, order: Order) -> Reordering | None:
    rank = len(order)
    axes = reduced_axes(node, rank)
    if axes is None:
        return None
    keep = bool(node.int_attr("keepdims", 1))
    found = _first_only(node, order)
    found.outputs = [order if keep else without(order, axes)]
    moved = sorted(order.index(axis) for axis in axes)
    if node.input(1) is not None:
        return found.with_constant(1, moved, np.int64)
    if node.ints_attr("axes") is not None:
        found.attributes["axes"] = tuple(moved)
    return found


def _argument(node: Node, order: Order) -> Reordering | None:
    axis = _axis(node, len(order), 0)
    found = _first_only(node, order)
    found.outputs = [order if node.int_attr("keepdims", 1) else without(order, (axis,))]
    found.attributes["axis"] = order.index(axis)
    return found


def _cumulative(node: Node, order: Order) -> Reordering | None:
    axis = content_of(node.input(1))
    value = node.input(1)
    if axis is None or value is None or value.constant is None or not isinstance(axis[0], int):
        return None
    found = _first_only(node, order)
    moved, shape = order.index(normalize_axis(axis[0], len(order))), value.constant.shape
    found.constants[1] = lambda: np.full(shape, moved, np.int64)
    return found


def _pad(node: Node, order: Order) -> Reordering | None:
    amounts = pad_amounts(node, len(order))
    if amounts is None or node.version < 2 or not _is_constant(node.input(1)) or not _is_constant(node.input(3)):
        return None
    numbers = [side[axis] for side in amounts for axis in order]
    if not all(isinstance(n, int) for n in numbers):
        return None
    found = _first_only(node, order)
    if node.version < 11:
        found.attributes["pads"] = tuple(n for n in numbers if isinstance(n, int))
        return found
    if node.input(3) is not None:
        found.with_constant(3, range(len(order)), np.int64)
    return found.with_constant(1, [n for n in numbers if isinstance(n, int)], np.int64)


def _is_constant(value: Value | None) -> bool:
    return value is None or value.constant is not None


def _slice(node: Node, order: Order) -> Reordering | None:
    found = _first_only(node, order)
    if node.version < 10:
        axes = node.ints_attr("axes") or tuple(range(len(node.ints_attr("starts") or ())))
        found.attributes["axes"] = tuple(order.index(normalize_axis(a, len(order))) for a in axes)
        return found
    ranges = slice_ranges(node, len(order))
    starts = node.input(1)
    if node.input(3) is not None:
        known = axes_of(node, 3, len(order))
    elif ranges is not None:
        known = tuple(ranges)
    elif starts is not None and starts.shape is not None and isinstance(starts.shape[0], int):
        known = tuple(range(starts.shape[0]))
    else:
        known = None
    if known is None or not _is_constant(node.input(3)):
        return None
    found.inputs += [None] * (4 - len(found.inputs))
    return found.with_constant(3, [order.index(axis) for axis in known], np.int64)


def _squeeze(node: Node, order: Order) -> Reordering | None:
    axes = _unit_axes(node, len(order))
    if axes is None or not _is_constant(node.input(1)):
        return None
    narrow: Order | None = without(order, axes)
    found = _first_only(node, order)
    if node.op == "Squeeze":
        found.outputs = [narrow]
    else:
        found.inputs[0] = narrow
    moved = sorted(order.index(axis) for axis in axes)
    if node.version >= 13:
        return found.with_constant(1, moved, np.int64)
    found.attributes["axes"] = tuple(moved)
    return found


def _gather(node: Node, order: Order) -> Reordering | None:
    indices = node.input(1)
    axis = _axis(node, len(order), 0)
    if indices is None or indices.rank not in (0, 1):
        return None
    found = _first_only(node, order)
    found.outputs = [order if indices.rank else without(order, (axis,))]
    found.attributes["axis"] = order.index(axis)
    return found


def _by_element(node: Node, order: Order) -> Reordering | None:
    """GatherElements and ScatterElements: all tensors have the same rank and meaning of axes."""
    if any(v is None or v.rank != len(order) or v.constant is not None for v in node.inputs):
        return None
    found = Reordering([order] * len(node.inputs), [order])
    found.attributes["axis"] = order.index(_axis(node, len(order), 0))
    return found


def _resize(node: Node, order: Order) -> Reordering | None:
    sizes_at, scales_at = (3, 2) if node.op == "Resize" and node.version >= 11 else (-1, 1)
    roi = node.input(1) if scales_at == 2 else None
    if roi is not None and roi.shape != (0,):
        return None
    found = _first_only(node, order)
    if node.op == "Upsample" and node.version < 9:
        scales = node.attr("scales")
        if not isinstance(scales, tuple) or len(scales) != len(order):
            return None
        moved = tuple(scales[axis] for axis in order)
        found.attributes["scales"] = moved
        return found if _interpolates_inside(node, moved) else None
    axes = node.ints_attr("axes")
    if axes is not None:
        found.attributes["axes"] = tuple(order.index(normalize_axis(a, len(order))) for a in axes)
        return found if node.str_attr("mode", "nearest") == "nearest" else None
    for index in (scales_at, sizes_at):
        value = node.input(index) if index >= 0 else None
        constant = None if value is None else value.constant
        if value is None or (constant is not None and constant.size == 0):
            continue
        if constant is None or constant.size != len(order):
            return None
        numbers = constant.numpy()[list(order)]
        source = node.inputs[0]
        if index == sizes_at and source is not None and source.shape is not None:
            kept = [1 if numbers[i] == source.shape[axis] else 0 for i, axis in enumerate(order)]
        else:
            kept = [int(n == 1) for n in numbers]
        if not _interpolates_inside(node, kept):
            return None
        found.constants[index] = lambda n=numbers: n  # type: ignore[misc]
    return found


def _interpolates_inside(node: Node, scales: Sequence[object]) -> bool:
    """Whether runtimes take the result: they interpolate with the first two axes (batch and channels) unscaled."""
    return node.str_attr("mode", "nearest") == "nearest" or all(scale == 1 for scale in scales[:2])


def _per_axis_vector(index: int) -> Rule:
    """Expand and Tile: a constant vector with one number per axis."""

    def rule(node: Node, order: Order) -> Reordering | None:
        value, source = node.input(index), node.inputs[0]
        constant = None if value is None else value.constant
        if constant is None or source is None or constant.size != len(order) or source.rank != len(order):
            return None
        numbers = constant.numpy()[list(order)]
        found = _first_only(node, order)
        found.constants[index] = lambda: numbers
        return found

    return rule


def _matmul(node: Node, order: Order) -> Reordering | None:
    """Leading axes of both operands, or all axes but the last of the first where the second is a matrix."""
    rank = len(order)
    left, right = node.input(0), node.input(1)
    if left is None or right is None or left.rank != rank or rank < 3:
        return None
    if right.rank == 2 and order[-1] == rank - 1:
        return _first_only(node, order)
    if order[-2:] == (rank - 2, rank - 1) and right.rank == rank:
        return same_everywhere(node, order)
    return None


def _quantize(node: Node, order: Order) -> Reordering | None:
    scale = node.input(1)
    if scale is None or scale.shape is None or node.attr("block_size", 0):
        return None
    found = _first_only(node, order)
    if scale.shape not in ((), (1,)):
        found.attributes["axis"] = order.index(_axis(node, len(order), 1))
    return found


def _fixed(count: int) -> Rule:
    """Operators to which the first axes mean something, and the further ones are alike."""

    def rule(node: Node, order: Order) -> Reordering | None:
        return _first_only(node, order) if is_identity(order[:count]) else None

    return rule


def _batch_norm(node: Node, order: Order) -> Reordering | None:
    return _first_only(node, order) if order[1:2] == (1,) and node.version >= 9 and len(node.outputs) == 1 else None


def _layer_norm(node: Node, order: Order) -> Reordering | None:
    axis = _axis(node, len(order), -1)
    fixed = all(order[a] == a for a in range(axis, len(order)))
    return _first_only(node, order) if fixed and len(node.outputs) == 1 else None


_REDUCING = {*_REDUCTIONS.split("|"), "ArgMax", "ArgMin"}
_RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE.split("|"), _elementwise),
    **dict.fromkeys(_REDUCTIONS.split("|"), _reduce),
    **dict.fromkeys(("ArgMax", "ArgMin"), _argument),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _softmax),
    **dict.fromkeys(("Squeeze", "Unsqueeze"), _squeeze),
    **dict.fromkeys(("GatherElements", "ScatterElements"), _by_element),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _quantize),
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **dict.fromkeys(("Expand", "Tile"), _per_axis_vector(1)),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _layer_norm),
    **dict.fromkeys(("InstanceNormalization", "GlobalAveragePool", "GlobalMaxPool"), _fixed(2)),
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "Split": _along_axis(0),
    "TopK": _along_axis(-1),
    "LpNormalization": _along_axis(-1),
    "CumSum": _cumulative,
    "Pad": _pad,
    "Slice": _slice,
    "Gather": _gather,
    "MatMul": _matmul,
}
REORDERABLE = frozenset(_RULES)
