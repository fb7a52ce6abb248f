"""Reverse-mode differentiation over NumPy arrays: just what training the shipped models takes.

A `Tensor` remembers how it was made; `backward` walks the graph in reverse topological order and adds up the
gradients. Arrays are float32. Method: Baydin et al. 2018, "Automatic Differentiation in Machine Learning".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_erf = np.vectorize(math.erf, otypes=[np.float32])


class Tensor:
    """An array, its gradient after `backward`, and the tensors that it was computed from."""

    def __init__(
        self,
        data: np.ndarray | np.generic | float,
        parents: Sequence[Tensor] = (),
        pull: Callable[[np.ndarray], Sequence[np.ndarray | None]] | None = None,
    ) -> None:
        self.data: np.ndarray = np.asarray(data, np.float32)
        self.grad: np.ndarray | None = None
        self.parents = parents
        self.pull = pull

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def backward(self) -> None:
        """Fills `grad` of every tensor that this scalar depends on."""
        order: list[Tensor] = []
        seen: set[int] = set()
        stack: list[tuple[Tensor, bool]] = [(self, False)]
        while stack:
            tensor, done = stack.pop()
            if done:
                order.append(tensor)
            elif id(tensor) not in seen:
                seen.add(id(tensor))
                stack.append((tensor, True))
                stack += [(parent, False) for parent in tensor.parents]
        self.grad = np.ones_like(self.data)
        for tensor in reversed(order):
            if tensor.pull is None or tensor.grad is None:
                continue
            for parent, grad in zip(tensor.parents, tensor.pull(tensor.grad), strict=True):
                if grad is not None:
                    parent.grad = grad if parent.grad is None else parent.grad + grad

    def __add__(self, other: Tensor) -> Tensor:
        return Tensor(self.data + other.data, (self, other),
                      lambda g: (_unbroadcast(g, self.shape), _unbroadcast(g, other.shape)))  # fmt: skip

    def __sub__(self, other: Tensor) -> Tensor:
        return self + other * Tensor(-1.0)

    def __mul__(self, other: Tensor) -> Tensor:
        return Tensor(self.data * other.data, (self, other),
                      lambda g: (_unbroadcast(g * other.data, self.shape),
                                 _unbroadcast(g * self.data, other.shape)))  # fmt: skip

    def __matmul__(self, other: Tensor) -> Tensor:
        def pull(g: np.ndarray) -> Sequence[np.ndarray]:
            left = g @ np.swapaxes(other.data, -1, -2)
            right = np.swapaxes(self.data, -1, -2) @ g
            return _unbroadcast(left, self.shape), _unbroadcast(right, other.shape)

        return Tensor(self.data @ other.data, (self, other), pull)

    def __getitem__(self, index: Any) -> Tensor:
        def pull(g: np.ndarray) -> Sequence[np.ndarray]:
            whole = np.zeros_like(self.data)
            whole[index] = g
            return (whole,)

        return Tensor(self.data[index], (self,), pull)

    def reshape(self, *shape: int) -> Tensor:
        return Tensor(self.data.reshape(shape), (self,), lambda g: (g.reshape(self.shape),))

    def transpose(self, *axes: int) -> Tensor:
        return Tensor(self.data.transpose(axes), (self,), lambda g: (g.transpose(np.argsort(axes)),))

    def mean(self, axis: int | tuple[int, ...], keepdims: bool = False) -> Tensor:
        mean = self.data.mean(axis=axis, keepdims=True)
        kept = mean.shape
        count = self.data.size // mean.size
        return Tensor(mean if keepdims else mean.squeeze(axis), (self,),
                      lambda g: (np.broadcast_to(g.reshape(kept) / count, self.shape),))  # fmt: skip


def _unbroadcast(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sums a gradient over the axes along which its operand was repeated."""
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    repeated = tuple(axis for axis, size in enumerate(shape) if size == 1 and grad.shape[axis] != 1)
    return grad.sum(axis=repeated, keepdims=True) if repeated else grad


def relu(x: Tensor) -> Tensor:
    return Tensor(np.maximum(x.data, 0), (x,), lambda g: (g * (x.data > 0),))


def sigmoid(x: Tensor) -> Tensor:
    y = 1.0 / (1.0 + np.exp(-x.data))
    return Tensor(y, (x,), lambda g: (g * y * (1 - y),))


def tanh(x: Tensor) -> Tensor:
    y = np.tanh(x.data)
    return Tensor(y, (x,), lambda g: (g * (1 - y * y),))


