"""Operators that move elements without computing: reshapes, slices, gathers, concatenations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .. import dtypes, symbolic
from ..graph import Node, Shape, Value
from ..symbolic import Dim
from .facts import CONTENT_LIMIT, Facts, content_of, rule, unknown_dim
from .generators import shape_from

_END = 2**31 - 1  # exporters write INT32_MAX or INT64_MAX for "to the end"


def normalize_axis(axis: int, rank: int) -> int:
    """The axis counted from the front."""
    return axis + rank if axis < 0 else axis


def axes_of(node: Node, index: int, rank: int) -> tuple[int, ...] | None:
    """The axes of a node, from the attribute or the input at `index`, counted from the front; None if not known."""
    axes: Sequence[Dim] | None = node.ints_attr("axes")
    if axes is None:
        axes = content_of(node.input(index))
    if axes is None or not all(isinstance(a, int) for a in axes):
        return None
    return tuple(normalize_axis(a, rank) for a in axes if isinstance(a, int))


def _first(node: Node) -> tuple[int, Shape | None]:
    value = node.inputs[0]
    return (0, None) if value is None else (value.dtype, value.shape)


def _rearranged(value: Value | None, move: Callable[[np.ndarray], np.ndarray]) -> Shape | None:
    """What moving the elements of a small integer tensor makes of its content."""
    content = content_of(value)
    if content is None or value is None or value.shape is None or not all(isinstance(d, int) for d in value.shape):
        return None
    elements = np.empty(len(content), object)
    elements[:] = content
    if symbolic.product(value.shape) != len(content):
        return None
    return tuple(move(elements.reshape(value.shape)).ravel())  # type: ignore[arg-type]


@rule("Reshape")
def reshape(node: Node) -> Sequence[Facts]:
    dtype, source = _first(node)
    target: Shape | None = node.ints_attr("shape") if node.version < 5 else content_of(node.input(1))
    if target is None:
        return (Facts(dtype, shape_from(node, node.input(1))),)
    shape = resolve_reshape(node, source, target, bool(node.int_attr("allowzero", 0)))
    return (Facts(dtype, shape, content_of(node.inputs[0])),)


def resolve_reshape(node: Node, source: Shape | None, target: Shape, allow_zero: bool) -> Shape:
    """The shape that Reshape's target stands for; a size that does not follow becomes an unknown dimension."""
    result: list[Dim] = []
    for axis, extent in enumerate(target):
        if extent == 0 and not allow_zero:
            copied = source[axis] if source is not None and axis < len(source) else None
            result.append(unknown_dim(node, 0, axis) if copied is None else copied)
        else:
            result.append(extent)
    if -1 in target:
        position = target.index(-1)
        rest = symbolic.product(d for i, d in enumerate(result) if i != position)
        quotient = None if source is None else symbolic.exact_div(symbolic.product(source), rest)
        if quotient is None and source is not None and isinstance(rest, int) and rest > 0:
            quotient = symbolic.floordiv(symbolic.product(source), rest)
        result[position] = unknown_dim(node, 0, position) if quotient is None else quotient
    return tuple(result)


@rule("Flatten")
def flatten(node: Node) -> Sequence[Facts]:
    dtype, shape = _first(node)
    if shape is None:
        return (Facts(dtype, (unknown_dim(node, 0, 0), unknown_dim(node, 0, 1))),)
    axis = normalize_axis(node.int_attr("axis", 1), len(shape))
    result = (symbolic.product(shape[:axis]), symbolic.product(shape[axis:]))
    return (Facts(dtype, result, content_of(node.inputs[0])),)


@rule("Squeeze")
def squeeze(node: Node) -> Sequence[Facts]:
    dtype, shape = _first(node)
    if shape is None:
        return (Facts(dtype),)
    if node.ints_attr("axes") is None and node.input(1) is None:
        if not all(isinstance(d, int) for d in shape):
            return (Facts(dtype),)
        axes: tuple[int, ...] | None = tuple(i for i, d in enumerate(shape) if d == 1)
    else:
        axes = axes_of(node, 1, len(shape))
    if axes is None:
        return (Facts(dtype),)
    result = tuple(d for i, d in enumerate(shape) if i not in axes)
    return (Facts(dtype, result, content_of(node.inputs[0])),)


