"""Patterns over the graph: trees of ops, matched from the root towards the producers.

    op("BatchNormalization", op("Conv|ConvTranspose", any_("x"), known("w"), maybe(known("b")), node="conv"),
       known("scale"), known("shift"), known("mean"), known("variance"))

A pattern that fits except for one thing that the user can change (an inner value with other readers, a weight that
the caller may override) is a near miss: it is reported with the reason instead of being dropped silently.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from .graph import Node, Value

_Saved = tuple[int, dict[str, Value], dict[str, Node], dict[str, float], str]


@dataclass(slots=True)
class Match:
    """A place where a pattern fits.

    nodes: matched nodes, root first. values, named, numbers: what the pattern's names stand for. near_miss: why the
    match must not be used, or "".
    """

    root: Node
    nodes: list[Node] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    named: dict[str, Node] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    near_miss: str = ""

    def save(self) -> _Saved:
        """What is bound so far, for `restore`."""
        return len(self.nodes), dict(self.values), dict(self.named), dict(self.numbers), self.near_miss

    def restore(self, saved: _Saved) -> None:
        """Forget what was bound since `save`."""
        count, values, named, numbers, self.near_miss = saved
        del self.nodes[count:]
        self.values, self.named, self.numbers = dict(values), dict(named), dict(numbers)

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    def get(self, name: str) -> Value | None:
        """The value bound to `name`, None if that input is omitted."""
        return self.values.get(name)

    def node(self, name: str) -> Node:
        return self.named[name]

    def array(self, name: str):  # type: ignore[no-untyped-def]
        """The elements of a `known` value, read-only."""
        constant = self.values[name].constant
        assert constant is not None
        return constant.numpy()


def overridable(value: Value) -> str:
    """The near miss of a weight that is no constant."""
    return f"{value.name} is also a graph input, so the caller may override it"


def other_readers(value: Value) -> str:
    """The near miss of an inner value that must stay."""
    assert value.producer is not None
    reader = "is a graph output" if value.is_graph_output else "has other readers"
    return f"{value.producer.op} output {value.name} {reader}"


NO_PRODUCER = ""
CONSTANTS = frozenset({NO_PRODUCER, "Constant"})


class ValuePattern(ABC):
    """Matches one value; `match` binds names in the Match and returns whether it fits.

    producers: what must have produced the value for it to fit at all, an op or NO_PRODUCER; None if anything may have.
    """

    depth = 0
    producers: frozenset[str] | None = None

    @abstractmethod
    def match(self, value: Value | None, found: Match) -> bool:
        """Whether the value fits; what has a name is bound in `found`."""


class RootPattern(ValuePattern):
    """A pattern that a pass can start from: its root is a node of one of `ops`."""

    ops: frozenset[str]

    @abstractmethod
    def match_root(self, node: Node) -> Match | None:
        """Match with `node` as the root; None if the pattern does not fit at all."""


class Any_(ValuePattern):
    """Any present value, bound to a name; the same name twice means the same value."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def match(self, value: Value | None, found: Match) -> bool:
        if value is None:
            return False
        bound = found.values.setdefault(self.name, value)
        return bound is value


class Known(Any_):
    """A constant, bound to a name; a weight that the caller may override is a near miss."""

    __slots__ = ()
    producers = CONSTANTS

    def match(self, value: Value | None, found: Match) -> bool:
        if value is None:
            return False
        if value.constant is None:
            if not value.overridable:
                return False
            found.near_miss = found.near_miss or overridable(value)
        return Any_.match(self, value, found)


class Maybe(ValuePattern):
    """An input that may be omitted."""

    __slots__ = ("depth", "inner")

    def __init__(self, inner: ValuePattern) -> None:
        self.inner = inner
        self.depth = inner.depth

    def match(self, value: Value | None, found: Match) -> bool:
        return value is None or self.inner.match(value, found)


class Either(ValuePattern):
    """A value that fits one of several patterns; the first that fits counts."""

    __slots__ = ("alternatives", "depth", "producers")

    def __init__(self, alternatives: tuple[ValuePattern, ...]) -> None:
        self.alternatives = alternatives
        self.depth = max(a.depth for a in alternatives)
        sets = [a.producers for a in alternatives]
        self.producers = None if None in sets else frozenset().union(*(s for s in sets if s is not None))

    def match(self, value: Value | None, found: Match) -> bool:
        saved = found.save()
        for alternative in self.alternatives:
            if alternative.match(value, found):
                return True
            found.restore(saved)
        return False


