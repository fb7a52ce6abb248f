"""bypass-concats: who reads a part of a concatenation reads what was concatenated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import symbolic
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference import content_of
from ..compiler.inference.movement import normalize_axis, slice_ranges, split_sizes
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from ..compiler.symbolic import Dim
from .fuse_concats import concat_axis
from .views.reshape_targets import reshaped
from .views.view_plans import sliced


@dataclass(frozen=True)
class Piece:
    """`length` positions from `start` on of a concatenation, read as `result`. drops: without the axis."""

    result: Value
    start: Dim
    length: Dim
    drops: bool = False


@dataclass(frozen=True)
class Stretch:
    """Where a piece lies: in these inputs; if it is only a part of a single one, from `start` on."""

    inputs: list[Value]
    start: int | None = None

    @property
    def is_whole_input(self) -> bool:
        return len(self.inputs) == 1 and self.start is None


@dataclass(frozen=True)
class BypassConcats(RewritePass):
    """Let Slice, Split and Gather of a Concat read the inputs that they take their part from.

    Before => After
        Split(Concat(a, b))                      =>   a, b                      cut where they were joined
        Slice(Concat(a[N,4], b), 0:4)            =>   a
        Slice(Concat(a[N,4], b), 1:3)            =>   Slice(a, 1:3)
        Slice(Concat(a, b, c), ...)              =>   Concat(a, b)
        Gather(Concat(a[1,N], b[1,N]), 1)        =>   Squeeze(b)

    Legal when
        The part is along the axis of the Concat only, without steps, and its bounds and the extents before it prove
        where it lies.

    Pays when
        The part is just one of the inputs; or every reader of the Concat can do without it.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "bypass-concats"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Concat"),)

    @property
    def depth(self) -> int:
        return 2

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        axis = concat_axis(root)
        inputs = [value for value in root.inputs if value is not None]
        extents = [value.shape[axis] for value in inputs if value.shape is not None and axis is not None]
        readers = [node for node in dict.fromkeys(root.output.readers) if node.op in _PIECES]
        if axis is None or len(extents) < len(inputs) or not readers:
            rewriter.refuse("")
        found: dict[Node, list[tuple[Piece, Stretch]]] = {}
        for node in readers:
            places = _places(node, root, axis, inputs, extents)
            if places is not None:
                found[node] = places
        if not found:
            rewriter.refuse("where the parts lie does not follow from the extents")
        everyone = len(found) == len({reader for reader, _ in root.output.uses})
        if not everyone:
            found = {n: places for n, places in found.items() if all(s.is_whole_input for _, s in places)}
        if not found:
            rewriter.refuse("other readers need the Concat")
        rewriter.include(found)
        for places in found.values():
            for piece, stretch in places:
                rewriter.replace(piece.result, _built(piece, stretch, root, axis, rewriter))


def _places(
    node: Node, root: Node, axis: int, inputs: Sequence[Value], extents: Sequence[Dim]
) -> list[tuple[Piece, Stretch]] | None:
    """Where everything that a reader takes lies; None if some of it cannot be told."""
    if node.graph is not root.graph or node.inputs[0] is not root.output or root.output in node.inputs[1:]:
        return None
    pieces = _PIECES[node.op](node, axis, symbolic.total(extents))
    if pieces is None:
        return None
    places = [(piece, _stretch(piece, inputs, extents)) for piece in pieces if piece.result.uses]
    known = [(piece, stretch) for piece, stretch in places if stretch is not None]
    return known if len(known) == len(places) else None


def _stretch(piece: Piece, inputs: Sequence[Value], extents: Sequence[Dim]) -> Stretch | None:
    offset: Dim = 0
    for index, extent in enumerate(extents):
        if offset == piece.start:
            length: Dim = 0
            for last in range(index, len(inputs)):
                length = symbolic.add(length, extents[last])
                if length == piece.length:
                    return Stretch(list(inputs[index : last + 1]))
        ahead = symbolic.sub(piece.start, offset)
        behind = symbolic.sub(extent, symbolic.add(ahead, piece.length))
        if isinstance(ahead, int) and ahead >= 0 and symbolic.provably_nonnegative(behind):
            return Stretch([inputs[index]], ahead)
        offset = symbolic.add(offset, extent)
    return None


def _built(piece: Piece, stretch: Stretch, root: Node, axis: int, rewriter: Rewriter) -> Value:
    value = stretch.inputs[0]
    if len(stretch.inputs) > 1:
        value = rewriter.op("Concat", stretch.inputs, root.attributes)
    elif stretch.start is not None and piece.drops:
        index = rewriter.constant(np.array(stretch.start, np.int64), f"{value.name}_index")
        return rewriter.op("Gather", [value, index], axis=axis)
    elif stretch.start is not None:
        if not isinstance(piece.length, int):
            rewriter.refuse("the length of the part is not known")
        return sliced(value, [(axis, stretch.start, stretch.start + piece.length, 1)], rewriter)
    if piece.drops:
        assert value.shape is not None
        return reshaped(value, (*value.shape[:axis], *value.shape[axis + 1 :]), rewriter)
    return value


def _pieces_of_slice(node: Node, axis: int, extent: Dim) -> list[Piece] | None:
    result = node.output.shape
    ranges = None if result is None else slice_ranges(node, len(result))
    if ranges is None or result is None or set(ranges) != {axis}:
        return None
    start, _, step = ranges[axis]
    if step != 1:
        return None
    if isinstance(start, int) and start < 0:
        start = symbolic.add(extent, start)
        if not symbolic.provably_nonnegative(start):
            return None
    return [Piece(node.output, start, result[axis])]


def _pieces_of_split(node: Node, axis: int, extent: Dim) -> list[Piece] | None:
    rank = node.outputs[0].rank if node.outputs[0] is not None else None
    sizes = split_sizes(node, extent)
    if rank is None or sizes is None or normalize_axis(node.int_attr("axis", 0), rank) != axis:
        return None
    return [
        Piece(value, symbolic.total(sizes[:index]), sizes[index])
        for index, value in enumerate(node.outputs)
        if value is not None
    ]


def _pieces_of_gather(node: Node, axis: int, extent: Dim) -> list[Piece] | None:
    source, indices, picks = node.inputs[0], node.input(1), content_of(node.input(1))
    if source is None or source.rank is None or indices is None or indices.rank not in (0, 1) or not picks:
        return None
    numbers = [p if isinstance(p, int) and p >= 0 else symbolic.add(extent, p) for p in picks]
    if normalize_axis(node.int_attr("axis", 0), source.rank) != axis:
        return None
    if any(symbolic.sub(number, numbers[0]) != i for i, number in enumerate(numbers)):
        return None
    return [Piece(node.output, numbers[0], len(numbers), drops=indices.rank == 0)]


_PIECES = {"Slice": _pieces_of_slice, "Split": _pieces_of_split, "Gather": _pieces_of_gather}
