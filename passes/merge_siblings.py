"""merge-siblings: layers that read the same value become one layer."""

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
from .layers.linear_layers import LINEAR_OPS, channel_axis, output_channels
from .siblings.branches import Bundle, Step, follow, upstream
from .siblings.joined_branches import Arrangement, arrange, hand_out
from .siblings.merged_layers import differences, merge_key, merged_layer

_LAYERS = tuple(LINEAR_OPS.split("|"))
_GAIN_WITHOUT_FEWER_NODES = 1.03


@dataclass(frozen=True)
class _Plan:
    """One way to merge some siblings, and what it changes."""

    rewriter: Rewriter
    count: int
    removed: tuple[Node, ...]
    added: int
    comparison: Comparison

    def pays(self, min_gain: float) -> bool:
        """Whether the plan is good enough; with as many nodes as before it must gain clearly."""
        fewer = self.added < len(self.removed)
        needed = min_gain if fewer else max(min_gain, _GAIN_WITHOUT_FEWER_NODES)
        return self.added <= len(self.removed) and self.comparison.ratio * needed <= 1

    @property
    def gain(self) -> tuple[float, int]:
        return self.comparison.before - self.comparison.after, len(self.removed) - self.added


@dataclass(frozen=True)
class MergeSiblings(Pass):
    """Merge layers that read one value into a layer that has the outputs of all of them (horizontal fusion).

    Before => After
        a = Relu(Conv(x, u))   b = Relu(Conv(x, v))   y = Concat(a, b)
            =>   y = Relu(Conv(x, [u; v]))
        q = MatMul(x, u)   k = MatMul(x, v)   =>   q, k = Split(MatMul(x, [u v]))

    Covers two or more Conv, ConvTranspose, Gemm or MatMul of any output widths, with or without bias, with weights that
    are constants or quantized constants behind DequantizeLinear. Steps that all branches take (activations, clips,
    operations with constants, normalization per channel, pooling, transposes, reshapes that keep the channels apart,
    convolutions of equal shape per group) are merged as well, so that the Split comes as late as possible; where the
    branches meet in a Concat there is none, and the order of the outputs is the one that the Concat wants.

    Legal when
        Kernel, strides, padding, dilations, transposition, factors and the type of the weights are equal, the layers
        are not grouped, weights and biases are constants that the caller cannot override, and no large weight is used
        by yet another layer.

    Pays when
        Nodes fall and the cost model of the target predicts no loss (beyond 1 %), or it predicts at least 3 % less
        time. On ONNX Runtime's CPU wide layers gain nothing by being merged and lose the time of the Split; narrow ones
        gain, and so do those that meet in a Concat. Where the cost model has no numbers (types other than float,
        quantized weights), branches are merged only if no Split is needed.

    Numerics
        Every output is the same sum of the same products; a kernel may add them in another order.

    Options: largest is the size in bytes above which merged weights are not made; min-gain is how many times
    faster the merged layers must be by the prediction where nodes fall, 0 to merge in any case.
    """

    name: ClassVar[str] = "merge-siblings"
    largest: int = 1 << 28
    min_gain: float = 0.99

    def run(self, context: Context, since: int) -> None:
        for group in list(self._groups(context, since)):
            alive = [node for node in group if node.alive]
            if len(alive) > 1:
                self._merge(context, alive)

    def _groups(self, context: Context, since: int) -> Iterator[list[Node]]:
        """Layers of one kind in one graph that read one value, if one of their branches was touched."""
        near = None if since < 0 else upstream(context.changes.touched[since:])
        groups: dict[tuple[object, ...], list[Node]] = {}
        for node in context.nodes_of(_LAYERS):
            if node.inputs[0] is not None:
                groups.setdefault((node.op, node.inputs[0], node.graph), []).append(node)
        for group in groups.values():
            if len(group) > 1 and (near is None or any(node in near for node in group)):
                yield sorted(group, key=lambda node: node.order)

    def _merge(self, context: Context, layers: Sequence[Node]) -> None:
        kinds: dict[object, list[Node]] = {}
        reasons: dict[str, list[Node]] = {}
        for node in layers:
            try:
                kinds.setdefault(merge_key(node), []).append(node)
            except Refusal as refusal:
                if refusal.reason:
                    reasons.setdefault(refusal.reason, []).append(node)
        for reason, nodes in reasons.items():
            if len(nodes) > 1 or kinds:
                context.remark("missed", self.name, nodes[0], reason)
        if len(kinds) > 1 and all(len(kind) == 1 for kind in kinds.values()):
            alone = [kind[0] for kind in kinds.values()]
            context.remark("missed", self.name, alone[0], f"{len(alone)} {alone[0].op} layers on one value differ in "
                           f"{differences(alone)}")  # fmt: skip
        for kind in kinds.values():
            if len(kind) > 1:
                self._merge_kind(context, kind)

    def _merge_kind(self, context: Context, layers: Sequence[Node]) -> None:
        plans: list[_Plan] = []
        reason = ""
        for subset in _subsets(layers):
            bundle = _bundle_of(subset)
            steps = follow(bundle)
            for length in _stops(steps):
                try:
                    plans.append(self._plan(context, subset, bundle, steps[:length]))
                except Refusal as refusal:
                    reason = reason or refusal.reason
        paying = [plan for plan in plans if plan.pays(self.min_gain)]
        if paying:
            best = max(paying, key=lambda plan: plan.gain)
            best.rewriter.note(_account(best))
            best.rewriter.commit()
        elif plans:
            best = max(plans, key=lambda plan: plan.gain)
            context.remark("missed", self.name, layers[0], f"merging does not pay: {_account(best)}")
        elif reason:
            context.remark("missed", self.name, layers[0], reason)

    def _plan(self, context: Context, layers: Sequence[Node], bundle: Bundle, steps: Sequence[Step]) -> _Plan:
        last = steps[-1].after if steps else bundle
        arrangement = arrange(last)
        removed = (*layers, *(node for step in steps for node in step.nodes), *arrangement.concats)
        anchor = max(arrangement.concats, key=lambda n: n.order) if arrangement.runs else layers[0]
        rewriter = self.rewriter(context, anchor, removed)
        weights = [node.inputs[1] for node in layers]
        if sum(dtypes.nbytes(w.dtype, _size(w)) for w in weights if w is not None) > self.largest:
            rewriter.refuse(f"the merged weights would take more than {self.largest} bytes")
        _check_numbers(layers, arrangement, rewriter)
        order = arrangement.order
        whole = merged_layer([layers[i] for i in order], rewriter)
        for step in steps:
            whole = step.build(whole, order, rewriter)
        hand_out(whole, last, arrangement, rewriter)
        new, stand_ins = rewriter.planned
        added = [node for node in new if node.op != "DequantizeLinear"]
        comparison = compare(rewriter.target, removed, added, stand_ins)
        return _Plan(rewriter, len(layers), removed, len(added), comparison)


