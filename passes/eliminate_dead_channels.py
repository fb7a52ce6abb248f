"""eliminate-dead-channels: channels that nobody needs are not computed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.graph import Graph, Node, Value
from ..compiler.graph_pass import Context, RewritePass
from ..compiler.inference.movement import normalize_axis
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from ..compiler.segments import Region
from ..compiler.targets import compare
from .layers.channel_edits import ChannelEdit, region_at, summed_axis
from .layers.constant_channels import constants_of
from .layers.dead_channels import axis_of_dead
from .layers.linear_layers import LINEAR_OPS, channel_axis, joins_along, pads_nothing, weight_index
from .siblings.joined_branches import slice_of, split
from .views.parts import part_of

_LARGEST_WEIGHT = 1 << 22  # bytes of a weight that is searched for zeros
_PARTS = ("Slice", "Gather", "Split")
_NEEDS = "eliminate-dead-channels: needs"


@dataclass
class _Needs:
    """What readers need of a region. needed: positions; biases: what constant channels add to the bias of a layer."""

    needed: np.ndarray
    biases: dict[Node, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class EliminateDeadChannels(RewritePass):
    """Narrow layers whose output channels are partly not needed, and everything between them and their readers.

    Before => After
        y = Slice(Relu(Conv(x, w)), 0:4 of axis 1)     =>   y = Relu(Conv(x, w[0:4]))
        y = Conv(Relu(Conv(x, w)), v) with zeros in v   =>   the zero columns of v and their rows of w go
        y = Conv(Concat(x, 0), v)                      =>   y = Conv(x, v without the columns of the zeros)
        y = Conv(Relu(Conv(x, w, b)), v, c) with zeros in w   =>   those channels are relu(b): they go into c

    Channels are not needed if no Slice, Split or Gather takes them and the layers that sum over them have only zeros
    for them. Channels that are the same number everywhere (rows of zeros in a weight, constant parts of a Concat, a
    Relu that no input of the layer in front lifts above zero, by its weights, its bias and the bounds of what it reads)
    become part of the next layer's bias.

    Legal when
        The channels are made by Conv, ConvTranspose, Gemm, MatMul or Gather with constant weights or by a Concat whose
        parts go whole, and all readers are layers or take parts. Constants other than zero are moved into the bias of a
        layer that adds no border of zeros.

    Pays when
        Always in arithmetic; refused where the cost model of the target predicts that the odd number of channels that
        is left has no good kernel.

    Numerics
        Terms that are zero are left out; constants are added to the bias in float64.
    """

    name: ClassVar[str] = "eliminate-dead-channels"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("|".join(_PARTS)), op("Concat"), op("Relu"), op(LINEAR_OPS))

    def rewriter(self, context: Context, anchor: Node, matched: Iterable[Node]) -> Rewriter:
        """The new nodes come where the last of the old ones stands."""
        places = _places_of(anchor)
        found = (region_at(value, axis, context.changes.notes()) for value, axis in places)
        region = next((r for r in found if r is not None), None)
        nodes = [] if region is None else [n for n in region.nodes if n.graph is anchor.graph]
        last = max([anchor, *nodes], key=lambda n: n.order)
        return super().rewriter(context, last, [anchor, *nodes])

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        for value, axis in _places_of(match.root):
            region = region_at(value, axis, rewriter.notes)
            if region is None or region.open:
                continue
            needs = _known_needs(region, rewriter.notes)
            unneeded = region.extent - int(needs.needed.sum())
            if not unneeded or not _has_layers(region):
                continue
            try:
                self._narrow(region, needs, rewriter)
            except Refusal as refusal:
                rewriter.refuse(f"{unneeded} of the {region.extent} channels of {value.name} are not needed, but "
                                f"{refusal.reason}")  # fmt: skip
            return
        rewriter.refuse("")

    def _narrow(self, region: Region, needs: _Needs, rewriter: Rewriter) -> None:
        picks = [int(i) for i in np.flatnonzero(needs.needed)]
        places = {old: new for new, old in enumerate(picks)}
        edit = ChannelEdit(region, picks, rewriter, lambda reader, index: reader.op in _PARTS and index == 0)
        edit.biases = needs.biases
        edit.plan()
        for reader, index in region.uses:
            if isinstance(reader, Node) and reader.op in _PARTS:
                source = reader.inputs[index]
                assert source is not None
                _take_part(reader, edit.edited[source], places, rewriter)
        new, stand_ins = rewriter.planned
        comparison = compare(rewriter.target, region.nodes, new, stand_ins)
        if comparison.ratio > 1:
            rewriter.refuse(f"fewer would be slower: {comparison}")
        rewriter.note(f"{region.extent} -> {len(picks)} channels, {comparison}")


def _places_of(node: Node) -> list[tuple[Value, int]]:
    """Axes that may have positions which nobody needs, as far as the node tells."""
    source = node.input(0)
    if node.op in _PARTS:
        part = part_of(node)
        return [] if part is None or source is None else [(source, part.axis)]
    if node.op == "Concat":
        constant = any(v is not None and v.constant is not None for v in node.inputs)
        rank = node.output.rank
        return [(node.output, normalize_axis(node.int_attr("axis", 1), rank))] if constant and rank else []
    if node.op == "Relu":
        axis = axis_of_dead(node)
        return [] if axis is None or source is None else [(source, axis)]
    return _zeros_of(node)


def _zeros_of(node: Node) -> list[tuple[Value, int]]:
    """Input and output axes along which a layer's weight has only zeros somewhere."""
    index = weight_index(node)
    weight, data = node.input(index), node.input(1 - index)
    constant = None if weight is None else weight.constant
    if constant is None or data is None or data.rank is None or constant.external is not None:
        return []
    if constant.nbytes > _LARGEST_WEIGHT or not constant.size or node.int_attr("group", 1) != 1:
        return []
    array = constant.numpy()
    if np.count_nonzero(array) == array.size:
        return []
    used = array.astype(bool)
    found: list[tuple[Value, int]] = []
    for axis in range(data.rank):
        place = summed_axis(node, 1 - index, axis, data.rank)
        if place is not None and not _used_along(used, place).all():
            found.append((data, axis))
    axis_out = channel_axis(node)
    if axis_out is not None:
        found.append((node.output, axis_out))
    return found


