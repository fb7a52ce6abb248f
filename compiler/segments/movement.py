"""Links of operators that move elements: Concat, Split, Slice, Gather, Pad, Transpose, Reshape and their kin."""

from __future__ import annotations

from collections.abc import Sequence

from .. import symbolic
from ..graph import Node, Shape
from ..inference.facts import content_of
from ..inference.movement import normalize_axis, slice_length, slice_ranges, split_sizes
from ..inference.movement_extent import pad_amounts
from ..symbolic import Dim
from .links import Link, broadcast_links, kept_axes, link_rule, shape_of

_MOST_RUNS = 256  # a Gather in more pieces is no arrangement of intervals any more


def _others(rank: int, axis: int) -> list[int]:
    return [i for i in range(rank) if i != axis]


@link_rule("Identity")
def identity(node: Node) -> Sequence[Link]:
    return kept_axes(node, range(len(shape_of(node, 0) or ())), moved=True)


@link_rule("Concat")
def concat(node: Node) -> Sequence[Link]:
    rank = node.output.rank
    if rank is None:
        return ()
    axis = normalize_axis(node.int_attr("axis", 1 if node.version < 4 else 0), rank)
    found: list[Link] = []
    start: Dim | None = 0
    for index in range(len(node.inputs)):
        found += kept_axes(node, _others(rank, axis), index=index)
        shape = shape_of(node, index)
        if shape is None or len(shape) != rank or start is None:
            start = None
            continue
        found.append(Link(index, axis, 0, axis, shape[axis], out_start=start, moved=True))
        start = symbolic.add(start, shape[axis])
    return found


@link_rule("Split")
def split(node: Node) -> Sequence[Link]:
    shape = shape_of(node, 0)
    if not shape:
        return ()
    axis = normalize_axis(node.int_attr("axis", 0), len(shape))
    found = kept_axes(node, _others(len(shape), axis))
    sizes = split_sizes(node, shape[axis])
    start: Dim = 0
    for index, size in enumerate(sizes or ()):
        found.append(Link(0, axis, index, axis, size, in_start=start, moved=True))
        start = symbolic.add(start, size)
    return found


@link_rule("Slice")
def slice_(node: Node) -> Sequence[Link]:
    shape, result = shape_of(node, 0), node.output.shape
    ranges = None if shape is None else slice_ranges(node, len(shape))
    if shape is None or result is None or ranges is None:
        return ()
    cut = [axis for axis in ranges if result[axis] != shape[axis] or ranges[axis][2] != 1]
    found = kept_axes(node, [i for i in range(len(shape)) if i not in cut], moved=not cut)
    for axis in cut:
        start = _first_kept(shape[axis], *ranges[axis])
        if start is not None:
            found.append(Link(0, axis, 0, axis, result[axis], in_start=start, moved=len(cut) == 1))
    return found


def _first_kept(extent: Dim, start: Dim, end: Dim, step: int) -> Dim | None:
    """Where the interval that a Slice keeps starts; None if it keeps no interval, or that is not known."""
    if step != 1 or slice_length(extent, start, end, 1) is None:
        return None
    if isinstance(start, int) and start < 0:
        return symbolic.maximum(symbolic.add(extent, start), 0)
    if isinstance(start, int) and isinstance(extent, int):
        return min(start, extent)
    return start if symbolic.provably_nonnegative(start) else None  # behind the end it keeps nothing from nowhere


@link_rule("Gather")
def gather(node: Node) -> Sequence[Link]:
    data, indices = shape_of(node, 0), shape_of(node, 1)
    if not data or indices is None or node.output.shape is None:
        return ()
    axis = normalize_axis(node.int_attr("axis", 0), len(data))
    behind = len(indices) - 1
    found = [Link(0, i, 0, i if i < axis else i + behind, data[i]) for i in _others(len(data), axis)]
    found += [Link(1, i, 0, axis + i, extent) for i, extent in enumerate(indices) if extent != 1]
    picks = content_of(node.input(1))
    extent = data[axis]
    if picks is not None and len(indices) == 1 and isinstance(extent, int):
        numbers = [p + extent if p < 0 else p for p in picks if isinstance(p, int)]
        if len(numbers) == len(picks):
            found += [
                Link(0, axis, 0, axis, length, in_start=start, out_start=at, moved=True)
                for start, length, at in _runs(numbers)
            ]
    return found


def _runs(numbers: Sequence[int]) -> list[tuple[int, int, int]]:
    """(first number, length, position) of each stretch of consecutive numbers; none at all if there are too many."""
    found: list[tuple[int, int, int]] = []
    for position, number in enumerate(numbers):
        if found and number == found[-1][0] + found[-1][1]:
            first, length, at = found[-1]
            found[-1] = (first, length + 1, at)
        else:
            found.append((number, 1, position))
    return found if len(found) <= _MOST_RUNS else []


