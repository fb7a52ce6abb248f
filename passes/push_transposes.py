"""push-transposes: Transposes move through a region to where the fewest and smallest are needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import Context, Pass
from ..compiler.order import sort_nodes
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from .layout_choice import Choice, choose
from .layout_regions import Region
from .layouts import Order

_DEARER = 2  # times the bytes that fewer Transposes may move


@dataclass(frozen=True)
class PushTransposes(Pass):
    """Choose the layout of all operators between some Transposes together, so that the fewest Transposes are left.

    Before => After
        T(Relu(T'(x)))                                  =>   Relu(x)                        T' the inverse of T
        Concat(T(a), T(b), axis 3)                      =>   T(Concat(a, b, axis 1))
        ReduceMean(T(x), axes [1, 2], keepdims 0)       =>   ReduceMean(x, axes [2, 3], keepdims 0)
        Add(T(x), w[C]), then T'                        =>   Add(x, w[C,1,1])
        Softmax(T(x), axis -1)                          =>   T(Softmax(x, axis 1))          where T then cancels

    Covers elementwise operators with broadcast operands (constants are transposed), Concat, Split, Pad, Slice, Gather
    of one position or a list, reductions and ArgMax with and without keepdims, Softmax, LogSoftmax and Hardmax,
    Squeeze, Unsqueeze, Resize, Upsample, Expand, Tile, CumSum, TopK, quantization per tensor and per axis, MatMul over
    leading axes, and norms whose axes stay in place. A Reshape or another Transpose at the border takes in the
    permutation where both together are one view.

    Legal when
        Every operator that changes has all its axes, pads or scales as constants, and its tensors a known rank. Softmax
        below opset 13 normalizes over all axes from its own on, which must stay together at the end. Resize that
        interpolates may only become one that leaves the first two axes alone, which is what runtimes take.

    Pays when
        The number of Transposes in the region falls, or stays and they move fewer bytes (a symbolic extent counts as
        16); and the fewer ones do not move more than twice the bytes. The choice is a minimum cut, so no better one of
        this kind exists. Choosing again finds nothing.

    Numerics
        Unchanged, but for the order in which reductions sum.
    """

    name: ClassVar[str] = "push-transposes"

    def run(self, context: Context, since: int) -> None:
        done: set[Node] = set()
        for node in context.nodes_of(("Transpose",)):
            if node.alive and node not in done:
                done.update(self._improve(context, node))

    def _improve(self, context: Context, node: Node) -> list[Node]:
        """Try the region of one Transpose; returns the Transposes that need not be tried any more."""
        sort_nodes(node.graph)  # members are built in order, and an earlier region may have disturbed it
        rewriter = self.rewriter(context, node, [node])
        try:
            region = Region(node, rewriter)
            choice = choose(region)
            (count, size), (fewer, smaller) = choice.before, choice.after
            if choice.after >= choice.before:
                rewriter.refuse(_why(region))
            if smaller > _DEARER * size:
                rewriter.refuse(f"{fewer} instead of {count} Transposes would move {smaller} instead of {size} bytes")
            matched = [*choice.flipped, *region.matched]
            rewriter = self.rewriter(context, max(matched, key=lambda n: n.order), matched)
            rewriter.note(f"{count} -> {fewer} Transposes, {size} -> {smaller} bytes")
            _Relayout(region, choice, rewriter).plan()
        except Refusal as refusal:
            if refusal.reason:
                context.remark("missed", self.name, node, refusal.reason)
            return [node] if not refusal.reason else list(region.matched)
        rewriter.commit()
        return list(region.matched)


def _why(region: Region) -> str:
    if not region.members:
        return "the operators around it need their axes where they are"
    operators = f"{len(region.members)} operators" if len(region.members) > 1 else "operator"
    return f"no layout of the {operators} around it needs fewer Transposes"


class _Relayout:
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
            if value.constant is None and self._made_in(value) != self.region.held[value].label:
                self._hand_over(value)

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
                    self._versions[value, 1 - made] = node.output
        found = self._versions.get((value, label))
        if found is None and label == made:
            found = self._from_view(value)
        elif found is None:
            found = self._transposed(self._version(value, made), held.order_from(made))
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

    def _transposed(self, value: Value, order: Order) -> Value:
        return self.rewriter.op("Transpose", [value], perm=order)

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
            return self.rewriter.constant(constant.numpy().transpose(order), value.name)
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

    def _stays(self, reader: object) -> bool:
        return reader not in self.flipped and reader not in self.choice.views and reader not in self.region.matched

    def _is_wanted(self, value: Value) -> bool:
        return any(reader not in self.flipped for reader, _ in value.uses)
