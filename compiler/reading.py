"""ModelProto -> Model: every node keeps its proto, weights are not decoded, names become objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import onnx
import onnx.parser
from google.protobuf import json_format, text_format
from google.protobuf.message import DecodeError
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

from .attached_tensors import training_tensors
from .attributes import body_keys, body_protos, tensors_in
from .call_order import callees_first
from .declarations import declare
from .errors import ModelError, UnsupportedModelError
from .external_data import ExternalFolder
from .file_order import captured_names, sorted_protos
from .garbage import collection_paused
from .graph import Graph, Node, Value
from .model import Model
from .partial_copy import copy_without
from .signature import fits
from .tensor import Tensor

ORIGIN_KEY, PASS_KEY = "planish.from", "planish.by"
_Scope = dict[str, Value | None]  # with "" for what is omitted
_NO_MODEL = (DecodeError, ValueError, RuntimeError, json_format.Error, text_format.Error, onnx.parser.ParseError)
_DEEPEST = 30  # bodies in bodies; protobuf refuses to read files with more than 100 messages in each other
_TENSORS = {AttributeProto.TENSOR, AttributeProto.TENSORS, AttributeProto.SPARSE_TENSOR, AttributeProto.SPARSE_TENSORS}
_GRAPHS = {AttributeProto.UNDEFINED, AttributeProto.GRAPH, AttributeProto.GRAPHS}


def load(source: str | Path | ModelProto, *, folder: str | Path | ExternalFolder | None = None) -> Model:
    """Read a model from a path (external data is mapped, not read) or a ModelProto.

    Args:
        source: a ModelProto is not changed and must not be changed as long as the model is in use.
        folder: where the external data of a ModelProto lies; of a file it lies in the file's folder.

    Nodes that are not listed in topological order, as ONNX demands, are put into it.

    Raises:
        ModelError: not an ONNX model, or one whose graph is broken (undefined or redefined names, cycles).
        UnsafeModelError: external data outside of the model's folder, or sizes that do not fit.
    """
    if isinstance(source, ModelProto):
        if folder is not None and not isinstance(folder, ExternalFolder):
            folder = ExternalFolder(Path(folder))
        return _read(source, folder, "")
    path = Path(source)
    return _read(_parse(path), ExternalFolder(path.parent), str(path))


def _parse(path: Path) -> ModelProto:
    if not path.is_file():
        raise ModelError("this is not a file" if path.exists() else "there is no such file", where=str(path))
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise ModelError(f"the file cannot be read: {error.strerror or error}", where=str(path)) from error
    except _NO_MODEL as error:
        raise ModelError(
            f"this is not an ONNX model: {error}", where=str(path),
            hint="the file may be truncated or in another format",
        ) from error  # fmt: skip
    if not proto.HasField("graph"):
        raise ModelError("this is not an ONNX model: it has no graph", where=str(path))
    return proto


def _read(proto: ModelProto, folder: ExternalFolder | None, where: str) -> Model:
    if not proto.HasField("graph"):
        raise ModelError("the model has no graph", where=where)
    with collection_paused():
        try:
            return _Reader(proto, folder, sort=False).read(proto)
        except _NotYetDefined:
            return _Reader(proto, folder, sort=True).read(proto)


def opsets_of(proto: ModelProto | FunctionProto) -> dict[str, int]:
    """Domain -> version; of several versions of one domain the last counts, as in ONNX Runtime."""
    found = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in proto.opset_import}
    if not found and isinstance(proto, ModelProto) and proto.ir_version < 3:
        return {"": 1}
    return found


class _NotYetDefined(ModelError):
    """A name is read that nothing defines so far."""


class _Reader:
    def __init__(self, proto: ModelProto, folder: ExternalFolder | None, *, sort: bool) -> None:
        self._sort = sort
        self._depth = 0
        self._model = Model(copy_without(proto, ("graph", "functions")), opsets_of(proto), folder)
        self._names = self._model.names
        self._node_names: list[str] = []

    def read(self, proto: ModelProto) -> Model:
        model = self._model
        model.graph = self._graph(proto.graph, None, {"": None})
        model.output_names = [value.name for value in model.graph.outputs]
        for function in proto.functions:
            key = ("" if function.domain == "ai.onnx" else function.domain, function.name, function.overload)
            if key in model.functions:
                raise ModelError("a function is defined twice", where="::".join(str(part) for part in key if part))
            model.functions[key] = self._function(function)
        model.names.update(self._node_names)
        _refuse_bytes(model)
        callees_first(model)
        self._check_attached(training_tensors(model.proto.training_info))
        _mark_trained(model)
        return model

    def _graph(self, proto: GraphProto, owner: Node | None, outer: _Scope) -> Graph:
        if self._depth > _DEEPEST:
            raise UnsupportedModelError(f"bodies lie in each other more than {_DEEPEST} levels deep", where=proto.name)
        self._depth += 1
        graph = Graph(self._model, proto.name, owner, proto)
        scope = dict(outer)
        self._inputs(graph, proto.input, scope)
        self._initializers(graph, proto.initializer, scope)
        self._sparse_initializers(graph, proto.sparse_initializer, scope)
        self._nodes(graph, proto.node, scope)
        _declare_outputs(graph, proto.value_info, scope)
        _declare_outputs(graph, proto.output, scope)
        graph.set_outputs(self._outputs(graph, [info.name for info in proto.output], scope))
        for annotation in proto.quantization_annotation:
            graph.annotating.update(entry.value for entry in annotation.quant_parameter_tensor_names)
            if not _belongs(annotation.tensor_name, graph, scope):
                graph.strays.add(annotation.tensor_name)
        self._depth -= 1
        return graph

    def _function(self, proto: FunctionProto) -> Graph:
        graph = Graph(self._model, "::".join(str(part) for part in (proto.domain, proto.name, proto.overload) if part))
        graph.function_proto = copy_without(proto, ("node",))
        graph.function_opsets = opsets_of(proto)
        graph.proto = GraphProto(name=proto.name)
        graph.proto.value_info.extend(proto.value_info)
        scope: _Scope = {"": None}
        for name in proto.input:
            graph.inputs.append(self._define(name, graph, scope))
        self._nodes(graph, proto.node, scope)
        infos = {info.name: info for info in proto.value_info}
        for value in graph.inputs:
            if value.name in infos:
                declare(value, infos[value.name])
        _declare_outputs(graph, proto.value_info, scope)
        graph.set_outputs(self._outputs(graph, proto.output, scope))
        return graph

    def _inputs(self, graph: Graph, infos: Iterable[ValueInfoProto], scope: _Scope) -> None:
        for info in infos:
            known = scope.get(info.name)
            if known is not None and known.graph is graph:
                raise ModelError("a graph has two inputs of this name", where=info.name)
            value = self._define(info.name, graph, scope)
            declare(value, info)
            graph.inputs.append(value)

    def _initializers(self, graph: Graph, protos: Iterable[TensorProto], scope: _Scope) -> None:
        # Before IR version 4 every initializer had to be listed as an input, so the listing says nothing.
        can_override = self._model.ir_version >= 4
        folder = self._model.folder
        for proto in protos:
            name = proto.name
            tensor = Tensor.from_proto(proto, folder)
            value = scope.get(name)
            if value is None or value.graph is not graph:
                value = self._define(name, graph, scope)
            elif value.tensor is None:
                value.overridable = can_override
            value.tensor = tensor  # of several with one name the last counts, as in ONNX Runtime
            value.dtype = tensor.dtype
            if not tensor.is_readable:  # then nobody can know what it holds
                value.overridable = True
            if not value.overridable:
                value.shape = tensor.shape
            graph.initializers[value] = None

    def _sparse_initializers(self, graph: Graph, protos: Iterable[SparseTensorProto], scope: _Scope) -> None:
        for sparse in protos:
            name = sparse.values.name
            value = scope.get(name)
            if value is None or value.graph is not graph:
                value = self._define(name, graph, scope)
            elif value.tensor is not None or value in graph.sparse_initializers:
                raise ModelError("two initializers have this name", where=name)
            else:
                value.overridable = self._model.ir_version >= 4
            value.dtype, value.shape = sparse.values.data_type, tuple(sparse.dims)
            graph.sparse_initializers[value] = sparse
            self._check_attached((sparse.values, sparse.indices))

    def _nodes(self, graph: Graph, protos: Sequence[NodeProto], scope: _Scope) -> None:
        for proto in sorted_protos(protos) if self._sort else protos:
            node = Node(proto.op_type, proto.domain, graph, proto)
            try:
                node.inputs = [scope[name] for name in proto.input[:]]  # a slice is faster than the field itself
            except KeyError as error:
                raise self._undefined(error.args[0], node.label) from None
            if not node.domain and not fits(proto, node.version, node.inputs):
                node.leave_alone()
            graph.insert(node)
            for attribute in proto.attribute:
                kind = attribute.type
                if kind in _GRAPHS:
                    self._bodies(node, attribute, scope)
                elif kind in _TENSORS:
                    self._check_attached(tensors_in(attribute))
            if proto.metadata_props:
                _read_origins(node, proto)
            self._node_names.append(node.name)
            self._produce(node, proto.output[:], scope)

    def _produce(self, node: Node, names: Sequence[str], scope: _Scope) -> None:
        graph = node.graph
        for index, name in enumerate(names):
            if not name:
                node.outputs.append(None)
                continue
            known = scope.get(name)
            if known is not None and known.graph is graph:
                raise ModelError(f"value '{name}' is produced twice", where=node.label or node.op)
            value = self._define(name, graph, scope)
            value.producer, value.index = node, index
            node.outputs.append(value)

    def _bodies(self, node: Node, attribute: AttributeProto, scope: _Scope) -> None:
        for key, proto in zip(body_keys(attribute), body_protos(attribute)):
            if key in node.bodies:
                raise ModelError(f"attribute {key} is given twice", where=node.label)
            node.bodies[key] = self._graph(proto, node, scope)

    def _check_attached(self, tensors: Iterable[TensorProto]) -> None:
        """Check the external data of tensors that are no initializers, and note that there is some."""
        for proto in tensors:
            if proto.data_location == TensorProto.EXTERNAL:
                Tensor.from_proto(proto, self._model.folder)
                self._model.has_attached_external_data = True

    def _define(self, name: str, graph: Graph, scope: _Scope) -> Value:
        if name in self._names:
            self._model.repeated_names.add(name)
        else:
            self._names.add(name)
        scope[name] = value = Value(name, graph)
        return value

    def _outputs(self, graph: Graph, names: Iterable[str], scope: _Scope) -> list[Value]:
        values = []
        for name in names:
            value = scope.get(name)
            if value is None:
                raise self._undefined(name, f"output of graph '{graph.name}'")
            values.append(value)
        return values

    def _undefined(self, name: str, where: str) -> ModelError:
        kind = ModelError if self._sort else _NotYetDefined
        return kind(
            f"value '{name}' is read, but nothing produces it", where=where,
            hint="it must be an input, an initializer or the output of a node in this graph or one around it",
        )  # fmt: skip


def _refuse_bytes(model: Model) -> None:
    """Refuse names that are not UTF-8, which protobuf hands out as bytes."""
    names = {*model.names, *(part for key in model.functions for part in key)}
    names.update(graph.name for graph in model.graphs())
    if set(map(type, names)) - {str}:
        broken = next(name for name in names if not isinstance(name, str))
        raise ModelError("a name is not valid UTF-8", where=str(broken))


def _belongs(name: str, graph: Graph, scope: _Scope) -> bool:
    value = scope.get(name)
    return value is not None and value.graph is graph


def _declare_outputs(graph: Graph, infos: Iterable[ValueInfoProto], scope: _Scope) -> None:
    """Note the types that the file states of what nodes produce; inference falls back on them."""
    for info in infos:
        value = scope.get(info.name)
        if value is None or value.graph is not graph:
            graph.strays.add(info.name)
        elif value.producer is not None and info.HasField("type"):
            value.declared = info.type


def _read_origins(node: Node, proto: NodeProto) -> None:
    for entry in proto.metadata_props:
        if not isinstance(entry.value, str):
            continue
        if entry.key == ORIGIN_KEY:
            node.origins = tuple(entry.value.split(", "))
        elif entry.key == PASS_KEY:
            node.rewritten_by = entry.value


def _mark_trained(model: Model) -> None:
    """Initializers that a training algorithm reads or sets are not constants."""
    names: set[str] = set()
    for training in model.proto.training_info:
        names.update(b.key for b in (*training.initialization_binding, *training.update_binding))
        for graph in (training.initialization, training.algorithm):
            names.update(captured_names(graph))
    for value in model.graph.initializers if names else ():
        value.overridable |= value.name in names
