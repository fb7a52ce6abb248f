"""fuse-affine-into-next-layer: a scale, shift or norm before a layer disappears into its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, ValuePattern, any_, known, maybe, op
from ..compiler.rewriter import Rewriter
from .batch_norm import affine_of, batch_norm_of
from .linear_layers import bias_of, pads_nothing, rounded, weight_of

_X = any_("x")
_BEFORE: tuple[ValuePattern, ...] = (
    batch_norm_of(_X),
    op("Add|Mul", _X, known("c"), node="affine", commutative=True),
    op("Sub|Div", _X, known("c"), node="affine"),
    op("Sub", known("c"), _X, node="affine"),
)


@dataclass(frozen=True)
class FuseAffineIntoNextLayer(RewritePass):
    """Fold a constant scale or shift per input channel, or an inference BatchNormalization, into the layer above it.

    Before => After
        y = Conv(x * s + t, w, b)   =>   y = Conv(x, w * s, b + sum(w * t))

    Legal when
        The constants are one finite number, or one per input channel, and do not broadcast x; the affine output has no
        other reader; weight and bias are constants that the caller cannot override. A shift needs a layer without
        padding: the border of zeros is added after the shift, so it would not be shifted.

    Pays when
        Always.

    Numerics
        Computed in float64 and rounded once.
    """

    name: ClassVar[str] = "fuse-affine-into-next-layer"
    patterns: ClassVar[tuple[OpPattern, ...]] = tuple(
        op("Conv|Gemm|MatMul", before, known("w"), maybe(known("b")), node="linear") for before in _BEFORE
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        linear = match.node("linear")
        x, weight = match["x"], weight_of(linear, rewriter)
        if weight.ndim < 2 or (linear.op == "MatMul" and weight.ndim != 2):
            rewriter.refuse("the weight is not a matrix")
        if linear.op == "Gemm" and linear.int_attr("transA", 0):
            rewriter.refuse("the input of Gemm is transposed")
        channels = _input_channels(linear, weight)
        scale, shift = _affine(match, x, linear, channels, rewriter)
        if shift.any() and linear.op == "Conv" and not pads_nothing(linear):
            rewriter.refuse("the layer pads with zeros, which the shift would not reach")
        dtype = match["w"].dtype
        scaled, offset = _folded(linear, weight, scale, shift)
        new_weight = rewriter.constant(rounded(scaled, dtype, rewriter), match["w"].name)
        inputs: list[Value | None] = [x, new_weight]
        attributes = dict(linear.attributes)
        old_bias = bias_of(linear, rewriter)
        if linear.op == "Gemm":
            offset = offset * linear.float_attr("alpha", 1.0)
            attributes["beta"] = None
        if old_bias is not None or offset.any():
            if linear.op == "MatMul":
                rewriter.refuse("MatMul has no bias to take the shift")
            bias = offset if old_bias is None else old_bias + offset
            inputs.append(rewriter.constant(rounded(bias, dtype, rewriter), f"{linear.label}.bias"))
        elif linear.op == "Gemm" and rewriter.opset() < 11:
            rewriter.refuse("Gemm needs its bias before opset 11")
        rewriter.replace(linear.output, rewriter.op(linear.op_type, inputs, attributes, name=linear.name))


def _input_channels(linear: Node, weight: np.ndarray) -> int:
    if linear.op == "Conv":
        return int(weight.shape[1]) * linear.int_attr("group", 1)
    return int(weight.shape[1 if linear.op == "Gemm" and linear.int_attr("transB", 0) else 0])


def _affine(
    match: Match, x: Value, linear: Node, channels: int, rewriter: Rewriter
) -> tuple[np.ndarray, np.ndarray]:
    """(scale, shift) per input channel."""
    if x.rank is None or x.rank < 2:
        rewriter.refuse("the rank of the input is not known")
    axis = 1 if linear.op == "Conv" else x.rank - 1
    if x.shape is None or x.shape[axis] != channels:
        rewriter.refuse("the input's channels are not known to be the layer's")
    if "norm" in match.named:
        if axis != 1:
            rewriter.refuse("the normalized axis is not the layer's input axis")
        scale, shift = affine_of(match.node("norm"), match, rewriter)
    else:
        affine = match.node("affine")
        if affine.version < 7:
            rewriter.refuse("broadcasting is explicit before opset 7")
        scale, shift = _arithmetic(affine, match, _per_axis(match.array("c"), x.rank, axis, channels, rewriter))
    if len(scale) != channels or not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        rewriter.refuse("scale or shift do not fit the channels or are not finite")
    return scale, shift


def _per_axis(constant: np.ndarray, rank: int, axis: int, channels: int, rewriter: Rewriter) -> np.ndarray:
    if constant.ndim > rank:
        rewriter.refuse("the constant has more axes than the input")
    shape = (1,) * (rank - constant.ndim) + constant.shape
    if any(extent != 1 for i, extent in enumerate(shape) if i != axis) or shape[axis] not in (1, channels):
        rewriter.refuse("the constant is not one number per input channel")
    return np.broadcast_to(constant.astype(np.float64).ravel(), (channels,))


def _arithmetic(affine: Node, match: Match, constant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    one, zero = np.ones_like(constant), np.zeros_like(constant)
    match affine.op:
        case "Add":
            return one, constant
        case "Mul":
            return constant, zero
        case "Div":
            with np.errstate(divide="ignore"):
                return one / constant, zero
        case _ if affine.inputs[0] is match["c"]:
            return -one, constant
    return one, -constant


def _folded(
    linear: Node, weight: np.ndarray, scale: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The weight for unscaled input, and what the shift adds to each output channel."""
    if linear.op == "Conv":
        group = linear.int_attr("group", 1)
        outputs, inputs = weight.shape[0], weight.shape[1]
        by_group = weight.reshape(group, outputs // group, inputs, *weight.shape[2:])
        factor = scale.reshape(group, 1, inputs, *(1,) * (weight.ndim - 2))
        addend = shift.reshape(group, 1, inputs, *(1,) * (weight.ndim - 2))
        offset = (by_group * addend).sum(axis=tuple(range(2, by_group.ndim))).reshape(outputs)
        return (by_group * factor).reshape(weight.shape), offset
    if linear.op == "Gemm" and linear.int_attr("transB", 0):
        return weight * scale[None, :], weight @ shift
    return weight * scale[:, None], shift @ weight
