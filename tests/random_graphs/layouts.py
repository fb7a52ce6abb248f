"""Random graphs of Transposes and of operators that care about axes, with several outputs."""

from __future__ import annotations

import random

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Shape = tuple[int, ...]
Tensor = tuple[str, Shape]
_SHAPES: tuple[Shape, ...] = ((2, 3, 4, 5), (2, 3, 4, 5), (2, 3, 4), (1, 3, 1, 4), (2, 1, 3, 4), (3, 3, 3, 3))
_LARGEST = 4096


class LayoutGraph:
    """A graph under construction; every step reads one of the latest tensors."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        shape = self.random.choice(_SHAPES)
        self.tensors: list[Tensor] = [("x", shape)]
        rank = len(shape)
        orders = [tuple(self.random.sample(range(rank), rank)) for _ in range(2)]
        self.orders = orders + [tuple(int(i) for i in np.argsort(order)) for order in orders]
        for _ in range(self.random.randint(4, 22)):
            step = self.random.choice(_STEPS)
            name, shape = self.random.choice(self.tensors[-6:])
            step(self, name, shape)

    def op(self, op_type: str, inputs: list[str], *shapes: Shape, **attributes: object) -> None:
        if any(np.prod(shape) > _LARGEST or 0 in shape for shape in shapes):
            return
        names = [f"v{len(self.nodes)}_{i}" for i in range(len(shapes))]
        self.nodes.append(helper.make_node(op_type, inputs, names, name=f"n{len(self.nodes)}", **attributes))
        self.tensors += zip(names, shapes)

    def constant(self, array: object) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(array), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def alike(self, shape: Shape) -> str:
        return self.random.choice([name for name, other in self.tensors if other == shape])

    def model(self, shown: float = 0.08) -> ModelProto:
        """What nobody reads is an output, and this share of what is read as well."""
        read = {name for node in self.nodes for name in node.input}
        outputs = [t for t in self.tensors[1:] if t[0] not in read or self.random.random() < shown]
        infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs]
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.tensors[0][1])
        graph = helper.make_graph(self.nodes, "layouts", [given], infos, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def _transpose(graph: LayoutGraph, name: str, shape: Shape) -> None:
    fitting = [order for order in graph.orders if len(order) == len(shape)]
    order = graph.random.choice(fitting) if fitting else tuple(graph.random.sample(range(len(shape)), len(shape)))
    graph.op("Transpose", [name], tuple(shape[axis] for axis in order), perm=order)


def _unary(graph: LayoutGraph, name: str, shape: Shape) -> None:
    graph.op(graph.random.choice(["Relu", "Sigmoid", "Neg", "Tanh"]), [name], shape)


def _with_constant(graph: LayoutGraph, name: str, shape: Shape) -> None:
    rank = graph.random.randint(0, len(shape))
    extents = [extent if graph.random.random() < 0.6 else 1 for extent in shape[len(shape) - rank :]]
    operands = [name, graph.constant(graph.numbers.standard_normal(extents).astype(np.float32))]
    graph.op(graph.random.choice(["Add", "Mul", "Sub"]), operands[:: graph.random.choice([1, -1])], shape)


def _binary(graph: LayoutGraph, name: str, shape: Shape) -> None:
    graph.op(graph.random.choice(["Add", "Mul", "Max"]), [name, graph.alike(shape)], shape)


def _concat(graph: LayoutGraph, name: str, shape: Shape) -> None:
    axis = graph.random.randrange(len(shape))
    graph.op("Concat", [name, graph.alike(shape)], _set(shape, axis, 2 * shape[axis]), axis=axis)


def _reduce(graph: LayoutGraph, name: str, shape: Shape) -> None:
    axis, keep = graph.random.randrange(len(shape)), graph.random.randint(0, 1)
    result = _set(shape, axis, 1) if keep else (*shape[:axis], *shape[axis + 1 :])
    if result:
        graph.op("ReduceMean", [name], result, axes=[axis - graph.random.choice([0, len(shape)])], keepdims=keep)


def _softmax(graph: LayoutGraph, name: str, shape: Shape) -> None:
    graph.op("Softmax", [name], shape, axis=graph.random.randrange(len(shape)))


def _slice(graph: LayoutGraph, name: str, shape: Shape) -> None:
    axis = graph.random.randrange(len(shape))
    bounds = [graph.constant([number]) for number in (1, 99999, axis)]
    graph.op("Slice", [name, *bounds], _set(shape, axis, shape[axis] - 1))


def _split(graph: LayoutGraph, name: str, shape: Shape) -> None:
    axis = graph.random.randrange(len(shape))
    half = shape[axis] // 2
    sizes = graph.constant([half, shape[axis] - half])
    graph.op("Split", [name, sizes], _set(shape, axis, half), _set(shape, axis, shape[axis] - half), axis=axis)


def _unsqueeze(graph: LayoutGraph, name: str, shape: Shape) -> None:
    axis = graph.random.randint(0, len(shape))
    if len(shape) < 5:
        graph.op("Unsqueeze", [name, graph.constant([axis])], (*shape[:axis], 1, *shape[axis:]))


def _squeeze(graph: LayoutGraph, name: str, shape: Shape) -> None:
    if 1 in shape and len(shape) > 1:
        axis = shape.index(1)
        graph.op("Squeeze", [name, graph.constant([axis])], (*shape[:axis], *shape[axis + 1 :]))


def _reshape(graph: LayoutGraph, name: str, shape: Shape) -> None:
    size = int(np.prod(shape))
    rows = graph.random.choice([rows for rows in range(1, size + 1) if size % rows == 0])
    graph.op("Reshape", [name, graph.constant([rows, size // rows])], (rows, size // rows))


def _gather(graph: LayoutGraph, name: str, shape: Shape) -> None:
    axis = graph.random.randrange(len(shape))
    if shape[axis] > 1 and len(shape) > 1:
        graph.op("Gather", [name, graph.constant(1)], (*shape[:axis], *shape[axis + 1 :]), axis=axis)


def _set(shape: Shape, axis: int, extent: int) -> Shape:
    return (*shape[:axis], extent, *shape[axis + 1 :])


_STEPS = (
    *(_transpose,) * 7, *(_with_constant,) * 2, *(_binary,) * 3, *(_unary,) * 2, _concat, _reduce, _softmax, _slice,
    _split, _unsqueeze, _squeeze, _reshape, _gather,
)  # fmt: skip
