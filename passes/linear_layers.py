"""Conv, ConvTranspose, Gemm and MatMul with constant weights, seen alike: y = W x + b per output channel.

New weights are computed in float64 and rounded once to the type of the old ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..compiler import dtypes
from ..compiler.graph import Node, Value
from ..compiler.rewriter import Rewriter

LINEAR_OPS = "Conv|ConvTranspose|Gemm|MatMul"
_SHARED_LIMIT = 1 << 16  # bytes of a shared weight that may be stored a second time
_BIAS_INPUT = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2}


def weight_of(node: Node, rewriter: Rewriter) -> np.ndarray:
    """The weight of a linear layer as float64; refuses if it is not a constant of floating type."""
    value = node.input(1)
    constant = None if value is None else value.constant
    if value is None or constant is None:
        overridable = value is not None and value.overridable
        rewriter.refuse(f"the weight {'can be overridden by the caller' if overridable else 'is not a constant'}")
    if constant.dtype not in dtypes.FLOATING:
        rewriter.refuse(f"the weight is of type {dtypes.name_of(constant.dtype)}")
    if len(value.uses) > 1 and constant.nbytes > _SHARED_LIMIT:
        rewriter.refuse("the weight is shared with another layer and would be stored twice")
    return constant.numpy().astype(np.float64)


def output_channels(node: Node) -> int | None:
    """Number of output channels, None if unknown."""
    weight = node.input(1)
    if weight is None or weight.shape is None:
        return None
    shape = weight.shape
    match node.op:
        case "Conv":
            extent = shape[0]
        case "ConvTranspose":
            extent = shape[1] * node.int_attr("group", 1)
        case "Gemm":
            extent = shape[0 if node.int_attr("transB", 0) else 1]
        case _:
            extent = shape[-1] if len(shape) >= 2 else 1
    return extent if isinstance(extent, int) else None


def channel_axis(node: Node) -> int | None:
    """The axis of the output channels in the output, None if the rank is unknown."""
    rank = node.output.rank
    if rank is None:
        return None
    return 1 if node.op in ("Conv", "ConvTranspose") else rank - 1


def per_channel(constant: np.ndarray, node: Node, rewriter: Rewriter) -> np.ndarray:
    """A constant operand beside the layer's output as one float64 number per output channel; refuses otherwise."""
    axis, channels, rank = channel_axis(node), output_channels(node), node.output.rank
    if axis is None or channels is None or rank is None:
        rewriter.refuse("rank or channels of the layer are not known")
    if constant.ndim > rank:
        rewriter.refuse("the constant has more axes than the layer's output")
    shape = (1,) * (rank - constant.ndim) + constant.shape
    if any(extent != 1 for i, extent in enumerate(shape) if i != axis):
        rewriter.refuse("the constant is not one number per channel")
    if shape[axis] not in (1, channels):
        rewriter.refuse("the constant broadcasts the channels")
    return np.broadcast_to(constant.astype(np.float64).ravel(), (channels,))


def bias_of(node: Node, rewriter: Rewriter) -> np.ndarray | None:
    """The bias per output channel (Gemm's beta applied) as float64, None if there is none."""
    index = _BIAS_INPUT.get(node.op)
    value = None if index is None else node.input(index)
    if value is None:
        return None
    if value.constant is None:
        rewriter.refuse("the bias is not a constant")
    bias = value.constant.numpy().astype(np.float64)
    channels = output_channels(node)
    if channels is None or (bias.ndim > 1 and any(extent != 1 for extent in bias.shape[:-1])):
        rewriter.refuse("the bias is not one number per channel")
    bias = np.broadcast_to(bias.reshape(-1), (channels,))
    return bias * node.float_attr("beta", 1.0) if node.op == "Gemm" else bias


def scale_rows(node: Node, weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The weight with each output channel's part multiplied by its scale."""
    scaled: np.ndarray
    match node.op:
        case "Conv":
            scaled = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
        case "ConvTranspose":
            group = node.int_attr("group", 1)
            parts = weight.reshape(group, weight.shape[0] // group, *weight.shape[1:])
            factor = scale.reshape(group, 1, weight.shape[1], *(1,) * (weight.ndim - 2))
            scaled = (parts * factor).reshape(weight.shape)
        case "Gemm":
            scaled = weight * (scale[:, None] if node.int_attr("transB", 0) else scale[None, :])
        case _:
            scaled = weight * scale
    return scaled


def rounded(array: np.ndarray, dtype: int, rewriter: Rewriter) -> np.ndarray:
    """The array in the given type; refuses if a finite number overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        result = array.astype(dtypes.to_numpy(dtype))
    if not np.array_equal(np.isfinite(array), np.isfinite(result.astype(np.float64))):
        rewriter.refuse(f"a folded weight overflows {dtypes.name_of(dtype)}")
    return result


def fold_output_affine(node: Node, scale: np.ndarray, shift: np.ndarray, rewriter: Rewriter) -> Value:
    """The layer that computes scale * node + shift (both per output channel, float64); refuses where it cannot."""
    weight_value = node.inputs[1]
    assert weight_value is not None
    if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        rewriter.refuse("scale or shift are not finite")
    dtype = weight_value.dtype
    weight = weight_of(node, rewriter)
    bias = bias_of(node, rewriter)
    new_bias = shift if bias is None else bias * scale + shift
    unscaled = bool((scale == 1).all())
    new_weight: Value = weight_value
    if not unscaled:
        new_weight = rewriter.constant(rounded(scale_rows(node, weight, scale), dtype, rewriter), weight_value.name)
    has_bias = bias is not None or bool(shift.any())
    return _rebuilt(node, new_weight, rounded(new_bias, dtype, rewriter) if has_bias else None, rewriter)


def _rebuilt(node: Node, weight: Value, bias: np.ndarray | None, rewriter: Rewriter) -> Value:
    attributes = dict(node.attributes)
    inputs: list[Value | None] = [node.inputs[0], weight]
    op_type = node.op_type
    if op_type == "MatMul" and bias is not None:
        if node.inputs[0] is None or node.inputs[0].rank != 2 or weight.rank != 2:
            rewriter.refuse("MatMul has no bias and is not a Gemm at this rank")
        op_type = "Gemm"
    if op_type == "Gemm":
        attributes["beta"] = None
        if rewriter.opset() < 7:
            rewriter.refuse("Gemm broadcasts its bias otherwise before opset 7")
    if bias is not None:
        index = node.input(2)
        hint = index.name if index is not None else f"{node.label}.bias"
        inputs.append(rewriter.constant(bias, hint))
    elif op_type == "Gemm" and rewriter.opset() < 11:
        rewriter.refuse("Gemm needs its bias before opset 11")
    return rewriter.op(op_type, inputs, attributes, name=node.name)


def pads_nothing(node: Node) -> bool:
    """True if a Conv or pooling adds no border."""
    pads: Sequence[int] | None = node.ints_attr("pads")
    auto = node.str_attr("auto_pad", "NOTSET")
    return auto == "VALID" or (auto == "NOTSET" and not any(pads or ()))
