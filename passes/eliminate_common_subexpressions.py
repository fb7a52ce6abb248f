"""eliminate-common-subexpressions: what is computed twice is computed once."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from ..compiler.attributes import Attribute, encode
from ..compiler.graph import Graph, Node, Value
from ..compiler.graph_pass import Context, Pass
from ..compiler.refusal import Refusal
from ..compiler.tensor import Tensor
from .determinism import is_deterministic

_Known = dict[Hashable, Node]


@dataclass(frozen=True)
class EliminateCommonSubexpressions(Pass):
    """Keep one of several equal initializers, of several equal nodes, and of several nodes that spell one shape.

    Before => After
        a = Relu(x); b = Relu(x); y = Add(a, b)   =>   a = Relu(x); y = Add(a, a)
        n = Gather(Shape(x[N,3]), 0); m = Gather(Shape(Relu(x)), 0)   =>   n for both

    Legal when
        The nodes have the same operator, version, attributes, inputs and number of outputs and are deterministic, or
        inference proves that their small integer results are the same expressions of the dimensions. A node in a body
        may be replaced by one of an enclosing graph that stands before the body's owner, never the other way around.
        Initializers are equal when type, shape and every bit are; one that the caller may override is not a constant.

    Pays when
        Always.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "eliminate-common-subexpressions"

    def run(self, context: Context, since: int) -> None:
        model = context.model
        for top in [model.graph, *model.functions.values()]:
            self._initializers(context, top)
            self._nodes(context, top, {}, {})

    def _initializers(self, context: Context, top: Graph) -> None:
        """Initializers of the outermost graph and, where an outer one is equal, of its bodies."""
        groups: dict[Hashable, list[Value]] = {}
        for graph in top.nested_graphs():
            for value in graph.initializers:
                tensor = value.constant
                if tensor is not None and not value.is_graph_output:
                    groups.setdefault((tensor.dtype, tensor.shape), []).append(value)
        for values in groups.values():
            if len(values) < 2:
                continue
            kept: dict[bytes, list[Value]] = {}
            for value in values:
                assert value.tensor is not None
                twins = kept.setdefault(value.tensor.digest(), [])
                twin = next((t for t in twins if t.graph.encloses(value.graph)), None)
                if twin is None:
                    twins.append(value)
                else:
                    self._share(context, value, twin)

    def _share(self, context: Context, value: Value, twin: Value) -> None:
        if value in value.graph.inputs or not value.readers:
            return
        reader = value.readers[0]
        rewriter = self.rewriter(context, reader, [])
        rewriter.replace(value, twin)
        rewriter.note(f"initializer {value.name} equals {twin.name}")
        if rewriter.commit():
            value.graph.initializers.pop(value, None)

    def _nodes(self, context: Context, graph: Graph, outer: _Known, outer_contents: _Known) -> None:
        known, contents = dict(outer), dict(outer_contents)
        for node in list(graph):
            if not node.alive:
                continue
            for body in node.bodies.values():
                self._nodes(context, body, known, contents)
            if node.op == "Constant" or not is_deterministic(node) or node.bodies:
                continue
            twin = _first(known, _key(node), node)
            if twin is node:
                meaning = _content_key(node)
                twin = _first(contents, meaning, node) if meaning is not None else node
            if twin is not node:
                self._merge(context, node, twin)

    def _merge(self, context: Context, node: Node, twin: Node) -> None:
        rewriter = self.rewriter(context, node, [node])
        try:
            for mine, other in zip(node.outputs, twin.outputs):
                if mine is not None and other is not None and (mine.uses or len(node.outputs) == 1):
                    rewriter.replace(mine, other)
        except Refusal as refusal:
            context.remark("missed", self.name, node, refusal.reason)
            return
        rewriter.note(f"the same as {twin.label}")
        rewriter.commit()


def _first(known: _Known, key: Hashable, node: Node) -> Node:
    """The first living node with this key: a merge can leave the producers of what it removed without readers."""
    first = known.get(key)
    if first is None or not first.alive:
        known[key] = first = node
    return first


def _key(node: Node) -> Hashable:
    attributes = tuple(sorted((k, _attribute_key(k, v)) for k, v in node.attributes.items()))
    outputs = tuple(v is not None for v in node.outputs)
    return (node.op, node.version, node.overload, tuple(map(id, node.inputs)), outputs, attributes)


def _attribute_key(name: str, value: Attribute) -> bytes:
    if isinstance(value, Tensor):
        return value.digest()
    return bytes(encode(name, value).SerializeToString(deterministic=True))


def _content_key(node: Node) -> Hashable | None:
    """Type, shape and symbolic elements of a node with one output; None unless they are all known and not trivial."""
    if len(node.outputs) != 1 or node.outputs[0] is None:
        return None
    value = node.outputs[0]
    if value.content is None or value.shape is None or not value.dtype:
        return None
    return ("content", value.dtype, value.shape, value.content)
