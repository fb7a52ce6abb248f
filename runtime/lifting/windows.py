"""Layers that slide a window over space: convolutions, pooling, local normalization; and padding."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from .element_types import FLOATS, weights_tensor
from .emitter import Frame


def _kernel(frame: Frame, attribute: str, shape: tuple[int, ...]) -> str:
    """Weights that are an attribute of the layer."""
    weights, own = getattr(frame.raw, attribute), frame.tensor(0).type
    if isinstance(weights, np.ndarray):
        own = helper.np_dtype_to_tensor_dtype(weights.dtype)
    name = frame.emitter.fresh(f"{frame.layer.name}.{attribute}")
    made = frame.emitter.weights(weights_tensor(weights, own, shape, name))
    return made if own == frame.type(0) else frame.cast(made, frame.type(0))


def _bias(frame: Frame) -> str:
    if frame.has(2):
        return frame.x[2]
    bias = frame.raw.bias
    size = 0 if bias is None else bias.size
    return _kernel(frame, "bias", (size,)) if size else ""


def convolution(frame: Frame) -> str:
    """Convolution and transposed convolution, the kernel an attribute or an input."""
    layer, raw = frame.layer, frame.raw
    size, groups, transposed = layer.dims("kernel_size_nd") or [], raw.num_groups, layer.kind == "DECONVOLUTION"
    if frame.has(1):
        kernel = frame.x[1]
    else:
        weights, maps = raw.kernel, raw.num_output_maps
        each = int(np.prod(size))
        leading = (weights.size // each // (maps // groups), maps // groups) if transposed else (
            maps, weights.size // each // maps
        )  # fmt: skip
        kernel = _kernel(frame, "kernel", (*leading, *size))
    attributes: dict[str, Any] = {
        "kernel_shape": size, "strides": layer.dims("stride_nd"), "dilations": layer.dims("dilation_nd"),
        "group": groups,
    }  # fmt: skip
    mode = layer.choice("padding_mode")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        attributes["auto_pad"] = mode
    elif mode == "EXPLICIT_ROUND_DOWN":
        before, after = layer.dims("pre_padding") or [], layer.dims("post_padding") or []
        if transposed and min(after, default=0) < 0:
            attributes["output_padding"] = [max(-extent, 0) for extent in after]
            after = [max(extent, 0) for extent in after]
        attributes["pads"] = before + after
    else:
        frame.refuse(f"a convolution with padding {mode}")
    inputs = [frame.x[0], kernel, *(name for name in (_bias(frame),) if name)]
    return frame.op("ConvTranspose" if transposed else "Conv", *inputs, **attributes)


def pooling(frame: Frame) -> str:
    """The largest or the mean of a window, or a blend of both."""
    layer, raw = frame.layer, frame.raw
    attributes: dict[str, Any] = {"kernel_shape": layer.dims("window_size_nd"), "strides": layer.dims("stride_nd")}
    mode = layer.choice("padding_mode")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        attributes["auto_pad"] = mode
    else:
        attributes["pads"] = (layer.dims("pre_padding") or []) + (layer.dims("post_padding") or [])
        attributes["ceil_mode"] = int(mode == "EXPLICIT_ROUND_UP")
    kind = layer.choice("type")
    if kind == "MAX":
        return frame.op("MaxPool", frame.x[0], **attributes)
    with_padding = int(not raw.average_count_excludes_padding)
    mean = frame.op("AveragePool", frame.x[0], count_include_pad=with_padding, **attributes)
    if kind == "AVERAGE":
        return mean
    largest = frame.op("MaxPool", frame.x[0], **attributes)
    blend, rest = (frame.scalar(part, frame.type(0)) for part in (raw.blend_factor, 1 - raw.blend_factor))
    return frame.op("Add", frame.op("Mul", largest, rest), frame.op("Mul", mean, blend))


def local_response(frame: Frame) -> str:
    """Local response normalization."""
    raw = frame.raw
    return frame.op("LRN", frame.x[0], size=raw.window_size, alpha=raw.alpha, beta=raw.beta, bias=raw.k)


def padding(frame: Frame) -> str:
    """Zeros around the last axes; negative numbers cut off."""
    before, after = frame.layer.dims("pre_padding_nd") or [], frame.layer.dims("post_padding_nd") or []
    leading = [0] * (frame.rank() - len(before))
    return frame.op("Pad", frame.x[0], frame.ints([*leading, *before, *leading, *after]))


_RESIZE_MODES = {"NEAREST": "nearest", "LINEAR": "linear", "CUBIC": "cubic"}
_COORDINATES = {"ALIGN_CORNERS": "align_corners", "ASYMMETRIC": "asymmetric", "HALF_PIXEL": "half_pixel"}
_ROUNDING = {"HALF_UP": "round_prefer_ceil", "HALF_DOWN": "round_prefer_floor", "FLOOR": "floor", "CEIL": "ceil"}


def resize(frame: Frame) -> str:
    """Other sizes of the axes, given as sizes or as scales."""
    layer, raw = frame.layer, frame.raw
    coordinates = _COORDINATES[layer.choice("coordinate_transformation")]
    if coordinates == "half_pixel" and layer.choice("selector_for_single_pixel") == "UPPER":
        coordinates = "pytorch_half_pixel"
    mode = _RESIZE_MODES[layer.choice("resize_mode")]
    attributes: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": coordinates}
    if mode == "nearest":
        attributes["nearest_mode"] = _ROUNDING[layer.choice("nearest_rounding")]
    if mode == "cubic":
        attributes |= {"cubic_coeff_a": raw.cubic_coeff, "exclude_outside": int(raw.exclude_outside)}
    x = frame.x[0]
    if frame.has(1):
        return frame.op("Resize", x, "", "", frame.vector(1), **attributes)
    scales = [float(number) for number in raw.scales or ()]
    if scales:
        return frame.op("Resize", x, "", frame.emitter.constant(np.array(scales, np.float32)), **attributes)
    return frame.op("Resize", x, "", "", frame.ints(layer.dims("shape") or []), **attributes)


_SAMPLED = {"FILL": "zeros", "CLAMP": "border", "REFLECT": "reflection"}


def grid_sample(frame: Frame) -> str:
    """Values at places that a tensor names."""
    sampled = frame.layer.choice("sample_mode")
    if sampled not in _SAMPLED or frame.type(0) not in FLOATS:
        frame.refuse(f"sampling in mode {sampled}")
    return frame.op(
        "GridSample", *frame.x[:2], mode=_RESIZE_MODES[frame.layer.choice("interpolation_mode")],
        align_corners=int(frame.raw.align_corners), padding_mode=_SAMPLED[sampled],
    )  # fmt: skip