class OpPattern(RootPattern):
    """The first output of a node of one of some ops, whose inputs match in turn."""

    __slots__ = ("arguments", "commutative", "demands", "depth", "node_name", "ops", "output", "producers", "shared",
                 "value_name", "where")  # fmt: skip

    def __init__(
        self,
        ops: str,
        arguments: tuple[ValuePattern, ...] | None,
        node: str,
        value: str,
        shared: bool,
        commutative: bool,
        output: int,
        where: Callable[[Node], bool] | None,
    ) -> None:
        self.ops = self.producers = frozenset(ops.split("|"))
        self.arguments = arguments
        wanted = [(i, a.producers) for i, a in enumerate(arguments or ())]
        self.demands = tuple((i, ops) for i, ops in wanted if ops is not None)
        self.node_name, self.value_name = node, value
        self.shared, self.commutative, self.output, self.where = shared, commutative, output, where
        self.depth = 1 + max((a.depth for a in arguments or ()), default=0)

    def match(self, value: Value | None, found: Match) -> bool:
        if value is None or value.producer is None or value.index != self.output:
            return False
        node = value.producer
        if node.op not in self.ops:
            return False
        if node.graph is not found.root.graph and not self.shared:
            return False
        if not self._match_node(node, found):
            return False
        if not self.shared and len(value.uses) > 1:
            found.near_miss = found.near_miss or other_readers(value)
        if self.value_name:
            found.values[self.value_name] = value
        return True

    def match_root(self, node: Node) -> Match | None:
        if node.op not in self.ops:
            return None
        if not self._may_fit(node, swapped=False) and not (self.commutative and self._may_fit(node, swapped=True)):
            return None
        found = Match(node)
        return found if self._match_node(node, found) else None

    def _may_fit(self, node: Node, swapped: bool) -> bool:
        """Whether the inputs come from the right operators; most places are ruled out here, without a Match."""
        inputs = node.inputs
        for index, ops in self.demands:
            place = 1 - index if swapped and index < 2 else index
            value = inputs[place] if place < len(inputs) else None
            if value is None or (NO_PRODUCER if value.producer is None else value.producer.op) not in ops:
                return False
        return True

    def _match_node(self, node: Node, found: Match) -> bool:
        if self.where is not None and not self.where(node):
            return False
        if self.arguments is None:
            self._bind(node, found)
            return True
        if self._match_inputs(node, found, swapped=False):
            return True
        return self.commutative and len(node.inputs) > 1 and self._match_inputs(node, found, swapped=True)

    def _match_inputs(self, node: Node, found: Match, swapped: bool) -> bool:
        assert self.arguments is not None
        inputs = node.inputs
        if swapped and len(inputs) < 2:
            return False
        if swapped:
            inputs = [inputs[1], inputs[0], *inputs[2:]]
        if len(inputs) > len(self.arguments) or not self._may_fit(node, swapped):
            return False
        saved = found.save()
        self._bind(node, found)
        for index, argument in enumerate(self.arguments):
            if not argument.match(inputs[index] if index < len(inputs) else None, found):
                found.restore(saved)
                return False
        return True

    def _bind(self, node: Node, found: Match) -> None:
        found.nodes.append(node)
        if self.node_name:
            found.named[self.node_name] = node


def any_(name: str) -> Any_:
    """Any present value."""
    return Any_(name)


def known(name: str) -> Known:
    """A constant value."""
    return Known(name)


def maybe(inner: ValuePattern) -> Maybe:
    """`inner`, or an omitted input."""
    return Maybe(inner)


def either(*alternatives: ValuePattern) -> Either:
    """Any of several forms."""
    return Either(alternatives)


def op(
    ops: str,
    *arguments: ValuePattern,
    node: str = "",
    value: str = "",
    shared: bool = False,
    commutative: bool = False,
    output: int = 0,
    where: Callable[[Node], bool] | None = None,
) -> OpPattern:
    """A node of one of `ops` ("Conv|com.microsoft::FusedConv").

    Args:
        arguments: patterns of its inputs; none at all means that the inputs do not matter.
        node, value: names under which the node and its output are found in the Match.
        shared: the output may have other readers and lie in an enclosing graph (the node then stays); else that is
            a near miss.
        commutative: the first two inputs may stand in either order.
        output: which output of the node the pattern reads.
        where: a further condition on the node, cheap and without side effects.
    """
    return OpPattern(ops, arguments or None, node, value, shared, commutative, output, where)
