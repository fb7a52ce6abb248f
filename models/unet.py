"""A U-Net (Ronneberger et al. 2015), narrow, as torch.onnx.export writes the widely used PyTorch one at opset 13.

Height and width are dynamic, so `F.pad` before each skip connection stays a graph: sizes subtracted and halved,
the pads gathered into one vector, extended with zeros, and turned from PyTorch's order into ONNX's.
"""

from __future__ import annotations

import math

import onnx
from onnx import TensorProto, helper

from .graph_builder import INT64, GraphBuilder
from .layers import batch_norm, conv, dimension, normal, slice_, unsqueeze

WIDTH = 6
DEPTH = 3
CLASSES = 2


def _double_conv(b: GraphBuilder, x: str, channels: int, features: int) -> str:
    x = b.op("Relu", batch_norm(b, conv(b, x, channels, features, bias=True, name="0"), features, name="1"))
    return b.op("Relu", batch_norm(b, conv(b, x, features, features, bias=True, name="3"), features, name="4"))


def _up_conv(b: GraphBuilder, x: str, channels: int, features: int) -> str:
    weight = normal(b, (channels, features, 2, 2), math.sqrt(2.0 / channels))
    inputs = [x, b.weight("up.weight", weight), b.weight("up.bias", normal(b, (features,), 0.1))]
    return b.op("ConvTranspose", *inputs, name="up", kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4,
                dilations=[1, 1], group=1)  # fmt: skip


def _pad_to(b: GraphBuilder, x: str, wanted: str) -> str:
    """F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2]): the last axis' pads come first in PyTorch."""
    pads: list[str] = []
    for axis in (3, 2):
        gap = b.op("Sub", dimension(b, wanted, axis), dimension(b, x, axis))
        before = b.op("Div", gap, b.constant(2))
        pads += [unsqueeze(b, before, 0), unsqueeze(b, b.op("Sub", gap, before), 0)]
    given = b.op("Concat", *pads, axis=0)
    missing = b.op("Sub", b.op("Mul", b.constant([4]), b.constant([2])), b.op("Shape", given))
    zero = helper.make_tensor("value", INT64, [1], [0])
    every = b.op("Concat", given, b.op("ConstantOfShape", missing, value=zero), axis=0)
    pairs = slice_(b, b.op("Reshape", every, b.constant([-1, 2])), -1, -(2**63) + 1, 0, step=-1)
    order = b.op("Reshape", b.op("Transpose", pairs, perm=[1, 0]), b.constant([-1]))
    return b.op("Pad", x, b.op("Cast", order, to=TensorProto.INT64), b.constant(0.0), mode="constant")


def unet(seed: int = 0) -> onnx.ModelProto:
    """image [batch, 3, height, width] (both at least 8) -> logits [batch, 2, height, width]."""
    b = GraphBuilder("unet", opset=13, seed=seed)
    x = b.input("image", ["batch", 3, "height", "width"])
    with b.scope("inc.double_conv"):
        x = _double_conv(b, x, 3, WIDTH)
    skips, channels = [x], WIDTH
    for level in range(1, DEPTH + 1):
        with b.scope(f"down{level}"):
            x = b.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4, ceil_mode=0)
            x = _double_conv(b, x, channels, 2 * channels)
        channels *= 2
        skips.append(x)
    skips.pop()
    for level in range(1, DEPTH + 1):
        with b.scope(f"up{level}"):
            skip = skips.pop()
            x = _pad_to(b, _up_conv(b, x, channels, channels // 2), skip)
            x = _double_conv(b, b.op("Concat", skip, x, axis=1), channels, channels // 2)
        channels //= 2
    b.output(conv(b, x, channels, CLASSES, 1, bias=True, name="outc"), "logits", ["batch", CLASSES, "height", "width"])
    return b.model(__doc__ or "")
