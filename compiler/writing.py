"""Model -> ModelProto: what no pass touched is written as it was read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    SparseTensorProto,
    TensorProto,
    ValueInfoProto,
)

from .attached_tensors import attached_tensors
from .attributes import body_keys, body_protos, encode
from .declarations import contradicts
from .graph import Graph, Node, Value
from .model import Model
from .order import sort_nodes
from .partial_copy import copy_without
from .reading import ORIGIN_KEY, PASS_KEY, opsets_of
from .scopes import separate_names, values_of
from .tensor import Tensor

TensorWriter = Callable[[Tensor, str], TensorProto]
_WRITTEN_ANEW = ("node", "name", "initializer", "sparse_initializer", "input", "output", "value_info",
                 "quantization_annotation")  # fmt: skip


def to_proto(model: Model, *, inline: bool = False) -> ModelProto:
    """The model as one ModelProto.

    Args:
        inline: put the data of tensors that lie in other files into the proto; else they stay references to them.
    """
    write = Tensor.to_inline_proto if inline else _as_it_lies
    return ProtoWriter(write).model(model)


def _as_it_lies(tensor: Tensor, name: str) -> TensorProto:
    replaced = tensor.external is not None and tensor.external.file.replaced
    return tensor.to_inline_proto(name) if replaced else tensor.to_proto(name)


class ProtoWriter:
    """Builds protos; `write` says how a tensor of a graph is written, `weights=False` leaves the main graph's out."""

    def __init__(self, write: TensorWriter) -> None:
        self._write = write

    def model(self, model: Model, *, weights: bool = True) -> ModelProto:
        separate_names(model)
        proto = ModelProto()
        proto.CopyFrom(model.proto)
        _write_opsets(proto, model.opsets)
        self._graph(proto.graph, model.graph, weights)
        proto.functions.extend(self._function(function) for function in model.functions.values())
        if model.has_attached_external_data:
            for tensor in attached_tensors(proto):
                if tensor.data_location == TensorProto.EXTERNAL:
                    tensor.CopyFrom(self._write(Tensor.from_proto(tensor, model.folder), tensor.name))
        return proto

    def _graph(self, proto: GraphProto, graph: Graph, weights: bool = True) -> GraphProto:
        sort_nodes(graph)
        source = graph.proto
        if source is not None:
            proto.CopyFrom(copy_without(source, _WRITTEN_ANEW))
            infos = _kept_infos(graph, source.value_info)
            proto.value_info.extend(infos)
            if source.quantization_annotation:
                names = graph.strays.union(value.name for value in values_of(graph))
                proto.quantization_annotation.extend(
                    annotation for annotation in source.quantization_annotation if annotation.tensor_name in names
                )
            _write_interface(proto.input, source.input, graph, graph.inputs)
            _write_interface(proto.output, source.output, graph, graph.outputs)
        if graph.name or source is None or source.HasField("name"):
            proto.name = graph.name
        proto.node.extend(map(self._node, graph))
        if weights:
            proto.initializer.extend(
                self._write(value.tensor, value.name) for value in graph.initializers if value.tensor is not None
            )
        proto.sparse_initializer.extend(map(_sparse_proto, graph.sparse_initializers.items()))
        return proto

    def _function(self, function: Graph) -> FunctionProto:
        sort_nodes(function)
        source = function.function_proto
        assert source is not None
        proto = copy_without(source, ("value_info",))
        proto.value_info.extend(_kept_infos(function, source.value_info))
        proto.node.extend(map(self._node, function))
        _write_opsets(proto, function.function_opsets or {})
        return proto

    def _node(self, node: Node) -> NodeProto:
        source = node.proto
        inputs = ["" if value is None else value.name for value in node.inputs]
        outputs = ["" if value is None else value.name for value in node.outputs]
        bodies = {key: self._graph(GraphProto(), body) for key, body in node.bodies.items()} if node.bodies else {}
        if source is not None and node.changed_attributes is None and not node.provenance_changed:
            same = source.input == inputs and source.output == outputs and source.name == node.name
            if same and (not bodies or bodies == _bodies_in(source)):
                return source
        return _edited(node, inputs, outputs, bodies)


def node_proto(node: Node) -> NodeProto:
    """One node as a proto, with its bodies, whose tensors it holds itself."""
    return ProtoWriter(Tensor.to_inline_proto)._node(node)


