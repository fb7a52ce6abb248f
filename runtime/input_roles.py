"""What the integer inputs of a model are for, as far as its nodes tell: indices, sizes, divisors, or just numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import prod

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

# operator -> its inputs that become extents, counts or axes: large numbers there would only exhaust the memory
_SIZES: dict[str, tuple[int, ...]] = {
    "Reshape": (1,), "Expand": (1,), "Tile": (1,), "ConstantOfShape": (0,), "Range": (0, 1, 2), "Loop": (0,),
    "Resize": (2, 3), "Upsample": (1,), "Pad": (1,), "TopK": (1,), "OneHot": (1,), "Split": (1,), "Unsqueeze": (1,),
    "Squeeze": (1,), "SplitToSequence": (1,), "EyeLike": (), "CenterCropPad": (1,), "HannWindow": (0,),
    "HammingWindow": (0,), "BlackmanWindow": (0,), "DFT": (1, 2), "STFT": (1, 3), "MelWeightMatrix": (0, 1, 2),
    "SequenceAt": (1,), "SequenceErase": (1,), "SequenceInsert": (2,), "Col2Im": (1, 2), "AffineGrid": (1,),
    "ReverseSequence": (1,), "LSTM": (4,), "GRU": (4,), "RNN": (4,), "MaxUnpool": (1, 2), "CumSum": (1,),
    "NonMaxSuppression": (2,), "BitShift": (1,),
}  # fmt: skip
_INDICES: dict[str, tuple[int, ...]] = {
    "Gather": (1,), "GatherElements": (1,), "GatherND": (1,), "Scatter": (1,), "ScatterElements": (1,),
    "ScatterND": (1,), "com.microsoft::EmbedLayerNormalization": (0, 1),
}  # fmt: skip
_DIVISIONS = frozenset({"Div", "Mod"})
_DEPTH = 8  # of calls
_TELLING = 16  # elements of a constant up to which it is looked at


@dataclass(frozen=True)
class Role:
    """How an integer input may be drawn: from `lowest` to `highest`; None means that the type is the only bound.

    telling: numbers that the model compares it with, which so choose between branches.
    """

    lowest: int | None = None
    highest: int | None = None
    telling: tuple[int, ...] = ()


def roles_of(model: ModelProto) -> dict[str, Role]:
    """The role of every input of the main graph; of the ones that reach nothing special, the free one."""
    walk = _Walk(model)
    return {info.name: walk.role(info.name) for info in model.graph.input}


class _Walk:
    """Follows inputs through the nodes of a model and of the functions that it calls."""

    def __init__(self, model: ModelProto) -> None:
        self._functions = {(f.domain, f.name): f for f in model.functions}
        self._nodes = list(all_nodes(model.graph))
        self._constants = {t.name: t for graph in _graphs(model.graph) for t in graph.initializer}
        for nodes in (self._nodes, *(all_nodes(f) for f in model.functions)):
            constants = (n for n in nodes if n.op_type == "Constant" and n.attribute)
            self._constants.update({n.output[0]: n.attribute[0].t for n in constants})
        self._divides = any(
            n.op_type in _DIVISIONS and len(n.input) > 1 and n.input[1] not in self._constants for n in self._nodes
        )

    def role(self, name: str) -> Role:
        found = _Found()
        self._follow({name}, self._nodes, found, depth=0)
        if found.telling:
            return Role(min(found.telling), max(found.telling), tuple(found.telling))
        if found.limits:
            return Role(found.lowest, max(min(found.limits), 0))
        return Role(1, 9) if self._divides else Role()

    def _follow(self, reached: set[str], nodes: Iterable[NodeProto], found: _Found, depth: int) -> None:
        for node in nodes:
            places = [i for i, used in enumerate(node.input) if used in reached]
            if not places:
                continue
            function = self._functions.get((node.domain, node.op_type))
            if function is not None and depth < _DEPTH:
                inside = {function.input[i] for i in places if i < len(function.input)}
                self._follow(inside, all_nodes(function), found, depth + 1)
            op = f"{node.domain}::{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
            if any(i in _SIZES.get(op, ()) for i in places):
                found.limits.append(3)
                found.lowest = 0 if op == "Reshape" else 1  # where 0 keeps an extent
            if any(i in _INDICES.get(op, ()) for i in places):
                found.limits.append(self._rows(node) - 1)
            if op == "Equal":
                known = (self._constants[used] for used in node.input if used in self._constants)
                found.telling += [number for tensor in known for number in _integers(tensor)]
            reached.update(node.output)

    def _rows(self, node: NodeProto) -> int:
        """How many rows an index may choose from: those of the constant table, else a guess that most tensors allow."""
        shape = tuple(self._constants[node.input[0]].dims) if node.input[0] in self._constants else ()
        if node.domain or not shape:
            return 4 if not shape else shape[0]
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        return shape[axis] if -len(shape) <= axis < len(shape) else 4


@dataclass
class _Found:
    limits: list[int] = field(default_factory=list)
    telling: list[int] = field(default_factory=list)
    lowest: int = 0


def _integers(tensor: TensorProto) -> list[int]:
    """The elements of a small integer tensor in the file itself."""
    small = tensor.data_type in (TensorProto.INT32, TensorProto.INT64) and prod(tensor.dims) <= _TELLING
    if not small or tensor.data_location == TensorProto.EXTERNAL:
        return []
    return [int(number) for number in numpy_helper.to_array(tensor).ravel()]


def op_types(model: ModelProto) -> set[str]:
    """Operators of a model, bodies and functions included."""
    return {node.op_type for graph in (model.graph, *model.functions) for node in all_nodes(graph)}


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def all_nodes(graph: GraphProto | FunctionProto) -> Iterator[NodeProto]:
    """Nodes in order, those of a body before the node that owns it."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from all_nodes(attribute.g)
        yield node
