"""The fewest nodes that write a strided view: Slice, Gather, Reshape, Transpose, Reshape, each where it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ...compiler import symbolic
from ...compiler.graph import Shape, Value
from ...compiler.inference.movement import slice_length
from ...compiler.rewriter import Rewriter
from ...compiler.symbolic import Dim
from .reshape_targets import reshaped, spelling
from .strided_views import Atom, Range, View, in_memory_order

_END = 2**63 - 1


@dataclass(frozen=True)
class Plan:
    """Steps from a base to a view of it, in this order; what is empty or None is left out.

    slices: (base axis, start, end, step) of a Slice. pick: axis and position of a Gather. drops: whether it takes the
    axis away. sliced: the shape after these. before, order, after: shape to transpose in, permutation, final shape.
    """

    sliced: Shape
    slices: tuple[tuple[int, int, int, int], ...] = ()
    pick: tuple[int, int] | None = None
    drops: bool = False
    before: Shape | None = None
    order: tuple[int, ...] | None = None
    after: Shape | None = None

    @property
    def copies(self) -> int:
        """Nodes that move elements; a reshape moves none."""
        return (self.pick is not None) + bool(self.slices) + (self.order is not None)

    @property
    def nodes(self) -> int:
        return self.copies + (self.before is not None) + (self.after is not None)

    def check(self, source: Shape | None, rewriter: Rewriter, *, cautious: bool = False) -> None:
        """Refuse if a shape on the way from `source` cannot be spelled as a constant (cautious: as in `spelling`)."""
        shape = source if not self.slices and self.pick is None else self.sliced
        if self.before is not None:
            spelling(shape, self.before, rewriter, cautious=cautious)
            shape = self.before
        if self.order is not None:
            assert shape is not None
            shape = tuple(shape[axis] for axis in self.order)
        if self.after is not None:
            spelling(shape, self.after, rewriter, cautious=cautious)

    def build(self, base: Value, rewriter: Rewriter) -> Value:
        """The nodes; `base` itself if there are none."""
        value = base
        if self.slices:
            value = sliced(value, self.slices, rewriter)
        if self.pick is not None:
            axis, position = self.pick
            hint = f"{base.name or rewriter.anchor.label}_index"
            index = rewriter.constant(np.array(position if self.drops else [position], np.int64), hint)
            value = rewriter.op("Gather", [value, index], axis=axis)
        if self.before is not None:
            value = reshaped(value, self.before, rewriter)
        if self.order is not None:
            value = rewriter.op("Transpose", [value], perm=self.order)
        if self.after is not None:
            value = reshaped(value, self.after, rewriter)
        return value


def sliced(value: Value, slices: Sequence[tuple[int, int, int, int]], rewriter: Rewriter) -> Value:
    """A Slice with these (axis, start, end, step) in the form of the graph's opset."""
    axes, starts, ends, steps = (list(column) for column in zip(*slices, strict=True))
    if rewriter.opset() < 10:
        if any(step != 1 for step in steps):
            rewriter.refuse("Slice has no steps before opset 10")
        return rewriter.op("Slice", [value], axes=axes, starts=starts, ends=ends)
    hints = ("starts", "ends", "axes", "steps")
    numbers = [starts, ends, axes, *([steps] if any(step != 1 for step in steps) else [])]
    inputs = [rewriter.ints(n, f"{value.name or rewriter.anchor.label}_{hint}") for n, hint in zip(numbers, hints)]
    return rewriter.op("Slice", [value, *inputs])


def unsqueezed(value: Value, axis: int, rewriter: Rewriter) -> Value:
    """An Unsqueeze by one axis in the form of the graph's opset."""
    if rewriter.opset() < 13:
        return rewriter.op("Unsqueeze", [value], axes=[axis])
    return rewriter.op("Unsqueeze", [value, rewriter.ints([axis], f"{value.name}_axes" if value.name else "axes")])


def plan_of(view: View, shape: Shape) -> Plan | None:
    """The cheapest plan that gives `view` with this shape; None if it has no such form."""
    ranges = view.ranges()
    flat = [atom for axis in view.axes for atom in axis]
    memory = in_memory_order(flat)
    if ranges is None or memory is None or shape != view.shape:
        return None
    start = _restricted(view.base, ranges)
    if start is None:
        return None
    position = {atom: index for index, atom in enumerate(memory)}
    runs = [position[atom] for atom in flat]
    if runs == sorted(runs):
        return _without_transpose(start, shape)
    candidates = [_by_base_axes(view, start, flat, shape), _by_view_axes(view, start, memory, shape)]
    found = [c for c in candidates if c is not None]
    if found:
        return min(found, key=lambda plan: plan.nodes)
    return _by_blocks(start, memory, runs, shape)


