"""Where an interval of an axis comes from, and who reads it."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .. import symbolic
from ..graph import Graph, Node, Value
from ..symbolic import Dim
from .intervals import Undecided, overlap
from .links import Link, links


@dataclass(frozen=True, slots=True)
class Segment:
    """The positions from `start` on, `length` of them, along an axis of a value."""

    value: Value
    axis: int
    start: Dim
    length: Dim

    @classmethod
    def whole(cls, value: Value, axis: int) -> Segment:
        """The whole axis of a value whose rank is known."""
        assert value.shape is not None
        return cls(value, axis, 0, value.shape[axis])

    @property
    def end(self) -> Dim:
        return symbolic.add(self.start, self.length)

    @property
    def is_whole(self) -> bool:
        return self.start == 0 and self.value.shape is not None and self.length == self.value.shape[self.axis]

    def __str__(self) -> str:
        return f"{self.value.name}[{symbolic.text(self.start)}:{symbolic.text(self.end)} of axis {self.axis}]"


class Reach(enum.Enum):
    """How far a query looks."""

    MOVES = "moves"  # through operators that only move elements
    POSITIONS = "positions"  # also through those that compute each position from the same position


@dataclass(frozen=True, slots=True)
class Source:
    """A stretch of what was asked for holds just the elements of `segment`.

    offset, length: the stretch. path: the nodes in between, from the asked value upwards.
    """

    segment: Segment
    offset: Dim
    length: Dim
    path: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Use:
    """A reader beyond the query's reach, and what it reads.

    reader, index: a node and its input, or a graph and its output. segment: what it reads of the value there.
    offset, length: the stretch of what was asked for that this comes from. path: the nodes in between, from the asked
    value downwards.
    """

    reader: Node | Graph
    index: int
    segment: Segment
    offset: Dim
    length: Dim
    path: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """A segment on the way: `asked` positions of the query, from `offset` on, stand for `here` of its positions."""

    segment: Segment
    offset: Dim
    asked: Dim
    here: Dim
    path: tuple[Node, ...]

    def in_query(self, length: Dim) -> Dim | None:
        """So many positions of this axis in positions of the query; None if they are no whole number."""
        return symbolic.exact_div(symbolic.mul(length, self.asked), self.here)

    def stretch(self, start: Dim, length: Dim) -> tuple[Dim, Dim] | None:
        """(offset, length) in the query of an interval of this axis; None where blocks would be cut."""
        ahead, extent = self.in_query(symbolic.sub(start, self.segment.start)), self.in_query(length)
        return None if ahead is None or extent is None else (symbolic.add(self.offset, ahead), extent)

    def behind(self, node: Node, there: Segment, offset: Dim, blocks_there: Dim, blocks_here: Dim) -> _Place:
        """The next place, through a node that turns blocks of this axis into blocks of the next."""
        asked, here = symbolic.mul(self.asked, blocks_here), symbolic.mul(self.here, blocks_there)
        return _Place(there, offset, asked, here, (*self.path, node))


def sources(segment: Segment) -> list[Source]:
    """The stretches that a segment was put together from, in order, each as far up as elements were only moved."""
    found: list[Source] = []
    pending = [_Place(segment, 0, 1, 1, ())]
    while pending:
        place = pending.pop()
        parts = _parts(place)
        if parts is not None:
            pending.extend(reversed(parts))
            continue
        length = place.in_query(place.segment.length)
        assert length is not None, "places are only made of whole blocks"
        found.append(Source(place.segment, place.offset, length, place.path))
    return _joined(found)


def _parts(place: _Place) -> list[_Place] | None:
    """What the producer put this stretch together from; None if it did not only move it."""
    segment, node = place.segment, place.segment.value.producer
    if node is None:
        return None
    moves = [k for k in links(node) if k.moved and (k.output, k.out_axis) == (segment.value.index, segment.axis)]
    parts: list[_Place | None] = []
    at = segment.start
    for link in moves:
        try:
            shared = overlap(segment.start, segment.length, link.out_start, link.out_length)
        except Undecided:
            return None
        if shared is None:
            continue
        start, length = shared
        if start != at:
            parts.append(_made_here(place, at, symbolic.sub(start, at)))
        source, stretch = upwards(link, start, length, node), place.stretch(start, length)
        if source is None or stretch is None:
            return None
        parts.append(place.behind(node, source, stretch[0], link.in_block, link.out_block))
        at = symbolic.add(start, length)
    if not parts:
        return None
    if at != segment.end:
        parts.append(_made_here(place, at, symbolic.sub(segment.end, at)))
    whole = [part for part in parts if part is not None]
    return whole if len(whole) == len(parts) else None


def _made_here(place: _Place, start: Dim, length: Dim) -> _Place | None:
    stretch = place.stretch(start, length)
    if stretch is None or not symbolic.provably_nonnegative(length):
        return None
    return replace(place, segment=replace(place.segment, start=start, length=length), offset=stretch[0])


def upwards(link: Link, start: Dim, length: Dim, node: Node) -> Segment | None:
    """What an interval of the output's axis takes of the input; None if it cuts through blocks."""
    first = symbolic.exact_div(symbolic.sub(start, link.out_start), link.out_block)
    count = symbolic.exact_div(length, link.out_block)
    value = node.input(link.input)
    if first is None or count is None or value is None:
        return None
    at = symbolic.add(link.in_start, symbolic.mul(first, link.in_block))
    return Segment(value, link.in_axis, at, symbolic.mul(count, link.in_block))