@rule("Unsqueeze")
def unsqueeze(node: Node) -> Sequence[Facts]:
    dtype, shape = _first(node)
    attribute = node.ints_attr("axes")
    count = len(attribute) if attribute is not None else len(content_of(node.input(1)) or ())
    if shape is None or not count:
        return (Facts(dtype, shape if shape is not None and node.input(1) is not None and count else None),)
    axes = axes_of(node, 1, len(shape) + count)
    if axes is None:
        return (Facts(dtype),)
    rest = iter(shape)
    result = tuple(1 if i in axes else next(rest, 1) for i in range(len(shape) + count))
    return (Facts(dtype, result, content_of(node.inputs[0])),)


@rule("Transpose")
def transpose(node: Node) -> Sequence[Facts]:
    dtype, shape = _first(node)
    if shape is None:
        return (Facts(dtype),)
    order = node.ints_attr("perm") or tuple(reversed(range(len(shape))))
    if len(order) != len(shape):
        return (Facts(dtype),)
    content = _rearranged(node.inputs[0], lambda elements: elements.transpose(order))
    return (Facts(dtype, tuple(shape[i] for i in order), content),)


@rule("Concat")
def concat(node: Node) -> Sequence[Facts]:
    values = [v for v in node.inputs if v is not None]
    dtype = next((v.dtype for v in values if v.dtype), 0)
    shapes = [v.shape for v in values]
    known = [s for s in shapes if s is not None]
    if not known or len({len(s) for s in known}) > 1 or not known[0]:
        return (Facts(dtype),)
    rank = len(known[0])
    axis = normalize_axis(node.int_attr("axis", 1 if node.version < 4 else 0), rank)
    result: list[Dim] = []
    for i in range(rank):
        if i == axis:
            parts = [None if s is None else s[i] for s in shapes]
            numbers = [p for p in parts if p is not None]
            result.append(symbolic.total(numbers) if len(numbers) == len(parts) else unknown_dim(node, 0, i))
        else:
            result.append(next((s[i] for s in known if isinstance(s[i], int)), known[0][i]))
    content = None
    if rank == 1:
        parts_content = [content_of(v) for v in values]
        if all(c is not None for c in parts_content):
            content = tuple(x for c in parts_content if c is not None for x in c)
    return (Facts(dtype, tuple(result), content if content is None or len(content) <= CONTENT_LIMIT else None),)


@rule("Split")
def split(node: Node) -> Sequence[Facts]:
    dtype, shape = _first(node)
    count = len(node.outputs)
    if shape is None or not shape:
        return [Facts(dtype)] * count
    axis = normalize_axis(node.int_attr("axis", 0), len(shape))
    sizes = split_sizes(node, shape[axis])
    if sizes is None:
        return [
            Facts(dtype, (*shape[:axis], unknown_dim(node, i, axis), *shape[axis + 1 :])) for i in range(count)
        ]
    known = content_of(node.inputs[0]) if len(shape) == 1 and all(isinstance(s, int) for s in sizes) else None
    facts, start = [], 0
    for size in sizes:
        part = None
        if known is not None and isinstance(size, int):
            part = known[start : start + size]
            start += size
        facts.append(Facts(dtype, (*shape[:axis], size, *shape[axis + 1 :]), part))
    return facts


def split_sizes(node: Node, extent: Dim) -> tuple[Dim, ...] | None:
    """The sizes of a Split's parts along its axis; None if they are not known."""
    sizes: Shape | None = node.ints_attr("split")
    if sizes is None and node.input(1) is not None:
        sizes = content_of(node.input(1))
        if sizes is None:
            return None
    if sizes is not None:
        return sizes if len(sizes) == len(node.outputs) else None
    count = len(node.outputs)
    if node.version < 18:
        part = symbolic.exact_div(extent, count)
        return None if part is None else (part,) * count
    part = symbolic.ceildiv(extent, node.int_attr("num_outputs", count))
    return (*(part,) * (count - 1), symbolic.sub(extent, symbolic.mul(part, count - 1)))


@rule("Slice")
def slice_(node: Node) -> Sequence[Facts]:
    dtype, shape = _first(node)
    if shape is None:
        return (Facts(dtype),)
    ranges = slice_ranges(node, len(shape))
    if ranges is None:
        return (Facts(dtype, tuple(unknown_dim(node, 0, i) for i in range(len(shape)))),)
    result = list(shape)
    for axis, (start, end, step) in ranges.items():
        length = slice_length(shape[axis], start, end, step)
        result[axis] = unknown_dim(node, 0, axis) if length is None else length
    return (Facts(dtype, tuple(result), _sliced_content(node, shape, ranges)),)


