"""Adam with decoupled weight decay and a cosine schedule, and the training loop that the scripts share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .autodiff import Tensor


class AdamW:
    """Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization"; vectors are not decayed."""

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self.parameters = parameters
        self.decay = decay
        self._step = 0
        self._first: list[np.ndarray] = [np.zeros_like(p.data) for p in parameters]
        self._second: list[np.ndarray] = [np.zeros_like(p.data) for p in parameters]

    def step(self, rate: float) -> None:
        """Moves the parameters against their gradients and clears these."""
        self._step += 1
        for i, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                continue
            self._first[i] = 0.9 * self._first[i] + 0.1 * parameter.grad
            self._second[i] = 0.99 * self._second[i] + 0.01 * parameter.grad**2
            mean = self._first[i] / (1 - 0.9**self._step)
            spread = np.sqrt(self._second[i] / (1 - 0.99**self._step))
            shrink = rate * self.decay if parameter.data.ndim > 1 else 0.0
            parameter.data = (parameter.data * (1 - shrink) - rate * mean / (spread + 1e-8)).astype(np.float32)
            parameter.grad = None


def fit(
    loss: Callable[[np.ndarray], Tensor],
    parameters: Sequence[Tensor],
    samples: int,
    rng: np.random.Generator,
    *,
    epochs: int,
    batch: int = 64,
    rate: float = 3e-3,
    decay: float = 1e-2,
) -> float:
    """Minimizes `loss(indices of a batch)` and returns the mean loss of the last epoch."""
    optimizer = AdamW(parameters, decay)
    steps, done, mean = epochs * math.ceil(samples / batch), 0, math.inf
    for _ in range(epochs):
        order, losses = rng.permutation(samples), []
        for start in range(0, samples, batch):
            value = loss(order[start : start + batch])
            value.backward()
            optimizer.step(rate * 0.5 * (1 + math.cos(math.pi * done / steps)))
            losses.append(float(value.data))
            done += 1
        mean = float(np.mean(losses))
    return mean
