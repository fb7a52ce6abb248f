"""Operators that change extents: expand, tile, pad, resize, gather and scatter by element, blocks to depth."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import dtypes, symbolic
from ..graph import Node, Shape, Value
from ..symbolic import Dim
from .facts import Facts, content_of, rule, unknown_dim
from .generators import shape_from
from .movement import normalize_axis
from .numeric import broadcast


def _facts(value: Value | None) -> tuple[int, Shape | None]:
    return (0, None) if value is None else (value.dtype, value.shape)


def _unknown(node: Node, rank: int, output: int = 0) -> Shape:
    return tuple(unknown_dim(node, output, axis) for axis in range(rank))


@rule("Expand")
def expand(node: Node) -> Sequence[Facts]:
    dtype, shape = _facts(node.inputs[0])
    result = broadcast(node, [shape, shape_from(node, node.input(1))])
    known, content = content_of(node.inputs[0]), None
    if known is not None and result is not None and len(result) <= 1 and len(known) == 1:
        count = symbolic.product(result)
        content = known * count if isinstance(count, int) and count <= 64 else None
    return (Facts(dtype, result, content),)


@rule("Tile")
def tile(node: Node) -> Sequence[Facts]:
    dtype, shape = _facts(node.inputs[0])
    repeats = content_of(node.input(1)) if node.version >= 6 else None
    if shape is None or repeats is None or len(repeats) != len(shape):
        return (Facts(dtype, None if shape is None else _unknown(node, len(shape))),)
    return (Facts(dtype, tuple(symbolic.mul(d, r) for d, r in zip(shape, repeats))),)


def pad_amounts(node: Node, rank: int) -> tuple[tuple[Dim, ...], tuple[Dim, ...]] | None:
    """(before, after) for every axis of a Pad; None if not known."""
    amounts: Shape | None = node.ints_attr("pads") or node.ints_attr("paddings")
    if amounts is None:
        amounts = content_of(node.input(1))
    if amounts is None or len(amounts) % 2:
        return None
    half = len(amounts) // 2
    if node.input(3) is None:
        return (amounts[:half], amounts[half:]) if half == rank else None
    axes = content_of(node.input(3))
    if axes is None or len(axes) != half:
        return None
    before: list[Dim] = [0] * rank
    after: list[Dim] = [0] * rank
    for axis, low, high in zip(axes, amounts[:half], amounts[half:]):
        if not isinstance(axis, int) or not -rank <= axis < rank:
            return None
        before[axis], after[axis] = low, high
    return tuple(before), tuple(after)


@rule("Pad")
def pad(node: Node) -> Sequence[Facts]:
    dtype, shape = _facts(node.inputs[0])
    if shape is None:
        return (Facts(dtype),)
    amounts = pad_amounts(node, len(shape))
    if amounts is None:
        return (Facts(dtype, _unknown(node, len(shape))),)
    sums = (symbolic.add(symbolic.add(d, low), high) for d, low, high in zip(shape, *amounts))
    return (Facts(dtype, tuple(sums)),)


@rule("Resize", "Upsample")
def resize(node: Node) -> Sequence[Facts]:
    dtype, shape = _facts(node.inputs[0])
    if shape is None:
        return (Facts(dtype),)
    rank = len(shape)
    axes = [normalize_axis(a, rank) for a in node.ints_attr("axes") or range(rank)]
    sizes, scales = content_of(node.input(3)), _scales(node)
    result = list(shape)
    policy = node.str_attr("keep_aspect_ratio_policy", "stretch")
    crop = node.str_attr("coordinate_transformation_mode", "") == "tf_crop_and_resize"
    for position, axis in enumerate(axes):
        result[axis] = unknown_dim(node, 0, axis)
        if sizes is not None and len(sizes) == len(axes) and policy == "stretch":
            result[axis] = sizes[position]
        elif scales is not None and len(scales) == len(axes) and not crop:
            extent, scale = shape[axis], scales[position]
            if scale == int(scale):
                result[axis] = symbolic.mul(extent, int(scale))
            elif isinstance(extent, int):
                result[axis] = math.floor(extent * scale)
    return (Facts(dtype, tuple(result)),)


def _scales(node: Node) -> Sequence[float] | None:
    attribute = node.attr("scales")
    if isinstance(attribute, tuple):
        return [float(x) for x in attribute]
    value = node.input(1 if node.op == "Upsample" or node.version < 11 else 2)
    tensor = None if value is None else value.constant
    return None if tensor is None or tensor.size == 0 else [float(x) for x in tensor.numpy().ravel()]


@rule("GatherElements")
def gather_elements(node: Node) -> Sequence[Facts]:
    return (Facts(_facts(node.inputs[0])[0], _facts(node.input(1))[1]),)


@rule("GatherND")
def gather_nd(node: Node) -> Sequence[Facts]:
    dtype, shape = _facts(node.inputs[0])
    _, indices = _facts(node.input(1))
    if shape is None or not indices or not isinstance(indices[-1], int):
        return (Facts(dtype),)
    batch = node.int_attr("batch_dims", 0)
    return (Facts(dtype, indices[:-1] + shape[batch + indices[-1] :]),)


@rule("DepthToSpace", "SpaceToDepth")
def blocks(node: Node) -> Sequence[Facts]:
    dtype, shape = _facts(node.inputs[0])
    size = node.int_attr("blocksize", 0)
    if shape is None or len(shape) != 4 or size <= 0:
        return (Facts(dtype),)
    n, c, h, w = shape
    if node.op == "DepthToSpace":
        return (Facts(dtype, (n, symbolic.floordiv(c, size * size), symbolic.mul(h, size), symbolic.mul(w, size))),)
    return (Facts(dtype, (n, symbolic.mul(c, size * size), symbolic.floordiv(h, size), symbolic.floordiv(w, size))),)


@rule("Compress")
def compress(node: Node) -> Sequence[Facts]:
    dtype, shape = _facts(node.inputs[0])
    if node.attr("axis") is None:
        return (Facts(dtype, _unknown(node, 1)),)
    if shape is None:
        return (Facts(dtype),)
    axis = normalize_axis(node.int_attr("axis", 0), len(shape))
    return (Facts(dtype, (*shape[:axis], unknown_dim(node, 0, axis), *shape[axis + 1 :])),)


@rule("Unique")
def unique(node: Node) -> Sequence[Facts]:
    dtype, shape = _facts(node.inputs[0])
    axis = node.attr("axis")
    others = tuple(Facts(dtypes.INT64, _unknown(node, 1, i)) for i in (1, 2, 3))
    if axis is None:
        return (Facts(dtype, _unknown(node, 1)), *others)
    if shape is None or not isinstance(axis, int):
        return (Facts(dtype), *others)
    axis = normalize_axis(axis, len(shape))
    return (Facts(dtype, (*shape[:axis], unknown_dim(node, 0, axis), *shape[axis + 1 :])), *others)


@rule("GridSample")
def grid_sample(node: Node) -> Sequence[Facts]:
    dtype, shape = _facts(node.inputs[0])
    _, grid = _facts(node.input(1))
    return (Facts(dtype, None if shape is None or grid is None else (*shape[:2], *grid[1:-1])),)


@rule("RoiAlign", "MaxRoiPool")
def roi(node: Node) -> Sequence[Facts]:
    dtype, shape = _facts(node.inputs[0])
    _, rois = _facts(node.input(1))
    if shape is None or rois is None:
        return (Facts(dtype),)
    height, width = node.int_attr("output_height", 1), node.int_attr("output_width", 1)
    if node.op == "MaxRoiPool":
        height, width = node.ints_attr("pooled_shape") or (1, 1)
    return (Facts(dtype, (rois[0], shape[1], height, width)),)


@rule("CenterCropPad")
def center_crop_pad(node: Node) -> Sequence[Facts]:
    dtype, shape = _facts(node.inputs[0])
    target = content_of(node.input(1))
    if shape is None or target is None:
        return (Facts(dtype, None if shape is None else _unknown(node, len(shape))),)
    result = list(shape)
    for axis, extent in zip(node.ints_attr("axes") or range(len(shape)), target):
        result[axis] = extent
    return (Facts(dtype, tuple(result)),)
