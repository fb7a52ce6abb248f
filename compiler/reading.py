"""ModelProto -> Model: every node keeps its proto, weights are not decoded, names become objects."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, Message
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TypeProto, ValueInfoProto

from . import dtypes, symbolic
from .errors import ModelError
from .graph import Graph, Node, Value
from .model import Model
from .tensor import Tensor

ORIGIN_KEY, PASS_KEY = "planish.from", "planish.by"
_Scope = dict[str, Value]


def load(source: str | Path | ModelProto, *, folder: Path | None = None) -> Model:
    """Read a model from a path (external data is mapped, not read) or a ModelProto (which is not changed).

    Args:
        folder: where the external data of a ModelProto lies.

    Raises:
        ModelError: not an ONNX model, or one whose graph is broken (undefined or redefined names).
        UnsafeModelError: external data outside of the model's folder, or sizes that do not fit.
    """
    if isinstance(source, ModelProto):
        return _read(source, folder)
    path = Path(source)
    if not path.is_file():
        raise ModelError(f"no such file: '{path}'")
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except DecodeError as error:
        raise ModelError(f"'{path}' is not an ONNX model: {error}") from error
    return _read(proto, path.parent)


def _read(proto: ModelProto, folder: Path | None) -> Model:
    if not proto.HasField("graph"):
        raise ModelError("the model has no graph")
    rest = ModelProto()
    for field, content in proto.ListFields():
        if field.name not in ("graph", "functions"):
            copy_field(rest, field.name, content)
    model = Model(rest, _opsets(proto.opset_import), folder)
    reader = _Reader(model)
    model.graph = reader.graph(proto.graph, None, {})
    model.output_names = [value.name for value in model.graph.outputs]
    for function in proto.functions:
        key = ("" if function.domain == "ai.onnx" else function.domain, function.name, function.overload)
        model.functions[key] = reader.function(function)
    return model


def copy_field(target: Message, name: str, content: object) -> None:
    """Set a field of a protobuf message to what `ListFields` gave for it in another."""
    if isinstance(content, int | str | bytes | float):
        setattr(target, name, content)
    elif hasattr(content, "CopyFrom"):
        getattr(target, name).CopyFrom(content)
    else:
        getattr(target, name).extend(content)


def _opsets(imports: object) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in imports:  # type: ignore[attr-defined]
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        found[domain] = max(entry.version, found.get(domain, 0))
    return found


class _Reader:
    def __init__(self, model: Model) -> None:
        self.model = model

    def graph(self, proto: GraphProto, owner: Node | None, outer: _Scope) -> Graph:
        graph = Graph(self.model, proto.name, owner, proto)
        scope = dict(outer)
        self._inputs_and_initializers(graph, proto, scope)
        self._nodes(graph, proto.node, scope)
        declared = {info.name: info for info in proto.value_info}
        declared.update((info.name, info) for info in proto.output)
        for node in graph:
            for value in node.outputs:
                if value is not None and value.name in declared:
                    declare(value, declared[value.name])
        graph.set_outputs([self._defined(scope, info.name, graph) for info in proto.output])
        return graph

    def function(self, proto: FunctionProto) -> Graph:
        graph = Graph(self.model, proto.name)
        graph.name = "::".join(part for part in (proto.domain, proto.name, proto.overload) if part)
        graph.function_opsets = _opsets(proto.opset_import)
        scope: _Scope = {}
        for name in proto.input:
            scope[name] = value = self._new(name, graph)
            graph.inputs.append(value)
        self._nodes(graph, proto.node, scope)
        graph.set_outputs([self._defined(scope, name, graph) for name in proto.output])
        kept = GraphProto(name=proto.name)
        kept.value_info.extend(proto.value_info)
        declared = {info.name: info for info in proto.value_info}
        for value in scope.values():
            if value.name in declared:
                declare(value, declared[value.name])
        graph.proto = kept
        graph.function_proto = _without_nodes(proto)
        return graph

    def _inputs_and_initializers(self, graph: Graph, proto: GraphProto, scope: _Scope) -> None:
        for info in proto.input:
            value = self._new(info.name, graph)
            declare(value, info)
            scope[info.name] = value
            graph.inputs.append(value)
        # Before IR version 4 every initializer had to be listed as an input, so the listing says nothing.
        can_override = self.model.ir_version >= 4
        for initializer in proto.initializer:
            listed = scope.get(initializer.name)
            if listed is None or listed.graph is not graph:
                listed = scope[initializer.name] = self._new(initializer.name, graph)
            elif listed.tensor is not None:
                raise ModelError("an initializer is given twice", where=initializer.name)
            else:
                listed.overridable = can_override
            listed.tensor = tensor = Tensor.from_proto(initializer, self.model.folder)
            listed.dtype = tensor.dtype
            if not listed.overridable:
                listed.shape = tensor.shape
            graph.initializers[listed] = None
        for sparse in proto.sparse_initializer:
            value = scope[sparse.values.name] = self._new(sparse.values.name, graph)
            value.dtype, value.shape = sparse.values.data_type, tuple(sparse.dims)
            graph.sparse_initializers[value] = sparse

    def _nodes(self, graph: Graph, protos: object, scope: _Scope) -> None:
        for proto in protos:  # type: ignore[attr-defined]
            node = Node(proto.op_type, proto.domain, graph, proto)
            node.inputs = [self._defined(scope, name, graph, node) if name else None for name in proto.input]
            graph.insert(node)
            for attribute in proto.attribute:
                if attribute.type == AttributeProto.GRAPH:
                    node.bodies[attribute.name] = self.graph(attribute.g, node, scope)
                elif attribute.type == AttributeProto.GRAPHS:
                    raise ModelError("attributes that hold lists of graphs are not supported", where=node.label)
            if proto.metadata_props:
                _read_origins(node, proto)
            if proto.name:
                self.model.claim_name(proto.name)
            node.outputs = [self._output(node, i, name, scope) for i, name in enumerate(proto.output)]

    def _output(self, node: Node, index: int, name: str, scope: _Scope) -> Value | None:
        if not name:
            return None
        known = scope.get(name)
        if known is not None and known.graph is node.graph:
            raise ModelError(f"value '{name}' is produced twice", where=node.label)
        value = self._new(name, node.graph)
        value.producer, value.index = node, index
        scope[name] = value
        return value

    def _new(self, name: str, graph: Graph) -> Value:
        self.model.claim_name(name)
        return Value(name, graph)

    @staticmethod
    def _defined(scope: _Scope, name: str, graph: Graph, node: Node | None = None) -> Value:
        value = scope.get(name)
        if value is None:
            where = node.label if node is not None else f"output of graph '{graph.name}'"
            raise ModelError(
                f"value '{name}' is read before anything produces it", where=where,
                hint="the nodes must be in topological order and every input must exist",
            )  # fmt: skip
        return value


def _read_origins(node: Node, proto: NodeProto) -> None:
    for entry in proto.metadata_props:
        if entry.key == ORIGIN_KEY:
            node.origins = tuple(entry.value.split(", "))
        elif entry.key == PASS_KEY:
            node.rewritten_by = entry.value


def _without_nodes(proto: FunctionProto) -> FunctionProto:
    rest = FunctionProto()
    rest.CopyFrom(proto)
    del rest.node[:]
    return rest


def declare(value: Value, info: ValueInfoProto) -> None:
    """Note on a value the type that the file states."""
    if not info.HasField("type"):
        return
    value.declared = info.type
    dtype, shape = declared_facts(info.type, value.graph.model)
    if value.tensor is None:
        value.dtype, value.shape = dtype, shape


def declared_facts(declared: TypeProto, model: Model) -> tuple[int, tuple[symbolic.Dim, ...] | None]:
    """(dtype, shape) of a tensor type; an unnamed dimension becomes a fresh symbol."""
    if declared.WhichOneof("value") != "tensor_type":
        return dtypes.UNKNOWN, None
    tensor = declared.tensor_type
    if not tensor.HasField("shape"):
        return tensor.elem_type, None
    dims: list[symbolic.Dim] = []
    for dim in tensor.shape.dim:
        if dim.WhichOneof("value") == "dim_value" and dim.dim_value >= 0:
            dims.append(dim.dim_value)
        elif dim.dim_param:
            dims.append(symbolic.parse(dim.dim_param))
        else:
            dims.append(symbolic.symbol(model.fresh_symbol()))
    return tensor.elem_type, tuple(dims)
