"""Attributes by the type that a rule or pass expects them to have."""

from __future__ import annotations

from abc import abstractmethod

from .attributes import Attribute, AttributeReference
from .refusal import Refusal


class TypedAttributes:
    """Reads attributes; refuses those that the caller of a function binds and those of another type."""

    __slots__ = ()

    @property
    @abstractmethod  # for the type checker alone: a metaclass would make every isinstance(x, Node) slower
    def attributes(self) -> dict[str, Attribute]:
        """All attributes by name."""

    def attr(self, name: str, default: Attribute = None) -> Attribute:
        """The attribute, or `default`. Refuses when it is a parameter that the caller of a function binds."""
        value = self.attributes.get(name, default)
        if isinstance(value, AttributeReference):
            raise Refusal(f"attribute {name} is bound by the function's caller")
        return value

    def int_attr(self, name: str, default: int) -> int:
        value = self.attributes.get(name, default)
        if type(value) is not int:
            self.attr(name)
            raise Refusal(f"attribute {name} is not an integer")
        return value

    def float_attr(self, name: str, default: float) -> float:
        value = self.attr(name, default)
        if not isinstance(value, float | int):
            raise Refusal(f"attribute {name} is not a number")
        return float(value)

    def str_attr(self, name: str, default: str) -> str:
        value = self.attr(name, default)
        if isinstance(value, str):
            return value
        if not isinstance(value, bytes):
            raise Refusal(f"attribute {name} is not a string")
        return value.decode(errors="replace")

    def ints_attr(self, name: str) -> tuple[int, ...] | None:
        """An INTS attribute as a tuple, None if absent."""
        value = self.attributes.get(name)
        if value is None:
            return None
        if not isinstance(value, tuple | list) or not all(type(v) is int for v in value):
            self.attr(name)
            raise Refusal(f"attribute {name} is not a list of integers")
        return value if isinstance(value, tuple) else tuple(value)
