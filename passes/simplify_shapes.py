"""simplify-shapes: dimensions that are taken apart and put together again are asked for directly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from ..compiler.symbolic import Dim

_DEEPEST = 24  # nodes of shape arithmetic that are followed
_PARTS = "Concat|Unsqueeze|Squeeze|Slice|Gather|Reshape|Cast|Add|Sub|Mul|Div|Identity"
_SOME = 15  # the opset from which Shape gives a part of a shape


@dataclass(frozen=True)
class SimplifyShapes(RewritePass):
    """Ask a tensor for the dimensions that shape arithmetic only takes out of it, and the earliest one that has them.

    Before => After
        n = Unsqueeze(Gather(Shape(x), 0), 0)                 =>   n = Shape(x, start=0, end=1)
        s = Concat(n, Shape(x, start=1, end=2), k)            =>   s = Concat(Shape(x, start=0, end=2), k)
        s = Concat(n, [3], m)      x of shape [N, 3, M]       =>   s = Shape(x)
        s = Shape(Relu(x))         nobody else reads Relu     =>   s = Shape(x)

    Legal when
        Inference proves that the elements are consecutive dimensions of the tensor. Parts of a shape need opset 15.

    Pays when
        At least two nodes go for the one that comes; another tensor is asked only if nothing else needs the first.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "simplify-shapes"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Shape"), op(_PARTS, where=lambda node: _is_symbolic(node.output)))

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        if node.op == "Shape":
            _ask_earlier(node, rewriter)
            return
        content = node.output.content or ()
        sources = list(_sources(node))
        found = _place(content, sources, rewriter)
        if found is not None:
            if len(_dying([node], found[0])) > 1:
                rewriter.replace(node.output, _shape(found, rewriter))
                return
            rewriter.refuse("")
        if node.op != "Concat":
            rewriter.refuse("")
        _merge_parts(node, sources, rewriter)


def _is_symbolic(value: Value) -> bool:
    """True for a vector of int64 whose elements are known as expressions of dimensions, and not all as numbers."""
    if value.content is None or value.dtype != dtypes.INT64 or value.rank != 1:
        return False
    return not all(isinstance(dim, int) for dim in value.content)


_Place = tuple[Value, int, int]  # dimensions of a value from one axis to another


def _sources(node: Node) -> Iterator[Value]:
    """Tensors whose dimensions the node computes with."""
    stack, seen = [node], {node}
    while stack and len(seen) < _DEEPEST:
        current = stack.pop(0)
        for value in current.inputs:
            producer = None if value is None else value.producer
            if producer is None or producer in seen:
                continue
            seen.add(producer)
            if producer.op == "Shape":
                if producer.inputs[0] is not None:
                    yield producer.inputs[0]
            elif producer.output.content is not None:
                stack.append(producer)


def _place(content: Sequence[Dim], sources: Sequence[Value], rewriter: Rewriter) -> _Place | None:
    """Where these dimensions stand next to each other."""
    length = len(content)
    for value in sources:
        shape = value.shape or ()
        for start in range(len(shape) - length + 1):
            whole = len(shape) == length
            if tuple(shape[start : start + length]) == tuple(content) and (whole or rewriter.opset() >= _SOME):
                return value, start, start + length
    return None


def _shape(place: _Place, rewriter: Rewriter) -> Value:
    value, start, end = place
    whole = end - start == len(value.shape or ())
    return rewriter.op("Shape", [value], start=None if whole else start, end=None if whole else end)


def _dying(nodes: Sequence[Node], kept: Value) -> set[Node]:
    """What goes when nobody reads these nodes any more and `kept` has another reader."""
    dead, stack = set(nodes), list(nodes)
    while stack:
        for value in stack.pop().inputs:
            producer = None if value is None else value.producer
            if value is None or value is kept or producer is None or producer in dead or producer.op == "Constant":
                continue
            if all(reader in dead for output in producer.outputs if output is not None for reader, _ in output.uses):
                dead.add(producer)
                stack.append(producer)
    return dead


def _merge_parts(node: Node, sources: Sequence[Value], rewriter: Rewriter) -> None:
    """Replace the longest run of a Concat's inputs that are consecutive dimensions by one Shape."""
    inputs = [value for value in node.inputs if value is not None]
    for length in range(len(inputs), 1, -1):
        for first in range(len(inputs) - length + 1):
            run = inputs[first : first + length]
            contents = [value.content for value in run]
            joined = [dim for content in contents if content is not None for dim in content]
            if any(content is None for content in contents) or all(isinstance(dim, int) for dim in joined):
                continue
            place = _place(joined, sources, rewriter)
            if place is not None and _saved(node, run, place[0]) > 1:
                rest = [*inputs[:first], _shape(place, rewriter), *inputs[first + length :]]
                rewriter.replace(node.output, rewriter.op("Concat", rest, node.attributes, name=node.name))
                return
    rewriter.refuse("")


def _saved(node: Node, run: Sequence[Value], kept: Value) -> int:
    """Nodes that go when the Concat no longer reads this run of inputs."""
    alone = [
        value.producer for value in dict.fromkeys(run)
        if value.producer is not None and value.producer.op != "Constant" and value is not kept
        and len(value.producer.outputs) == 1 and all(reader is node for reader, _ in value.uses)
    ]  # fmt: skip
    return len(_dying(alone, kept))


def _ask_earlier(node: Node, rewriter: Rewriter) -> None:
    """Ask the tensor that the one asked is computed from, if it has the same shape and nobody else needs this one."""
    value = node.inputs[0]
    start = value
    while value is not None and value.producer is not None and len(value.uses) == 1 and value.shape is not None:
        producer = value.producer
        others = [v for v in producer.outputs if v is not None and v is not value]
        if producer.graph is not node.graph or any(v.uses for v in others):
            break
        same = next((v for v in producer.inputs if v is not None and v.shape == value.shape and v.is_tensor), None)
        if same is None or same.constant is not None:
            break
        value = same
    if value is None or value is start:
        rewriter.refuse("")
    rewriter.set_input(node, 0, value)
