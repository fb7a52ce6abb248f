"""Parts of a tensor along one axis: what a Gather, a Slice or an output of Split takes of its input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...compiler.graph import Node, Shape, Value
from ...compiler.inference import content_of
from ...compiler.inference.movement import slice_ranges, split_sizes
from ...compiler.refusal import Refusal

_LONGEST = 1 << 16  # elements along the axis


@dataclass(frozen=True)
class Part:
    """Positions along an axis of known extent; drops_axis: the result is without the axis (Gather by a scalar)."""

    axis: int
    extent: int
    positions: tuple[int, ...]
    drops_axis: bool = False

    def spread(self, factor: np.ndarray) -> np.ndarray | None:
        """From beside the part to beside the whole: ones elsewhere; None if a position would get two numbers."""
        if factor.ndim == 0:
            inner = np.asarray(factor)
            shape: list[int] = [self.extent]
            place = 0
        else:
            inner = np.expand_dims(factor, self.axis) if self.drops_axis else factor
            if inner.shape[self.axis] > 1 and len(set(self.positions)) != len(self.positions):
                return None
            shape, place = list(inner.shape), self.axis
            shape[place] = self.extent
            inner = np.moveaxis(inner, place, 0)
        whole = np.ones(shape)
        np.moveaxis(whole, place, 0)[list(self.positions)] = inner
        return whole


def part_of(node: Node, output: int = 0) -> Part | None:
    """What the output takes of the node's first input; None if it is no part along one axis, or not known."""
    source = node.input(0)
    if source is None or not source.shape:
        return None
    try:
        return _of_slice(node, source) if node.op == "Slice" else _along_axis(node, source.shape, output)
    except Refusal:  # an attribute that the function's caller binds, or one of another type
        return None


def _along_axis(node: Node, shape: Shape, output: int) -> Part | None:
    rank, axis = len(shape), node.int_attr("axis", 0)
    axis = axis + rank if axis < 0 else axis
    extent = shape[axis] if 0 <= axis < rank else None
    if not isinstance(extent, int) or not 0 < extent <= _LONGEST:
        return None
    if node.op == "Gather":
        return _of_gather(node, axis, extent)
    sizes = split_sizes(node, extent) if node.op == "Split" else None
    if sizes is None or not all(isinstance(size, int) for size in sizes):
        return None
    numbers = [size for size in sizes if isinstance(size, int)]
    start = sum(numbers[:output])
    return Part(axis, extent, tuple(range(start, start + numbers[output])))


def _of_gather(node: Node, axis: int, extent: int) -> Part | None:
    indices, positions = node.input(1), content_of(node.input(1))
    if positions is None or indices is None or indices.rank is None or indices.rank > 1:
        return None
    numbers = [p + extent if p < 0 else p for p in positions if isinstance(p, int)]
    if len(numbers) != len(positions) or not all(0 <= p < extent for p in numbers):
        return None
    return Part(axis, extent, tuple(numbers), drops_axis=indices.rank == 0)


def _of_slice(node: Node, source: Value) -> Part | None:
    ranges = None if source.shape is None else slice_ranges(node, len(source.shape))
    if ranges is None or len(ranges) != 1 or source.shape is None:
        return None
    ((axis, (start, end, step)),) = ranges.items()
    extent = source.shape[axis]
    if not isinstance(extent, int) or not isinstance(start, int) or not isinstance(end, int):
        return None
    if not 0 < extent <= _LONGEST:
        return None
    return Part(axis, extent, tuple(range(extent)[start:end:step]))


def taken_apart(value: Value, mine: Node, part: Part) -> bool:
    """Whether no other reader of the value sees `part` of it, which `mine` takes; readers of the shape do not count."""
    if value.is_graph_output:
        return False
    for reader, index in value.uses:
        if not isinstance(reader, Node):
            return False
        if reader is mine or reader.op in ("Shape", "Size"):
            continue
        other = part_of(reader) if index == 0 and reader.op in ("Gather", "Slice") else None
        if other is None or other.axis != part.axis or set(other.positions) & set(part.positions):
            return False
    return True
