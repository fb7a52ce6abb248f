"""The operators around a Transpose that could work in either of two layouts.

All Transposes by one permutation, or its inverse, that touch a region are thought away: every operator then works in
layout 0 or 1, and every tensor is made in the layout of its producer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..compiler.graph import Graph, Node, Shape, Value
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from .layout_rules import REORDERABLE, reordering, widest_order
from .layouts import Order, Reordering, inverse
from .strided_views import View
from .view_ops import VIEW_OPS, permutation, view_through
from .view_plans import Plan, plan_of

Use = tuple[Node | Graph, int, int]  # reader, index of its input, layout that it reads now


@dataclass(frozen=True)
class Held:
    """A tensor of the region without Transposes. label: the layout it is made in. order: from layout 0 to layout 1."""

    label: int
    order: Order

    def order_from(self, label: int) -> Order:
        """The permutation that leads from this layout to the other."""
        return inverse(self.order) if label else self.order


@dataclass(frozen=True)
class Member:
    """An operator that may change its layout. label: the one it works in now. change: what that takes."""

    label: int
    change: Reordering


class Region:
    """What can be reached from one Transpose through operators that may change their layout."""

    def __init__(self, transpose: Node, rewriter: Rewriter) -> None:
        self.graph = transpose.graph
        self.members: dict[Node, Member] = {}
        self.held: dict[Value, Held] = {}
        self.matched: dict[Node, Value] = {}
        self._rejected: set[Node] = set()
        self._rewriter = rewriter
        source = transpose.inputs[0]
        if source is not None and source.rank is not None:
            self._explore(source, permutation(transpose, source.rank))

    def _explore(self, source: Value, order: Order) -> None:
        pending = [source]
        self.held[source] = Held(0, order)
        self._match_transposes(source)
        while pending:
            value = pending.pop()
            label = self.held[value].label
            nodes = [(value.producer, -1, label)] if value.producer is not None else []
            nodes += [(reader, index, at) for reader, index, at in self.uses(value) if isinstance(reader, Node)]
            for node, index, at in nodes:
                if node.graph is self.graph and node not in self.members and node not in self._rejected:
                    pending += self._admit(node, index, at, self.held[value].order_from(at), value)

    def _match_transposes(self, value: Value) -> None:
        held = self.held[value]
        for node in value.readers:
            free = node.op == "Transpose" and node.graph is self.graph and node.output not in self.held
            if free and permutation(node, len(held.order)) == held.order_from(held.label):
                self.matched[node] = value

    def uses(self, value: Value) -> Iterator[Use]:
        """Who reads a tensor, directly or through a matched Transpose, which counts as no reader itself."""
        label = self.held[value].label
        for reader, index in value.uses:
            if isinstance(reader, Node) and reader in self.matched:
                yield from ((far, at, 1 - label) for far, at in reader.output.uses)
            else:
                yield reader, index, label

    def _admit(self, node: Node, index: int, label: int, order: Order, value: Value) -> list[Value]:
        """Make an operator a member; returns the tensors that are new to the region."""
        slot = value.index if index < 0 else index
        widest = None if node.op not in REORDERABLE else widest_order(node, order, is_output=index < 0)
        change = None if widest is None else reordering(node, widest)
        if change is None or (change.outputs if index < 0 else change.inputs)[slot] != order:
            self._rejected.add(node)
            return []
        found: dict[Value, Held] = {}
        tensors = [*zip(node.inputs, change.inputs), *zip(node.outputs, change.outputs)]
        for tensor, own in tensors:
            if tensor is None or own is None or tensor.constant is not None:
                continue
            root, held = self.root_of(tensor, label, own)
            if tensor.graph is not self.graph or root.producer in self.matched:
                break
            if self.held.get(root, found.get(root, held)) != held:
                break
            found[root] = held
        else:
            self.members[node] = Member(label, change)
            fresh = [root for root in found if root not in self.held]
            self.held.update(found)
            for root in fresh:
                self._match_transposes(root)
            return fresh
        self._rejected.add(node)
        return []

    def root_of(self, tensor: Value, label: int, order: Order) -> tuple[Value, Held]:
        """The tensor without a Transpose that brings it into a member's layout; `order` leads out of that layout."""
        forward = inverse(order) if label else order
        producer = tensor.producer
        if producer is not None and producer.op == "Transpose" and producer.graph is self.graph:
            source = producer.inputs[0]
            known = source not in self.held or producer in self.matched
            if source is not None and source.rank == len(order) and tensor not in self.held and known:
                held = Held(1 - label, forward)
                if permutation(producer, len(order)) == held.order_from(1 - label):
                    return source, held
        return tensor, Held(label, forward)

    def view(self, node: Node, *, after: Value | None, before: Value | None) -> Plan | None:
        """How a view can do with one node at most when what it reads (`after`) or makes (`before`) changes layout."""
        source = node.inputs[0] if node.op in VIEW_OPS else None
        result = node.output.shape
        if source is None or source.shape is None or result is None or (after is not None and source is not after):
            return None
        order = self.flip_of(after, len(source.shape))
        base = View.whole(tuple(source.shape[axis] for axis in order))
        view = None if base is None else view_through(node, base.transposed(inverse(order)))
        if view is None:
            return None
        order = self.flip_of(before, len(result))
        return self._one_node(view.transposed(order), tuple(result[axis] for axis in order))

    def flip_of(self, value: Value | None, rank: int) -> Order:
        """The permutation that takes a tensor to the layout that it is not made in; the identity for None."""
        held = None if value is None else self.held.get(value)
        return tuple(range(rank)) if held is None else held.order_from(held.label)

    def _one_node(self, view: View, shape: Shape) -> Plan | None:
        plan = plan_of(view, shape)
        if plan is None or plan.nodes > 1:
            return None
        try:
            plan.check(view.base, self._rewriter)
        except Refusal:
            return None
        return plan
