"""Sliding windows: convolutions, their transposes, and pooling (formulas of the ONNX operator specification)."""

from __future__ import annotations

from collections.abc import Sequence

from .. import dtypes, symbolic
from ..graph import Node, Shape
from ..symbolic import Dim
from .axes import known, unknown_shape
from .facts import Facts, content_of, rule, unknown_dim

_SAME = ("SAME_UPPER", "SAME_LOWER")


def window_positions(
    extent: Dim, reach: Dim, stride: int, pads: tuple[int, int] | None, auto: str, ceil: bool
) -> Dim | None:
    """How many windows of `reach` (dilated kernel) fit along one axis; None where the specification is ambiguous.

    A window that is larger than the padded input is not legal (ONNX Runtime rounds towards zero there and makes one).
    """
    if auto in _SAME:
        return symbolic.ceildiv(extent, stride)
    low, high = pads if pads is not None and auto != "VALID" else (0, 0)
    span = symbolic.sub(symbolic.add(extent, low + high), reach)
    count = symbolic.add(symbolic.floordiv(span, stride), 1)
    if not ceil or stride == 1:
        return count
    rounded_up = symbolic.add(symbolic.ceildiv(span, stride), 1)
    if auto == "VALID":  # the text says floor, ONNX Runtime takes the ceiling
        return count if count == rounded_up else None
    # Windows that would start in the padding behind the input are dropped.
    starts = symbolic.ceildiv(symbolic.add(extent, low), stride)
    if not isinstance(reach, int) or high > reach:
        return None
    return rounded_up if high + stride <= reach else symbolic.minimum(rounded_up, starts)


def spatial_extents(node: Node, shape: Shape, kernel: Sequence[Dim], ceil: bool = False) -> list[Dim]:
    """Output extents of the spatial axes of a Conv or pooling node."""
    count = len(shape) - 2
    strides = _numbers(node, "strides", count, 1)
    dilations = _numbers(node, "dilations", count, 1)
    pads = _numbers(node, "pads", 2 * count, 0)
    if strides is None or dilations is None or pads is None or min(strides, default=1) < 1:
        return [unknown_dim(node, 0, i + 2) for i in range(count)]
    auto = node.str_attr("auto_pad", "NOTSET")
    result: list[Dim] = []
    for i in range(count):
        around = (pads[i], pads[i + count])
        found = window_positions(shape[i + 2], _reach(kernel[i], dilations[i]), strides[i], around, auto, ceil)
        if found is None or (isinstance(found, int) and found < 0):
            found = unknown_dim(node, 0, i + 2)
        result.append(found)
    return result


def _reach(kernel: Dim, dilation: int) -> Dim:
    return kernel if dilation == 1 else symbolic.add(symbolic.mul(symbolic.sub(kernel, 1), dilation), 1)


def _numbers(node: Node, name: str, count: int, default: int) -> tuple[int, ...] | None:
    """An INTS attribute of a known length; None if the length is wrong."""
    given = node.ints_attr(name)
    if not given:
        return (default,) * count
    return given if len(given) == count else None


def _kernel(node: Node, weight: Shape | None, rank: int) -> Sequence[Dim] | None:
    kernel: Sequence[Dim] | None = node.ints_attr("kernel_shape") or (None if weight is None else weight[2:])
    return kernel if kernel is not None and len(kernel) == rank - 2 else None


def _conv_shape(node: Node, shape: Shape | None, weight: Shape | None, bias: Shape | None) -> Shape | None:
    if shape is None or len(shape) < 3:
        return None
    channels = weight[0] if weight else bias[0] if bias else unknown_dim(node, 0, 1)
    kernel = _kernel(node, weight, len(shape))
    if kernel is None:
        return (shape[0], channels, *unknown_shape(node, 0, len(shape))[2:])
    return (shape[0], channels, *spatial_extents(node, shape, kernel))


@rule("Conv", "com.microsoft::FusedConv")
def conv(node: Node) -> Sequence[Facts]:
    dtype, shape = known(node.input(0))
    return (Facts(dtype, _conv_shape(node, shape, known(node.input(1))[1], known(node.input(2))[1])),)


@rule("ConvInteger")
def integer_conv(node: Node) -> Sequence[Facts]:
    return (Facts(dtypes.INT32, _conv_shape(node, known(node.input(0))[1], known(node.input(1))[1], None)),)


@rule("DeformConv")
def deformable_conv(node: Node) -> Sequence[Facts]:
    dtype, shape = known(node.input(0))
    return (Facts(dtype, _conv_shape(node, shape, known(node.input(1))[1], known(node.input(3))[1])),)


@rule("QLinearConv", "com.microsoft::QLinearConv")
def quantized_conv(node: Node) -> Sequence[Facts]:
    dtype = known(node.input(7))[0]
    if node.domain and node.attr("channels_last", 0):
        return (Facts(dtype),)
    shape = _conv_shape(node, known(node.input(0))[1], known(node.input(3))[1], known(node.input(8))[1])
    return (Facts(dtype, shape),)


