"""Model -> ModelProto or files: what no pass touched is written as it was read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, ValueInfoProto

from .attributes import encode
from .errors import ModelError
from .graph import Graph, Node, Value
from .model import Model
from .order import sort_nodes
from .reading import ORIGIN_KEY, PASS_KEY
from .tensor import Tensor

_ALIGNMENT = 4096  # a page, so that a reader can map each tensor by itself
_PROTOBUF_LIMIT = 2**31 - 1


def to_proto(model: Model) -> ModelProto:
    """The model as one ModelProto; tensors kept in other files stay references to them."""
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    declared = {("" if o.domain == "ai.onnx" else o.domain): o for o in proto.opset_import}
    for domain, version in model.opsets.items():
        if domain not in declared:
            proto.opset_import.add(domain=domain, version=version)
        elif declared[domain].version != version:
            declared[domain].version = version
    for domain in set(declared) - set(model.opsets):
        proto.opset_import.remove(declared[domain])
    _fill_graph(proto.graph, model.graph)
    proto.functions.extend(_function(function) for function in model.functions.values())
    return proto


def save(model: Model, path: str | Path, *, external_data: bool | None = None) -> list[Path]:
    """Write the model, with its big tensors in `<name>.data` where it needs that; returns the files written.

    Args:
        external_data: True puts every tensor of at least 1 KiB into the .data file, False forbids the file, None does
            what the source did and what protobuf's 2 GiB limit asks for.

    Both files are written under temporary names and renamed at the end, so that a failure leaves what was there.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ModelError(f"the folder of '{path}' does not exist")
    proto = to_proto(model)
    tensors = {value.name: value.tensor for graph in model.graphs() for value in graph.initializers}
    sources = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    wanted = external_data
    if wanted is None:
        wanted = any(t.external for t in sources.values()) or sum(t.nbytes for t in sources.values()) > _PROTOBUF_LIMIT
    data_name = path.name + ".data"
    stored = list(_stored_tensors(proto.graph))
    if not wanted:
        for tensor in stored:
            _inline(tensor, sources.get(tensor.name))
        return _replace_files({path: [proto.SerializeToString()]})
    moved, offset = [], 0
    for tensor in stored:
        source = sources.get(tensor.name)
        if source is None or source.nbytes < 1024:
            _inline(tensor, source)
            continue
        offset += -offset % _ALIGNMENT
        _refer(tensor, data_name, offset, source.nbytes)
        moved.append((offset, source))
        offset += source.nbytes
    return _replace_files({path.with_name(data_name): _data_stream(moved), path: [proto.SerializeToString()]})


def _data_stream(moved: list[tuple[int, Tensor]]) -> Iterable[bytes | memoryview]:
    position = 0
    for offset, tensor in moved:
        yield bytes(offset - position)
        position = offset + tensor.nbytes
        if tensor.external is not None:
            yield from tensor.external.chunks()
        else:
            yield tensor.to_proto("").raw_data


def _stored_tensors(graph: GraphProto) -> Iterable[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _stored_tensors(attribute.g)


def _refer(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "external_data"):
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.append(StringStringEntryProto(key=key, value=value))


def _inline(tensor: TensorProto, source: Tensor | None) -> None:
    if tensor.data_location == TensorProto.EXTERNAL and source is not None and source.external is not None:
        tensor.raw_data = bytes(source.external.view())
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")


def _replace_files(contents: dict[Path, Iterable[bytes | memoryview]]) -> list[Path]:
    """Write each file beside its place and rename all only when every one is complete."""
    written: list[tuple[str, Path]] = []
    try:
        for path, pieces in contents.items():
            descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            written.append((name, path))
            with os.fdopen(descriptor, "wb") as file:
                for piece in pieces:
                    file.write(piece)
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o666 & ~mask)
        for name, path in written:
            os.replace(name, path)
        return list(contents)
    except OSError as error:
        raise ModelError(f"cannot write '{path}': {error.strerror or error}") from error
    finally:
        for name, _ in written:
            Path(name).unlink(missing_ok=True)


