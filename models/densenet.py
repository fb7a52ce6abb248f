"""A DenseNet-BC (Huang et al. 2016), narrow, as torch.onnx.export writes torchvision's at opset 12.

Normalization and activation come before each convolution, every layer concatenates all earlier features anew,
and `features.view(features.size(0), -1)` stays as Shape, Gather, Unsqueeze, Concat, Reshape.
"""

from __future__ import annotations

import onnx

from .graph_builder import GraphBuilder
from .layers import batch_norm, conv, dimension, gemm, reshape

GROWTH = 6
LAYERS = (4, 6, 4)
CLASSES = 10


def _dense_layer(b: GraphBuilder, features: list[str], channels: int) -> str:
    x = b.op("Concat", *features, axis=1) if len(features) > 1 else features[0]
    x = b.op("Relu", batch_norm(b, x, channels, name="norm1"), name="relu1")
    x = conv(b, x, channels, 4 * GROWTH, 1, name="conv1")
    x = b.op("Relu", batch_norm(b, x, 4 * GROWTH, name="norm2"), name="relu2")
    return conv(b, x, 4 * GROWTH, GROWTH, name="conv2")


def _transition(b: GraphBuilder, x: str, channels: int) -> str:
    x = b.op("Relu", batch_norm(b, x, channels, name="norm"), name="relu")
    x = conv(b, x, channels, channels // 2, 1, name="conv")
    return b.op("AveragePool", x, name="pool", kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4, ceil_mode=0)


def densenet(seed: int = 0) -> onnx.ModelProto:
    """14 dense layers in three blocks, 31 convolutions; image [batch, 3, 48, 48] -> logits [batch, 10]."""
    b = GraphBuilder("densenet", opset=12, seed=seed)
    x = b.input("image", ["batch", 3, 48, 48])
    channels = 2 * GROWTH
    x = conv(b, x, 3, channels, 7, stride=2, name="features.conv0")
    x = b.op("Relu", batch_norm(b, x, channels, name="features.norm0"))
    x = b.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, ceil_mode=0)
    for block, layers in enumerate(LAYERS, start=1):
        features = [x]
        for layer in range(1, layers + 1):
            with b.scope(f"features.denseblock{block}.denselayer{layer}"):
                features.append(_dense_layer(b, features, channels))
            channels += GROWTH
        x = b.op("Concat", *features, name=f"features.denseblock{block}/Concat", axis=1)
        if block < len(LAYERS):
            with b.scope(f"features.transition{block}"):
                x = _transition(b, x, channels)
            channels //= 2
    x = b.op("Relu", batch_norm(b, x, channels, name="features.norm5"))
    x = b.op("GlobalAveragePool", x)
    x = reshape(b, x, dimension(b, x, 0), -1)
    b.output(gemm(b, x, channels, CLASSES, name="classifier"), "logits", ["batch", CLASSES])
    return b.model(__doc__ or "")
