"""What the training scripts do alike: a classifier is fitted to labelled samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .autodiff import Tensor, cross_entropy
from .network import Network
from .optimizer import fit


def train_classifier(
    forward: Callable[[Network, np.ndarray], Tensor],
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    epochs: int,
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] = lambda batch, _: batch,
) -> Network:
    """A network whose logits are `forward(network, samples)`, trained and in inference mode."""
    net = Network(seed)
    forward(net, inputs[:2])  # makes the parameters

    def loss(batch: np.ndarray) -> Tensor:
        return cross_entropy(forward(net, augment(inputs[batch], net.rng)), labels[batch], smoothing=0.05)

    fit(loss, list(net.parameters.values()), len(inputs), net.rng, epochs=epochs)
    net.training = False
    return net
