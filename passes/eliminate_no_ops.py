"""eliminate-no-ops: nodes that hand their input on unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph import Node
from ..compiler.graph_pass import RewritePass
from ..compiler.inference import content_of
from ..compiler.inference.movement import slice_ranges
from ..compiler.inference.movement_extent import pad_amounts
from ..compiler.inference.reduction import reduced_axes
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .folding.determinism import is_inference_dropout

_SAME_EXTENT_REDUCTIONS = frozenset({"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"})


def _same_shape(node: Node) -> bool:
    value = node.inputs[0]
    return value is not None and value.shape is not None and value.shape == node.output.shape


def _identity_permutation(node: Node) -> bool:
    order = node.ints_attr("perm")
    shape = node.inputs[0].shape if node.inputs[0] is not None else None
    if order is None:
        return shape is not None and len(shape) <= 1
    if order == tuple(range(len(order))):
        return True
    if shape is None:
        return False
    moved = [axis for axis in order if shape[axis] != 1]  # axes of extent 1 may go anywhere
    return moved == sorted(moved) and node.output.shape == shape


def _no_padding(node: Node) -> bool:
    value = node.inputs[0]
    if value is None or value.shape is None:
        amounts = content_of(node.input(1))
        return amounts is not None and not any(a != 0 for a in amounts)
    found = pad_amounts(node, len(value.shape))
    return found is not None and all(a == 0 for side in found for a in side)


def _whole_slice(node: Node) -> bool:
    value = node.inputs[0]
    if value is None or value.shape is None:
        return False
    ranges = slice_ranges(node, len(value.shape))
    return ranges is not None and all(step == 1 for _, _, step in ranges.values()) and _same_shape(node)


def _one_input(node: Node) -> bool:
    return len(node.inputs) == 1


def _one_output(node: Node) -> bool:
    return len(node.outputs) == 1


def _all_ones(node: Node) -> bool:
    repeats = content_of(node.input(1)) if node.version >= 6 else None
    return repeats is not None and all(r == 1 for r in repeats)


def _extents_of_one(node: Node) -> bool:
    value = node.inputs[0]
    if value is None or value.shape is None or not _same_shape(node):
        return False
    axes = reduced_axes(node, len(value.shape))
    return axes is not None and all(value.shape[a] == 1 for a in axes)


def _unscaled(node: Node) -> bool:
    """A Resize by exactly 1: scales of 1, or sizes that are those of the input (other scales can give them too)."""
    mode = node.str_attr("coordinate_transformation_mode", "half_pixel")
    if mode in ("tf_crop_and_resize", "tf_half_pixel_for_nn"):  # these move the coordinates all the same
        return False
    if node.op == "Upsample" or node.version < 11:
        attribute = node.attr("scales")
        if isinstance(attribute, tuple):
            return all(s == 1 for s in attribute)
        scales = node.input(1)
    else:
        scales = node.input(2)
        if node.input(3) is not None:
            return _same_shape(node)
    tensor = None if scales is None else scales.constant
    return tensor is not None and tensor.size > 0 and bool(np.all(tensor.numpy() == 1))


def _single_window(node: Node) -> bool:
    """An average over windows of one element."""
    kernel, strides, pads = (node.ints_attr(name) or () for name in ("kernel_shape", "strides", "pads"))
    whole = node.str_attr("auto_pad", "NOTSET") in ("NOTSET", "VALID") and not any(pads)
    return bool(kernel) and whole and all(n == 1 for n in (*kernel, *strides))


def _single_pixel(node: Node) -> bool:
    value = node.inputs[0]
    return value is not None and value.shape is not None and all(extent == 1 for extent in value.shape[2:])


def _same_type(node: Node) -> bool:
    value = node.inputs[0]
    return value is not None and value.dtype != 0 and value.dtype == node.output.dtype


def _depth_of_one(node: Node) -> bool:
    return node.int_attr("blocksize", 0) == 1


_PASSES_ON: dict[str, Callable[[Node], bool]] = {
    "Identity": lambda node: True,
    "Dropout": lambda node: is_inference_dropout(node) and not (node.has_output(1) and node.outputs[1].uses),  # type: ignore[union-attr]
    "Cast": _same_type,
    "CastLike": _same_type,
    "Reshape": _same_shape,
    "Flatten": _same_shape,
    "Squeeze": _same_shape,
    "Unsqueeze": _same_shape,
    "Expand": _same_shape,
    "Transpose": _identity_permutation,
    "Pad": _no_padding,
    "Slice": _whole_slice,
    "Tile": _all_ones,
    "Concat": _one_input,
    "Sum": _one_input,
    "Max": _one_input,
    "Min": _one_input,
    "Mean": _one_input,
    "Split": _one_output,
    "Resize": _unscaled,
    "Upsample": _unscaled,
    "DepthToSpace": _depth_of_one,
    "SpaceToDepth": _depth_of_one,
    "AveragePool": _single_window,
    "GlobalAveragePool": _single_pixel,
    **dict.fromkeys(_SAME_EXTENT_REDUCTIONS, _extents_of_one),
}


@dataclass(frozen=True)
class EliminateNoOps(RewritePass):
    """Remove nodes that hand their first input on: same type, same shape, same elements.

    Before => After
        y = Relu(Identity(x))   =>   y = Relu(x)

    Covers Identity, inference Dropout, Cast to the own type, Reshape, Flatten, Squeeze, Unsqueeze and Expand to the
    own shape, the identity Transpose (axes of extent 1 may move), Pad by nothing, Slice of everything, Tile once,
    Concat, Sum, Max, Min and Mean of one input, Split into one, Resize by exactly 1, blocks of one, averages over
    windows of one element, and reductions over axes of extent 1.

    Legal when
        Inference proves that shape and elements stay (symbolic dimensions count only when they are the same
        expression), and no graph output would lose its name to another output, an input or an initializer.

    Pays when
        Always.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "eliminate-no-ops"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("|".join(_PASSES_ON)),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        value = node.inputs[0]
        if value is None or not _PASSES_ON[node.op](node):
            rewriter.refuse("")
        rewriter.replace(node.output, value)
