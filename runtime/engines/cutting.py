"""Cuts a model into parts that TensorRT takes and the rest, each an ONNX model with inputs and outputs by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, ValueInfoProto, helper

from ...compiler import symbolic
from ...compiler.errors import UnsupportedModelError
from ...compiler.file_order import captured_names
from ...compiler.graph import Value
from ...compiler.model import Model

TENSORRT, REST = "tensorrt", "rest"


@dataclass
class Part:
    """Some nodes of a model that run together. inputs, outputs: names of what they take and give."""

    kind: str
    nodes: list[NodeProto] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    @property
    def node_names(self) -> list[str]:
        return [node.name for node in self.nodes]


def cut(proto: ModelProto, refused: Collection[str]) -> list[Part]:
    """Parts in an order in which they can run; `refused` are names of nodes that TensorRT does not take.

    A part holds all nodes that lie equally many changes between the two kinds behind the inputs, so that nothing in it
    waits for a part that waits for it. Constant nodes stand in every part that reads them.
    """
    given_out = {info.name for info in proto.graph.output}
    constants = {
        node.output[0]: node for node in proto.graph.node
        if node.op_type == "Constant" and not node.domain and node.output[0] not in given_out
    }  # fmt: skip
    unread_functions = _functions_with(proto.functions, refused)
    level_of: dict[str, int] = {}
    parts: dict[int, Part] = {}
    for node in proto.graph.node:
        if not node.output or node.output[0] in constants:
            continue
        is_rest = node.name in refused or (node.domain, node.op_type) in unread_functions or _holds(node, refused)
        level = max((level_of.get(name, 0) for name in read_by(node)), default=0)
        level += (level % 2 == 1) != is_rest  # parts for TensorRT have even levels, the rest odd ones
        parts.setdefault(level, Part(REST if is_rest else TENSORRT)).nodes.append(node)
        level_of.update(dict.fromkeys(node.output, level))
    found = [parts[level] for level in sorted(parts)]
    _connect(proto, found, constants)
    return found


def _connect(proto: ModelProto, parts: list[Part], constants: dict[str, NodeProto]) -> None:
    """Find what every part takes and gives, and put the constants into those that read them."""
    weights = {tensor.name for tensor in proto.graph.initializer}
    weights.update(sparse.values.name for sparse in proto.graph.sparse_initializer)
    wanted = {info.name for info in proto.graph.output}
    for part in reversed(parts):
        made = {name for node in part.nodes for name in node.output if name}
        read = dict.fromkeys(name for node in part.nodes for name in read_by(node) if name not in made)
        part.outputs = sorted(made & wanted)
        part.inputs = [name for name in read if name not in constants and name not in weights]
        part.nodes[:0] = [constants[name] for name in read if name in constants]
        wanted.update(part.inputs)


def read_by(node: NodeProto) -> Iterable[str]:
    """Names of values that a node reads, in its bodies too."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for body in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            yield from sorted(captured_names(body))


def _holds(node: NodeProto, refused: Collection[str]) -> bool:
    """Whether a node in a body of this one is refused."""
    bodies: list[GraphProto] = [a.g for a in node.attribute if a.HasField("g")]
    bodies += [body for a in node.attribute for body in a.graphs]
    return any(inner.name in refused or _holds(inner, refused) for body in bodies for inner in body.node)


def _functions_with(functions: Iterable[FunctionProto], refused: Collection[str]) -> set[tuple[str, str]]:
    return {(f.domain, f.name) for f in functions if any(n.name in refused or _holds(n, refused) for n in f.node)}


def part_model(proto: ModelProto, model: Model, part: Part) -> ModelProto:
    """A part as a model of its own."""
    values = {value.name: value for graph in [model.graph] for value in _values(graph.inputs, graph)}
    made = ModelProto()
    made.CopyFrom(_without_graph(proto))
    made.graph.name = f"{proto.graph.name} ({part.kind})"
    made.graph.node.extend(part.nodes)
    made.graph.input.extend(_info(values[name]) for name in part.inputs)
    made.graph.output.extend(_info(values[name]) for name in part.outputs)
    read = {name for node in part.nodes for name in read_by(node)}
    made.graph.initializer.extend(tensor for tensor in proto.graph.initializer if tensor.name in read)
    made.graph.sparse_initializer.extend(s for s in proto.graph.sparse_initializer if s.values.name in read)
    return made


def _values(inputs: list[Value], graph: Iterable) -> Iterable[Value]:
    yield from inputs
    for node in graph:
        yield from (value for value in node.outputs if value is not None)


def _without_graph(proto: ModelProto) -> ModelProto:
    bare = ModelProto(ir_version=proto.ir_version, producer_name=proto.producer_name)
    bare.opset_import.extend(proto.opset_import)
    bare.functions.extend(proto.functions)
    return bare


def _info(value: Value) -> ValueInfoProto:
    """The type of a value between parts."""
    if not value.is_tensor and value.declared is not None:
        return helper.make_value_info(value.name, value.declared)
    if not value.dtype:
        raise UnsupportedModelError("the model cannot be cut here: its type is not known", where=value.name)
    shape = None if value.shape is None else [_extent(extent) for extent in value.shape]
    return helper.make_tensor_value_info(value.name, value.dtype, shape)


def _extent(extent: object) -> int | str | None:
    if isinstance(extent, int):
        return extent
    text = symbolic.text(extent)  # type: ignore[arg-type]
    return text if text.isidentifier() else None
