"""Moves views between two layouts through a region, where that leaves fewer of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...compiler.graph import Graph, Node, Value
from ...compiler.graph_pass import Context, Pass
from ...compiler.order import sort_nodes
from ...compiler.refusal import Refusal
from ...compiler.rewriter import Rewriter
from .choice import Choice, choose
from .layouts import Order
from .regions import Region, conversion

_DEARER = 2  # times the bytes that fewer views may move


def improve_regions(one: Pass, context: Context, ops: Iterable[str], what: str) -> None:
    """Choose the layouts around each view of these operators; `what`: how to call them in a remark.

    A region that could not be improved is tried again only once one of its nodes was touched.
    """
    tried = context.memory.setdefault(one.name, _Tried())
    assert isinstance(tried, _Tried)
    for node in context.nodes_of(ops):
        if node.alive and not tried.in_vain(node, context.changes.touched):
            region = _improve(one, context, node, what)
            if region is not None:
                tried.add(node, region, context.changes.touched)


class _Tried:
    """Views whose regions could not be improved: the nodes of the region, and how much was touched before that."""

    def __init__(self) -> None:
        self._near: dict[Node, tuple[set[Node], int]] = {}
        self._touched: dict[int, set[Node]] = {}
        self._as_of = 0

    def add(self, node: Node, region: Region, touched: Sequence[Node]) -> None:
        near = {node, *region.members, *region.rejected, *region.matched}
        self._near.update(dict.fromkeys([node, *region.matched], (near, len(touched))))

    def in_vain(self, node: Node, touched: Sequence[Node]) -> bool:
        """Whether the region of this view is as it was when it was tried."""
        near, since = self._near.get(node, (None, 0))
        if near is None:
            return False
        if self._as_of != len(touched):
            self._touched.clear()
            self._as_of = len(touched)
        if since not in self._touched:
            self._touched[since] = set(touched[since:])
        return near.isdisjoint(self._touched[since])


def _improve(one: Pass, context: Context, node: Node, what: str) -> Region | None:
    """Try the region of one view; returns it if it stays as it is."""
    sort_nodes(node.graph)  # members are built in order, and an earlier region may have disturbed it
    rewriter = one.rewriter(context, node, [node])
    region = Region.around_view(node, rewriter)
    try:
        choice = choose(region)
        (count, size), (fewer, smaller) = choice.before, choice.after
        if choice.after >= choice.before:
            rewriter.refuse(_why(region, what))
        if smaller > _DEARER * size:
            rewriter.refuse(f"{fewer} instead of {count} {what} would move {smaller} instead of {size} bytes")
        matched = [*choice.flipped, *region.matched]
        rewriter = one.rewriter(context, max(matched, key=lambda n: n.order), matched)
        rewriter.note(f"{count} -> {fewer} {what}, {size} -> {smaller} bytes")
        Relayout(region, choice, rewriter).plan()
    except Refusal as refusal:
        if refusal.reason:
            context.remark("missed", one.name, node, refusal.reason)
        return region
    return None if rewriter.commit() else region


def _why(region: Region, what: str) -> str:
    if not region.held:
        return ""
    if not region.members:
        return "the operators around it need their axes where they are"
    operators = f"{len(region.members)} operators" if len(region.members) > 1 else "operator"
    return f"no layout of the {operators} around it needs fewer {what}"


class Relayout:
    """Plans the new nodes of a region whose layouts are chosen."""

    def __init__(self, region: Region, choice: Choice, rewriter: Rewriter) -> None:
        self.region, self.choice, self.rewriter = region, choice, rewriter
        self.flipped = set(choice.flipped)
        self._versions: dict[tuple[Value, int], Value] = {}
        self._unmoved: dict[Value, Value] = {}  # results of changed operators that keep their own layout

    def plan(self) -> None:
        for node in sorted(self.flipped, key=lambda n: n.order):
            self._rebuild(node)
        for value in self.region.held:
            if value.constant is not None:
                continue
            if self._made_in(value) != self.region.held[value].label:
                self._hand_over(value)
            else:
                self._join_views(value)

    def _made_in(self, value: Value) -> int:
        """The layout that a tensor is made in now."""
        label = self.region.held[value].label
        return 1 - label if value.producer in self.flipped or value in self.choice.made else label

    def _version(self, value: Value, label: int) -> Value:
        """A tensor in one of the layouts."""
        held = self.region.held[value]
        made = self._made_in(value)
        if made == held.label:
            self._versions[value, made] = value
            for node, source in self.region.matched.items():
                if source is value:
                    self._versions.setdefault((value, 1 - made), node.output)
        found = self._versions.get((value, label))
        if found is None and label == made:
            found = self._from_view(value)
        elif found is None:
            found = self._converted(self._version(value, made), held.order_from(made))
        self._versions[value, label] = found
        return found

    def _from_view(self, value: Value) -> Value:
        node = value.producer
        assert node is not None
        source, plan = node.inputs[0], self.choice.made[value]
        assert source is not None
        if source in self.region.held and self._made_in(source) != self.region.held[source].label:
            both = self.region.view(node, after=source, before=value)
            if both is not None:
                source, plan = self._version(source, self._made_in(source)), both
            else:
                source = self._as_read(source)
        return plan.build(source, self.rewriter)

    def _converted(self, value: Value, order: Order) -> Value:
        plan = conversion(value, order)
        if plan is None:
            self.rewriter.refuse("a tensor that is known to be empty")
        plan.check(value.shape, self.rewriter)
        return plan.build(value, self.rewriter)

    def _rebuild(self, node: Node) -> None:
        member = self.region.members[node]
        change, label = member.change, member.label
        operands: list[Value | None] = []
        for index, value in enumerate(node.inputs):
            order = change.inputs[index] if index < len(change.inputs) else None
            operands.append(self._operand(value, label, order))
        made = change.build(node, operands, self.rewriter)
        for old, new in zip(node.outputs, made):
            if old is not None and old in self.region.held:
                self._versions[old, 1 - label] = new
            elif old is not None and old.uses:
                self._unmoved[old] = new
                self.rewriter.replace(old, new)

    def _operand(self, value: Value | None, label: int, order: Order | None) -> Value | None:
        if value is None:
            return None
        if order is None:
            return self._as_read(value)
        constant = value.constant
        if constant is not None:
            return self.rewriter.constant(order.apply(constant.numpy()), value.name)
        root, _ = self.region.root_of(value, label, order)
        return self._version(root, 1 - label)

    def _as_read(self, value: Value) -> Value:
        """The same tensor in the layout it has, for a reader that needs just that."""
        if value in self.region.held:
            return self._version(value, self.region.held[value].label)
        root = self.region.matched.get(value.producer) if value.producer is not None else None
        if root is None:
            return self._unmoved.get(value, value)
        return self._version(root, 1 - self.region.held[root].label)

    def _hand_over(self, value: Value) -> None:
        """Give the readers that stay in their layout what they need of a tensor that is now made in the other."""
        label = self.region.held[value].label
        for reader in list(value.readers):
            plan = self.choice.views.get(reader)
            if plan is not None and reader.output in self.choice.made:
                continue  # it is written anew in the layout that its result is in
            if plan is not None:
                self.rewriter.replace(reader.output, plan.build(self._version(value, 1 - label), self.rewriter))
            elif self.region.matched.get(reader) is value and self._is_wanted(reader.output):
                self.rewriter.replace(reader.output, self._version(value, 1 - label))
        if any(self._stays(reader) for reader, _ in value.uses):
            self.rewriter.replace(value, self._version(value, label))

    def _join_views(self, value: Value) -> None:
        """Keep one of several views into the same layout."""
        label = self.region.held[value].label
        views = [node for node, source in self.region.matched.items() if source is value]
        for node in views[1:]:
            if self._is_wanted(node.output):
                self.rewriter.replace(node.output, self._version(value, 1 - label))

    def _stays(self, reader: Node | Graph) -> bool:
        return reader not in self.flipped and reader not in self.choice.views and reader not in self.region.matched

    def _is_wanted(self, value: Value) -> bool:
        return any(reader not in self.flipped for reader, _ in value.uses)