@link_rule("Pad")
def pad(node: Node) -> Sequence[Link]:
    shape = shape_of(node, 0)
    amounts = None if shape is None else pad_amounts(node, len(shape))
    if shape is None or amounts is None:
        return ()
    padded = [i for i, sides in enumerate(zip(*amounts)) if sides != (0, 0)]
    found = kept_axes(node, [i for i in range(len(shape)) if i not in padded], moved=not padded)
    if node.str_attr("mode", "constant") == "constant":
        for axis in padded:
            low, high = amounts[0][axis], amounts[1][axis]
            if symbolic.provably_nonnegative(low) and symbolic.provably_nonnegative(high):
                found.append(Link(0, axis, 0, axis, shape[axis], out_start=low, moved=len(padded) == 1))
    return found


@link_rule("Expand")
def expand(node: Node) -> Sequence[Link]:
    shape = shape_of(node, 0)
    found = [link for link in broadcast_links(node) if link.input == 0]
    same = shape is not None and node.output.shape == shape
    return kept_axes(node, range(len(shape or ())), moved=True) if same else found


@link_rule("Tile")
def tile(node: Node) -> Sequence[Link]:
    shape = shape_of(node, 0)
    repeats = content_of(node.input(1)) if node.version >= 6 else None
    if shape is None or repeats is None or len(repeats) != len(shape):
        return ()
    found = []
    for axis, times in enumerate(repeats):
        if isinstance(times, int) and times <= _MOST_RUNS:
            starts = [symbolic.mul(shape[axis], i) for i in range(times)]
            found += [Link(0, axis, 0, axis, shape[axis], out_start=start) for start in starts]
    return found


@link_rule("Transpose")
def transpose(node: Node) -> Sequence[Link]:
    shape = shape_of(node, 0)
    if shape is None:
        return ()
    order = node.ints_attr("perm") or tuple(reversed(range(len(shape))))
    if sorted(order) != list(range(len(shape))):
        return ()
    return [Link(0, source, 0, axis, shape[source], moved=True) for axis, source in enumerate(order)]


@link_rule("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(node: Node) -> Sequence[Link]:
    shape, result = shape_of(node, 0), node.output.shape
    if shape is None or result is None or 0 in shape or 0 in result:
        return ()
    found = _matched_groups(_without_ones(shape), _without_ones(result))
    return [Link(0, i, 0, o, count, in_block=a, out_block=b, moved=True) for i, o, count, a, b in found]


def _without_ones(shape: Shape) -> list[tuple[int, Dim]]:
    return [(axis, extent) for axis, extent in enumerate(shape) if extent != 1]


_Axes = Sequence[tuple[int, Dim]]


def _matched_groups(before: _Axes, after: _Axes) -> list[tuple[int, int, Dim, Dim, Dim]]:
    """(axis before, axis after, blocks, positions before, positions after) for the first axes of groups of axes that
    hold the same elements: [a, b*c] and [a*b, c] are one group, [a, b] and [a, b] are two."""
    found = []
    i = j = 0
    while i < len(before) and j < len(after):
        first, second = before[i], after[j]
        ends = _group_end(before, after, i, j)
        if ends is None:
            break
        blocks = _blocks(first[1], second[1])
        if blocks is not None:
            found.append((first[0], second[0], *blocks))
        i, j = ends
    return found + _matched_tail(before[i:], after[j:])


def _group_end(before: _Axes, after: _Axes, i: int, j: int) -> tuple[int, int] | None:
    """Behind the smallest group that starts at these places; None if the extents do not tell."""
    left, right = before[i][1], after[j][1]
    i, j = i + 1, j + 1
    while left != right:
        if i < len(before) and _divides(left, right):
            left = symbolic.mul(left, before[i][1])
            i += 1
        elif j < len(after) and _divides(right, left):
            right = symbolic.mul(right, after[j][1])
            j += 1
        else:
            return None
    return i, j


def _divides(part: Dim, whole: Dim) -> bool:
    """Whether a group must go on growing on the side of `part`."""
    if isinstance(part, int) and isinstance(whole, int):
        return part < whole
    return symbolic.exact_div(whole, part) is not None


def _blocks(before: Dim, after: Dim) -> tuple[Dim, Dim, Dim] | None:
    """(blocks, positions before, positions after) of the first axes of two groups."""
    if before == after:
        return before, 1, 1
    ratio = symbolic.exact_div(after, before)
    if ratio is not None:
        return before, 1, ratio
    ratio = symbolic.exact_div(before, after)
    return None if ratio is None else (after, ratio, 1)


def _matched_tail(before: _Axes, after: _Axes) -> list[tuple[int, int, Dim, Dim, Dim]]:
    """Where the first axes do not tell: last axes of the same extent, from the back."""
    found: list[tuple[int, int, Dim, Dim, Dim]] = []
    for (axis, extent), (other, same) in zip(reversed(before), reversed(after)):
        if extent != same:
            break
        found.append((axis, other, extent, 1, 1))
    return found
