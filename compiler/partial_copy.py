"""Copies of protobuf messages that leave some fields out, without copying these first."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

M = TypeVar("M", bound=Message)
_VARINT, _FIXED64, _BYTES, _GROUP, _FIXED32 = 0, 1, 2, 3, 5


def copy_without(message: M, left_out: Collection[str]) -> M:
    """A message with all fields of another but some, those of a later ONNX included, which have no names here."""
    copy: M = type(message)()
    for field, content in message.ListFields():
        if field.name not in left_out:
            copy_field(copy, field.name, content)
    _copy_unknown(message, copy)
    return copy


def copy_only(message: M, fields: Collection[str]) -> M:
    """A message with some fields of another and those of a later ONNX; the other fields are not even looked at."""
    copy: M = type(message)()
    for name in fields:
        content = getattr(message, name)
        if hasattr(content, "extend") or message.HasField(name):
            copy_field(copy, name, content)
    _copy_unknown(message, copy)
    return copy


def _copy_unknown(message: Message, copy: Message) -> None:
    unknown = _encoded(UnknownFieldSet(message))
    if unknown:
        copy.MergeFromString(unknown)


def copy_field(target: Message, name: str, content: object) -> None:
    """Set a field of a protobuf message to what `ListFields` gave for it in another."""
    if isinstance(content, int | str | bytes | float):
        try:
            setattr(target, name, content)
        except UnicodeDecodeError:  # a text that is not UTF-8 is read as bytes, but cannot be set
            assert isinstance(content, bytes)
            key = varint(target.DESCRIPTOR.fields_by_name[name].number << 3 | _BYTES)
            target.MergeFromString(key + varint(len(content)) + content)
    elif isinstance(content, Message):
        getattr(target, name).CopyFrom(content)
    else:
        getattr(target, name).extend(content)


def _encoded(fields: Iterable[Any]) -> bytes:
    written = bytearray()
    for field in fields:
        written += varint(field.field_number << 3 | field.wire_type)
        if field.wire_type == _VARINT:
            written += varint(field.data)
        elif field.wire_type == _BYTES:
            written += varint(len(field.data)) + field.data
        elif field.wire_type == _GROUP:
            written += _encoded(field.data) + varint(field.field_number << 3 | 4)
        else:
            written += field.data.to_bytes(8 if field.wire_type == _FIXED64 else 4, "little")
    return bytes(written)


def varint(number: int) -> bytes:
    """A non-negative number as protobuf writes it."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
