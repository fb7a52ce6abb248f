"""absorb-channel-padding: zeros that a Concat or Pad appends to channels are made by the layers in front of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import Context, RewritePass
from ..compiler.inference.movement import normalize_axis
from ..compiler.inference.movement_extent import pad_amounts
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from ..compiler.targets import compare, target_named
from .layers.channel_edits import ZERO, ChannelEdit, region_at

_GLANCE = 12  # nodes upwards, within which a layer must make the channels


@dataclass(frozen=True)
class AbsorbChannelPadding(RewritePass):
    """Let layers make channels of zeros that would be appended to their output afterwards.

    Before => After
        x = Relu(Conv(z, w))   y = Concat(x, 0)   u = Conv(x, v)
            =>   y = Relu(Conv(z, [w; 0]))   u = Conv(y, [v 0])

    Covers zeros in front of the channels, behind them or both, appended by Concat (axis of the channels) or by Pad.
    All layers that make or read the channels are widened by rows or columns of zeros, with the depthwise layers,
    activations, norms, poolings and sums in between; where one of them is another Concat with zeros, that gets more.

    Legal when
        The channels are made by Conv, ConvTranspose, Gemm or MatMul (not grouped) with constant weights or by such a
        Concat, all other readers are such layers, none of them is a graph output, and what is in between leaves
        zeros alone.

    Pays when
        The cost model of the target predicts less time. On ONNX Runtime's CPU that is so where the wider layers need no
        more blocks of channels than before, or come to a number of channels for which there is a better kernel.

    Numerics
        Unchanged but for the order of sums.
    """

    name: ClassVar[str] = "absorb-channel-padding"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Concat|Pad"),)

    def rewriter(self, context: Context, anchor: Node, matched: Iterable[Node]) -> Rewriter:
        """The new nodes come where the last of the old ones stands."""
        found = _padding_of(anchor)
        if found is None or not _reaches_layer(found.value):
            return super().rewriter(context, anchor, matched)
        region = region_at(found.value, found.axis, context.changes.notes())
        if region is None:
            return super().rewriter(context, anchor, matched)
        nodes = [n for n in region.nodes if n.graph is anchor.graph]
        last = max([anchor, *nodes], key=lambda n: n.order)
        return super().rewriter(context, last, [anchor, *nodes])

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        found = _padding_of(node)
        if found is None:
            rewriter.refuse("")
        if not _reaches_layer(found.value):
            rewriter.refuse("")
        if found.value.dtype != dtypes.FLOAT and target_named(rewriter.target).measured:
            rewriter.refuse(f"what wider layers cost in {dtypes.name_of(found.value.dtype)} was not measured")
        region = region_at(found.value, found.axis, rewriter.notes)
        if region is None:
            rewriter.refuse("the channels cannot be followed")
        picks = [ZERO] * found.before + list(range(region.extent)) + [ZERO] * found.after
        edit = ChannelEdit(region, picks, rewriter, lambda reader, index: reader is node)
        edit.plan()
        rewriter.replace(node.output, edit.edited[found.value])
        removed = [*region.nodes, node]
        new, stand_ins = rewriter.planned
        comparison = compare(rewriter.target, removed, new, stand_ins)
        if comparison.ratio >= 1:
            rewriter.refuse(f"wider layers do not pay: {comparison}")
        rewriter.note(str(comparison))


@dataclass(frozen=True)
class _Padding:
    """What is padded, along which axis, and with how many zeros in front and behind."""

    value: Value
    axis: int
    before: int
    after: int


def _padding_of(node: Node) -> _Padding | None:
    """What a Concat with zeros, or a Pad of zeros along one axis, does; None if it is something else."""
    return _of_concat(node) if node.op == "Concat" else _of_pad(node)


def _of_concat(node: Node) -> _Padding | None:
    rank = node.output.rank
    kept = [i for i, v in enumerate(node.inputs) if v is None or v.constant is None]
    if rank is None or len(kept) != 1 or len(node.inputs) < 2:
        return None
    axis = normalize_axis(node.int_attr("axis", 1), rank)
    amounts = []
    for value in node.inputs:
        constant = None if value is None else value.constant
        if constant is not None and (
            constant.dtype not in dtypes.FLOATING or len(constant.shape) != rank or constant.numpy().any()
        ):
            return None
        amounts.append(0 if constant is None else constant.shape[axis])
    value = node.inputs[kept[0]]
    return None if value is None else _Padding(value, axis, sum(amounts[: kept[0]]), sum(amounts[kept[0] :]))


def _of_pad(node: Node) -> _Padding | None:
    value = node.inputs[0]
    amounts = None if value is None or value.shape is None else pad_amounts(node, len(value.shape))
    if value is None or amounts is None or node.str_attr("mode", "constant") != "constant":
        return None
    fill = node.input(2)
    number = node.float_attr("value", 0.0) if fill is None else None if fill.constant is None else fill.constant.numpy()
    padded = [axis for axis, sides in enumerate(zip(*amounts)) if sides != (0, 0)]
    if number is None or number != 0 or len(padded) != 1 or value.dtype not in dtypes.FLOATING:
        return None
    before, after = amounts[0][padded[0]], amounts[1][padded[0]]
    if not isinstance(before, int) or not isinstance(after, int) or min(before, after) < 0:
        return None
    return _Padding(value, padded[0], before, after)


def _reaches_layer(value: Value) -> bool:
    """Whether some layer with constant weights makes the channels, as far as a glance tells."""
    for _ in range(_GLANCE):
        node = value.producer
        if node is None:
            return False
        if node.op in ("Conv", "ConvTranspose", "Gemm", "MatMul", "Concat"):
            return True
        above = [v for v in node.inputs if v is not None and v.constant is None]
        if not above:
            return False
        value = above[0]
    return False