def _sliced_content(node: Node, shape: Shape, ranges: dict[int, tuple[Dim, Dim, int]]) -> Shape | None:
    windows = [slice(None)] * len(shape)
    for axis, (start, end, step) in ranges.items():
        extent = shape[axis]
        if not isinstance(extent, int) or not isinstance(start, int) or not isinstance(end, int):
            return None
        windows[axis] = slice(*_python_slice(start, end, step, extent))
    return _rearranged(node.inputs[0], lambda elements: elements[tuple(windows)])


def slice_ranges(node: Node, rank: int) -> dict[int, tuple[Dim, Dim, int]] | None:
    """axis -> (start, end, step) of a Slice as written (possibly negative); None if they are not known."""
    if node.version < 10:
        starts: Shape | None = node.ints_attr("starts")
        ends: Shape | None = node.ints_attr("ends")
        axes: Shape | None = node.ints_attr("axes")
        steps: Shape | None = None
    else:
        starts, ends = content_of(node.input(1)), content_of(node.input(2))
        axes, steps = content_of(node.input(3)), content_of(node.input(4))
        if (axes is None) != (node.input(3) is None) or (steps is None) != (node.input(4) is None):
            return None
    if starts is None or ends is None:
        return None
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if not (len(starts) == len(ends) == len(axes) == len(steps)):
        return None
    ranges: dict[int, tuple[Dim, Dim, int]] = {}
    for axis, start, end, step in zip(axes, starts, ends, steps):
        if not isinstance(axis, int) or not isinstance(step, int) or step == 0 or not -rank <= axis < rank:
            return None
        ranges[normalize_axis(axis, rank)] = (start, end, step)
    return ranges


def _python_slice(start: int, end: int, step: int, extent: int) -> tuple[int, int | None, int]:
    begin, stop, step = slice(start, end, step).indices(extent)
    return begin, (None if step < 0 and stop < 0 else stop), step


def slice_length(extent: Dim, start: Dim, end: Dim, step: int) -> Dim | None:
    """Number of elements that a slice keeps; None if it does not follow from the symbols."""
    if isinstance(extent, int) and isinstance(start, int) and isinstance(end, int):
        return len(range(*slice(start, end, step).indices(extent)))
    if step < 0:
        if step == -1 and start == -1 and isinstance(end, int) and end <= -_END:
            return extent
        return None
    first = 0 if start == 0 else _bound(extent, start)
    last = extent if isinstance(end, int) and end >= _END else _bound(extent, end)
    if first is None or last is None:
        return None
    if last == extent and isinstance(start, int) and start >= 0:  # an extent is no negative number
        return symbolic.ceildiv(extent if start == 0 else symbolic.maximum(symbolic.sub(extent, start), 0), step)
    return symbolic.ceildiv(symbolic.maximum(symbolic.sub(last, first), 0), step)


def _bound(extent: Dim, position: Dim) -> Dim | None:
    """A slice's start or end clamped to the axis; None where its sign is not known."""
    if position == extent:  # an extent is no negative number, whatever the symbols are
        return extent
    if isinstance(position, int) and position < 0:
        return symbolic.maximum(symbolic.add(extent, position), 0)
    return symbolic.minimum(extent, position) if symbolic.provably_nonnegative(position) else None


@rule("Gather")
def gather(node: Node) -> Sequence[Facts]:
    dtype, shape = _first(node)
    indices = node.input(1)
    if shape is None or indices is None or indices.shape is None or not shape:
        return (Facts(dtype),)
    axis = normalize_axis(node.int_attr("axis", 0), len(shape))
    content = None
    if len(shape) == 1 and len(indices.shape) <= 1 and dtype in dtypes.INTEGER | {dtypes.BOOL}:
        known, picks = content_of(node.inputs[0]), content_of(indices)
        if known is not None and picks is not None:
            chosen = [p for p in picks if isinstance(p, int) and -len(known) <= p < len(known)]
            content = tuple(known[p] for p in chosen) if len(chosen) == len(picks) else None
    return (Facts(dtype, (*shape[:axis], *indices.shape, *shape[axis + 1 :]), content),)
