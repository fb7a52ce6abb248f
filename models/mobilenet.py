"""A MobileNetV2 (Sandler et al. 2018), narrow, as tf2onnx writes Keras' with BatchNormalization kept.

The input is NHWC and transposed at the door, stride-2 layers have an own Pad (the border is uneven), relu6 is a
Clip whose bounds are initializers, and the head is MatMul, Add and Softmax after a Squeeze.
"""

from __future__ import annotations

import numpy as np
import onnx

from .graph_builder import GraphBuilder
from .layers import batch_norm, conv, normal

# (expansion, features, repeats, stride), the table of the paper with a quarter of the width.
STAGES = ((1, 8, 1, 1), (4, 8, 2, 2), (4, 12, 2, 2), (4, 16, 3, 2), (4, 24, 2, 1))
CLASSES = 10


def _relu6(b: GraphBuilder, x: str, name: str) -> str:
    bounds = [b.weight(f"{name}.{bound}", np.float32(value)) for bound, value in (("min", 0.0), ("max", 6.0))]
    return b.op("Clip", x, *bounds, name=name)


def _padded(b: GraphBuilder, x: str, stride: int, name: str) -> tuple[str, list[int]]:
    """Keras pads even sizes at the end only, in a layer of its own, before a stride-2 convolution."""
    if stride == 1:
        return x, [1, 1, 1, 1]
    pads = b.weight(f"{name}.pads", np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64))
    return b.op("Pad", x, pads, name=name, mode="constant"), [0, 0, 0, 0]


def _inverted_residual(b: GraphBuilder, x: str, channels: int, features: int, expansion: int, stride: int) -> str:
    hidden, out = channels * expansion, x
    if expansion != 1:
        out = batch_norm(b, conv(b, out, channels, hidden, 1, name="expand"), hidden, name="expand_BN", epsilon=1e-3)
        out = _relu6(b, out, "expand_relu")
    out, pads = _padded(b, out, stride, "pad")
    out = conv(b, out, hidden, hidden, 3, stride=stride, groups=hidden, pads=pads, name="depthwise")
    out = _relu6(b, batch_norm(b, out, hidden, name="depthwise_BN", epsilon=1e-3), "depthwise_relu")
    out = batch_norm(b, conv(b, out, hidden, features, 1, name="project"), features, name="project_BN", epsilon=1e-3)
    return b.op("Add", x, out, name="add") if stride == 1 and channels == features else out


def mobilenet(seed: int = 0) -> onnx.ModelProto:
    """10 inverted residual blocks, 31 convolutions; image [batch, 64, 64, 3] -> probabilities [batch, 10]."""
    b = GraphBuilder("mobilenet", opset=13, seed=seed)
    x = b.input("image", ["batch", 64, 64, 3])
    x = b.op("Sub", b.op("Mul", x, b.weight("scale", np.float32(1 / 127.5))), b.weight("shift", np.float32(1.0)))
    x = b.op("Transpose", x, perm=[0, 3, 1, 2])
    x, pads = _padded(b, x, 2, "Conv1_pad")
    x = batch_norm(b, conv(b, x, 3, 8, 3, stride=2, pads=pads, name="Conv1"), 8, name="bn_Conv1", epsilon=1e-3)
    x, channels = _relu6(b, x, "Conv1_relu"), 8
    for stage, (expansion, features, repeats, stride) in enumerate(STAGES):
        for repeat in range(repeats):
            with b.scope(f"block_{stage}_{repeat}"):
                x = _inverted_residual(b, x, channels, features, expansion, stride if repeat == 0 else 1)
            channels = features
    x = batch_norm(b, conv(b, x, channels, 64, 1, name="Conv_1"), 64, name="Conv_1_bn", epsilon=1e-3)
    x = b.op("GlobalAveragePool", _relu6(b, x, "out_relu"))
    x = b.op("Squeeze", x, b.weight("squeeze_axes", np.array([2, 3], np.int64)))
    x = b.op("MatMul", x, b.weight("predictions.kernel", normal(b, (64, CLASSES), 0.125)), name="predictions/MatMul")
    x = b.op("Add", x, b.weight("predictions.bias", normal(b, (CLASSES,), 0.1)), name="predictions/BiasAdd")
    b.output(b.op("Softmax", x, axis=-1), "probabilities", ["batch", CLASSES])
    return b.model(__doc__ or "")
