"""Conv, ConvTranspose, Gemm and MatMul with constant weights, seen alike: y = W x + b per output channel.

Scales and shifts come as float64 arrays in the form of `axis_arrays`: rank 0 if uniform, else one axis per axis of the
tensor they stand beside. New weights are computed in float64 and rounded once to the type of the old ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...compiler import dtypes
from ...compiler.graph import Node, Value
from ...compiler.inference.movement import normalize_axis
from ...compiler.rewriter import Rewriter

LINEAR_OPS = "Conv|ConvTranspose|Gemm|MatMul"
SHARED_LIMIT = 1 << 16  # bytes of a shared constant that may be stored a second time
_NO_BIAS = "MatMul has no bias and is not a Gemm at this rank"
_GROWTH_LIMIT = 1024  # elements by which a bias may grow when it takes in a shift of another shape


def weight_index(node: Node) -> int:
    """Which input is the weight: 1, or 0 for a product whose left operand is the constant one."""
    left, right = node.input(0), node.input(1)
    is_left = right is not None and right.constant is None and left is not None and left.constant is not None
    return 0 if is_left and node.op == "MatMul" else 1


def weight_of(node: Node, rewriter: Rewriter, *, changes: bool = True) -> np.ndarray:
    """The weight of a linear layer as float64; refuses if it is not a constant of floating type.

    changes: a new one will be stored, which does not pay if other layers keep the old one and it is large.
    """
    value = node.input(weight_index(node))
    constant = None if value is None else value.constant
    if value is None or constant is None:
        overridable = value is not None and value.overridable
        rewriter.refuse(f"the weight {'can be overridden by the caller' if overridable else 'is not a constant'}")
    if constant.dtype not in dtypes.FLOATING:
        rewriter.refuse(f"the weight is of type {dtypes.name_of(constant.dtype)}")
    if changes and len(value.uses) > 1 and constant.nbytes > SHARED_LIMIT:
        rewriter.refuse("the weight is shared with another layer and would be stored twice")
    return constant.numpy().astype(np.float64)


def output_channels(node: Node) -> int | None:
    """Number of output channels (columns of a product), None if unknown."""
    weight = node.input(1)
    if weight is None or not weight.shape:
        return None
    shape = weight.shape
    match node.op:
        case "Conv":
            extent = shape[0]
        case "ConvTranspose":
            group = node.int_attr("group", 1)
            return shape[1] * group if isinstance(shape[1], int) else None
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


def along_axis(array: np.ndarray, axis: int, channels: int, what: str, rewriter: Rewriter) -> np.ndarray:
    """The array as one number per channel; refuses if it varies along any other axis."""
    if array.ndim == 0:
        return np.broadcast_to(array, (channels,))
    if any(extent != 1 for i, extent in enumerate(array.shape) if i != axis) or array.shape[axis] != channels:
        rewriter.refuse(f"the constant is not one number per {what}")
    return array.ravel()


def bias_of(node: Node, rewriter: Rewriter) -> np.ndarray | None:
    """The bias as float64 (Gemm's beta applied), None if there is none; refuses if it is not a constant."""
    value = None if node.op == "MatMul" else node.input(2)
    if value is None:
        return None
    if value.constant is None:
        rewriter.refuse("the bias is not a constant")
    bias = value.constant.numpy().astype(np.float64)
    return bias * node.float_attr("beta", 1.0) if node.op == "Gemm" else bias


def rounded(array: np.ndarray, dtype: int, rewriter: Rewriter) -> np.ndarray:
    """The array in the given type; refuses if a finite number overflows, or if all of it underflows."""
    kind = dtypes.to_numpy(dtype)
    low, high = dtypes.finite_limits(dtype)
    if array.size and low <= array.min() and array.max() <= high:  # not so if any number is NaN
        top = max(array.max(), -array.min())
        result = array.astype(kind)
        if top < dtypes.smallest_normal(dtype) and (result.astype(np.float64) != array).any():
            rewriter.refuse(f"the folded constants underflow {dtypes.name_of(dtype)}")
        return result
    with np.errstate(over="ignore", invalid="ignore"):
        result = array.astype(kind)
    if not np.array_equal(np.isfinite(array), np.isfinite(result.astype(np.float64))):
        rewriter.refuse(f"a folded constant overflows {dtypes.name_of(dtype)}")
    return result


def fold_output_affine(node: Node, scale: np.ndarray, shift: np.ndarray, rewriter: Rewriter) -> Value:
    """The layer that computes scale * node + shift (arrays beside its output); refuses where it cannot."""
    index = weight_index(node)
    weight_value = node.inputs[index]
    assert weight_value is not None
    _refuse_infinite(scale, shift, rewriter)
    dtype = weight_value.dtype or node.output.dtype
    if dtype not in dtypes.FLOATING:
        rewriter.refuse(f"the layer computes in {dtypes.name_of(dtype)}")
    new_weight = weight_value
    if (scale != 1).any():
        weight = weight_of(node, rewriter)
        scaled = scale_outputs(node, weight, scale, rewriter)
        new_weight = rewriter.constant(rounded(scaled, dtype, rewriter), weight_value.name)
    elif weight_value.producer is not None and weight_value.producer.op == "DequantizeLinear":
        rewriter.refuse("the weight is quantized, and a bias in floating point would keep it from running so")
    bias = _new_bias(node, bias_of(node, rewriter), scale, shift, rewriter)
    if bias is not None:
        bias = rounded(bias, dtype, rewriter)
    return rebuilt(node, node.inputs[1 - index], new_weight, bias, rewriter)


def _refuse_infinite(scale: np.ndarray, shift: np.ndarray, rewriter: Rewriter) -> None:
    if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        rewriter.refuse("scale or shift are not finite")


def scale_outputs(node: Node, weight: np.ndarray, scale: np.ndarray, rewriter: Rewriter) -> np.ndarray:
    """The weight with each output channel's part multiplied by its scale."""
    if scale.ndim == 0:
        return np.asarray(weight * scale)
    if node.op == "MatMul":
        return _scale_product(node, weight, scale, rewriter)
    axis, channels = channel_axis(node), output_channels(node)
    if axis is None or channels is None:
        rewriter.refuse("rank or channels of the layer are not known")
    factors = along_axis(scale, axis, channels, "channel of the layer", rewriter)
    match node.op:
        case "Conv":
            scaled = weight * factors.reshape(-1, *(1,) * (weight.ndim - 1))
        case "ConvTranspose":
            group = node.int_attr("group", 1)
            parts = weight.reshape(group, weight.shape[0] // group, *weight.shape[1:])
            factors = factors.reshape(group, 1, weight.shape[1], *(1,) * (weight.ndim - 2))
            scaled = (parts * factors).reshape(weight.shape)
        case _:
            scaled = weight * (factors[:, None] if node.int_attr("transB", 0) else factors[None, :])
    return np.asarray(scaled)


def _scale_product(node: Node, weight: np.ndarray, scale: np.ndarray, rewriter: Rewriter) -> np.ndarray:
    """MatMul's constant operand: its columns (rows if it stands on the left) and batches may have their own scale."""
    index = weight_index(node)
    other = node.inputs[1 - index]
    rank = None if other is None else other.rank
    if rank is None or weight.ndim < 2:
        rewriter.refuse("the layer is no product of matrices")
    shared_axis = -2 if index == 1 else -1  # belongs to the other operand, which loses it if it is a vector
    scale = np.expand_dims(scale, shared_axis) if rank == 1 else scale
    if scale.shape[shared_axis] != 1 or any(extent != 1 for extent in scale.shape[: -weight.ndim]):
        rewriter.refuse("the constant is not one number per channel of the layer")
    factors = scale[(0,) * max(scale.ndim - weight.ndim, 0)]
    if np.broadcast_shapes(weight.shape, factors.shape) != weight.shape:
        rewriter.refuse("the constant is not one number per channel of the layer")
    return np.asarray(weight * factors)


def _new_bias(
    node: Node, bias: np.ndarray | None, scale: np.ndarray, shift: np.ndarray, rewriter: Rewriter
) -> np.ndarray | None:
    """scale * bias + shift, None if there is neither; one number per channel but for Gemm, which takes a matrix."""
    if bias is None and not shift.any():
        return None
    if node.op == "MatMul" and (weight_index(node) == 0 or node.output.rank != 2):
        rewriter.refuse(_NO_BIAS)
    channels, axis = output_channels(node), channel_axis(node)
    if channels is None or axis is None:
        rewriter.refuse("rank or channels of the layer are not known")
    if node.op != "Gemm":
        result = along_axis(shift, axis, channels, "channel of the layer", rewriter)
        return result if bias is None else bias * along_axis(scale, axis, channels, "channel", rewriter) + result
    result = np.asarray(shift if bias is None else bias * scale + shift)
    result = result[0] if result.ndim == 2 and result.shape[0] == 1 else result
    if result.ndim < 2:
        return np.broadcast_to(result, (channels,))
    old = max(shift.size, 0 if bias is None else bias.size)
    if result.size - old > _GROWTH_LIMIT:
        rewriter.refuse(f"the bias would grow to {list(result.shape)}")
    return result


def rebuilt(
    node: Node, x: Value | None, weight: Value, bias: np.ndarray | None, rewriter: Rewriter
) -> Value:
    """A layer like `node` with another input, weight and bias; Gemm's beta is in the bias already."""
    attributes = dict(node.attributes)
    inputs: list[Value | None] = [x, weight] if weight_index(node) == 1 else [weight, x]
    op_type = node.op_type
    if op_type == "MatMul" and bias is not None:
        if weight_index(node) == 0 or x is None or x.rank != 2 or weight.rank != 2:
            rewriter.refuse(_NO_BIAS)
        op_type = "Gemm"
    if op_type == "Gemm":
        attributes["beta"] = None
        if rewriter.opset() < 7:
            rewriter.refuse("Gemm broadcasts its bias otherwise before opset 7")
    if bias is not None:
        old = node.input(2)
        hint = old.name if old is not None else f"{node.label}.bias"
        inputs.append(rewriter.constant(bias, hint))
    elif op_type == "Gemm" and rewriter.opset() < 11:
        rewriter.refuse("Gemm needs its bias before opset 11")
    return rewriter.op(op_type, inputs, attributes, name=node.name)


def fold_input_affine(node: Node, x: Value, scale: np.ndarray, shift: np.ndarray, rewriter: Rewriter) -> Value:
    """The layer that computes node(scale * x + shift) from x (arrays beside x); refuses where it cannot."""
    _refuse_infinite(scale, shift, rewriter)
    index = weight_index(node)
    weight_value = node.inputs[index]
    assert weight_value is not None
    changes = bool((scale != 1).any())
    weight = weight_of(node, rewriter, changes=changes)
    axis, channels = _input_axis(node, weight, x, rewriter)
    scales = along_axis(scale, axis, channels, "input channel of the layer", rewriter)
    shifts = along_axis(shift, axis, channels, "input channel of the layer", rewriter)
    if shifts.any() and not pads_nothing(node):
        rewriter.refuse("the layer pads with zeros, which the shift would not reach")
    rows = _input_rows(node, weight)
    shape = (rows.shape[0], 1, rows.shape[2], *(1,) * (rows.ndim - 3))
    new_weight = weight_value
    if changes:
        scaled = _from_rows(node, rows * scales.reshape(shape), weight.shape)
        new_weight = rewriter.constant(rounded(scaled, weight_value.dtype, rewriter), weight_value.name)
    offset = (rows * shifts.reshape(shape)).sum(axis=tuple(range(2, rows.ndim))).ravel()
    bias = bias_of(node, rewriter)
    if shifts.any():
        offset = offset * (node.float_attr("alpha", 1.0) if node.op == "Gemm" else 1.0)
        bias = offset if bias is None else bias + offset
    if bias is not None and node.op == "Gemm" and bias.ndim < 2:
        bias = np.broadcast_to(bias, (offset.size,))
    if bias is not None:
        bias = rounded(bias, weight_value.dtype, rewriter)
    return rebuilt(node, x, new_weight, bias, rewriter)


def _input_axis(node: Node, weight: np.ndarray, x: Value, rewriter: Rewriter) -> tuple[int, int]:
    """Axis and number of the channels that the layer sums over."""
    if x.rank is None:
        rewriter.refuse("the rank of the layer's input is not known")
    match node.op:
        case "Conv":
            return 1, int(weight.shape[1]) * node.int_attr("group", 1)
        case "ConvTranspose":
            return 1, int(weight.shape[0])
        case "Gemm":
            axis = 0 if node.int_attr("transA", 0) else 1
            return axis, int(weight.shape[1 if node.int_attr("transB", 0) else 0])
    if weight.ndim != 2 or x.rank < 2:
        rewriter.refuse("the weight of MatMul is not a matrix")
    return (x.rank - 1, int(weight.shape[0])) if weight_index(node) == 1 else (x.rank - 2, int(weight.shape[1]))


def _input_rows(node: Node, weight: np.ndarray) -> np.ndarray:
    """The weight as [group, outputs per group, inputs per group, window...]."""
    match node.op:
        case "Conv":
            group = node.int_attr("group", 1)
            return weight.reshape(group, weight.shape[0] // group, *weight.shape[1:])
        case "ConvTranspose":
            group = node.int_attr("group", 1)
            return weight.reshape(group, weight.shape[0] // group, *weight.shape[1:]).swapaxes(1, 2)
    return weight[None] if _outputs_are_rows(node) else weight.T[None]


def _from_rows(node: Node, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if node.op == "Conv":
        return rows.reshape(shape)
    if node.op == "ConvTranspose":
        return rows.swapaxes(1, 2).reshape(shape)
    matrix: np.ndarray = rows[0]
    return matrix if _outputs_are_rows(node) else matrix.T


def _outputs_are_rows(node: Node) -> bool:
    return bool(node.int_attr("transB", 0)) if node.op == "Gemm" else weight_index(node) == 0


def pads_nothing(node: Node) -> bool:
    """True if a shift of the input reaches every output alike: no border of zeros is added."""
    if node.op in ("Gemm", "MatMul"):
        return True
    if node.op == "ConvTranspose":
        return False  # its windows overlap differently at the border
    pads: Sequence[int] | None = node.ints_attr("pads")
    auto = node.str_attr("auto_pad", "NOTSET")
    return auto == "VALID" or (auto == "NOTSET" and not any(pads or ()))


def joins_along(concat: Node, axis: int) -> bool:
    """Whether a Concat joins along this axis of its output."""
    rank = concat.output.rank
    return rank is not None and normalize_axis(concat.int_attr("axis", 1), rank) == axis
