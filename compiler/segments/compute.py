"""Links of operators that compute: elementwise, pooling, normalization, reductions, convolutions, products."""

from __future__ import annotations

from collections.abc import Sequence

from .. import symbolic
from ..graph import Node
from ..inference.axes import axis_within
from ..inference.reduction import reduced_axes
from .links import Link, broadcast_links, kept_axes, link_rule, shape_of

BROADCASTING = (
    "Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "GreaterOrEqual",
    "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor",
)  # fmt: skip


@link_rule(
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Cast", "Ceil", "Celu", "Cos", "Cosh",
    "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish",
    "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus",
    "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "com.microsoft::Gelu", "com.microsoft::FastGelu",
    "com.microsoft::QuickGelu", *BROADCASTING,
)  # fmt: skip
def elementwise(node: Node) -> Sequence[Link]:
    old = node.version < 7 and node.op in ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater",
                                           "Less", "PRelu")  # fmt: skip
    if old and len({v.shape for v in node.inputs if v is not None}) > 1:
        return kept_axes(node, range(len(shape_of(node, 0) or ())))  # broadcasting went by the attribute `axis`
    return broadcast_links(node)


@link_rule("Clip", "CastLike", "Dropout")
def like_first(node: Node) -> Sequence[Link]:
    return kept_axes(node, range(len(shape_of(node, 0) or ())))


@link_rule("QuantizeLinear", "DequantizeLinear")
def quantization(node: Node) -> Sequence[Link]:
    """Scales are one number, one per position of `axis`, or one per block of it."""
    shape, scale = shape_of(node, 0), shape_of(node, 1)
    if shape is None or scale is None:
        return ()
    axis = axis_within(node.int_attr("axis", 1), len(shape))
    per_axis = len(scale) == 1 and scale != (1,)
    if not per_axis and len(scale) > 1:  # blocked
        return kept_axes(node, [i for i in range(len(shape)) if i != axis])
    found = kept_axes(node, range(len(shape)))
    if per_axis and axis is not None and scale[0] == shape[axis]:
        parameters = [i for i in (1, 2) if node.input(i) is not None]
        found += [Link(i, 0, 0, axis, shape[axis]) for i in parameters]
    return found


