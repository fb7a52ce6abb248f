"""Random graphs that move distinct numbers about, run in ONNX Runtime with every value shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnxruntime
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Draw = Callable[[st.SearchStrategy], int]


@dataclass
class MovingGraph:
    """A graph under construction. arrays: what each value holds; open: values that may still be read."""

    draw: Draw
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def add_input(self, shape: tuple[int, ...]) -> None:
        """Numbers that occur nowhere else."""
        first = 1 + 1000 * len(self.inputs)
        name = f"x{len(self.inputs)}"
        array = np.arange(first, first + int(np.prod(shape)), dtype=np.float32).reshape(shape)
        self.inputs[name] = self.arrays[name] = array
        self.open.append(name)

    def constant(self, numbers: list[int]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(numbers, np.int64), name))
        return name

    def op(self, op_type: str, inputs: list[str], results: list[np.ndarray], **attributes: object) -> None:
        names = [f"v{len(self.arrays) + i}" for i in range(len(results))]
        self.nodes.append(helper.make_node(op_type, inputs, names, name=f"n{len(self.nodes)}", **attributes))
        self.arrays.update(zip(names, results))
        self.open.extend(names)

    def model(self, symbols: bool) -> ModelProto:
        """All values that nobody reads are outputs."""
        read = {name for node in self.nodes for name in node.input}
        infos = []
        for name, array in self.inputs.items():
            shape = [f"s{size}" if symbols and size > 1 else size for size in array.shape]
            infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        made = [name for node in self.nodes for name in node.output]
        outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in made if n not in read]
        graph = helper.make_graph(self.nodes, "moving", infos, outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def concat(g: MovingGraph, name: str, array: np.ndarray) -> None:
    axis = g.number(0, array.ndim - 1)

    def fits(other: np.ndarray) -> bool:
        return other.ndim == array.ndim and other.shape[:axis] + other.shape[axis + 1 :] == (
            array.shape[:axis] + array.shape[axis + 1 :]
        )

    partners = [n for n in g.open if fits(g.arrays[n])]
    names = [name, *(partners[g.number(0, len(partners) - 1)] for _ in range(g.number(1, 2)))]
    g.op("Concat", names, [np.concatenate([g.arrays[n] for n in names], axis)], axis=axis)


def split(g: MovingGraph, name: str, array: np.ndarray) -> None:
    axis = g.number(0, array.ndim - 1)
    first = g.number(0, array.shape[axis])
    sizes = [first, array.shape[axis] - first]
    g.op("Split", [name, g.constant(sizes)], np.split(array, [first], axis), axis=axis)


def slice_(g: MovingGraph, name: str, array: np.ndarray) -> None:
    axis = g.number(0, array.ndim - 1)
    extent = array.shape[axis]
    start, end = g.number(-extent, extent), g.number(-extent, extent + 2)
    step = g.number(1, 2) if g.number(0, 3) == 0 else 1
    kept = array[(*(slice(None),) * axis, slice(start, end, step))]
    g.op("Slice", [name, *(g.constant([n]) for n in (start, end, axis, step))], [kept])


def gather(g: MovingGraph, name: str, array: np.ndarray) -> None:
    axis = g.number(0, array.ndim - 1)
    if array.shape[axis] == 0:
        return
    picks = [g.number(-array.shape[axis], array.shape[axis] - 1) for _ in range(g.number(1, 4))]
    if g.number(0, 1):
        picks = list(range(picks[0] % array.shape[axis], array.shape[axis]))
    g.op("Gather", [name, g.constant(picks)], [np.take(array, picks, axis)], axis=axis)


def pad(g: MovingGraph, name: str, array: np.ndarray) -> None:
    axis, low, high = g.number(0, array.ndim - 1), g.number(0, 2), g.number(0, 2)
    amounts = [0] * (2 * array.ndim)
    amounts[axis], amounts[axis + array.ndim] = low, high
    padded = np.pad(array, [(low, high) if i == axis else (0, 0) for i in range(array.ndim)])
    g.op("Pad", [name, g.constant(amounts)], [padded])


def transpose(g: MovingGraph, name: str, array: np.ndarray) -> None:
    order = list(np.roll(np.arange(array.ndim), g.number(0, array.ndim - 1)))
    g.op("Transpose", [name], [array.transpose(order)], perm=[int(i) for i in order])


def reshape(g: MovingGraph, name: str, array: np.ndarray) -> None:
    shape = list(array.shape)
    axis = g.number(0, array.ndim - 1)
    if g.number(0, 1) and array.ndim < 5 and shape[axis] > 0:
        factors = [d for d in range(1, shape[axis] + 1) if shape[axis] % d == 0]
        factor = factors[g.number(0, len(factors) - 1)]
        shape[axis : axis + 1] = [factor, shape[axis] // factor]
    elif axis + 1 < array.ndim:
        shape[axis : axis + 2] = [shape[axis] * shape[axis + 1]]
    if 0 not in shape:
        g.op("Reshape", [name, g.constant([int(s) for s in shape])], [array.reshape(shape)])


def relu(g: MovingGraph, name: str, array: np.ndarray) -> None:
    g.op("Relu", [name], [np.maximum(array, 0)])


def add(g: MovingGraph, name: str, array: np.ndarray) -> None:
    g.op("Add", [name, name], [array + array])


MOVES = (concat, split, slice_, gather, pad, transpose, reshape)
MAPPINGS = (relu, add)


@st.composite
def moving_graphs(draw: Draw, steps: tuple[Callable[..., None], ...] = MOVES) -> MovingGraph:
    """Graphs of two to seven of these steps."""
    g = MovingGraph(draw)
    shape = (g.number(1, 3), g.number(2, 6), g.number(1, 4))
    g.add_input(shape)
    if g.number(0, 1):
        g.add_input((shape[0], g.number(1, 4), shape[2]))
    for _ in range(g.number(2, 7)):
        name = g.open[g.number(0, len(g.open) - 1)]
        steps[g.number(0, len(steps) - 1)](g, name, g.arrays[name])
    return g


def outputs_of(proto: ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What ONNX Runtime makes of it."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))