def erf_gelu(x: Tensor) -> Tensor:
    """x * (erf(x / sqrt 2) + 1) / 2 (Hendrycks and Gimpel 2016)."""
    cumulative = 0.5 * (1.0 + _erf(x.data / math.sqrt(2.0)))
    density = np.exp(-0.5 * x.data**2) / math.sqrt(2.0 * math.pi)
    return Tensor(x.data * cumulative, (x,), lambda g: (g * (cumulative + x.data * density),))


def softmax(x: Tensor) -> Tensor:
    """Over the last axis."""
    raised = np.exp(x.data - x.data.max(axis=-1, keepdims=True))
    y = raised / raised.sum(axis=-1, keepdims=True)
    return Tensor(y, (x,), lambda g: (y * (g - (g * y).sum(axis=-1, keepdims=True)),))


def concat(tensors: Sequence[Tensor], axis: int) -> Tensor:
    edges = np.cumsum([tensor.shape[axis] for tensor in tensors])[:-1]
    return Tensor(np.concatenate([tensor.data for tensor in tensors], axis), tensors,
                  lambda g: np.split(g, edges, axis))  # fmt: skip


def normalize(x: Tensor, axes: tuple[int, ...], epsilon: float) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) over `axes`: the core of batch and of layer normalization."""
    deviation = np.sqrt(x.data.var(axis=axes, keepdims=True) + epsilon)
    y = (x.data - x.data.mean(axis=axes, keepdims=True)) / deviation

    def pull(g: np.ndarray) -> Sequence[np.ndarray]:
        along = (g * y).mean(axis=axes, keepdims=True)
        return ((g - g.mean(axis=axes, keepdims=True) - y * along) / deviation,)

    return Tensor(y, (x,), pull)


def conv2d(x: Tensor, weight: Tensor, pad: int) -> Tensor:
    """Stride-1 convolution of [n, c, h, w] by [f, c, k, k] with zero padding, as one matrix product of patches."""
    n, c = x.shape[:2]
    f, k = weight.shape[0], weight.shape[2]
    padded = np.pad(x.data, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))
    h, w = windows.shape[2:4]
    patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, c * k * k)
    flat = weight.data.reshape(f, -1)

    def pull(g: np.ndarray) -> Sequence[np.ndarray]:
        rows = g.transpose(0, 2, 3, 1).reshape(n * h * w, f)
        spread = (rows @ flat).reshape(n, h, w, c, k, k)
        back = np.zeros_like(padded)
        for i in range(k):
            for j in range(k):
                back[:, :, i : i + h, j : j + w] += spread[..., i, j].transpose(0, 3, 1, 2)
        inner = back[:, :, pad : back.shape[2] - pad, pad : back.shape[3] - pad]
        return inner, (rows.T @ patches).reshape(weight.shape)

    return Tensor((patches @ flat.T).reshape(n, h, w, f).transpose(0, 3, 1, 2), (x, weight), pull)


def max_pool(x: Tensor) -> Tensor:
    """2 x 2 with stride 2 on even sizes; a tie sends its gradient to the first of the equal elements."""
    n, c, h, w = x.shape
    cells = x.data.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
    chosen = np.eye(4, dtype=np.float32)[cells.argmax(axis=-1)]

    def pull(g: np.ndarray) -> Sequence[np.ndarray]:
        spread = (g[..., None] * chosen).reshape(n, c, h // 2, w // 2, 2, 2)
        return (spread.transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h, w),)

    return Tensor(cells.max(axis=-1), (x,), pull)


def dropout(x: Tensor, rate: float, rng: np.random.Generator) -> Tensor:
    kept = (rng.random(x.shape) >= rate) / (1.0 - rate)
    return x * Tensor(kept)


def cross_entropy(logits: Tensor, labels: np.ndarray, smoothing: float = 0.0) -> Tensor:
    """The mean negative log likelihood of `labels` [n] under `logits` [n, classes]; a scalar."""
    n, classes = logits.shape
    target = np.full((n, classes), smoothing / classes, np.float32)
    target[np.arange(n), labels] += 1.0 - smoothing
    shifted = logits.data - logits.data.max(axis=1, keepdims=True)
    log_likelihood = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -(target * log_likelihood).sum() / n
    return Tensor(loss, (logits,), lambda g: (g * (np.exp(log_likelihood) - target) / n,))
