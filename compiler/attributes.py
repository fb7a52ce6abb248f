"""Attributes of nodes as Python values, and back."""

from __future__ import annotations

import struct
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Union

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto

from .errors import ModelError
from .external_data import ExternalFolder
from .tensor import Tensor


class AttributeReference:
    """An attribute of a function's node whose value is the caller's (`AttributeProto.ref_attr_name`)."""

    __slots__ = ("proto",)

    def __init__(self, proto: AttributeProto) -> None:
        self.proto = proto


class OpaqueAttribute:
    """An attribute that no pass looks into (sparse tensors, types, lists of tensors): kept as it came."""

    __slots__ = ("proto",)

    def __init__(self, proto: AttributeProto) -> None:
        self.proto = proto


Attribute = Union[int, float, bytes, str, Sequence[int], Sequence[float], Sequence[bytes], Sequence[str], Tensor,
                  AttributeReference, OpaqueAttribute, None]  # fmt: skip

_A = AttributeProto
_MAY_HOLD_GRAPHS = {_A.UNDEFINED, _A.GRAPH, _A.GRAPHS}


def decode(proto: AttributeProto, folder: ExternalFolder | None) -> Attribute:
    """The value of an attribute that is not a graph; strings stay bytes, lists become tuples."""
    if proto.ref_attr_name:
        return AttributeReference(proto)
    match proto.type:
        case _A.INT:
            return proto.i
        case _A.FLOAT:
            return proto.f
        case _A.STRING:
            return proto.s
        case _A.TENSOR:
            return Tensor.from_proto(proto.t, folder)
        case _A.INTS:
            return tuple(proto.ints)
        case _A.FLOATS:
            return tuple(proto.floats)
        case _A.STRINGS:
            return tuple(proto.strings)
    return OpaqueAttribute(proto)


def decode_all(node: NodeProto, folder: ExternalFolder | None, where: str) -> dict[str, Attribute]:
    """The attributes of a node but for its bodies; `where` is what to call the node in an error."""
    try:
        return {a.name: decode(a, folder) for a in node.attribute if not body_protos(a)}
    except ModelError as error:
        error.where = error.where or where
        raise


def body_protos(attribute: AttributeProto) -> Sequence[GraphProto]:
    """The graphs that an attribute holds."""
    if attribute.ref_attr_name or attribute.type not in _MAY_HOLD_GRAPHS:
        return ()
    if attribute.HasField("g"):
        return (attribute.g,)
    return list(attribute.graphs)


def body_keys(attribute: AttributeProto) -> list[str]:
    """What `Node.bodies` calls the graphs of an attribute: its name, or "name[0]", "name[1]"... for a list."""
    count = len(body_protos(attribute))
    if count and attribute.HasField("g"):
        return [attribute.name]
    return [f"{attribute.name}[{index}]" for index in range(count)]


def tensors_in(attribute: AttributeProto) -> Iterator[TensorProto]:
    """The tensors that an attribute holds, the parts of sparse ones included."""
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
        yield from (sparse.values, sparse.indices)


def constant_of(attributes: Mapping[str, Attribute]) -> Tensor | None:
    """The tensor of a Constant node with these attributes, None for what is not a tensor, or not readable."""
    for name, value in attributes.items():
        if name == "value" and isinstance(value, Tensor):
            return value if value.is_readable else None
        match name, value:
            case ("value_float", float() | int()) | ("value_floats", tuple() | list()):
                return Tensor.from_array(np.array(value, np.float32))
            case ("value_int", int()) | ("value_ints", tuple() | list()):
                return Tensor.from_array(np.array(value, np.int64))
            case ("value_string", bytes() | str()) | ("value_strings", tuple() | list()):
                return Tensor.from_array(np.array(value, object))
    return None


def bits(name: str, value: Attribute) -> Hashable:
    """What tells attributes apart: bits, because -0.0 == 0.0 and 1 == 1.0 in Python."""
    if isinstance(value, Tensor):
        return value.digest()
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, int | bytes | str):
        return value
    return bytes(encode(name, value).SerializeToString(deterministic=True))


def encode(name: str, value: Attribute) -> AttributeProto:
    """The proto of a value; the type follows from the Python type (an empty list counts as INTS)."""
    if isinstance(value, AttributeReference | OpaqueAttribute):
        return value.proto
    proto = AttributeProto(name=name)
    if isinstance(value, bool | int | np.integer):
        proto.type, proto.i = _A.INT, int(value)
    elif isinstance(value, float | np.floating):
        proto.type, proto.f = _A.FLOAT, float(value)
    elif isinstance(value, str | bytes):
        proto.type, proto.s = _A.STRING, value.encode() if isinstance(value, str) else value
    elif isinstance(value, Tensor):
        proto.type = _A.TENSOR
        proto.t.CopyFrom(value.to_proto(""))
    elif isinstance(value, Sequence):
        _encode_list(proto, value)
    else:
        raise TypeError(f"attribute {name}: {type(value).__name__} cannot be written to ONNX")
    return proto


def _encode_list(proto: AttributeProto, values: Sequence[object]) -> None:
    if all(isinstance(v, int | np.integer) for v in values):
        proto.type = _A.INTS
        proto.ints.extend(int(v) for v in values)  # type: ignore[call-overload]
    elif all(isinstance(v, int | float | np.floating | np.integer) for v in values):
        proto.type = _A.FLOATS
        proto.floats.extend(float(v) for v in values)  # type: ignore[arg-type]
    else:
        proto.type = _A.STRINGS
        proto.strings.extend(v.encode() if isinstance(v, str) else v for v in values)