@link_rule("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def pooling(node: Node) -> Sequence[Link]:
    return kept_axes(node, (0, 1))


@link_rule("BatchNormalization")
def batch_norm(node: Node) -> Sequence[Link]:
    """Training mode has outputs that only tell the channels apart; `links` asks for this only if they are not read."""
    shape = shape_of(node, 0)
    if shape is None or len(shape) < 2:
        return ()
    training = bool(node.attr("training_mode", 0)) or (node.version < 7 and not node.attr("is_test", 0))
    found = kept_axes(node, (1,) if training else range(len(shape)))
    return found + [Link(i, 0, 0, 1, shape[1]) for i in range(1, 5) if shape_of(node, i) == (shape[1],)]


@link_rule("InstanceNormalization")
def instance_norm(node: Node) -> Sequence[Link]:
    shape = shape_of(node, 0)
    if shape is None or len(shape) < 2:
        return ()
    return kept_axes(node, (0, 1)) + [Link(i, 0, 0, 1, shape[1]) for i in (1, 2) if shape_of(node, i) == (shape[1],)]


@link_rule("GroupNormalization")
def group_norm(node: Node) -> Sequence[Link]:
    shape, groups = shape_of(node, 0), node.int_attr("num_groups", 1)
    size = None if shape is None or len(shape) < 2 else symbolic.exact_div(shape[1], groups)
    if size is None:
        return ()
    found = [*kept_axes(node, (0,)), Link(0, 1, 0, 1, groups, in_block=size, out_block=size)]
    for index in (1, 2):  # one number per group before opset 21, one per channel since
        block = 1 if node.version < 21 else size
        found.append(Link(index, 0, 0, 1, groups, in_block=block, out_block=size))
    return found


@link_rule("LayerNormalization", "RMSNormalization", "Softmax", "LogSoftmax", "Hardmax", "LpNormalization",
           "ArgMax", "ArgMin", "TopK")  # fmt: skip
def along_axis(node: Node) -> Sequence[Link]:
    """Axes that are normalized, accumulated or searched are taken in as a whole; the others stand apart."""
    shape = shape_of(node, 0)
    if shape is None:
        return ()
    norm = node.op in ("LayerNormalization", "RMSNormalization")
    legacy = node.op in ("Softmax", "LogSoftmax", "Hardmax") and node.version < 13
    default = 1 if legacy else 0 if node.op in ("ArgMax", "ArgMin") else -1
    axis = axis_within(node.int_attr("axis", default), len(shape))
    if axis is None:
        return ()
    apart = range(axis) if norm or legacy else [i for i in range(len(shape)) if i != axis]
    if node.op in ("ArgMax", "ArgMin") and not node.int_attr("keepdims", 1):
        return [Link(0, i, 0, i - (i > axis), shape[i]) for i in apart]
    return kept_axes(node, apart)


@link_rule(
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceSumSquare",
)  # fmt: skip
def reduction(node: Node) -> Sequence[Link]:
    shape = shape_of(node, 0)
    axes = None if shape is None else reduced_axes(node, len(shape))
    if shape is None or axes is None:
        return ()
    left = [i for i in range(len(shape)) if i not in axes]
    keep = node.int_attr("keepdims", 1)
    return [Link(0, axis, 0, axis if keep else place, shape[axis]) for place, axis in enumerate(left)]


@link_rule("Conv")
def conv(node: Node) -> Sequence[Link]:
    shape, weight, result = shape_of(node, 0), shape_of(node, 1), node.output.shape
    if not shape or not weight or not result:
        return ()
    group = node.int_attr("group", 1)
    each = symbolic.exact_div(weight[0], group)
    found = kept_axes(node, (0,))
    found.append(Link(1, 0, 0, 1, weight[0]))
    if node.input(2) is not None:
        found.append(Link(2, 0, 0, 1, weight[0]))
    if each is not None:
        found.append(Link(0, 1, 0, 1, group, in_block=weight[1], out_block=each))
    return found


@link_rule("ConvTranspose")
def conv_transpose(node: Node) -> Sequence[Link]:
    shape, weight, result = shape_of(node, 0), shape_of(node, 1), node.output.shape
    if not shape or not weight or not result:
        return ()
    group = node.int_attr("group", 1)
    each = symbolic.exact_div(weight[0], group)
    found = kept_axes(node, (0,))
    if node.input(2) is not None:
        found.append(Link(2, 0, 0, 1, result[1]))
    if each is not None:
        found.append(Link(0, 1, 0, 1, group, in_block=each, out_block=weight[1]))
        found.append(Link(1, 0, 0, 1, group, in_block=each, out_block=weight[1]))
    if group == 1:
        found.append(Link(1, 1, 0, 1, weight[1]))
    return found


@link_rule("MatMul")
def matmul(node: Node) -> Sequence[Link]:
    left, right, result = shape_of(node, 0), shape_of(node, 1), node.output.shape
    if left is None or right is None or result is None or len(left) < 2 or len(right) < 2:
        return ()
    last = len(result) - 1
    found = [
        Link(0, len(left) - 2, 0, last - 1, left[-2]),
        Link(1, len(right) - 1, 0, last, right[-1]),
    ]
    for index, shape in ((0, left), (1, right)):
        ahead = len(result) - len(shape)
        for axis, extent in enumerate(shape[:-2]):
            if extent != 1 and extent == result[axis + ahead]:
                found.append(Link(index, axis, 0, axis + ahead, extent))
    return found


@link_rule("Gemm")
def gemm(node: Node) -> Sequence[Link]:
    left, right, result = shape_of(node, 0), shape_of(node, 1), node.output.shape
    if left is None or right is None or result is None or len(left) != 2 or len(right) != 2:
        return ()
    rows, columns = int(bool(node.attr("transA", 0))), int(not node.attr("transB", 0))
    found = [Link(0, rows, 0, 0, left[rows]), Link(1, columns, 0, 1, right[columns])]
    bias = shape_of(node, 2) or ()
    for axis, extent in enumerate(bias):
        at = axis + 2 - len(bias)
        if extent != 1 and extent == result[at]:
            found.append(Link(2, axis, 0, at, extent))
    return found


_ALIGNED = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "asymmetric", "align_corners")


@link_rule("Resize", "Upsample")
def resize(node: Node) -> Sequence[Link]:
    """Axes whose extent stays the same expression are not resampled; sizes decide, since 1.01 of 4 is 4 as well."""
    shape, result = shape_of(node, 0), node.output.shape
    if shape is None or result is None or node.op == "Upsample" or node.version < 11:
        return ()
    scales = node.input(2)
    factors = None if scales is None else scales.constant
    if node.str_attr("coordinate_transformation_mode", "half_pixel") not in _ALIGNED:
        return ()
    axes = [axis % len(shape) for axis in node.ints_attr("axes") or range(len(shape))]
    moved = set(axes)
    if factors is not None and factors.size == len(axes):
        moved = {axis for axis, factor in zip(axes, factors.numpy().ravel()) if factor != 1}
    elif node.input(3) is not None:
        moved = {axis for axis in axes if shape[axis] != result[axis]}
    return kept_axes(node, [axis for axis in range(len(shape)) if axis not in moved])