def _used_along(used: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(used.any(axis=tuple(i for i in range(used.ndim) if i != axis % used.ndim)))


def _known_needs(region: Region, notes: dict[object, object]) -> _Needs:
    found = notes.get((_NEEDS, id(region)))
    if not isinstance(found, _Needs):
        found = notes[_NEEDS, id(region)] = _needs_of(region)
    return found


def _has_layers(region: Region) -> bool:
    """Whether something would be saved: weights make the channels, or a Concat puts constants beside them."""
    floating = next(iter(region.axes)).dtype in dtypes.FLOATING
    return floating and any(node.op == "Concat" or region.parameters.get(node) for node in region.makers)


def _needs_of(region: Region) -> _Needs:
    """What the readers need; constants only count where all readers can do without the channel."""
    needed = np.zeros(region.extent, bool)
    layers: list[tuple[Node, int, int]] = []
    for reader, index in region.uses:
        place = None
        if isinstance(reader, Node):
            value = reader.inputs[index]
            assert value is not None
            place = summed_axis(reader, index, region.axes[value], value.rank)
        if isinstance(reader, Graph) or (place is None and (reader.op not in _PARTS or index != 0)):
            return _Needs(np.ones(region.extent, bool))
        if place is None:
            needed |= _taken(reader, region)
        else:
            layers.append((reader, index, place))
    constants = constants_of(region)
    for reader, index, place in layers:
        needed |= _summed(reader, index, place, constants)
    if not needed.any():
        needed[:1] = True  # one has to stay
    _keep_whole_parts(region, needed)
    biases = {reader: _addition(reader, index, place, constants, ~needed) for reader, index, place in layers}
    return _Needs(needed, {reader: b for reader, b in biases.items() if b is not None})


def _taken(reader: Node, region: Region) -> np.ndarray:
    """The positions that the outputs of a Slice, Gather or Split take, as far as anybody reads those."""
    needed = np.zeros(region.extent, bool)
    for index, value in enumerate(reader.outputs):
        if value is None or not value.uses:
            continue
        part = part_of(reader, index)
        source = reader.inputs[0]
        if part is None or source is None or part.axis != region.axes.get(source):
            return np.ones(region.extent, bool)
        needed[list(part.positions)] = True
    return needed


def _summed(reader: Node, index: int, place: int, constants: dict[Value, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The positions for which a layer has weights and that are no constants which its bias could take."""
    value, weight = reader.inputs[index], reader.inputs[1 - index]
    assert value is not None and weight is not None and weight.constant is not None
    needed = _used_along(weight.constant.numpy().astype(bool), place)
    mask, numbers = constants.get(value, (np.zeros(len(needed), bool), np.zeros(len(needed))))
    bias = reader.input(2)
    takes = reader.op in ("Conv", "Gemm") and pads_nothing(reader) and reader.float_attr("beta", 1.0) == 1
    takes = takes and index == 0 and (bias.constant is not None and bias.rank == 1 if bias is not None else True)
    spared: np.ndarray = mask & (takes | (numbers == 0))
    return np.asarray(needed & ~spared)


def _keep_whole_parts(region: Region, needed: np.ndarray) -> None:
    """Parts of a Concat that are computed go whole or not at all."""
    for node in region.makers:
        if node.op != "Concat" or not joins_along(node, region.axes[node.output]):
            continue
        axis, start = region.axes[node.output], 0
        for value in node.inputs:
            extent = value.shape[axis] if value is not None and value.shape is not None else 0
            assert isinstance(extent, int)
            if value is not None and value.constant is None and needed[start : start + extent].any():
                needed[start : start + extent] = True
            start += extent


def _addition(
    reader: Node, index: int, place: int, constants: dict[Value, tuple[np.ndarray, np.ndarray]], gone: np.ndarray
) -> np.ndarray | None:
    """What the constant channels that go add to each output of a layer; None if that is nothing."""
    value, weight = reader.inputs[index], reader.inputs[1 - index]
    assert value is not None and weight is not None and weight.constant is not None
    if value not in constants:
        return None
    mask, numbers = constants[value]
    amounts = np.where(mask & gone, numbers, 0.0)
    if not amounts.any():
        return None
    rows = np.moveaxis(weight.constant.numpy().astype(np.float64), place, -1)
    sums: np.ndarray = rows.reshape(rows.shape[0], -1, rows.shape[-1]).sum(axis=1)
    added: np.ndarray = (sums * amounts).sum(axis=1)
    return added * (reader.float_attr("alpha", 1.0) if reader.op == "Gemm" else 1.0) if added.any() else None


def _take_part(node: Node, value: Value, places: dict[int, int], rewriter: Rewriter) -> None:
    """Plan what a Slice, Gather or Split takes of the narrower value."""
    if node.op == "Split":
        _split_again(node, value, places, rewriter)
        return
    part = part_of(node)
    assert part is not None
    positions = [places[p] for p in part.positions]
    start = positions[0] if positions else 0
    if part.drops_axis:
        indices = rewriter.constant(np.array(positions[0], np.int64), f"{node.label}_index")
        rewriter.replace(node.output, rewriter.op("Gather", [value, indices], axis=part.axis, name=node.name))
    elif positions == list(range(len(places))):
        rewriter.replace(node.output, value)
    elif positions == list(range(start, start + len(positions))):
        rewriter.replace(node.output, slice_of(value, part.axis, start, start + len(positions), rewriter))
    else:
        indices = rewriter.ints(positions, f"{node.label}_indices")
        rewriter.replace(node.output, rewriter.op("Gather", [value, indices], axis=part.axis, name=node.name))


def _split_again(node: Node, value: Value, places: dict[int, int], rewriter: Rewriter) -> None:
    read = [(i, v) for i, v in enumerate(node.outputs) if v is not None and v.uses]
    parts = [part_of(node, index) for index, _ in read]
    sizes = [len(part.positions) for part in parts if part is not None]
    if sum(sizes) != len(places):
        rewriter.refuse(f"the parts of {node.label} are not all that is needed")
    if len(read) == 1:
        rewriter.replace(read[0][1], value)
        return
    axis = parts[0].axis if parts[0] is not None else 0
    for (_, old), new in zip(read, split(value, axis, sizes, rewriter)):
        rewriter.replace(old, new)