def _fill_graph(proto: GraphProto, graph: Graph) -> GraphProto:
    sort_nodes(graph)
    source = graph.proto
    proto.name = graph.name
    produced = [value for node in graph for value in node.outputs if value is not None]
    stored = [*graph.inputs, *graph.initializers, *graph.sparse_initializers]
    alive = {value.name: value for value in (*produced, *stored)}
    if source is not None:
        if source.HasField("doc_string"):
            proto.doc_string = source.doc_string
        proto.metadata_props.extend(source.metadata_props)
        proto.quantization_annotation.extend(q for q in source.quantization_annotation if q.tensor_name in alive)
        kept = [info for info in source.value_info if info.name in alive]
        _copy_interface(proto.value_info, kept, [alive[info.name] for info in kept])
        _copy_interface(proto.input, source.input, graph.inputs)
        _copy_interface(proto.output, source.output, graph.outputs)
    proto.node.extend(_node(node) for node in graph)
    for value in graph.initializers:
        assert value.tensor is not None
        proto.initializer.append(value.tensor.to_proto(value.name))
    proto.sparse_initializer.extend(graph.sparse_initializers.values())
    return proto


def _copy_interface(target: Any, source: Iterable[ValueInfoProto], values: list[Value]) -> None:
    """Inputs and outputs as the file declared them; a value that the file did not list is written by name."""
    infos = {info.name: info for info in source}
    for value in values:
        if value.name in infos:
            target.append(infos[value.name])
            if value.declared is not None and value.declared is not infos[value.name].type:
                target[-1].type.CopyFrom(value.declared)
        else:
            info = target.add(name=value.name)
            if value.declared is not None:
                info.type.CopyFrom(value.declared)


def _function(function: Graph) -> FunctionProto:
    sort_nodes(function)
    assert function.function_proto is not None
    proto = FunctionProto()
    proto.CopyFrom(function.function_proto)
    alive = {value.name for node in function for value in node.outputs if value is not None}
    infos = [info for info in proto.value_info if info.name in alive or info.name in proto.input]
    del proto.value_info[:]
    proto.value_info.extend(infos)
    proto.node.extend(_node(node) for node in function)
    return proto


def _names(values: Iterable[Value | None]) -> list[str]:
    return [value.name if value is not None else "" for value in values]


def _node(node: Node) -> NodeProto:
    inputs, outputs = _names(node.inputs), _names(node.outputs)
    source = node.proto
    bodies = {name: _fill_graph(GraphProto(), body) for name, body in node.bodies.items()}
    if source is not None and not node.attributes_changed and not node.provenance_changed:
        same = list(source.input) == inputs and list(source.output) == outputs
        if same and all(a.g == bodies[a.name] for a in source.attribute if a.name in bodies):
            return source
    proto = NodeProto()
    if source is not None:
        proto.CopyFrom(source)
        for field in ("input", "output", "attribute"):
            proto.ClearField(field)
    else:
        proto.op_type, proto.name = node.op_type, node.name
        if node.domain:
            proto.domain = node.domain
        if node.overload:
            proto.overload = node.overload
    proto.input.extend(inputs)
    proto.output.extend(outputs)
    _write_attributes(proto, node, bodies)
    _write_origins(proto, node)
    return proto


def _write_attributes(proto: NodeProto, node: Node, bodies: dict[str, GraphProto]) -> None:
    source = {a.name: a for a in node.proto.attribute} if node.proto is not None else {}
    if not node.attributes_changed:
        proto.attribute.extend(a for a in source.values() if a.name not in bodies)
    else:
        for name, value in node.attributes.items():
            written = encode(name, value)
            original = source.get(name)
            proto.attribute.append(written)
            if original is not None and original.doc_string:
                proto.attribute[-1].doc_string = original.doc_string
    for name, body in bodies.items():
        attribute = proto.attribute.add(name=name)
        attribute.type = attribute.GRAPH
        attribute.g.CopyFrom(body)


def _write_origins(proto: NodeProto, node: Node) -> None:
    if not node.provenance_changed:
        return
    for key, text in ((ORIGIN_KEY, ", ".join(node.origins)), (PASS_KEY, node.rewritten_by)):
        entry = next((e for e in proto.metadata_props if e.key == key), None)
        if entry is None:
            entry = proto.metadata_props.add(key=key)
        entry.value = text
