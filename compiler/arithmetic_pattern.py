"""Patterns over arithmetic: constants near a number, products in any association, a scale and a shift.

    product(0.5, plus(op("Erf", product(0.5**0.5, any_("x"))), 1), any_("x"))

matches x * 0.5 * (1 + erf(x / sqrt(2))) in whatever order and with whatever Mul and Div it is spelled.

A constant counts as the number c when it is c up to the digits that exporters write: a relative 1e-6 in float32 (six
digits and more), 1e-12 in float64, one unit in the last place in float16 and bfloat16. Each use bounds what that does
to its result; it is of the order of the type's rounding. In a product only constants between 1/64 and 64 are moved, so
that no order of the multiplications overflows or underflows much earlier than another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from . import dtypes
from .graph import Graph, Node, Value
from .pattern import (
    CONSTANTS,
    NO_PRODUCER,
    Either,
    Match,
    RootPattern,
    ValuePattern,
    either,
    op,
    other_readers,
    overridable,
)
from .tensor import Tensor

TOLERANCE: dict[int, float] = {
    dtypes.FLOAT: 1e-6, dtypes.DOUBLE: 1e-12, dtypes.FLOAT16: 2.0**-10, dtypes.BFLOAT16: 2.0**-7,
}  # fmt: skip
_TAME = 64.0
_NUMERIC = dtypes.FLOATING | dtypes.INTEGER


def scalar_of(value: Value | None) -> float | None:
    """The number of a constant with one element; None for anything else, NaN included."""
    constant = None if value is None else value.constant
    return None if constant is None else _number(constant)


def _number(tensor: Tensor) -> float | None:
    if tensor.size != 1 or tensor.dtype not in _NUMERIC:
        return None
    number = float(tensor.numpy().reshape(())[()])
    return None if number != number else number


def near(number: float, expected: float, dtype: int, constants: int = 1) -> bool:
    """Whether `number`, got from so many constants of a type, stands for `expected`."""
    return abs(number - expected) <= constants * TOLERANCE.get(dtype, 0.0) * abs(expected)


class Scalar(ValuePattern):
    """A constant of one element, near a number if one is given; a name binds its number."""

    __slots__ = ("name", "number")
    producers = CONSTANTS

    def __init__(self, number: float | None, name: str) -> None:
        self.number, self.name = number, name

    def match(self, value: Value | None, found: Match) -> bool:
        if value is None:
            return False
        tensor = value.tensor if value.overridable else value.constant
        number = None if tensor is None else _number(tensor)
        if tensor is None or number is None:
            return False
        if self.number is not None and not near(number, self.number, tensor.dtype):
            return False
        if value.overridable:
            found.near_miss = found.near_miss or overridable(value)
        if self.name:
            found.numbers[self.name] = number
        return True


@dataclass(slots=True)
class _Factors:
    """A product taken apart: constant * leaves. constants: how many; shared: an inner product with other readers."""

    number: float = 1.0
    constants: int = 0
    leaves: list[Value] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    shared: str = ""


_PRODUCTS = frozenset({"Mul", "Div", "Pow"})
_MOST_FACTORS = 6


class Product(RootPattern):
    """A tree of Mul, Div by a constant, and Pow 2 or 3, whose constants multiply to `number` and whose other factors
    match `factors` in some order. With number None any constant fits, and is bound to `name`."""

    __slots__ = ("demands", "depth", "factors", "name", "number", "ops")
    producers = _PRODUCTS

    def __init__(self, number: float | None, factors: tuple[ValuePattern, ...], name: str) -> None:
        self.number, self.factors, self.name = number, factors, name
        self.ops = frozenset({"Mul", "Div"})
        self.demands = [f.producers | _PRODUCTS for f in factors if f.producers is not None]
        self.depth = len(factors) + 1 + max(f.depth for f in factors)

    def match_root(self, node: Node) -> Match | None:
        if node.op not in self.ops:
            return None
        below = {NO_PRODUCER if v is None or v.producer is None else v.producer.op for v in node.inputs}
        if any(below.isdisjoint(ops) for ops in self.demands):
            return None
        found = Match(node)
        return found if self._match_product(node.output, found) else None

    def match(self, value: Value | None, found: Match) -> bool:
        if value is None or value.producer is None or value.producer.op not in _PRODUCTS:
            return False
        if value.producer.graph is not found.root.graph or not self._match_product(value, found):
            return False
        if len(value.uses) > 1:
            found.near_miss = found.near_miss or other_readers(value)
        return True

    def _match_product(self, value: Value, found: Match) -> bool:
        shared = ""
        for through_shared in (False, True):
            parts = _Factors()
            _take_apart(value, found.root.graph, parts, through_shared, top=True)
            if self._fits(parts, value.dtype, found):
                found.near_miss = found.near_miss or shared
                return True
            if not parts.shared:
                return False
            shared = parts.shared
        return False

    def _fits(self, parts: _Factors, dtype: int, found: Match) -> bool:
        if len(parts.leaves) != len(self.factors):
            return False
        if self.number is not None and not near(parts.number, self.number, dtype, parts.constants):
            return False
        saved = found.save()
        found.nodes.extend(parts.nodes)
        if self.name:
            found.numbers[self.name] = parts.number
        if self._assign(self.factors, parts.leaves, found):
            return True
        found.restore(saved)
        return False

    def _assign(self, factors: Sequence[ValuePattern], leaves: Sequence[Value], found: Match) -> bool:
        if not factors:
            return True
        saved = found.save()
        for index, leaf in enumerate(leaves):
            rest = [*leaves[:index], *leaves[index + 1 :]]
            if factors[0].match(leaf, found) and self._assign(factors[1:], rest, found):
                return True
            found.restore(saved)
        return False


def _take_apart(value: Value, graph: Graph, parts: _Factors, through_shared: bool, top: bool) -> None:
    """Collect the factors of `value`; a product that is read elsewhere is one factor unless `through_shared`."""
    node = value.producer
    if node is None or node.op not in _PRODUCTS or node.graph is not graph or len(node.inputs) != 2:
        parts.leaves.append(value)
        return
    if not top and len(value.uses) > 1:
        parts.shared = parts.shared or other_readers(value)
        if not through_shared:
            parts.leaves.append(value)
            return
    left, right = node.inputs
    if left is None or right is None or len(parts.leaves) > _MOST_FACTORS:
        parts.leaves.append(value)
        return
    below, above = scalar_of(left), scalar_of(right)
    inner = [left]
    if node.op == "Pow":
        if above not in (2.0, 3.0):
            parts.leaves.append(value)
            return
        inner = [left] * int(above)
    elif above is not None and _is_tame(above):
        parts.number = parts.number * above if node.op == "Mul" else parts.number / above
        parts.constants += 1
    elif node.op == "Mul" and below is not None and _is_tame(below):
        parts.number, parts.constants, inner = parts.number * below, parts.constants + 1, [right]
    elif node.op == "Mul":
        inner = [left, right]
    else:
        parts.leaves.append(value)
        return
    parts.nodes.append(node)
    for factor in inner:
        _take_apart(factor, graph, parts, through_shared, top=False)


def _is_tame(number: float) -> bool:
    return 1 / _TAME <= abs(number) <= _TAME


class Affine(ValuePattern):
    """scale * x + shift of constants, in at most two nodes that nothing else reads, or x itself; binds x to `name`,
    and "`name`.scale" and "`name`.shift"."""

    __slots__ = ("name",)
    depth = 2

    def __init__(self, name: str) -> None:
        self.name = name

    def match(self, value: Value | None, found: Match) -> bool:
        if value is None:
            return False
        scale, shift = 1.0, 0.0
        for _ in range(2):
            step = _affine_step(value, found.root.graph)
            if step is None:
                break
            factor, addend, value, node = step
            scale, shift = scale * factor, shift + scale * addend
            found.nodes.append(node)
        found.numbers[f"{self.name}.scale"], found.numbers[f"{self.name}.shift"] = scale, shift
        return found.values.setdefault(self.name, value) is value


def _affine_step(value: Value, graph: Graph) -> tuple[float, float, Value, Node] | None:
    """(scale, shift, inner, node) if `value` = scale * inner + shift by one node, and only one node reads it."""
    node = value.producer
    if node is None or node.graph is not graph or len(value.uses) != 1 or node.op not in _STEPS:
        return None
    left, right = node.input(0), node.input(1)
    if left is None:
        return None
    if node.op == "Neg":
        return -1.0, 0.0, left, node
    if right is None:
        return None
    number = scalar_of(right)
    if number is not None:
        steps = {"Add": (1.0, number), "Sub": (1.0, -number), "Mul": (number, 0.0)}
        if node.op == "Div":
            return (1.0 / number, 0.0, left, node) if number else None
        return (*steps[node.op], left, node)
    number = scalar_of(left)
    if number is None or node.op == "Div":
        return None
    steps = {"Add": (1.0, number), "Sub": (-1.0, number), "Mul": (number, 0.0)}
    return (*steps[node.op], right, node)


_STEPS = frozenset({"Add", "Sub", "Mul", "Div", "Neg"})


def scalar(number: float | None = None, name: str = "") -> Scalar:
    """A constant of one element, near `number` if it is given."""
    return Scalar(number, name)


def product(number: float | None, *factors: ValuePattern, name: str = "") -> Product:
    """A product of constants (together `number`) and of `factors`, associated and ordered in any way."""
    return Product(number, factors, name)


def plus(inner: ValuePattern, number: float) -> Either:
    """inner + number, or inner - (-number)."""
    return either(op("Add", inner, scalar(number), commutative=True), op("Sub", inner, scalar(-number)))


def affine(name: str) -> Affine:
    """A value, or it with a constant scale and shift."""
    return Affine(name)
