"""eliminate-common-subexpressions: what is computed twice is computed once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ..compiler.attributes import bits
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import Context, Pass
from ..compiler.inference.engine import outermost_reader
from ..compiler.order import sort_nodes
from ..compiler.refusal import Refusal
from ..compiler.tensor import Tensor
from .eliminate_unused_outputs import OPTIONAL_OUTPUTS
from .folding.determinism import is_deterministic

_COMMUTATIVE = frozenset({"Add", "Mul", "Equal", "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor"})
_NUMBERED = 1024  # bytes up to which constants are told apart by their elements and not only by identity
_COMPARED = 8  # equals of one node that are tried; only graph outputs make that many
_WORTH_SHARING = 1024  # bytes from which one of two equal Constant nodes goes, for the size of the file


@dataclass
class _Index:
    """What has been seen so far: nodes by what they compute, constants by their bits."""

    nodes: dict[Hashable, list[Node]] = field(default_factory=dict)
    constants: dict[bytes, Value] = field(default_factory=dict)
    numbers: dict[Value, Value] = field(default_factory=dict)
    shapes: dict[Hashable, list[Value]] = field(default_factory=dict)
    noted: set[Value] = field(default_factory=set)

    def number(self, value: Value | None) -> Value | None:
        """One value for all constants that are bit-equal; any other value stands for itself."""
        if value is None:
            return None
        found = self.numbers.get(value)
        if found is None:
            tensor = value.constant
            found = value
            if tensor is not None and tensor.nbytes <= _NUMBERED:
                found = self.constants.setdefault(tensor.digest(), value)
            self.numbers[value] = found
        return found

    def key(self, node: Node) -> Hashable:
        """Operator and inputs; nodes with equal keys may still differ in attributes."""
        inputs: Sequence[Value | None] = [self.number(v) for v in node.inputs]
        if node.op in _COMMUTATIVE and len(inputs) == 2:
            inputs = sorted(inputs, key=id)
        outputs = 0 if node.op in OPTIONAL_OUTPUTS else len(node.outputs)
        return (node.op, node.overload, outputs, *inputs)


@dataclass(frozen=True)
class EliminateCommonSubexpressions(Pass):
    """Keep one of several equal initializers, of several equal nodes, and of several nodes that spell one shape.

    Before => After
        a = Relu(x); b = Relu(x); y = Add(a, b)   =>   a = Relu(x); y = Add(a, a)
        n = Gather(Shape(x[N,3]), 0); m = Gather(Shape(Relu(x)), 0)   =>   n for both

    Legal when
        The nodes have the same operator, attributes and inputs (constants count as the same input when they are
        bit-equal, the inputs of Add, Mul, Equal and logical operators may be swapped) and are deterministic, or
        inference proves that their small integer results are the same expressions of the dimensions. A node in a body
        may be replaced by one of an enclosing graph that stands before the body's owner, never the other way around,
        and equal nodes in the two branches of an If stay: hoisting them would compute what may not be needed.
        Initializers are equal when type, shape and every bit are; one that the caller may override is not a constant.

    Pays when
        Always. Of equal Constant nodes one is dropped from 1 KiB on.

    Numerics
        Unchanged.

    This is value numbering (Cocke, "Global common subexpression elimination", 1970) on a graph that is in SSA form.
    """

    name: ClassVar[str] = "eliminate-common-subexpressions"

    def run(self, context: Context, since: int) -> None:
        index = context.memory.get(self.name)
        if since < 0 or not isinstance(index, _Index):
            index = context.memory[self.name] = _Index()
        self._constants(context, index)
        touched = context.changes.touched
        position = max(since, 0)
        if since < 0:
            position = len(touched)
            for node in list(context.model.nodes()):
                self._visit(context, node, index)
        while position < len(touched):
            self._visit(context, touched[position], index)
            position += 1

    def _visit(self, context: Context, node: Node, index: _Index) -> None:
        if not node.alive or node.op == "Constant" or node.bodies or not is_deterministic(node):
            return
        key = index.key(node)
        if any(self._merge(context, *pair) for pair in _pairs(node, index.nodes.setdefault(key, []), key, index)):
            return
        meaning = _content_key(node)
        if meaning is not None:
            for pair in _pairs(node, index.nodes.setdefault(meaning, []), meaning, index):
                if self._merge(context, *pair):
                    return

    def _merge(self, context: Context, kept: Node, node: Node) -> bool:
        if not _gives_all(kept, node):
            return False  # a node of an enclosing graph, which gets no new outputs for the sake of a body
        rewriter = self.rewriter(context, node, [node])
        try:
            for mine, twin in zip(node.outputs, kept.outputs):
                if mine is not None and twin is not None and (mine.uses or len(node.outputs) == 1):
                    rewriter.replace(mine, twin)
        except Refusal as refusal:
            context.remark("missed", self.name, node, refusal.reason)
            return False
        rewriter.note(f"the same as {kept.label}")
        return rewriter.commit()

    def _constants(self, context: Context, index: _Index) -> None:
        """Equal initializers, and equal big Constant nodes: in one graph or where an enclosing one has the twin."""
        for value in _fresh_constants(context, index):
            tensor = value.constant
            assert tensor is not None
            group = index.shapes.setdefault((tensor.dtype, tensor.shape, tensor.glimpse()), [])
            twin = next((t for t in group if t.uses and _visible(t, value) and _same_bits(t, tensor)), None)
            if twin is None:
                group.append(value)
            else:
                self._share(context, value, twin)

    def _share(self, context: Context, value: Value, twin: Value) -> None:
        readers = value.readers
        if not readers:
            return
        rewriter = self.rewriter(context, readers[0], [])
        rewriter.replace(value, twin)
        rewriter.note(f"constant {value.name} equals {twin.name}")
        rewriter.commit()


def _pairs(node: Node, entries: list[Node], key: Hashable, index: _Index) -> Iterator[tuple[Node, Node]]:
    """(node to keep, node to drop) for every living equal of `node`, which then counts as seen itself."""
    entries[:] = [n for n in entries if n.alive]
    if node not in entries and len(entries) < _COMPARED:
        entries.append(node)
    by_content = isinstance(key, tuple) and key[0] == "content"
    for other in list(entries):
        if other is node or not other.alive:
            continue
        if (_content_key(other) if by_content else index.key(other)) != key:
            continue
        if not by_content and not _same_attributes(node, other):
            continue
        first, second = (other, node) if _precedes(other, node) else (node, other)
        if not _precedes(first, second):
            continue
        if not _gives_all(first, second) and first.graph is second.graph and _gives_all(second, first):
            first, second = second, first  # they read the same, so either may stand first
        yield first, second


def _precedes(first: Node, second: Node) -> bool:
    """True if `first` is computed before `second` wherever `second` is."""
    if not first.graph.encloses(second.graph):
        return False
    sort_nodes(first.graph)
    return first.order < outermost_reader(second, first.graph).order


def _gives_all(kept: Node, node: Node) -> bool:
    return all(kept.has_output(i) for i, v in enumerate(node.outputs) if v is not None and v.uses)


def _same_attributes(one: Node, other: Node) -> bool:
    mine, theirs = one.attributes, other.attributes
    return mine.keys() == theirs.keys() and all(
        bits(k, v) == bits(k, theirs[k]) for k, v in mine.items()
    )


def _content_key(node: Node) -> Hashable | None:
    """Type, shape and symbolic elements of a node with one output; None unless they are all known."""
    if len(node.outputs) != 1 or node.outputs[0] is None:
        return None
    value = node.outputs[0]
    if value.content is None or value.shape is None or not value.dtype:
        return None
    return ("content", value.dtype, value.shape, value.content)


def _fresh_constants(context: Context, index: _Index) -> Iterator[Value]:
    """Constants that may be dropped and were not looked at before, those of enclosing graphs first."""
    for graph in list(context.model.graphs()):
        nodes = [n for n in graph if n.op == "Constant"]
        for value in [v for v in [*graph.initializers, *(n.output for n in nodes)] if v not in index.noted]:
            index.noted.add(value)
            tensor = value.constant
            if tensor is None or value.is_graph_output or value in graph.inputs or not value.uses:
                continue
            if value.producer is None or tensor.nbytes >= _WORTH_SHARING:
                yield value


def _visible(twin: Value, value: Value) -> bool:
    if not twin.graph.encloses(value.graph):
        return False
    if twin.producer is None:
        return True
    return value.producer is not None and _precedes(twin.producer, value.producer)


def _same_bits(twin: Value, tensor: Tensor) -> bool:
    other = twin.constant
    return other is not None and (other is tensor or other.digest() == tensor.digest())
