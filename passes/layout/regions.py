"""The operators around a view that could work in either of two layouts.

All views that lead from one layout to the other, or back, and touch a region are thought away: every operator then
works in layout 0 or 1, and every tensor is made in the layout of its producer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...compiler.graph import Graph, Node, Shape, Value
from ...compiler.refusal import Refusal
from ...compiler.rewriter import Rewriter
from ..views.reshape_targets import RESHAPES
from ..views.strided_views import View
from ..views.view_ops import VIEW_OPS, permutation, view_through
from ..views.view_plans import Plan, plan_of
from .layouts import Order, Reordering
from .rules import REORDERABLE, reordering, widest_order

ORDERED_VIEWS = frozenset({"Transpose", *RESHAPES})
Use = tuple[Node | Graph, int, int]  # reader, index of its input, layout that it reads now


@dataclass(frozen=True)
class Held:
    """A tensor of the region without Transposes. label: the layout it is made in. order: from layout 0 to layout 1."""

    label: int
    order: Order

    def order_from(self, label: int) -> Order:
        """The permutation that leads from this layout to the other."""
        return self.order.inverse if label else self.order


@dataclass(frozen=True)
class Member:
    """An operator that may change its layout. label: the one it works in now. change: what that takes."""

    label: int
    change: Reordering


def order_of(node: Node) -> Order | None:
    """What a view does to the axes of its input; None if it does more than moving, adding and dropping axes."""
    source, result = node.input(0), node.output
    if source is None or source.shape is None or result.shape is None:
        return None
    if node.op == "Transpose":
        try:
            return Order.permutation(permutation(node, len(source.shape)))
        except Refusal:  # an attribute that the function's caller binds, or one of another type
            return None
    return _of_reshape(source.shape, result.shape) if node.op in RESHAPES else None


def _of_reshape(old: Shape, new: Shape) -> Order | None:
    axes: list[int | None] = []
    at = 0
    for extent in new:
        while at < len(old) and old[at] != extent and old[at] == 1:
            at += 1
        if at < len(old) and old[at] == extent:
            axes.append(at)
            at += 1
        elif extent == 1:
            axes.append(None)
        else:
            return None
    return Order(tuple(axes), len(old)) if all(extent == 1 for extent in old[at:]) else None


class Region:
    """What can be reached from one view through operators that may change their layout.

    members: those operators. rejected: operators next to them that cannot change. held: the tensors, without the views
    in `matched`, which lead from one layout to the other (node -> the tensor that it views).
    """

    def __init__(self, graph: Graph, rewriter: Rewriter) -> None:
        self.graph = graph
        self.members: dict[Node, Member] = {}
        self.held: dict[Value, Held] = {}
        self.matched: dict[Node, Value] = {}
        self.rejected: set[Node] = set()
        self._rewriter = rewriter

    @classmethod
    def around_view(cls, view: Node, rewriter: Rewriter) -> Region:
        """The region between the two layouts that a view leads from and to; empty if it does not change the layout."""
        region = cls(view.graph, rewriter)
        source, order = view.inputs[0], order_of(view)
        if source is not None and order is not None and not _changes_nothing(order, source):
            region.explore(source, order)
        return region

    def explore(self, source: Value, order: Order) -> None:
        """Take in everything that can be reached from a tensor; `order` leads from the layout it has to the other."""
        pending = [source]
        self.held[source] = Held(0, order)
        self._match_views(source)
        while pending:
            value = pending.pop()
            label = self.held[value].label
            nodes = [(value.producer, -1, label)] if value.producer is not None else []
            nodes += [(reader, index, at) for reader, index, at in self.uses(value) if isinstance(reader, Node)]
            for node, index, at in nodes:
                if node.graph is self.graph and node not in self.members and node not in self.rejected:
                    pending += self._admit(node, index, at, self.held[value].order_from(at), value)

    def _match_views(self, value: Value) -> None:
        held = self.held[value]
        for node in value.readers:
            if node.graph is self.graph and node.op in ORDERED_VIEWS and node.output not in self.held:
                order = order_of(node) if node.inputs[0] is value else None
                if order is not None and same_view(order, held.order_from(held.label), value):
                    self.matched[node] = value

    def uses(self, value: Value) -> Iterator[Use]:
        """Who reads a tensor, directly or through a matched view, which counts as no reader itself."""
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
            self.rejected.add(node)
            return []
        found: dict[Value, Held] = {}
        tensors = [*zip(node.inputs, change.inputs), *zip(node.outputs, change.outputs)]
        for tensor, own in tensors:
            if tensor is None or own is None:
                continue
            if not own.fits(tensor.shape):
                break
            if tensor.constant is not None:
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
                self._match_views(root)
            return fresh
        self.rejected.add(node)
        return []

    def root_of(self, tensor: Value, label: int, order: Order) -> tuple[Value, Held]:
        """The tensor without the view that brings it into a member's layout; `order` leads out of that layout."""
        forward = order.inverse if label else order
        producer = tensor.producer
        if producer is not None and producer.op in ORDERED_VIEWS and producer.graph is self.graph:
            source = producer.inputs[0]
            known = source not in self.held or producer in self.matched
            if source is not None and tensor not in self.held and known:
                held = Held(1 - label, forward)
                back = order_of(producer)
                if back is not None and same_view(back, held.order_from(1 - label), source):
                    return source, held
        return tensor, Held(label, forward)

    def view(self, node: Node, *, after: Value | None, before: Value | None) -> Plan | None:
        """How a view can do with one node at most when what it reads (`after`) or makes (`before`) changes layout."""
        if node.op not in VIEW_OPS or len(node.outputs) > 1:
            return None
        source, result = node.inputs[0], node.output.shape
        if source is None or source.shape is None or result is None:
            return None
        if after is not None and source is not after:
            return None
        out, into = self.way_out(after), self.way_out(before)
        base = View.whole(source.shape if out is None else out.shape(source.shape))
        view = None if base is None else view_through(node.output, base if out is None else out.inverse.view(base))
        if view is None:
            return None
        return self._one_node(*((view, result) if into is None else (into.view(view), into.shape(result))))

    def way_out(self, value: Value | None) -> Order | None:
        """The order that takes a tensor to the layout that it is not made in; None for no tensor of the region."""
        held = None if value is None else self.held.get(value)
        return None if held is None else held.order_from(held.label)

    def _one_node(self, view: View, shape: Shape) -> Plan | None:
        plan = plan_of(view, shape)
        if plan is None or plan.nodes > 1:
            return None
        try:
            plan.check(view.base, self._rewriter)
        except Refusal:
            return None
        return plan


def _changes_nothing(order: Order, value: Value) -> bool:
    return value.shape is not None and order.shape(value.shape) == value.shape and same_view(
        order, Order.permutation(range(len(value.shape))), value
    )


def same_view(first: Order, second: Order, value: Value) -> bool:
    """Whether two orders give the same view of a tensor."""
    shape = value.shape
    if shape is None or first.rank != len(shape) or not second.fits(shape):
        return False
    return first.meaning(shape) == second.meaning(shape)


def conversion(value: Value, order: Order) -> Plan | None:
    """The nodes that bring a tensor into another layout."""
    base = None if value.shape is None else View.whole(value.shape)
    return None if base is None or value.shape is None else plan_of(order.view(base), order.shape(value.shape))
