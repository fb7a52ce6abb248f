"""A small residual CNN quantized to int8, as ONNX Runtime's static quantizer writes it in the QDQ format at opset 13.

Activations are quantized per tensor to uint8, weights are stored as int8 per output channel and biases as int32,
all behind DequantizeLinear. Scales come from the seeded weights and from the range that a normalized map has.
"""

from __future__ import annotations

import numpy as np
import onnx

from .graph_builder import GraphBuilder
from .layers import conv_weight, normal

CLASSES = 10
ACTIVATION_SCALE = np.float32(6.0 / 255.0)


def _quantized(b: GraphBuilder, x: str, name: str, zero_point: int = 0) -> str:
    scale = b.weight(f"{name}_scale", ACTIVATION_SCALE)
    zero = b.weight(f"{name}_zero_point", np.uint8(zero_point))
    return b.op("DequantizeLinear", b.op("QuantizeLinear", x, scale, zero, name=f"{name}_Q"), scale, zero,
                name=f"{name}_DQ")  # fmt: skip


def _stored(b: GraphBuilder, weight: np.ndarray, name: str, axis: int) -> tuple[str, np.ndarray]:
    """An int8 weight with one scale for each index of `axis`, and the scales."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    scales = (np.abs(weight).max(axis=others) / 127.0).astype(np.float32)
    spread = scales.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])
    stored = b.weight(f"{name}_quantized", np.clip(np.round(weight / spread), -127, 127).astype(np.int8))
    zeros = b.weight(f"{name}_zero_point", np.zeros(scales.shape, np.int8))
    node = b.op("DequantizeLinear", stored, b.weight(f"{name}_scale", scales), zeros, name=f"{name}_DQ", axis=axis)
    return node, scales


def _bias(b: GraphBuilder, scales: np.ndarray, name: str) -> str:
    steps = (scales * ACTIVATION_SCALE).astype(np.float32)
    stored = b.weight(f"{name}_quantized", np.round(normal(b, scales.shape, 0.1) / steps).astype(np.int32))
    zeros = b.weight(f"{name}_zero_point", np.zeros(scales.shape, np.int32))
    return b.op("DequantizeLinear", stored, b.weight(f"{name}_scale", steps), zeros, name=f"{name}_DQ", axis=0)


def _conv(b: GraphBuilder, x: str, channels: int, features: int, name: str, stride: int = 1, kernel: int = 3) -> str:
    weight, scales = _stored(b, conv_weight(b, channels, features, (kernel, kernel)), f"{name}.weight", 0)
    return b.op("Conv", x, weight, _bias(b, scales, f"{name}.bias"), name=name, kernel_shape=[kernel] * 2,
                pads=[kernel // 2] * 4, strides=[stride] * 2, group=1, dilations=[1, 1])  # fmt: skip


def _block(b: GraphBuilder, x: str, channels: int, features: int, name: str) -> str:
    """Two convolutions with stride 2 and a convolution on the shortcut; x and the result are dequantized."""
    with b.scope(name):
        out = _quantized(b, b.op("Relu", _conv(b, x, channels, features, "conv1", 2)), "relu1")
        out = _quantized(b, _conv(b, out, features, features, "conv2"), "conv2_out", 128)
        side = _quantized(b, _conv(b, x, channels, features, "downsample", 2, 1), "downsample_out", 128)
        return _quantized(b, b.op("Relu", b.op("Add", out, side)), "relu2")


def quantized_cnn(seed: int = 0) -> onnx.ModelProto:
    """Eight quantized convolutions; image [batch, 3, 32, 32] -> logits [batch, 10]."""
    b = GraphBuilder("quantized_cnn", opset=13, seed=seed)
    x = _quantized(b, b.input("image", ["batch", 3, 32, 32]), "image", 128)
    x = _quantized(b, b.op("Relu", _conv(b, x, 3, 8, "conv1")), "relu")
    x = _quantized(b, b.op("Relu", _conv(b, x, 8, 8, "conv2")), "relu")
    x = _block(b, x, 8, 16, "layer1")
    x = _block(b, x, 16, 32, "layer2")
    x = _quantized(b, b.op("GlobalAveragePool", x), "avgpool")
    x = _quantized(b, b.op("Flatten", x, axis=1), "flatten")
    weight, scales = _stored(b, normal(b, (CLASSES, 32), 0.2), "fc.weight", 0)
    logits = _quantized(b, b.op("Gemm", x, weight, _bias(b, scales, "fc.bias"), name="fc", transB=1), "fc_out", 128)
    b.output(logits, "logits", ["batch", CLASSES])
    return b.model(__doc__ or "")
