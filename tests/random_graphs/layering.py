"""Random chains of layers, constant arithmetic, activations, views, pads and pools, as the fusions meet them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

_OPSETS = (9, 11, 13, 17, 18, 21)
_TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float64): TensorProto.DOUBLE,
          np.dtype(np.float16): TensorProto.FLOAT16}  # fmt: skip


@dataclass
class LayeredGraph:
    """A graph under construction. shapes: of every value that is no constant, in the order in which they came."""

    random: np.random.Generator
    opset: int
    dtype: np.dtype[np.generic]
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def number(self, low: int, high: int) -> int:
        """Between low and high, both included."""
        return int(self.random.integers(low, high + 1))

    def numbers(self, *shape: int) -> np.ndarray:
        """Normal numbers that keep away from 0, by which some of them divide."""
        drawn = self.random.standard_normal(shape)
        return np.where(np.abs(drawn) < 0.15, 0.5, drawn)

    def constant(self, array: object, dtype: object = None) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype or self.dtype), name))
        return name

    def node(self, op: str, inputs: list[str], shape: Sequence[int], **attributes: object) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        self.shapes[name] = tuple(shape)
        return name


def arithmetic(graph: LayeredGraph, x: str) -> str:
    """Constant arithmetic: with one number, or with numbers along one axis, in either place."""
    shape = graph.shapes[x]
    op = str(graph.random.choice(["Add", "Mul", "Sub", "Div", "Neg"]))
    if op == "Neg":
        return graph.node(op, [x], shape)
    axis = graph.number(0, len(shape) - 1) if graph.chance(0.5) else min(1, len(shape) - 1)
    extents = [1] * len(shape)
    extents[axis] = shape[axis] if graph.chance(0.6) else 1
    constant = graph.constant(graph.numbers(*(extents[axis:] if graph.chance(0.5) else extents)))
    if graph.chance(0.6):
        return graph.node(op, [x, constant], shape)
    if op == "Div":
        x = graph.node("Add", [graph.node("Sigmoid", [x], shape), graph.constant(1)], shape)
    return graph.node(op, [constant, x], shape)


def norm(graph: LayeredGraph, x: str) -> str:
    shape = graph.shapes[x]
    if graph.dtype != np.float32:
        return x
    channels = shape[1]
    parameters = [graph.numbers(channels), graph.numbers(channels), graph.numbers(channels)]
    parameters.append(np.abs(graph.numbers(channels)) + 0.1)
    return graph.node("BatchNormalization", [x, *(graph.constant(p) for p in parameters)], shape)


def activation(graph: LayeredGraph, x: str) -> str:
    shape = graph.shapes[x]
    low, high = sorted(float(np.float16(n)) for n in graph.numbers(2))
    match str(graph.random.choice(["Relu", "LeakyRelu", "Clip", "Max", "Min", "Sigmoid"])):
        case "Clip" if graph.opset < 11 and graph.dtype != np.float64:
            return graph.node("Clip", [x], shape, min=low, max=high)
        case "Clip" if graph.opset >= 12:
            bounds = ["" if graph.chance(0.3) else graph.constant(bound) for bound in (low, high)]
            return graph.node("Clip", [x, *bounds], shape)
        case "LeakyRelu" if graph.dtype != np.float64:
            return graph.node("LeakyRelu", [x], shape, alpha=0.25)
        case "Max" | "Min" as op:
            return graph.node(op, [x, graph.constant(low)], shape)
        case "Sigmoid":
            return graph.node("Sigmoid", [x], shape)
    return graph.node("Relu", [x], shape)


def layer(graph: LayeredGraph, x: str) -> str:
    shape = graph.shapes[x]
    if len(shape) > 2 and graph.dtype == np.float32 and graph.chance(0.75):
        return (transposed_convolution if graph.chance(0.25) else convolution)(graph, x)
    return gemm(graph, x) if len(shape) == 2 and graph.chance(0.5) else product(graph, x)


def convolution(graph: LayeredGraph, x: str) -> str:
    batch, channels, *extents = graph.shapes[x]
    groups = int(graph.random.choice([g for g in (1, 2, channels) if channels % g == 0]))
    outputs, kernel, stride = groups * graph.number(1, 3), graph.number(1, 3), graph.number(1, 2)
    pads = [graph.number(0, 1) for _ in range(2 * len(extents))] if graph.chance(0.5) else [0] * (2 * len(extents))
    sums = [low + high for low, high in zip(pads[: len(extents)], pads[len(extents) :])]
    positions = [(extent + pad - kernel) // stride + 1 for extent, pad in zip(extents, sums)]
    if min(positions) < 1:
        return x
    weight = graph.numbers(outputs, channels // groups, *[kernel] * len(extents)) / 2
    inputs = [x, graph.constant(weight)] + ([graph.constant(graph.numbers(outputs))] if graph.chance(0.5) else [])
    shape = (batch, outputs, *positions)
    return graph.node("Conv", inputs, shape, group=groups, strides=[stride] * len(extents), pads=pads)


def transposed_convolution(graph: LayeredGraph, x: str) -> str:
    batch, channels, *extents = graph.shapes[x]
    groups = int(graph.random.choice([g for g in (1, channels) if channels % g == 0]))
    outputs, kernel, stride = groups * graph.number(1, 2), graph.number(1, 3), graph.number(1, 2)
    weight = graph.numbers(channels, outputs // groups, *[kernel] * len(extents)) / 2
    inputs = [x, graph.constant(weight)] + ([graph.constant(graph.numbers(outputs))] if graph.chance(0.5) else [])
    shape = (batch, outputs, *((extent - 1) * stride + kernel for extent in extents))
    return graph.node("ConvTranspose", inputs, shape, group=groups, strides=[stride] * len(extents))


def gemm(graph: LayeredGraph, x: str) -> str:
    rows, terms = graph.shapes[x]
    columns, transposed = graph.number(1, 5), graph.number(0, 1)
    inputs = [x, graph.constant(graph.numbers(*((columns, terms) if transposed else (terms, columns))))]
    if graph.opset < 11 or graph.chance(0.7):
        kinds: list[tuple[int, ...]] = [(columns,), (1, columns), (rows, 1), ()]
        inputs.append(graph.constant(graph.numbers(*kinds[graph.number(0, 3)])))
    factors = {"alpha": float(graph.random.choice([1, 0.5])), "beta": float(graph.random.choice([1, 2]))}
    return graph.node("Gemm", inputs, (rows, columns), transB=transposed, **factors)


def product(graph: LayeredGraph, x: str) -> str:
    shape, other = graph.shapes[x], graph.number(1, 5)
    if graph.chance(0.25):
        weight = graph.constant(graph.numbers(other, shape[-2]))
        return graph.node("MatMul", [weight, x], (*shape[:-2], other, shape[-1]))
    batch = shape[:1] if len(shape) == 3 and graph.chance(0.2) else ()
    weight = graph.constant(graph.numbers(*batch, shape[-1], other))
    return graph.node("MatMul", [x, weight], (*shape[:-1], other))


def view(graph: LayeredGraph, x: str) -> str:
    shape = graph.shapes[x]
    if graph.chance(0.4):
        order = [int(axis) for axis in graph.random.permutation(len(shape))]
        return graph.node("Transpose", [x], [shape[axis] for axis in order], perm=order)
    if len(shape) > 2 and graph.chance(0.5):
        axis = graph.number(0, len(shape) - 2)
        target = (*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :])
    elif len(shape) < 4:
        axis = graph.number(0, len(shape) - 1)
        part = next((n for n in (2, 3) if shape[axis] % n == 0), 1)
        target = (*shape[:axis], part, shape[axis] // part, *shape[axis + 1 :])
    else:
        return x
    return graph.node("Reshape", [x, graph.constant(target, np.int64)], target)


def border(graph: LayeredGraph, x: str) -> str:
    """A Pad of the spatial axes, mostly with zeros."""
    shape = graph.shapes[x]
    if len(shape) < 3 or graph.dtype != np.float32:
        return x
    sides = [[0, 0] + [graph.number(0, 1) for _ in shape[2:]] for _ in range(2)]
    value = float(graph.chance(0.2))
    padded = [extent + low + high for extent, low, high in zip(shape, *sides)]
    if graph.opset < 11:
        return graph.node("Pad", [x], padded, pads=sides[0] + sides[1], value=value)
    return graph.node("Pad", [x, graph.constant(sides[0] + sides[1], np.int64), graph.constant(value)], padded)


def pool(graph: LayeredGraph, x: str) -> str:
    shape = graph.shapes[x]
    if len(shape) < 3 or graph.dtype != np.float32 or min(shape[2:]) < 3:
        return x
    kernel, stride, pad = graph.number(2, 3), graph.number(1, 2), graph.number(0, 1)
    count = len(shape) - 2
    attributes: dict[str, object] = {"kernel_shape": [kernel] * count, "strides": [stride] * count}
    if graph.chance(0.5):
        op = "MaxPool"
    else:
        op, attributes["count_include_pad"] = "AveragePool", graph.number(0, 1)
    positions = [(extent + 2 * pad - kernel) // stride + 1 for extent in shape[2:]]
    return graph.node(op, [x], (*shape[:2], *positions), pads=[pad] * 2 * count, **attributes)


def join(graph: LayeredGraph, x: str) -> str:
    """Two values of one shape, which gives earlier ones a second reader."""
    others = [name for name, shape in graph.shapes.items() if name != x and shape == graph.shapes[x]]
    if not others:
        return x
    op = str(graph.random.choice(["Add", "Mul", "Sub"]))
    return graph.node(op, [x, str(graph.random.choice(others))], graph.shapes[x])


_STEPS = (arithmetic, arithmetic, arithmetic, norm, layer, layer, layer, view, view, activation, border, pool, join)


def layered_model(seed: int) -> tuple[ModelProto, np.ndarray]:
    """The model of a seed, and an input that it runs on: 3 to 8 steps, one or two outputs, some first axes symbolic."""
    random = np.random.default_rng(seed)
    dtype = np.dtype(random.choice([np.float32, np.float32, np.float32, np.float64, np.float16]))
    graph = LayeredGraph(random, int(random.choice(_OPSETS)), dtype)
    extents = [graph.number(2, 6) for _ in range(graph.number(2, 4))]
    shape = (*extents[:2], *(extent + 2 for extent in extents[2:]))
    graph.shapes["x"] = shape
    x = "x"
    for _ in range(graph.number(3, 8)):
        x = _STEPS[graph.number(0, len(_STEPS) - 1)](graph, x)
    x = graph.node("Relu", [x], shape) if x == "x" else x
    outputs = [x, *[name for name in list(graph.shapes)[1:] if name != x and graph.chance(0.05)][:1]]
    kind = _TYPES[dtype]
    first = ["N", *shape[1:]] if graph.chance(0.3) else shape
    inputs = [helper.make_tensor_value_info("x", kind, first)]
    infos = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
    body = helper.make_graph(graph.nodes, "layers", inputs, infos, graph.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", graph.opset)], ir_version=8)
    return model, random.standard_normal(shape).astype(dtype)
