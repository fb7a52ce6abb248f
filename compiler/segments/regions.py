"""Values that have to keep the same positions along an axis: what is widened, narrowed or pruned together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..graph import Graph, Node, Value
from .compute import BROADCASTING
from .links import Link, links

_LARGEST = 2000  # values; beyond that a change would touch most of a network


@dataclass
class Region:
    """Values linked position by position along an axis, and where that ends.

    axes: value -> axis. through: nodes in between, which compute each position from the same position. makers: nodes
    whose outputs are members and whose inputs are not. uses: (reader, input) of members beyond the region; a graph
    stands for its output. parameters: node -> {input: axis} for constants of both kinds of nodes that have an entry for
    each position. open: members that no node makes (inputs, and constants that somebody may override).
    """

    extent: int
    axes: dict[Value, int] = field(default_factory=dict)
    through: dict[Node, None] = field(default_factory=dict)
    makers: dict[Node, None] = field(default_factory=dict)
    uses: dict[tuple[Node | Graph, int], None] = field(default_factory=dict)
    parameters: dict[Node, dict[int, int]] = field(default_factory=dict)
    open: dict[Value, None] = field(default_factory=dict)

    @property
    def nodes(self) -> list[Node]:
        """Makers, nodes in between and readers, in order."""
        readers = [reader for reader, _ in self.uses if isinstance(reader, Node)]
        return sorted({*self.makers, *self.through, *readers}, key=lambda node: node.order)


def region_of(value: Value, axis: int, members: dict[Value, int] | None = None) -> Region | None:
    """The region of an axis of a value; None if the extent is not a known number, or the region is confused or huge.

    members: gets every value that was found to belong to it, with its axis, also if the outcome is None.
    """
    extent = None if value.shape is None or axis >= len(value.shape) else value.shape[axis]
    if not isinstance(extent, int) or extent < 2 or value.constant is not None:
        return None
    region = Region(extent, {} if members is None else members)
    region.axes[value] = axis
    pending = [value]
    while pending:
        one = pending.pop()
        for other, place in [*_above(region, one), *_below(region, one)]:
            known = region.axes.get(other)
            if known is None:
                region.axes[other] = place
                pending.append(other)
            elif known != place:
                return None  # the same value along two axes
        if len(region.axes) > _LARGEST:
            return None
    return region


def _above(region: Region, value: Value) -> Iterator[tuple[Value, int]]:
    node = value.producer
    if node is None:
        region.open[value] = None
        return
    axis = region.axes[value]
    ways = _ways_to(region, node, value.index, axis)
    region.parameters[node] = {way.input: way.in_axis for way in ways if _is_constant(node, way)}
    carried = [way for way in ways if not _is_constant(node, way)]
    if not carried or not _told_apart(node, axis, ways):
        region.makers[node] = None
        return
    yield from _join(region, node, carried)


def _below(region: Region, value: Value) -> Iterator[tuple[Value, int]]:
    axis = region.axes[value]
    for reader, index in value.uses:
        if isinstance(reader, Graph):
            region.uses[(reader, index)] = None
            continue
        mine = [way for way in links(reader) if (way.input, way.in_axis) == (index, axis)]
        if len(mine) != 1 or not _one_to_one(reader, mine[0], region.extent):
            region.uses[(reader, index)] = None
            continue
        way = mine[0]
        ways = _ways_to(region, reader, way.output, way.out_axis)
        if not _told_apart(reader, way.out_axis, ways):
            region.uses[(reader, index)] = None
            continue
        region.parameters[reader] = {w.input: w.in_axis for w in ways if _is_constant(reader, w)}
        yield from _join(region, reader, [w for w in ways if not _is_constant(reader, w)])
        below = reader.outputs[way.output]
        if below is not None:
            yield below, way.out_axis


def _join(region: Region, node: Node, carried: list[Link]) -> Iterator[tuple[Value, int]]:
    region.through[node] = None
    for way in carried:
        value = node.inputs[way.input]
        if value is not None:
            yield value, way.in_axis


def _ways_to(region: Region, node: Node, output: int, axis: int) -> list[Link]:
    """How inputs have a part in each position of an output's axis."""
    found = [way for way in links(node) if (way.output, way.out_axis) == (output, axis)]
    return [way for way in found if _one_to_one(node, way, region.extent)]


def _one_to_one(node: Node, way: Link, extent: int) -> bool:
    """Whether all positions of the input's axis are those of the output's, in order."""
    source, result = node.inputs[way.input], node.outputs[way.output]
    if way.in_block != 1 or way.out_block != 1 or way.count != extent:
        return False
    ends = ((source, way.in_axis), (result, way.out_axis))
    return all(value is not None and value.shape and value.shape[axis] == extent for value, axis in ends)


def _is_constant(node: Node, way: Link) -> bool:
    value = node.inputs[way.input]
    return value is not None and value.constant is not None


def _told_apart(node: Node, axis: int, ways: list[Link]) -> bool:
    """Whether inputs without a link surely do not vary along the axis."""
    if node.op not in BROADCASTING:
        return True
    rank = node.output.rank
    linked = {way.input for way in ways}
    for index, value in enumerate(node.inputs):
        if index in linked or value is None:
            continue
        if value.shape is None or rank is None:
            return False
        place = axis - (rank - len(value.shape))
        if place >= 0 and value.shape[place] != 1:
            return False
    return True
