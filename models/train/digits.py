"""Trains digits_cnn, a small residual CNN on scikit-learn's digits: python -m planish.models.train.digits [OUT.onnx]

The graph is written as PyTorch's exporter leaves one: normalization of the input in the graph, BatchNormalization
unfolded, Dropout and Identity kept, the flattening as Shape, Gather, Unsqueeze, Concat, Reshape.
"""

from __future__ import annotations

import sys

import numpy as np
import onnx

from ..datasets import digit_images
from ..graph_builder import GraphBuilder
from ..layers import dimension, reshape
from ..trained import save_trained
from .autodiff import Tensor, dropout, max_pool, relu
from .classifier import train_classifier
from .network import Exporter, Network

MEAN, DEVIATION = 0.305, 0.376
STAGES = (("layer1", 16), ("layer2", 32))


def _block(net: Network, x: Tensor, features: int, name: str) -> Tensor:
    out = relu(net.batch_norm(net.conv(x, features, 3, f"{name}.conv1"), f"{name}.bn1"))
    out = net.batch_norm(net.conv(out, features, 3, f"{name}.conv2"), f"{name}.bn2")
    if x.shape[1] != features:
        x = net.batch_norm(net.conv(x, features, 1, f"{name}.downsample.0"), f"{name}.downsample.1")
    return relu(out + x)


def forward(net: Network, images: np.ndarray) -> Tensor:
    """Logits [n, 10] of images [n, 1, 8, 8] with values 0 to 16."""
    x = Tensor((images / 16.0 - MEAN) / DEVIATION)
    x = relu(net.batch_norm(net.conv(x, 16, 3, "stem.conv"), "stem.bn"))
    for name, features in STAGES:
        x = max_pool(_block(net, x, features, name))
    x = relu(net.batch_norm(net.conv(x, 48, 1, "head.conv"), "head.bn")).mean((2, 3))
    return net.linear(dropout(x, 0.2, net.rng) if net.training else x, 10, "fc")


def shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image moved by up to one pixel in both directions; what comes in is 0."""
    wide = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    moves = rng.integers(0, 3, (len(images), 2))
    return np.stack([image[:, i : i + 8, j : j + 8] for image, (i, j) in zip(wide, moves, strict=True)])


def shifted_rows(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same of images without channels, [n, 8, 8]."""
    return shifted(rows[:, None], rng)[:, 0]


def export(net: Network) -> onnx.ModelProto:
    """The ONNX graph of the CNN in inference mode, with the weights of `net`."""
    b = GraphBuilder("digits_cnn", opset=13)
    out = Exporter(b, net)
    x = b.op("Div", b.input("image", ["batch", 1, 8, 8]), b.constant(16.0))
    x = b.op("Div", b.op("Sub", x, b.constant(MEAN)), b.constant(DEVIATION))
    x = b.op("Relu", out.batch_norm(out.conv(x, "stem.conv"), "stem.bn"))
    for name, _ in STAGES:
        y = b.op("Relu", out.batch_norm(out.conv(x, f"{name}.conv1"), f"{name}.bn1"))
        y = out.batch_norm(out.conv(y, f"{name}.conv2"), f"{name}.bn2")
        if f"{name}.downsample.0.weight" in out.arrays:
            x = out.batch_norm(out.conv(x, f"{name}.downsample.0"), f"{name}.downsample.1")
        else:
            x = b.op("Identity", x, name=f"{name}.downsample")
        x = b.op("Relu", b.op("Add", y, x))
        x = b.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4, dilations=[1, 1], ceil_mode=0)
    x = b.op("GlobalAveragePool", b.op("Relu", out.batch_norm(out.conv(x, "head.conv"), "head.bn")))
    x = reshape(b, x, dimension(b, x, 0), -1)
    x = b.ops("Dropout", x, b.constant(0.2), b.constant(False), outputs=2, name="dropout")[0]
    b.output(out.gemm(x, "fc"), "logits", ["batch", 10])
    return b.model("A residual CNN for 8 x 8 digits, trained by planish.models.train.digits.")


def train(seed: int = 0, epochs: int = 30) -> onnx.ModelProto:
    """Trains the CNN from `seed` and returns its ONNX graph."""
    data = digit_images()
    inputs, labels = data.train_inputs, data.train_labels
    return export(train_classifier(forward, inputs, labels, seed=seed, epochs=epochs, augment=shifted))


if __name__ == "__main__":
    save_trained("digits_cnn", train(), sys.argv[1:])