def _write_opsets(proto: ModelProto | FunctionProto, opsets: dict[str, int]) -> None:
    """The imports as the file lists them, but for what passes changed."""
    before = opsets_of(proto)
    for entry in list(proto.opset_import):
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        if domain not in opsets:
            proto.opset_import.remove(entry)
        elif opsets[domain] != before[domain]:
            entry.version = opsets[domain]
    for domain, version in opsets.items():
        if domain not in before:
            proto.opset_import.add(domain=domain, version=version)


def _kept_infos(graph: Graph, source: Sequence[ValueInfoProto]) -> list[ValueInfoProto]:
    """What the file states of intermediate values, without those that are gone or that an edited node made another."""
    if not source:
        return []
    named = {value.name: value for value in values_of(graph)}
    kept = []
    for info in source:
        value = named.get(info.name)
        if value is None:
            if info.name in graph.strays:
                kept.append(info)
        elif value in graph.model.redeclared:
            kept.append(copy_without(info, ("type",)))
            kept[-1].type.CopyFrom(value.declared)
        elif value.producer is None or not _is_edited(value.producer) or not contradicts(info.type, value):
            kept.append(info)
    return kept


def _is_edited(node: Node) -> bool:
    return node.proto is None or node.provenance_changed or node.changed_attributes is not None


def _write_interface(target: Any, source: Iterable[ValueInfoProto], graph: Graph, values: Iterable[Value]) -> None:
    """Inputs or outputs as the file declared them; a value that it did not list is written with what is known of it."""
    infos: dict[str, deque[ValueInfoProto]] = {}
    for info in source:
        infos.setdefault(info.name, deque()).append(info)
    for value in values:
        known = infos.get(value.name)
        if known:
            target.append(known[0])
            if len(known) > 1:
                known.popleft()
        else:
            target.add(name=value.name)
        if value.declared is not None and (not known or value in graph.model.redeclared):
            target[-1].type.CopyFrom(value.declared)


def _sparse_proto(item: tuple[Value, SparseTensorProto]) -> SparseTensorProto:
    value, proto = item
    if proto.values.name == value.name:
        return proto
    renamed = SparseTensorProto()
    renamed.CopyFrom(proto)
    renamed.values.name = value.name
    return renamed


def _bodies_in(node: NodeProto) -> dict[str, GraphProto]:
    return {key: body for a in node.attribute for key, body in zip(body_keys(a), body_protos(a))}


def _edited(node: Node, inputs: list[str], outputs: list[str], bodies: dict[str, GraphProto]) -> NodeProto:
    source = node.proto
    if source is not None:
        proto = copy_without(source, ("input", "output", "attribute"))
        if source.name != node.name:
            proto.name = node.name
    else:
        proto = NodeProto(op_type=node.op_type, name=node.name)
        if node.domain:
            proto.domain = node.domain
        if node.overload:
            proto.overload = node.overload
    proto.input.extend(inputs)
    proto.output.extend(outputs)
    proto.attribute.extend(_attributes(node, bodies))
    if node.provenance_changed:
        _write_origins(proto, node)
    return proto


def _attributes(node: Node, bodies: dict[str, GraphProto]) -> Iterator[AttributeProto]:
    """The attributes in the order of the file; what nobody changed as it was."""
    changed = node.changed_attributes or ()
    written: set[str] = set()
    for original in node.proto.attribute if node.proto is not None else ():
        written.add(original.name)
        if keys := body_keys(original):
            yield _attribute_with(original, [bodies[key] for key in keys])
        elif original.name not in changed:
            yield original
        elif original.name in node.attributes:
            attribute = encode(original.name, node.attributes[original.name])
            if original.doc_string:
                attribute.doc_string = original.doc_string
            yield attribute
    for name, value in node.attributes.items():
        if name not in written:
            yield encode(name, value)
    for key, body in bodies.items():
        if key.partition("[")[0] not in written:
            yield AttributeProto(name=key, type=AttributeProto.GRAPH, g=body)


def _attribute_with(original: AttributeProto, bodies: list[GraphProto]) -> AttributeProto:
    attribute = copy_without(original, ("g", "graphs"))
    if original.HasField("g"):
        attribute.g.CopyFrom(bodies[0])
    else:
        attribute.graphs.extend(bodies)
    return attribute


def _write_origins(proto: NodeProto, node: Node) -> None:
    for key, text in ((ORIGIN_KEY, ", ".join(node.origins)), (PASS_KEY, node.rewritten_by)):
        entry = next((e for e in proto.metadata_props if e.key == key), None)
        if entry is None:
            entry = proto.metadata_props.add(key=key)
        entry.value = text
