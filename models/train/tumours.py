"""Trains tumours_mlp on scikit-learn's breast cancer data: python -m planish.models.train.tumours [OUT.onnx]

The graph is one of a small tabular model: the scaler as Sub and Div, Gemm and BatchNormalization of matrices,
LeakyRelu, Dropout, Softmax, and the class by ArgMax.
"""

from __future__ import annotations

import sys

import numpy as np
import onnx

from ..datasets import tumours
from ..graph_builder import INT64, GraphBuilder
from ..trained import save_trained
from .autodiff import Tensor, dropout, relu
from .classifier import train_classifier
from .network import Exporter, Network

LAYERS = (("fc1", "bn1", 24), ("fc2", "bn2", 12))
SLOPE = 0.1


def forward(net: Network, scaled: np.ndarray) -> Tensor:
    """Logits [n, 2] of standardized measurements [n, 30]."""
    x = Tensor(scaled)
    for linear, norm, units in LAYERS:
        x = net.batch_norm(net.linear(x, units, linear), norm)
        x = x * Tensor(SLOPE) + relu(x) * Tensor(1 - SLOPE)
        x = dropout(x, 0.2, net.rng) if net.training else x
    return net.linear(x, 2, "fc3")


def export(net: Network, mean: np.ndarray, deviation: np.ndarray) -> onnx.ModelProto:
    """The ONNX graph of the classifier in inference mode, with the weights of `net`."""
    b = GraphBuilder("tumours_mlp", opset=12)
    out = Exporter(b, net)
    x = b.op("Sub", b.input("measurements", ["batch", 30]), b.weight("scaler.mean", mean))
    x = b.op("Div", x, b.weight("scaler.scale", deviation))
    for linear, norm, _ in LAYERS:
        x = b.op("LeakyRelu", out.batch_norm(out.gemm(x, linear), norm), alpha=SLOPE)
        x = b.ops("Dropout", x, b.constant(0.2), b.constant(False), outputs=2)[0]
    probabilities = b.op("Softmax", out.gemm(x, "fc3"), axis=1)
    label = b.op("ArgMax", probabilities, axis=1, keepdims=0)
    b.output(probabilities, "probabilities", ["batch", 2])
    b.output(label, "label", ["batch"], INT64)
    return b.model("A classifier of tumours by 30 measurements, trained by planish.models.train.tumours.")


def train(seed: int = 0, epochs: int = 60) -> onnx.ModelProto:
    """Trains the classifier from `seed` and returns its ONNX graph."""
    data = tumours()
    mean, deviation = data.train_inputs.mean(axis=0), data.train_inputs.std(axis=0)
    scaled = (data.train_inputs - mean) / deviation
    return export(train_classifier(forward, scaled, data.train_labels, seed=seed, epochs=epochs), mean, deviation)


if __name__ == "__main__":
    save_trained("tumours_mlp", train(), sys.argv[1:])
