"""merge-parts: the same operation on all parts of a value is done on the value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import Context, Pass
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from ..compiler.targets import Comparison, compare, target_named
from .siblings.branches import Bundle, Step, follow, upstream
from .siblings.joined_branches import arrange, hand_out
from .views.parts import part_of

_TOLERANCE = 1.01  # predicted loss that counts as none where nodes fall


@dataclass(frozen=True)
class _Parts:
    """A value that Split or Slices take apart, in order and without remainder."""

    whole: Value
    nodes: tuple[Node, ...]
    bundle: Bundle


@dataclass(frozen=True)
class _Plan:
    rewriter: Rewriter
    removed: int
    added: int
    comparison: Comparison


@dataclass(frozen=True)
class MergeParts(Pass):
    """Do what is done to every part of a value to the whole value, and take it apart later or not at all.

    Before => After
        a, b = Split(x)   y = Sqrt(a)   z = Sqrt(b)               =>   y, z = Split(Sqrt(x))
        a, b = Split(x)   y = Concat(Conv(a, u), Conv(b, v))      =>   y = Conv(x, [u; v]) in two groups
        a = Slice(x, 0:4)   b = Slice(x, 4:8)                     =>   a, b = Split(x)

    Covers parts that Split or several Slices take, whatever keeps the positions of the axis apart (activations,
    operations with constants, norms per channel, poolings, transposes, reshapes), and convolutions with groups of equal
    shape, as AlexNet and ResNeXt are sometimes exported. Where the parts meet in a Concat in the same order, nothing is
    taken apart.

    Legal when
        The parts are all of the value, in order, along one axis of known extent; the operation has the same attributes
        on each, and constants that can be put together.

    Pays when
        Nodes fall, and the cost model of the target predicts no loss (beyond 1 %).

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "merge-parts"

    def run(self, context: Context, since: int) -> None:
        near = None if since < 0 else upstream(context.changes.touched[since:])
        for parts in list(_candidates(context)):
            if all(n.alive for n in parts.nodes) and (near is None or any(n in near for n in parts.nodes)):
                self._merge(context, parts)

    def _merge(self, context: Context, parts: _Parts) -> None:
        steps = follow(parts.bundle)
        stops = [i for i, step in enumerate(steps) if step.is_grouped] + [len(steps)]
        plans: list[_Plan] = []
        for length in stops:
            try:
                plan = self._plan(context, parts, steps[:length])
            except Refusal as refusal:
                if refusal.reason:
                    context.remark("missed", self.name, parts.nodes[0], refusal.reason)
                return
            if plan.added < plan.removed:
                plans.append(plan)
        if not plans:
            return
        best = min(plans, key=lambda plan: plan.comparison.ratio)
        if best.comparison.ratio > _TOLERANCE:
            text = f"{best.removed} -> {best.added} nodes do not pay: {best.comparison}"
            context.remark("missed", self.name, parts.nodes[0], text)
            return
        best.rewriter.note(str(best.comparison))
        best.rewriter.commit()

    def _plan(self, context: Context, parts: _Parts, steps: Sequence[Step]) -> _Plan:
        last = steps[-1].after if steps else parts.bundle
        arrangement = arrange(last, fixed=True)
        removed = (*parts.nodes, *(node for step in steps for node in step.nodes), *arrangement.concats)
        anchor = max(arrangement.concats, key=lambda n: n.order) if arrangement.runs else parts.nodes[0]
        rewriter = self.rewriter(context, anchor, removed)
        order = range(len(parts.bundle.values))
        whole = parts.whole
        for step in steps:
            whole = step.build(whole, order, rewriter)
        hand_out(whole, last, arrangement, rewriter)
        new, stand_ins = rewriter.planned
        comparison = compare(rewriter.target, removed, new, stand_ins)
        grouped = any(step.is_grouped for step in steps)
        if grouped and target_named(rewriter.target).measured and whole.dtype != dtypes.FLOAT:
            rewriter.refuse(f"what groups cost in {dtypes.name_of(whole.dtype)} was not measured")
        return _Plan(rewriter, len(removed), len(new), comparison)


def _candidates(context: Context) -> Iterator[_Parts]:
    for node in context.nodes_of(("Split",)):
        found = _of_split(node)
        if found is not None:
            yield found
    groups: dict[tuple[Value, object], list[Node]] = {}
    for node in context.nodes_of(("Slice",)):
        if node.inputs[0] is not None:
            groups.setdefault((node.inputs[0], node.graph), []).append(node)
    for (value, _), nodes in groups.items():
        found = _of_slices(value, nodes) if len(nodes) > 1 else None
        if found is not None:
            yield found


def _of_split(node: Node) -> _Parts | None:
    values = [v for v in node.outputs if v is not None and v.uses]
    whole, parts = node.inputs[0], [part_of(node, i) for i in range(len(node.outputs))]
    known = [p for p in parts if p is not None]
    if whole is None or len(values) < max(len(node.outputs), 2) or len(known) < len(parts):
        return None
    sizes = tuple(len(p.positions) for p in known)
    return _Parts(whole, (node,), Bundle(tuple(values), known[0].axis, sizes))


def _of_slices(whole: Value, nodes: Sequence[Node]) -> _Parts | None:
    """Slices of one value that take it apart without remainder; Slices that take anything else do not matter."""
    found = [(part, node) for part, node in ((part_of(node), node) for node in nodes) if part is not None]
    chosen: list[Node] = []
    sizes: list[int] = []
    at, axis = 0, found[0][0].axis if found else 0
    for part, node in sorted(found, key=lambda pair: pair[0].positions[:1]):
        length = len(part.positions)
        if part.axis == axis and length and part.positions == tuple(range(at, at + length)):
            chosen.append(node)
            sizes.append(length)
            at += length
    if len(chosen) < 2 or at != found[0][0].extent:
        return None
    return _Parts(whole, tuple(chosen), Bundle(tuple(node.output for node in chosen), axis, tuple(sizes)))
