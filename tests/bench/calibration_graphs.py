"""Small graphs of many kinds, drawn from a seed, on which the cost of kernels is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from planish.models.graph_builder import GraphBuilder

_CHANNELS = (3, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128)


class Draft:
    """A GraphBuilder with the layers that calibration graphs are made of."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.b = GraphBuilder("calibration", opset=17, seed=int(rng.integers(1 << 30)))
        self._outputs = 0

    def pick(self, choices: Sequence[int]) -> int:
        return int(choices[int(self.rng.integers(len(choices)))])

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def weight(self, *shape: int) -> str:
        return self.b.weight("w", (self.b.rng.standard_normal(shape) * 0.1).astype(np.float32))

    def ints(self, *numbers: int) -> str:
        return self.b.weight("i", np.array(numbers, np.int64))

    def conv(self, x: str, channels: int, outputs: int, kernel: int = 1, group: int = 1, axes: int = 2) -> str:
        weight = self.weight(outputs, channels // group, *(kernel,) * axes)
        pads = [kernel // 2] * (2 * axes)
        return self.b.op("Conv", x, weight, self.weight(outputs), kernel_shape=[kernel] * axes, pads=pads, group=group)

    def act(self, x: str) -> str:
        return self.b.op("Relu", x) if self.chance(0.7) else x

    def output(self, x: str, rank: int) -> None:
        self.b.output(x, f"y{self._outputs}", [None] * rank)
        self._outputs += 1


def _image(d: Draft) -> tuple[str, int, int]:
    channels, extent = d.pick(_CHANNELS), d.pick((4, 7, 8, 14, 16, 28, 32))
    return d.b.input("x", [d.pick((1, 1, 2, 4)), channels, extent, extent]), channels, extent


def convolutions(d: Draft) -> None:
    x, channels, _ = _image(d)
    for _ in range(d.pick((2, 3, 4))):
        outputs = d.pick(_CHANNELS)
        x = d.act(d.conv(x, channels, outputs, d.pick((1, 1, 3, 3, 5))))
        channels = outputs
    d.output(x, 4)


def separable(d: Draft) -> None:
    x, channels, _ = _image(d)
    width = d.pick((8, 16, 24, 32, 48, 64, 96))
    x = d.conv(x, channels, width)
    for _ in range(d.pick((1, 2, 3))):
        deep = d.act(d.conv(x, width, width, d.pick((3, 5)), group=width))
        x = d.b.op("Add", x, d.conv(deep, width, width))
    d.output(x, 4)


def branches(d: Draft) -> None:
    x, channels, _ = _image(d)
    x = d.conv(x, channels, 32, 3)
    widths = [d.pick(_CHANNELS) for _ in range(d.pick((2, 3, 4)))]
    if d.chance(0.5):
        parts = [d.act(d.conv(x, 32, w)) for w in widths]
    else:
        merged = d.act(d.conv(x, 32, sum(widths)))
        parts = d.b.ops("Split", merged, d.ints(*widths), outputs=len(widths), axis=1)
    if d.chance(0.5):
        parts = [d.act(d.conv(p, w, w, 3)) for p, w in zip(parts, widths)]
    x = d.b.op("Concat", *parts, axis=1)
    d.output(d.conv(x, sum(widths), 16) if d.chance(0.7) else x, 4)


def plain_convolutions(d: Draft) -> None:
    axes = d.pick((1, 1, 2))
    extent = d.pick((8, 30, 100)) if axes == 1 else d.pick((6, 12, 20))
    channels = d.pick((8, 16, 32, 64))
    x = d.b.input("x", [d.pick((1, 2)), channels, *(extent,) * axes])
    for _ in range(d.pick((1, 2, 3))):
        group = d.pick((1, 1, 2, 4, 8))
        outputs = d.pick((8, 16, 32, 64)) if axes == 1 else d.pick((8, 24, 40))
        x = d.act(d.conv(x, channels, outputs, d.pick((1, 3, 5)), group, axes))
        channels = outputs
    d.output(x, 2 + axes)


def transposed(d: Draft) -> None:
    x, channels, _ = _image(d)
    outputs = d.pick((4, 8, 16, 32))
    kernel = d.pick((2, 4))
    weight = d.weight(channels, outputs, kernel, kernel)
    d.output(d.b.op("ConvTranspose", x, weight, kernel_shape=[kernel] * 2, strides=[2, 2]), 4)


def products(d: Draft) -> None:
    rows, width = d.pick((1, 1, 2, 8, 32, 128)), d.pick((16, 32, 64, 128, 256, 512))
    x = d.b.input("x", [rows, width])
    for _ in range(d.pick((1, 2, 3))):
        outputs = d.pick((1, 10, 16, 48, 64, 128, 256, 512))
        if d.chance(0.5):
            x = d.act(d.b.op("Gemm", x, d.weight(width, outputs), d.weight(outputs)))
        else:
            x = d.act(d.b.op("MatMul", x, d.weight(width, outputs)))
        width = outputs
    d.output(x, 2)


def attention(d: Draft) -> None:
    rows, heads, size = d.pick((4, 16, 64)), d.pick((2, 4, 8)), d.pick((8, 16, 32))
    width = heads * size
    x = d.b.input("x", [1, rows, width])
    shape, merged = d.ints(1, rows, heads, size), d.ints(1, rows, width)
    normal = d.b.op("LayerNormalization", x, d.weight(width), d.weight(width))
    if d.chance(0.5):
        wide = d.b.op("Add", d.b.op("MatMul", normal, d.weight(width, 3 * width)), d.weight(3 * width))
        parts = d.b.ops("Split", wide, d.ints(width, width, width), outputs=3, axis=2)
    else:
        parts = [
            d.b.op("Add", d.b.op("MatMul", normal, d.weight(width, width)), d.weight(width)) for _ in range(3)
        ]
    orders = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    q, k, v = (d.b.op("Transpose", d.b.op("Reshape", p, shape), perm=order) for p, order in zip(parts, orders))
    scores = d.b.op("Softmax", d.b.op("MatMul", q, k), axis=-1)
    mixed = d.b.op("Transpose", d.b.op("MatMul", scores, v), perm=[0, 2, 1, 3])
    d.output(d.b.op("Add", d.b.op("MatMul", d.b.op("Reshape", mixed, merged), d.weight(width, width)), x), 3)


def elementwise(d: Draft) -> None:
    shape = [d.pick((1, 8)), d.pick((4, 32, 128)), d.pick((10, 100, 400))]
    x = d.b.input("x", shape)
    for _ in range(d.pick((2, 4, 6))):
        match d.pick(range(7)):
            case 0:
                x = d.b.op("Add", x, d.weight(shape[-1]))
            case 1:
                x = d.b.op("Mul", x, x)
            case 2:
                x = d.b.op(("Sigmoid", "Tanh", "Exp", "Erf")[d.pick(range(4))], x)
            case 3:
                x = d.b.op("Relu", x)
            case 4:
                x = d.b.op("Sqrt", d.b.op("Abs", x))
            case 5:
                x = d.b.op("Pow", x, d.b.weight("p", np.float32(d.pick((2, 3)))))
            case _:
                x = d.b.op("Div", x, d.weight(1))
    d.output(x, 3)


def functions(d: Draft) -> None:
    rows, columns = d.pick((4, 32, 128)), d.pick((16, 100, 400))
    x = d.b.op("Abs", d.b.input("x", [rows, columns]))
    name = ("Sigmoid", "Tanh", "Exp", "Erf", "Sqrt", "Log", "Softmax", "LayerNormalization", "Div")[d.pick(range(9))]
    for _ in range(d.pick((1, 2, 3))):
        if name == "LayerNormalization":
            x = d.b.op(name, x, d.weight(columns), d.weight(columns))
        elif name == "Div":
            x = d.b.op(name, x, d.weight(columns))
        else:
            x = d.b.op(name, x)
    d.output(x, 2)


def transposes(d: Draft) -> None:
    shape = [d.pick((1, 4)), d.pick((8, 32, 64)), d.pick((16, 64)), d.pick((8, 32))]
    x = d.b.input("x", shape)
    order = ([0, 2, 1, 3], [0, 2, 1, 3], [0, 1, 3, 2], [0, 2, 3, 1], [0, 3, 1, 2])[d.pick(range(5))]
    if d.chance(0.5):
        x = d.b.op("Neg", x)
    d.output(d.b.op("Transpose", x, perm=order), 4)


def copies(d: Draft) -> None:
    shape = [d.pick((1, 4)), d.pick((8, 32, 64)), d.pick((16, 64)), d.pick((8, 32))]
    x = d.b.input("x", shape)
    axis = d.pick((1, 2, 3))
    half = shape[axis] // 2
    for _ in range(d.pick((1, 2, 3))):
        first, second = d.b.ops("Split", x, d.ints(half, shape[axis] - half), outputs=2, axis=axis)
        x = d.b.op("Concat", d.b.op("Neg", second) if d.chance(0.3) else second, first, axis=axis)
    d.output(x, 4)


def reductions(d: Draft) -> None:
    x, channels, _ = _image(d)
    match d.pick(range(4)):
        case 0:
            x = d.b.op("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4)
        case 1:
            x = d.b.op("AveragePool", d.conv(x, channels, 32), kernel_shape=[2, 2], strides=[2, 2])
        case 2:
            x = d.b.op("ReduceMean", x, axes=[2, 3], keepdims=1)
        case _:
            pooled = d.b.op("GlobalAveragePool", x)
            gate = d.b.op("Sigmoid", d.conv(d.act(d.conv(pooled, channels, 8)), 8, channels))
            x = d.b.op("Mul", x, gate)
    d.output(d.b.op("Softmax", x, axis=-1) if d.chance(0.3) else x, 4)


FAMILIES: tuple[Callable[[Draft], None], ...] = (
    convolutions, separable, branches, plain_convolutions, transposed, products, attention, elementwise, functions,
    transposes, copies, reductions,
)  # fmt: skip


def draw(family: Callable[[Draft], None], seed: int) -> onnx.ModelProto:
    """The graph of a family that this seed gives."""
    draft = Draft(np.random.default_rng(seed))
    family(draft)
    return draft.b.model()