def downwards(link: Link, start: Dim, length: Dim, node: Node) -> Segment | None:
    """What an interval of the input's axis gives of the output; None if it cuts through blocks."""
    first = symbolic.exact_div(symbolic.sub(start, link.in_start), link.in_block)
    count = symbolic.exact_div(length, link.in_block)
    value = node.outputs[link.output] if link.output < len(node.outputs) else None
    if first is None or count is None or value is None:
        return None
    at = symbolic.add(link.out_start, symbolic.mul(first, link.out_block))
    return Segment(value, link.out_axis, at, symbolic.mul(count, link.out_block))


def _joined(found: list[Source]) -> list[Source]:
    """Stretches that follow upon each other in the same value made one."""
    result: list[Source] = []
    for one in found:
        last = result[-1] if result else None
        if (
            last is not None
            and last.segment.value is one.segment.value
            and last.segment.axis == one.segment.axis
            and last.segment.end == one.segment.start
        ):
            both = symbolic.add(last.segment.length, one.segment.length)
            length = symbolic.add(last.length, one.length)
            result[-1] = replace(last, segment=replace(last.segment, length=both), length=length)
        else:
            result.append(one)
    return result


def readers(segment: Segment, reach: Reach = Reach.MOVES) -> list[Use]:
    """Everybody who reads some of a segment, beyond the nodes that the query looks through; graph outputs too.

    A node that looks at the extents only (Shape) is such a reader as well.
    """
    found: dict[Use, None] = {}
    pending = [_Place(segment, 0, 1, 1, ())]
    seen: set[tuple[object, ...]] = set()
    while pending:
        place = pending.pop()
        key = (place.segment, place.offset, place.asked, place.here)
        if key in seen:
            continue
        seen.add(key)
        for reader, index in place.segment.value.uses:
            onward = None if isinstance(reader, Graph) else _through(place, reader, index, reach)
            if onward is None:
                length = place.in_query(place.segment.length)
                assert length is not None, "what divides no block was not let through"
                found[Use(reader, index, place.segment, place.offset, length, place.path)] = None
            else:
                pending.extend(onward)
    return list(found)


def _through(place: _Place, node: Node, index: int, reach: Reach) -> list[_Place] | None:
    """Where the segment goes on behind a reader; None if the reader is where the query ends.

    What goes nowhere (a Slice that leaves it away) is not read.
    """
    segment = place.segment
    ways = [k for k in links(node) if (k.input, k.in_axis) == (index, segment.axis)]
    if not ways or any(not _passes(way, reach) for way in ways):
        return None
    onward: list[_Place] = []
    for way in ways:
        try:
            shared = overlap(segment.start, segment.length, way.in_start, way.in_length)
        except Undecided:
            return None
        if shared is None:
            continue
        start, length = shared
        below, stretch = downwards(way, start, length, node), place.stretch(start, length)
        if below is None or stretch is None:
            return None
        onward.append(place.behind(node, below, stretch[0], way.out_block, way.in_block))
    return onward


def _passes(way: Link, reach: Reach) -> bool:
    return way.moved or (reach is Reach.POSITIONS and way.in_block == 1 and way.out_block == 1)


def covered(uses: Iterable[Use], extent: int) -> list[tuple[int, int]]:
    """(start, end) of the stretches of a known extent that these uses read, sorted and disjoint."""
    spans: list[tuple[int, int]] = []
    for use in uses:
        if not isinstance(use.offset, int) or not isinstance(use.length, int):
            return [(0, extent)] if extent else []
        spans.append((use.offset, use.offset + use.length))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(s for s in spans if s[0] < s[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