def _check_numbers(layers: Sequence[Node], arrangement: Arrangement, rewriter: Rewriter) -> None:
    """Refuse what the cost model cannot judge, unless it only takes work away: no Split is needed."""
    if (len(arrangement.runs) == 1 and not arrangement.loose) or not target_named(rewriter.target).measured:
        return
    kind = layers[0].output.dtype
    if kind != dtypes.FLOAT:
        rewriter.refuse(f"a Split would be needed, and what that costs in {dtypes.name_of(kind)} was not measured")
    if any(node.inputs[1] is not None and node.inputs[1].constant is None for node in layers):
        rewriter.refuse("a Split would be needed, and what that costs with quantized weights was not measured")


def _account(plan: _Plan) -> str:
    return f"{plan.count} siblings, {len(plan.removed)} -> {plan.added} nodes, {plan.comparison}"


def _size(value: Value | None) -> int:
    count = 1
    for extent in (value.shape if value is not None else None) or ():
        count *= extent if isinstance(extent, int) else 1
    return count


def _bundle_of(layers: Sequence[Node]) -> Bundle:
    axis = channel_axis(layers[0])
    assert axis is not None
    return Bundle(tuple(node.output for node in layers), axis, tuple(output_channels(node) or 0 for node in layers))


def _subsets(layers: Sequence[Node]) -> Iterator[list[Node]]:
    """All siblings, and those that go on alike."""
    yield list(layers)
    ways: dict[object, list[Node]] = {}
    for node in layers:
        reader = node.output.sole_reader
        ways.setdefault(None if reader is None else (reader.op, repr(reader.attributes)), []).append(node)
    if len(ways) > 1:
        yield from (way for way in ways.values() if len(way) > 1)


def _stops(steps: Sequence[Step]) -> list[int]:
    """After how many steps the merged branches may end: behind all, or in front of layers that would become groups."""
    return [i for i, step in enumerate(steps) if step.is_grouped] + [len(steps)]
