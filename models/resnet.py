"""A ResNet-18 (He et al. 2015), narrow, as torch.onnx.export writes torchvision's with training-time layers kept."""

from __future__ import annotations

import onnx

from .graph_builder import GraphBuilder
from .layers import batch_norm, conv, gemm

WIDTH = 8
CLASSES = 10


def _basic_block(b: GraphBuilder, x: str, channels: int, features: int, stride: int) -> str:
    out = b.op("Relu", batch_norm(b, conv(b, x, channels, features, stride=stride, name="conv1"), features, name="bn1"))
    out = batch_norm(b, conv(b, out, features, features, name="conv2"), features, name="bn2")
    if stride != 1 or channels != features:
        with b.scope("downsample"):
            x = batch_norm(b, conv(b, x, channels, features, 1, stride=stride, name="0"), features, name="1")
    return b.op("Relu", b.op("Add", out, x))


def resnet(seed: int = 0) -> onnx.ModelProto:
    """20 convolutions and their unfolded BatchNormalizations; image [batch, 3, 64, 64] -> logits [batch, 10]."""
    b = GraphBuilder("resnet", opset=13, seed=seed)
    x = b.input("image", ["batch", 3, 64, 64])
    x = b.op("Relu", batch_norm(b, conv(b, x, 3, WIDTH, 7, stride=2, name="conv1"), WIDTH, name="bn1"), name="relu")
    x = b.op("MaxPool", x, name="maxpool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=0)
    channels = WIDTH
    for stage, stride in enumerate((1, 2, 2, 2), start=1):
        features = WIDTH * 2 ** (stage - 1)
        for block in range(2):
            with b.scope(f"layer{stage}.{block}"):
                x = _basic_block(b, x, channels, features, stride if block == 0 else 1)
            channels = features
    x = b.op("Flatten", b.op("GlobalAveragePool", x, name="avgpool"), name="flatten", axis=1)
    b.output(gemm(b, x, channels, CLASSES, name="fc"), "logits", ["batch", CLASSES])
    return b.model(__doc__ or "")
