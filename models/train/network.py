"""Named parameters and the layers over them, as the training scripts use them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..graph_builder import GraphBuilder
from .autodiff import Tensor, conv2d, normalize


class Network:
    """Parameters by dotted name, created when a layer is first used, and running statistics.

    `training` picks batch statistics (which are then also averaged) or running ones.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.training = True
        self.parameters: dict[str, Tensor] = {}
        self.statistics: dict[str, np.ndarray] = {}

    def parameter(self, name: str, shape: tuple[int, ...], deviation: float = 0.0, mean: float = 0.0) -> Tensor:
        if name not in self.parameters:
            self.parameters[name] = Tensor(mean + deviation * self.rng.standard_normal(shape))
        return self.parameters[name]

    def linear(self, x: Tensor, units: int, name: str) -> Tensor:
        """x @ weight.T + bias over the last axis; the weight is [units, features]."""
        features = x.shape[-1]
        weight = self.parameter(f"{name}.weight", (units, features), math.sqrt(1.0 / features))
        return x @ weight.transpose(1, 0) + self.parameter(f"{name}.bias", (units,))

    def conv(self, x: Tensor, features: int, kernel: int, name: str) -> Tensor:
        fan_in = x.shape[1] * kernel**2
        shape = (features, x.shape[1], kernel, kernel)
        return conv2d(x, self.parameter(f"{name}.weight", shape, math.sqrt(2.0 / fan_in)), kernel // 2)

    def batch_norm(self, x: Tensor, name: str, epsilon: float = 1e-5) -> Tensor:
        """Over axis 1 of [n, c] or [n, c, h, w]; the running statistics move by a tenth with each batch."""
        axes = tuple(axis for axis in range(x.data.ndim) if axis != 1)
        shape = tuple(size if axis == 1 else 1 for axis, size in enumerate(x.shape))
        channels = (x.shape[1],)
        scale, shift = self.parameter(f"{name}.weight", channels, mean=1.0), self.parameter(f"{name}.bias", channels)
        mean = self.statistics.setdefault(f"{name}.running_mean", np.zeros(channels, np.float32))
        variance = self.statistics.setdefault(f"{name}.running_var", np.ones(channels, np.float32))
        if self.training:
            count = x.data.size // x.shape[1]
            mean += 0.1 * (x.data.mean(axis=axes) - mean)
            variance += 0.1 * (x.data.var(axis=axes) * count / (count - 1) - variance)
            normal = normalize(x, axes, epsilon)
        else:
            spread = np.sqrt(variance + epsilon)
            normal = (x - Tensor(mean.reshape(shape))) * Tensor(1.0 / spread.reshape(shape))
        return normal * scale.reshape(*shape) + shift.reshape(*shape)

    def layer_norm(self, x: Tensor, name: str, epsilon: float = 1e-5) -> Tensor:
        features = (x.shape[-1],)
        normal = normalize(x, (-1,), epsilon)
        return normal * self.parameter(f"{name}.weight", features, mean=1.0) + self.parameter(f"{name}.bias", features)


class Exporter:
    """Writes layers into a graph with the weights of a trained network, under the network's names."""

    def __init__(self, builder: GraphBuilder, network: Network) -> None:
        self.b = builder
        self.arrays = {name: tensor.data for name, tensor in network.parameters.items()} | network.statistics

    def conv(self, x: str, name: str) -> str:
        weight = self.arrays[f"{name}.weight"]
        kernel = list(weight.shape[2:])
        pads = [side // 2 for side in kernel] * 2
        return self.b.op("Conv", x, self.b.weight(f"{name}.weight", weight), name=name, dilations=[1, 1], group=1,
                         kernel_shape=kernel, pads=pads, strides=[1, 1])  # fmt: skip

    def batch_norm(self, x: str, name: str) -> str:
        parts = ("weight", "bias", "running_mean", "running_var")
        held = [self.b.weight(f"{name}.{part}", self.arrays[f"{name}.{part}"]) for part in parts]
        mode: dict[str, Any] = {"training_mode": 0} if self.b.opset >= 14 else {}
        return self.b.op("BatchNormalization", x, *held, name=name, epsilon=1e-5, momentum=0.9, **mode)

    def gemm(self, x: str, name: str) -> str:
        held = [self.b.weight(f"{name}.{part}", self.arrays[f"{name}.{part}"]) for part in ("weight", "bias")]
        return self.b.op("Gemm", x, *held, name=name, alpha=1.0, beta=1.0, transB=1)

    def dense(self, x: str, name: str) -> str:
        """MatMul by the transposed weight, then bias + product, for more than two dimensions."""
        product = self.b.op("MatMul", x, self.b.weight(f"{name}.weight", self.arrays[f"{name}.weight"].T))
        return self.b.op("Add", self.b.weight(f"{name}.bias", self.arrays[f"{name}.bias"]), product)

    def layer_norm(self, x: str, name: str) -> str:
        """In small ops, as before opset 17."""
        b = self.b
        centered = b.op("Sub", x, b.op("ReduceMean", x, axes=[-1], keepdims=1))
        variance = b.op("ReduceMean", b.op("Pow", centered, b.constant(2.0)), axes=[-1], keepdims=1)
        scaled = b.op("Div", centered, b.op("Sqrt", b.op("Add", variance, b.constant(1e-5))))
        scaled = b.op("Mul", scaled, b.weight(f"{name}.weight", self.arrays[f"{name}.weight"]))
        return b.op("Add", scaled, b.weight(f"{name}.bias", self.arrays[f"{name}.bias"]))
