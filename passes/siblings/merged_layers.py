"""Layers that read one value as one layer: which can be merged, and the layer that they become.

The merged layer has the outputs of all of them, in order, along the axis of the output channels. Weights are copied as
they are; quantized ones (behind DequantizeLinear) stay quantized.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from ...compiler import dtypes
from ...compiler.graph import Node, Value
from ...compiler.refusal import Refusal
from ...compiler.rewriter import Rewriter
from ...compiler.tensor import Tensor
from ..layers.linear_layers import SHARED_LIMIT, channel_axis, output_channels

_WINDOW_DEFAULTS = {"strides": 1, "dilations": 1, "output_padding": 0}


def merge_key(node: Node) -> Hashable:
    """Equal for layers that can be merged if they read the same value.

    Raises:
        Refusal: the layer cannot be merged with any other.
    """
    weight = node.input(1)
    kind = None if weight is None else _stored(weight)
    if weight is None or kind is None:
        raise Refusal("a weight can be overridden by the caller" if weight is not None and weight.overridable else "")
    if len(weight.uses) > 1 and _nbytes(weight) > SHARED_LIMIT:
        raise Refusal("a weight is shared with another layer and would be stored twice")
    bias = node.input(2) if node.op != "MatMul" else None
    if bias is not None and bias.constant is None:
        raise Refusal("a bias is not a constant")
    if output_channels(node) is None or channel_axis(node) is None:
        raise Refusal("the channels of a layer are not known")
    return (node.op, *kind, *_geometry(node, weight, bias))


def _geometry(node: Node, weight: Value, bias: Value | None) -> tuple[Hashable, ...]:
    shape = weight.shape or ()
    if node.op == "MatMul":
        if len(shape) < 2:
            raise Refusal("a weight is a vector")
        return shape[:-1]
    if node.op == "Gemm":
        if node.version < 7:
            raise Refusal("Gemm broadcasts its bias otherwise before opset 7")
        if bias is not None and bias.constant is not None and _varies_by_row(bias.constant):
            raise Refusal("a bias is a matrix")
        columns = bool(node.int_attr("transB", 0))
        factors = (node.float_attr("alpha", 1.0), node.float_attr("beta", 1.0) if bias is not None else 1.0)
        return (bool(node.int_attr("transA", 0)), columns, shape[1 if columns else 0], *factors)
    if node.int_attr("group", 1) != 1:
        raise Refusal("the outputs of grouped layers would come out interleaved")
    spatial = len(shape) - 2
    found: list[Hashable] = [shape[0 if node.op == "ConvTranspose" else 1], shape[2:], node.ints_attr("output_shape")]
    found += [node.ints_attr(name) or (default,) * spatial for name, default in _WINDOW_DEFAULTS.items()]
    auto = node.str_attr("auto_pad", "NOTSET")
    pads = node.ints_attr("pads") or (0,) * (2 * spatial)
    return (*found, auto if auto.startswith("SAME") else (0,) * (2 * spatial) if auto == "VALID" else pads)


def _varies_by_row(bias: Tensor) -> bool:
    return len(bias.shape) == 2 and bias.shape[0] != 1


def _stored(weight: Value) -> tuple[Hashable, ...] | None:
    """How a weight is stored: plain, or quantized with one scale, or with one for each position of an axis."""
    if weight.constant is not None:
        return ("plain", weight.dtype)
    node = weight.producer
    if node is None or node.op != "DequantizeLinear" or len(weight.uses) > 1:
        return None
    values = [node.input(0), node.input(1), node.input(2)]
    tensors = [None if v is None else v.constant for v in values]
    if tensors[0] is None or tensors[1] is None or (values[2] is not None and tensors[2] is None):
        return None
    if len(tensors[1].shape) > 1 or node.int_attr("block_size", 0):
        return None
    return ("quantized", tensors[0].dtype, weight.dtype, values[2] is not None)


def _nbytes(weight: Value) -> int:
    return 0 if weight.constant is None else weight.constant.nbytes


def differences(nodes: Sequence[Node]) -> str:
    """In what layers of one kind that read one value differ, for a person."""
    words: dict[str, None] = {}
    for name in ("kernel_shape", "strides", "pads", "auto_pad", "dilations", "group", "transA", "transB", "alpha"):
        if len({repr(node.attributes.get(name)) for node in nodes}) > 1:
            words[name] = None
    weights = [node.input(1) for node in nodes]
    if len({w.dtype for w in weights if w is not None}) > 1:
        words["type"] = None
    if len({None if w is None else _stored(w) for w in weights}) > 1:
        words["storage of the weights"] = None
    return ", ".join(words) or "the shape of the weights"


def weight_axis(node: Node) -> int:
    """The axis of the output channels in the weight."""
    match node.op:
        case "Conv":
            return 0
        case "ConvTranspose":
            return 1
        case "Gemm":
            return 0 if node.int_attr("transB", 0) else 1
    return len(node.inputs[1].shape or ()) - 1  # type: ignore[union-attr]


def merged_layer(nodes: Sequence[Node], rewriter: Rewriter) -> Value:
    """One layer with the outputs of all of these, in this order."""
    first = nodes[0]
    weights = [node.inputs[1] for node in nodes]
    axis = weight_axis(first)
    known = [w for w in weights if w is not None]
    if all(w.constant is not None for w in known):
        arrays = [w.constant.numpy() for w in known if w.constant is not None]
        weight = rewriter.constant(np.concatenate(arrays, axis), known[0].name)
    else:
        weight = _merged_quantized([w.producer for w in known if w.producer is not None], axis, rewriter)
    inputs: list[Value | None] = [first.inputs[0], weight]
    bias = _merged_bias(nodes, rewriter)
    if bias is not None:
        inputs.append(bias)
    attributes = dict(first.attributes)
    if bias is None and first.op == "Gemm":
        attributes["beta"] = None
    return rewriter.op(first.op_type, inputs, attributes, name=first.name)


def _merged_bias(nodes: Sequence[Node], rewriter: Rewriter) -> Value | None:
    """The biases one after the other, zeros where a layer has none; None if none has one."""
    values = [node.input(2) if node.op != "MatMul" else None for node in nodes]
    given = [v for v in values if v is not None and v.constant is not None]
    if not given:
        return None
    kind = dtypes.to_numpy(given[0].dtype)
    arrays = []
    for node, value in zip(nodes, values):
        channels = output_channels(node) or 0
        array = np.zeros(1, kind) if value is None or value.constant is None else value.constant.numpy()
        arrays.append(np.broadcast_to(array.reshape(-1), (channels,)))
    return rewriter.constant(np.concatenate(arrays), given[0].name)


def _merged_quantized(nodes: Sequence[Node], axis: int, rewriter: Rewriter) -> Value:
    """Quantized weights one after the other; single scales become one for each output channel."""
    shapes = [_array(node, 0).shape for node in nodes]
    scales = [_array(node, 1) for node in nodes]
    points = [_array(node, 2) for node in nodes] if nodes[0].input(2) is not None else []
    columns = [scales, points] if points else [scales]
    one_for_all = all(a.size == 1 and np.array_equal(a, column[0]) for column in columns for a in column)
    if one_for_all:
        parameters = [column[0] for column in columns]
    else:
        along = [_scale_axis(node, len(shape)) for node, shape in zip(nodes, shapes)]
        if rewriter.opset() < 13 or any(a not in (None, axis) for a in along):
            rewriter.refuse("quantized weights with different scales along their input channels")
        parameters = [
            np.concatenate([np.broadcast_to(a.reshape(-1), (s[axis],)) for a, s in zip(column, shapes)])
            for column in columns
        ]
    quantized = np.concatenate([_array(node, 0) for node in nodes], axis)
    names = [v.name if v is not None else nodes[0].label for v in nodes[0].inputs]
    inputs = [rewriter.constant(a, hint) for a, hint in zip([quantized, *parameters], names)]
    attributes = {**nodes[0].attributes, "axis": None if one_for_all else axis}
    return rewriter.op("DequantizeLinear", inputs, attributes, name=nodes[0].name)


def _array(node: Node, index: int) -> np.ndarray:
    value = node.inputs[index]
    assert value is not None and value.constant is not None
    return value.constant.numpy()


def _scale_axis(node: Node, rank: int) -> int | None:
    """The axis along which the scales differ, None for a single scale."""
    scale = node.inputs[1]
    if scale is None or not scale.shape or scale.shape == (1,):
        return None
    axis = node.int_attr("axis", 1)
    return axis + rank if axis < 0 else axis
