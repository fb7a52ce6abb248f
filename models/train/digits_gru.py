"""Trains digits_gru, a bidirectional GRU that reads digits row by row: python -m planish.models.train.digits_gru

The graph is written as PyTorch's exporter leaves one at opset 15: a GRU node whose initial state is expanded from
the batch size and whose sequence of states is not read, the last states of both directions taken apart by Gather and
joined by Concat, then Gemm, BatchNormalization and Relu.
"""

from __future__ import annotations

import sys

import numpy as np
import onnx

from ..datasets import digit_rows
from ..graph_builder import GraphBuilder
from ..layers import dimension, unsqueeze
from ..trained import save_trained
from .autodiff import Tensor, concat, relu, sigmoid, tanh
from .classifier import train_classifier
from .digits import shifted_rows
from .network import Exporter, Network

ROWS, HIDDEN = 8, 24
DIRECTIONS = ("forward", "reverse")
ONE = Tensor(1.0)


def _direction(net: Network, x: Tensor, name: str) -> Tensor:
    """The states after all rows of x [n, 8, 8], a GRU with linear_before_reset (Cho et al. 2014)."""
    given = net.linear(x, 3 * HIDDEN, f"gru.{name}.input")
    state = Tensor(np.zeros((x.shape[0], HIDDEN)))
    for row in range(ROWS) if name == "forward" else reversed(range(ROWS)):
        now, before = given[:, row], net.linear(state, 3 * HIDDEN, f"gru.{name}.hidden")
        update = sigmoid(now[:, :HIDDEN] + before[:, :HIDDEN])
        reset = sigmoid(now[:, HIDDEN : 2 * HIDDEN] + before[:, HIDDEN : 2 * HIDDEN])
        candidate = tanh(now[:, 2 * HIDDEN :] + reset * before[:, 2 * HIDDEN :])
        state = (ONE - update) * candidate + update * state
    return state


def forward(net: Network, rows: np.ndarray) -> Tensor:
    """Logits [n, 10] of sequences [n, 8, 8] with values 0 to 16."""
    x = Tensor(rows / 16.0)
    states = concat([_direction(net, x, name) for name in DIRECTIONS], 1)
    return net.linear(relu(net.batch_norm(net.linear(states, 32, "fc1"), "bn")), 10, "fc2")


def export(net: Network) -> onnx.ModelProto:
    """The ONNX graph of the recurrent network in inference mode, with the weights of `net`."""
    b = GraphBuilder("digits_gru", opset=15)
    out = Exporter(b, net)
    x = b.op("Mul", b.input("rows", ["batch", ROWS, 8]), b.constant(1 / 16.0))
    x = b.op("Transpose", x, perm=[1, 0, 2])
    arrays = [[out.arrays[f"gru.{name}.{part}"] for name in DIRECTIONS]
              for part in ("input.weight", "hidden.weight", "input.bias", "hidden.bias")]  # fmt: skip
    weights = [b.weight("gru.W", np.stack(arrays[0])), b.weight("gru.R", np.stack(arrays[1]))]
    bias = b.weight("gru.B", np.concatenate([np.stack(arrays[2]), np.stack(arrays[3])], axis=1))
    shape = b.op("Concat", b.constant([2]), unsqueeze(b, dimension(b, x, 1), 0), b.constant([HIDDEN]), axis=0)
    initial = b.op("Expand", b.constant([[[0.0]]]), shape)
    states = b.ops("GRU", x, *weights, bias, "", initial, outputs=2, name="gru", direction="bidirectional",
                   hidden_size=HIDDEN, linear_before_reset=1)[1]  # fmt: skip
    x = b.op("Concat", *(b.op("Gather", states, b.constant(side), axis=0) for side in (0, 1)), axis=-1)
    x = b.op("Relu", out.batch_norm(out.gemm(x, "fc1"), "bn"))
    b.output(out.gemm(x, "fc2"), "logits", ["batch", 10])
    return b.model("A bidirectional GRU over the rows of 8 x 8 digits, trained by planish.models.train.digits_gru.")


def train(seed: int = 0, epochs: int = 120) -> onnx.ModelProto:
    """Trains the recurrent network from `seed` and returns its ONNX graph."""
    data = digit_rows()
    inputs, labels = data.train_inputs, data.train_labels
    return export(train_classifier(forward, inputs, labels, seed=seed, epochs=epochs, augment=shifted_rows))


if __name__ == "__main__":
    save_trained("digits_gru", train(), sys.argv[1:])