@rule("ConvTranspose")
def conv_transpose(node: Node) -> Sequence[Facts]:
    dtype, shape = known(node.input(0))
    _, weight = known(node.input(1))
    if shape is None or len(shape) < 3:
        return (Facts(dtype),)
    group = node.int_attr("group", 1)
    channels = symbolic.mul(weight[1], group) if weight is not None and len(weight) > 1 else unknown_dim(node, 0, 1)
    return (Facts(dtype, (shape[0], channels, *_transposed_extents(node, shape, weight))),)


def _transposed_extents(node: Node, shape: Shape, weight: Shape | None) -> Sequence[Dim]:
    count = len(shape) - 2
    given = node.ints_attr("output_shape")
    if given and len(given) in (count, count + 2):
        return given[-count:]
    kernel = _kernel(node, weight, len(shape))
    strides, dilations = _numbers(node, "strides", count, 1), _numbers(node, "dilations", count, 1)
    extra, pads = _numbers(node, "output_padding", count, 0), _numbers(node, "pads", 2 * count, 0)
    auto = node.str_attr("auto_pad", "NOTSET")
    if given or kernel is None or strides is None or dilations is None or extra is None or pads is None:
        return unknown_shape(node, 0, len(shape))[2:]
    result: list[Dim] = []
    for i in range(count):
        reach = _reach(kernel[i], dilations[i])
        if auto in _SAME:
            # With output_padding, or where it would take negative padding, implementations differ.
            certain = not extra[i] and isinstance(reach, int) and reach >= strides[i]
            result.append(symbolic.mul(shape[i + 2], strides[i]) if certain else unknown_dim(node, 0, i + 2))
            continue
        grown = symbolic.mul(symbolic.sub(shape[i + 2], 1), strides[i])
        around = 0 if auto == "VALID" else pads[i] + pads[i + count]
        result.append(symbolic.add(symbolic.add(grown, reach), extra[i] - around))
    return result


@rule("MaxPool", "AveragePool", "LpPool")
def pool(node: Node) -> Sequence[Facts]:
    dtype, shape = known(node.input(0))
    result = _pool_shape(node, shape)
    return (Facts(dtype, result), Facts(dtypes.INT64, result)) if len(node.outputs) > 1 else (Facts(dtype, result),)


def _pool_shape(node: Node, shape: Shape | None) -> Shape | None:
    if shape is None or len(shape) < 3:
        return None
    kernel = node.ints_attr("kernel_shape")
    if kernel is None or len(kernel) != len(shape) - 2:
        return (*shape[:2], *unknown_shape(node, 0, len(shape))[2:])
    return (*shape[:2], *spatial_extents(node, shape, kernel, bool(node.int_attr("ceil_mode", 0))))


@rule("com.microsoft::QLinearAveragePool")
def quantized_pool(node: Node) -> Sequence[Facts]:
    dtype, shape = known(node.input(0))
    return (Facts(dtype, None if node.attr("channels_last", 0) else _pool_shape(node, shape)),)


@rule("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "com.microsoft::QLinearGlobalAveragePool")
def global_pool(node: Node) -> Sequence[Facts]:
    dtype, shape = known(node.input(0))
    if shape is None or len(shape) < 2:
        return (Facts(dtype),)
    if node.domain and node.attr("channels_last", 0):
        return (Facts(dtype, (shape[0], *(1,) * (len(shape) - 2), shape[-1])),)
    return (Facts(dtype, (*shape[:2], *(1,) * (len(shape) - 2))),)


@rule("MaxUnpool")
def max_unpool(node: Node) -> Sequence[Facts]:
    """The shape given as an input, else the inverse of MaxPool's formula."""
    dtype, shape = known(node.input(0))
    if node.input(2) is not None:
        given = content_of(node.input(2))
        if given is not None:
            return (Facts(dtype, given),)
        return (Facts(dtype, None if shape is None else unknown_shape(node, 0, len(shape))),)
    kernel = node.ints_attr("kernel_shape")
    if shape is None or kernel is None or len(kernel) != len(shape) - 2:
        return (Facts(dtype, None if shape is None else unknown_shape(node, 0, len(shape))),)
    count = len(kernel)
    strides, pads = _numbers(node, "strides", count, 1), _numbers(node, "pads", 2 * count, 0)
    if strides is None or pads is None:
        return (Facts(dtype, unknown_shape(node, 0, len(shape))),)
    result = [
        symbolic.add(symbolic.mul(symbolic.sub(shape[i + 2], 1), strides[i]), kernel[i] - pads[i] - pads[i + count])
        for i in range(count)
    ]
    return (Facts(dtype, (*shape[:2], *result)),)
