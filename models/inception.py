"""An Inception v3 (Szegedy et al. 2015), small, as torch.onnx.export writes torchvision's at opset 11.

With `transform_input`: the channels are picked apart (Gather, Unsqueeze), scaled and shifted one by one, and
concatenated again. Four branches read each block's input; the pooling branch counts the padding.
"""

from __future__ import annotations

import onnx

from .graph_builder import GraphBuilder
from .layers import batch_norm, conv, gemm, unsqueeze

CLASSES = 10


def _basic(b: GraphBuilder, x: str, channels: int, features: int, kernel: int | tuple[int, int], name: str,
           stride: int = 1, pads: list[int] | None = None) -> str:  # fmt: skip
    with b.scope(name):
        x = conv(b, x, channels, features, kernel, stride=stride, pads=pads)
        return b.op("Relu", batch_norm(b, x, features, epsilon=1e-3))


def _pool_branch(b: GraphBuilder, x: str, channels: int, features: int) -> str:
    x = b.op("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4, count_include_pad=1, ceil_mode=0)
    return _basic(b, x, channels, features, 1, "branch_pool")


def _block_a(b: GraphBuilder, x: str, channels: int) -> str:
    one = _basic(b, x, channels, 8, 1, "branch1x1")
    five = _basic(b, _basic(b, x, channels, 6, 1, "branch5x5_1"), 6, 8, 5, "branch5x5_2")
    three = _basic(b, x, channels, 8, 1, "branch3x3dbl_1")
    three = _basic(b, three, 8, 12, 3, "branch3x3dbl_2")
    three = _basic(b, three, 12, 12, 3, "branch3x3dbl_3")
    return b.op("Concat", one, five, three, _pool_branch(b, x, channels, 4), axis=1)


def _block_b(b: GraphBuilder, x: str, channels: int) -> str:
    three = _basic(b, x, channels, 16, 3, "branch3x3", stride=2, pads=[0] * 4)
    double = _basic(b, _basic(b, x, channels, 8, 1, "branch3x3dbl_1"), 8, 12, 3, "branch3x3dbl_2")
    double = _basic(b, double, 12, 16, 3, "branch3x3dbl_3", stride=2, pads=[0] * 4)
    pooled = b.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[0] * 4, ceil_mode=0)
    return b.op("Concat", three, double, pooled, axis=1)


def _block_c(b: GraphBuilder, x: str, channels: int) -> str:
    one = _basic(b, x, channels, 16, 1, "branch1x1")
    seven = _basic(b, x, channels, 8, 1, "branch7x7_1")
    seven = _basic(b, seven, 8, 8, (1, 7), "branch7x7_2")
    seven = _basic(b, seven, 8, 16, (7, 1), "branch7x7_3")
    return b.op("Concat", one, seven, _pool_branch(b, x, channels, 16), axis=1)


def _transform_input(b: GraphBuilder, x: str) -> str:
    channels = []
    for index, (deviation, mean) in enumerate(((0.229, 0.485), (0.224, 0.456), (0.225, 0.406))):
        channel = unsqueeze(b, b.op("Gather", x, b.constant(index), axis=1), 1)
        scaled = b.op("Mul", channel, b.constant(deviation / 0.5))
        channels.append(b.op("Add", scaled, b.constant((mean - 0.5) / 0.5)))
    return b.op("Concat", *channels, axis=1)


def inception(seed: int = 0) -> onnx.ModelProto:
    """30 convolutions in branches; image [batch, 3, 64, 64] -> logits [batch, 10]."""
    b = GraphBuilder("inception", opset=11, seed=seed)
    x = _transform_input(b, b.input("image", ["batch", 3, 64, 64]))
    x = _basic(b, x, 3, 8, 3, "Conv2d_1a_3x3", stride=2, pads=[0] * 4)
    x = _basic(b, x, 8, 16, 3, "Conv2d_2b_3x3")
    x = b.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[0] * 4, ceil_mode=0)
    channels = 16
    for name, block, grows_to in (("Mixed_5b", _block_a, 32), ("Mixed_5c", _block_a, 32), ("Mixed_6a", _block_b, 64),
                                  ("Mixed_6b", _block_c, 48), ("Mixed_6c", _block_c, 48)):  # fmt: skip
        with b.scope(name):
            x = block(b, x, channels)
        channels = grows_to
    x = b.op("GlobalAveragePool", x, name="avgpool")
    x = b.op("Flatten", b.ops("Dropout", x, outputs=1, name="dropout", ratio=0.5)[0], axis=1)
    b.output(gemm(b, x, channels, CLASSES), "logits", ["batch", CLASSES])
    return b.model(__doc__ or "")
