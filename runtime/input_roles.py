"""What the integer inputs of a model are for, as far as its nodes tell: indices, sizes, divisors, or just numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
    tables = {t.name: t for graph in _graphs(model.graph) for t in graph.initializer}
    nodes = list(all_nodes(model.graph))
    tables.update({n.output[0]: n.attribute[0].t for n in nodes if n.op_type == "Constant" and n.attribute})
    divides = any(n.op_type in _DIVISIONS and len(n.input) > 1 and n.input[1] not in tables for n in nodes)
    return {info.name: _role(info.name, nodes, tables, divides) for info in model.graph.input}


def _role(name: str, nodes: list[NodeProto], tables: Mapping[str, TensorProto], divides: bool) -> Role:
    reached = {name}
    limits: list[int] = []
    telling: list[int] = []
    for node in nodes:
        places = [i for i, used in enumerate(node.input) if used in reached]
        if not places:
            continue
        op = f"{node.domain}::{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        if any(i in _SIZES.get(op, ()) for i in places):
            limits.append(3)
        if any(i in _INDICES.get(op, ()) for i in places):
            limits.append(_rows(node, tables) - 1)
        if op == "Equal":
            telling += [number for used in node.input if used in tables for number in _integers(tables[used])]
        reached.update(node.output)
    if telling:
        return Role(min(telling), max(telling), tuple(telling))
    if limits:
        return Role(0, max(min(limits), 0))
    return Role(1, 9) if divides else Role()


def _integers(tensor: TensorProto) -> list[int]:
    """The elements of a small integer tensor in the file itself."""
    small = tensor.data_type in (TensorProto.INT32, TensorProto.INT64) and prod(tensor.dims) <= _TELLING
    if not small or tensor.data_location == TensorProto.EXTERNAL:
        return []
    return [int(number) for number in numpy_helper.to_array(tensor).ravel()]


def _rows(node: NodeProto, tables: Mapping[str, TensorProto]) -> int:
    """How many rows an index may choose from: those of the constant table, else a guess that most tensors allow."""
    shape = tuple(tables[node.input[0]].dims) if node.input[0] in tables else ()
    if node.domain or not shape:
        return 4 if not shape else shape[0]
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    return shape[axis] if -len(shape) <= axis < len(shape) else 4


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