def _restricted(base: Shape, ranges: Sequence[Range]) -> Plan | None:
    """The plan that reads these ranges and does nothing else."""
    slices: list[tuple[int, int, int, int]] = []
    picks: list[tuple[int, int]] = []
    for axis, (extent, part) in enumerate(zip(base, ranges)):
        if (part.start, part.step) == (0, 1) and part.length == extent:
            continue
        end = slice_end(extent, part)
        if end is not None:
            slices.append((axis, part.start, end, part.step))
        elif part.length == 1:  # Slice would give nothing where the axis is shorter
            picks.append((axis, part.start))
        else:
            return None
    if len(picks) > 1:
        return None
    return Plan(tuple(part.length for part in ranges), tuple(slices), picks[0] if picks else None)


def slice_end(extent: Dim, part: Range) -> int | None:
    """The constant at which Slice has to end to read this part of an axis; None if there is none."""
    candidates = [_END]
    if isinstance(part.length, int):
        last = part.start + part.step * (part.length - 1)
        end = last + (1 if part.step > 0 else -1)
        candidates.insert(0, end if end >= 0 else -_END)
    return next((e for e in candidates if slice_length(extent, part.start, e, part.step) == part.length), None)


def _without_transpose(start: Plan, shape: Shape) -> Plan:
    part = start.sliced
    if len(start.slices) + (start.pick is not None) == 1:
        axis, position = start.pick or start.slices[0][:2]
        if part[axis] == 1 and (*part[:axis], *part[axis + 1 :]) == shape:
            return Plan(shape, pick=(axis, position), drops=True)
    return replace(start, after=None if part == shape else shape)


def _by_base_axes(view: View, start: Plan, flat: Sequence[Atom], shape: Shape) -> Plan | None:
    """Transpose whole base axes, then reshape."""
    order = list(dict.fromkeys(atom.axis for atom in flat))
    for axis in order:
        own = [atom for atom in flat if atom.axis == axis]
        first = flat.index(own[0])
        if list(flat[first : first + len(own)]) != own or own != in_memory_order(own):
            return None  # the atoms of this axis do not stay together, or not in order
    units = [axis for axis in range(len(start.sliced)) if axis not in order]
    direct = _with_units(view, units)
    if direct is not None and tuple(start.sliced[axis] for axis in direct) == shape:
        return replace(start, order=direct)
    return replace(start, order=(*units, *order), after=shape)


def _with_units(view: View, units: Sequence[int]) -> tuple[int, ...] | None:
    """The permutation that gives the view directly, with base axes of extent 1 where the view has such axes."""
    left = list(units)
    result: list[int] = []
    for axis in view.axes:
        if axis:
            result += dict.fromkeys(atom.axis for atom in axis)
        elif left:
            result.append(left.pop(0))
        else:
            return None
    return tuple(result) if not left and len(result) == len(view.axes) else None


def _by_view_axes(view: View, start: Plan, memory: Sequence[Atom], shape: Shape) -> Plan | None:
    """Reshape to the axes of the view in memory order, then transpose."""
    rank = {atom: index for index, atom in enumerate(memory)}
    for axis in view.axes:
        places = [rank[atom] for atom in axis]
        if any(after != before + 1 for before, after in pairwise(places)):
            return None
    full = sorted((i for i, axis in enumerate(view.axes) if axis), key=lambda i: rank[view.axes[i][0]])
    ordered = [i for i, axis in enumerate(view.axes) if not axis] + full
    before = tuple(shape[i] for i in ordered)
    order = tuple(ordered.index(i) for i in range(len(shape)))
    return replace(start, before=None if before == start.sliced else before, order=order)


def _by_blocks(start: Plan, memory: Sequence[Atom], runs: Sequence[int], shape: Shape) -> Plan:
    """Reshape to the blocks that stay together, transpose them, reshape."""
    blocks: list[list[int]] = []
    for index in runs:
        if blocks and blocks[-1][-1] + 1 == index:
            blocks[-1].append(index)
        else:
            blocks.append([index])
    ordered = sorted(blocks)
    before = tuple(symbolic.product(memory[index].extent for index in block) for block in ordered)
    return replace(start, before=before, order=tuple(ordered.index(b) for b in blocks), after=shape)
