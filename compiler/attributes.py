"""Attributes of nodes as Python values, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Union

import numpy as np
from onnx import AttributeProto

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


def decode(proto: AttributeProto, folder: Path | None) -> Attribute:
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


