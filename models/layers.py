"""Layers as exporters write them, with seeded weights of the size that training gives them.

Weights are drawn as He et al. 2015 ("Delving Deep into Rectifiers") initialize them. Batch normalization's
statistics are near the ones that such layers have (mean around 0, variance around 1), and never the identity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .graph_builder import GraphBuilder


def normal(b: GraphBuilder, shape: Sequence[int], deviation: float = 1.0) -> np.ndarray:
    return (b.rng.standard_normal(shape) * deviation).astype(np.float32)


def uniform(b: GraphBuilder, shape: Sequence[int], low: float, high: float) -> np.ndarray:
    return b.rng.uniform(low, high, shape).astype(np.float32)


def conv_weight(
    b: GraphBuilder, channels: int, features: int, kernel: tuple[int, int], groups: int = 1
) -> np.ndarray:
    """A [features, channels / groups, *kernel] weight."""
    shape = (features, channels // groups, *kernel)
    return normal(b, shape, math.sqrt(2.0 / math.prod(shape[1:])))


def conv(
    b: GraphBuilder,
    x: str,
    channels: int,
    features: int,
    kernel: int | tuple[int, int] = 3,
    *,
    stride: int = 1,
    groups: int = 1,
    pads: Sequence[int] | None = None,
    bias: bool = False,
    name: str = "conv",
) -> str:
    """A 2-D Conv from `channels` to `features` channels; without `pads` it keeps the size at stride 1."""
    size = (kernel, kernel) if isinstance(kernel, int) else kernel
    inputs = [x, b.weight(f"{name}.weight", conv_weight(b, channels, features, size, groups))]
    if bias:
        inputs.append(b.weight(f"{name}.bias", normal(b, (features,), 0.1)))
    return b.op(
        "Conv",
        *inputs,
        name=name,
        dilations=[1, 1],
        group=groups,
        kernel_shape=size,
        pads=pads if pads is not None else [size[0] // 2, size[1] // 2] * 2,
        strides=[stride, stride],
    )


def batch_norm(b: GraphBuilder, x: str, channels: int, *, name: str = "bn", epsilon: float = 1e-5) -> str:
    """An inference-mode BatchNormalization over axis 1."""
    mode: dict[str, Any] = {"training_mode": 0} if b.opset >= 14 else {}
    return b.op(
        "BatchNormalization",
        x,
        b.weight(f"{name}.weight", uniform(b, (channels,), 0.6, 1.4)),
        b.weight(f"{name}.bias", normal(b, (channels,), 0.2)),
        b.weight(f"{name}.running_mean", normal(b, (channels,), 0.3)),
        b.weight(f"{name}.running_var", uniform(b, (channels,), 0.4, 1.8)),
        name=name,
        epsilon=epsilon,
        momentum=0.9,
        **mode,
    )


def gemm(b: GraphBuilder, x: str, features: int, units: int, *, name: str = "fc") -> str:
    """torch.nn.Linear on a matrix: Gemm with a transposed [units, features] weight."""
    weight = b.weight(f"{name}.weight", normal(b, (units, features), math.sqrt(1.0 / features)))
    bias = b.weight(f"{name}.bias", normal(b, (units,), 0.1))
    return b.op("Gemm", x, weight, bias, name=name, alpha=1.0, beta=1.0, transB=1)


def dense(b: GraphBuilder, x: str, features: int, units: int, *, name: str, bias: bool = True) -> str:
    """torch.nn.Linear on a tensor of more than two dimensions: MatMul by [features, units], then bias + product."""
    weight = b.weight(f"{name}.weight", normal(b, (features, units), math.sqrt(1.0 / features)))
    product = b.op("MatMul", x, weight, name=f"{name}/MatMul")
    if not bias:
        return product
    return b.op("Add", b.weight(f"{name}.bias", normal(b, (units,), 0.1)), product, name=f"{name}/Add")


def dimension(b: GraphBuilder, x: str, axis: int) -> str:
    """`x.shape[axis]` as PyTorch's exporter writes it: Shape, then Gather by a scalar. A rank-0 int64."""
    return b.op("Gather", b.op("Shape", x), b.constant(axis), axis=0)


def reshape(b: GraphBuilder, x: str, *dims: int | str) -> str:
    """Reshape to `dims`, each a number or a rank-0 value: Unsqueeze each, Concat, Reshape."""
    parts = [unsqueeze(b, d, 0) if isinstance(d, str) else b.constant([d]) for d in dims]
    return b.op("Reshape", x, b.op("Concat", *parts, axis=0))


def unsqueeze(b: GraphBuilder, x: str, *axes: int) -> str:
    """Unsqueeze with its axes where the opset keeps them: an attribute before opset 13, an input since."""
    if b.opset < 13:
        return b.op("Unsqueeze", x, axes=axes)
    return b.op("Unsqueeze", x, b.constant(list(axes)))


def slice_(b: GraphBuilder, x: str, start: int | str, end: int | str, axis: int, step: int = 1) -> str:
    """Slice one axis; a start or end that is a name is a rank-1 value."""
    bounds = [bound if isinstance(bound, str) else b.constant([bound]) for bound in (start, end)]
    return b.op("Slice", x, *bounds, b.constant([axis]), b.constant([step]))


def layer_norm(b: GraphBuilder, x: str, features: int, *, name: str, epsilon: float = 1e-5) -> str:
    """LayerNorm over the last axis in small ops, as exported before opset 17."""
    with b.scope(name):
        mean = b.op("ReduceMean", x, axes=[-1], keepdims=1)
        centered = b.op("Sub", x, mean)
        squared = b.op("Pow", centered, b.constant(2.0))
        variance = b.op("ReduceMean", squared, axes=[-1], keepdims=1)
        deviation = b.op("Sqrt", b.op("Add", variance, b.constant(epsilon)))
        scaled = b.op("Mul", b.op("Div", centered, deviation), b.weight("weight", uniform(b, (features,), 0.7, 1.3)))
        return b.op("Add", scaled, b.weight("bias", normal(b, (features,), 0.1)))


def gelu(b: GraphBuilder, x: str) -> str:
    """The exact Gelu in small ops: x * (erf(x / sqrt 2) + 1) * 0.5."""
    erf = b.op("Erf", b.op("Div", x, b.constant(math.sqrt(2.0))))
    return b.op("Mul", b.op("Mul", x, b.op("Add", erf, b.constant(1.0))), b.constant(0.5))


def silu(b: GraphBuilder, x: str) -> str:
    return b.op("Mul", x, b.op("Sigmoid", x))
