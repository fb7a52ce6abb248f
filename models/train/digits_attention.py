"""Trains digits_attention, a transformer that reads digits row by row: python -m planish.models.train.digits_attention

The graph is written as PyTorch's exporter leaves one at opset 13: LayerNorm and the erf Gelu in small ops, query,
key and value as three MatMul + Add, every view as Shape, Gather, Unsqueeze, Concat, Reshape, Dropout kept.
"""

from __future__ import annotations

import math
import sys

import numpy as np
import onnx

from ..datasets import digit_rows
from ..graph_builder import GraphBuilder
from ..layers import dimension, gelu, reshape
from ..trained import save_trained
from .autodiff import Tensor, dropout, erf_gelu, softmax
from .classifier import train_classifier
from .digits import shifted_rows
from .network import Exporter, Network

ROWS, HIDDEN, HEADS, LAYERS = 8, 32, 4, 2
HEAD = HIDDEN // HEADS


def _attention(net: Network, x: Tensor, name: str) -> Tensor:
    batch = x.shape[0]

    def heads(part: str, *axes: int) -> Tensor:
        return net.linear(x, HIDDEN, f"{name}.{part}").reshape(batch, ROWS, HEADS, HEAD).transpose(*axes)

    scores = heads("query", 0, 2, 1, 3) @ heads("key", 0, 2, 3, 1) * Tensor(1 / math.sqrt(HEAD))
    context = softmax(scores) @ heads("value", 0, 2, 1, 3)
    return net.linear(context.transpose(0, 2, 1, 3).reshape(batch, ROWS, HIDDEN), HIDDEN, f"{name}.out")


def forward(net: Network, rows: np.ndarray) -> Tensor:
    """Logits [n, 10] of sequences [n, 8, 8] with values 0 to 16."""
    x = net.linear(Tensor(rows / 16.0), HIDDEN, "embed") + net.parameter("positions", (ROWS, HIDDEN), 0.3)
    for layer in range(LAYERS):
        with_attention = x + _attention(net, net.layer_norm(x, f"layers.{layer}.norm1"), f"layers.{layer}.attention")
        inner = net.linear(net.layer_norm(with_attention, f"layers.{layer}.norm2"), 2 * HIDDEN, f"layers.{layer}.up")
        x = with_attention + net.linear(erf_gelu(inner), HIDDEN, f"layers.{layer}.down")
    x = net.layer_norm(x, "norm").mean(1)
    return net.linear(dropout(x, 0.1, net.rng) if net.training else x, 10, "fc")


def _export_attention(out: Exporter, x: str, name: str) -> str:
    b = out.b

    def heads(part: str, perm: list[int]) -> str:
        view = reshape(b, out.dense(x, f"{name}.{part}"), dimension(b, x, 0), dimension(b, x, 1), HEADS, HEAD)
        return b.op("Transpose", view, perm=perm)

    scores = b.op("MatMul", heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]))
    weights = b.op("Softmax", b.op("Div", scores, b.constant(math.sqrt(HEAD))), axis=-1)
    context = b.op("Transpose", b.op("MatMul", weights, heads("value", [0, 2, 1, 3])), perm=[0, 2, 1, 3])
    return out.dense(reshape(b, context, dimension(b, x, 0), dimension(b, x, 1), HIDDEN), f"{name}.out")


def export(net: Network) -> onnx.ModelProto:
    """The ONNX graph of the transformer in inference mode, with the weights of `net`."""
    b = GraphBuilder("digits_attention", opset=13)
    out = Exporter(b, net)
    x = out.dense(b.op("Div", b.input("rows", ["batch", ROWS, 8]), b.constant(16.0)), "embed")
    x = b.op("Add", x, b.weight("positions", out.arrays["positions"]))
    for layer in range(LAYERS):
        attended = _export_attention(out, out.layer_norm(x, f"layers.{layer}.norm1"), f"layers.{layer}.attention")
        x = b.op("Add", x, b.op("Identity", attended))
        inner = gelu(b, out.dense(out.layer_norm(x, f"layers.{layer}.norm2"), f"layers.{layer}.up"))
        x = b.op("Add", x, out.dense(inner, f"layers.{layer}.down"))
    x = b.op("ReduceMean", out.layer_norm(x, "norm"), axes=[1], keepdims=0)
    x = b.ops("Dropout", x, b.constant(0.1), b.constant(False), outputs=2, name="dropout")[0]
    b.output(out.gemm(x, "fc"), "logits", ["batch", 10])
    return b.model("A transformer over the rows of 8 x 8 digits, trained by planish.models.train.digits_attention.")


def train(seed: int = 0, epochs: int = 120) -> onnx.ModelProto:
    """Trains the transformer from `seed` and returns its ONNX graph."""
    data = digit_rows()
    inputs, labels = data.train_inputs, data.train_labels
    return export(train_classifier(forward, inputs, labels, seed=seed, epochs=epochs, augment=shifted_rows))


if __name__ == "__main__":
    save_trained("digits_attention", train(), sys.argv[1:])
