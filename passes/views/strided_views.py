"""Compositions of reshapes, transposes and slices, as strides over the axes of one base tensor.

A view says for each of its axes which parts of which base axes it runs over: an `Atom` is `extent` steps of `stride`
elements along one base axis, and an axis is a sequence of atoms from the outermost to the innermost. Reshape(x[6,4],
[2,3,4]) is ((0: 2 steps of 3), (0: 3 steps of 1), (1: 4 steps of 1)); a transposed view has its axes in another order,
and a slice has a start. Extents may be symbolic: a split needs an exact quotient of polynomials, so it holds for every
value of the symbols. Axes of extent 1 have no atoms.

The idea is that of strided views in array libraries and in tinygrad's ShapeTracker; here strides are per base axis, so
that a view can be written back as Slice, Reshape and Transpose.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...compiler import symbolic
from ...compiler.graph import Shape
from ...compiler.symbolic import Dim


@dataclass(frozen=True, slots=True)
class Atom:
    """`extent` steps of `stride` elements along one base axis."""

    axis: int
    extent: Dim
    stride: Dim


Axis = tuple[Atom, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The part of an axis that a view reads: `length` elements from `start`, `step` apart.

    A single element may be counted from the end, as -1, where the extent is not a number.
    """

    start: int
    step: int
    length: Dim


@dataclass(frozen=True)
class View:
    """A view over a tensor of shape `base`. starts: where it begins on each base axis."""

    base: Shape
    axes: tuple[Axis, ...]
    starts: tuple[int, ...]

    @classmethod
    def whole(cls, shape: Shape) -> View | None:
        """All of a tensor as it is; None for a tensor that is known to be empty, whose strides say nothing."""
        if any(extent == 0 for extent in shape):
            return None
        axes = tuple(() if extent == 1 else (Atom(axis, extent, 1),) for axis, extent in enumerate(shape))
        return cls(shape, axes, (0,) * len(shape))

    @property
    def shape(self) -> Shape:
        return tuple(symbolic.product(atom.extent for atom in axis) for axis in self.axes)

    def is_untouched(self, axis: int) -> bool:
        """Whether the axis runs over a whole base axis as it is."""
        if len(self.axes[axis]) != 1:
            return False
        (atom,) = self.axes[axis]
        return (atom.stride, self.starts[atom.axis], atom.extent) == (1, 0, self.base[atom.axis])

    def transposed(self, order: Sequence[int]) -> View:
        """The view with its axes in another order."""
        return replace(self, axes=tuple(self.axes[axis] for axis in order))

    def reshaped(self, shape: Shape) -> View | None:
        """The view with the same elements in the same order and another shape; None where atoms do not split so."""
        atoms = list(_merged([atom for axis in self.axes for atom in axis]))
        axes: list[Axis] = []
        for extent in shape:
            taken = _take(atoms, extent)
            if taken is None:
                return None
            axes.append(taken)
        return None if atoms else replace(self, axes=tuple(axes))

    def sliced(self, axis: int, part: Range) -> View | None:
        """The view with one axis restricted; None where the part is no range of base elements."""
        atoms = _merged(self.axes[axis])
        if part.length == 0 or (not isinstance(part.length, int) and len(atoms) != 1):
            return None
        if not atoms:
            return self if (part.start, part.length) == (0, 1) else None
        if len(atoms) > 1:
            return self._sliced_outermost(axis, atoms, part)
        (atom,) = atoms
        if not isinstance(atom.stride, int):
            return None
        starts = list(self.starts)
        starts[atom.axis] += part.start * atom.stride
        kept = () if part.length == 1 else (Atom(atom.axis, part.length, atom.stride * part.step),)
        return replace(self, axes=(*self.axes[:axis], kept, *self.axes[axis + 1 :]), starts=tuple(starts))

    def _sliced_outermost(self, axis: int, atoms: Axis, part: Range) -> View | None:
        """A slice that keeps or drops whole steps of the outermost atom."""
        inner = symbolic.product(atom.extent for atom in atoms[1:])
        if part.step != 1 or not isinstance(inner, int) or not isinstance(part.length, int):
            return None
        if part.start % inner or part.length % inner:
            return None
        alone = replace(self, axes=(*self.axes[:axis], atoms[:1], *self.axes[axis + 1 :]))
        outer = alone.sliced(axis, Range(part.start // inner, 1, part.length // inner))
        if outer is None:
            return None
        return replace(outer, axes=(*outer.axes[:axis], (*outer.axes[axis], *atoms[1:]), *outer.axes[axis + 1 :]))

    def ranges(self) -> tuple[Range, ...] | None:
        """The part of each base axis that is read; None if on some axis it is no arithmetic progression."""
        result: list[Range] = []
        for axis, start in enumerate(self.starts):
            ordered = in_memory_order([a for part in self.axes for a in part if a.axis == axis])
            atoms = None if ordered is None else _merged(ordered)
            if atoms is None or len(atoms) > 1:
                return None
            step = atoms[0].stride if atoms else 1
            if not isinstance(step, int):
                return None
            result.append(Range(start, step, atoms[0].extent if atoms else 1))
        return tuple(result)


def _take(atoms: list[Atom], extent: Dim) -> Axis | None:
    """Take atoms from the front whose product is `extent`, splitting the last one if need be."""
    taken: list[Atom] = []
    rest = extent
    while rest != 1:
        if not atoms or rest == 0:
            return None
        atom = atoms.pop(0)
        quotient = symbolic.exact_div(rest, atom.extent)
        if quotient is not None:
            taken.append(atom)
            rest = quotient
            continue
        inner = symbolic.exact_div(atom.extent, rest)
        if inner is None:
            return None
        taken.append(Atom(atom.axis, rest, symbolic.mul(atom.stride, inner)))
        atoms.insert(0, Atom(atom.axis, inner, atom.stride))
        rest = 1
    return _merged(taken)


def follows(outer: Atom, inner: Atom) -> bool:
    """Whether two atoms, one inside the other, run over their base axis like a single one."""
    return outer.axis == inner.axis and outer.stride == symbolic.mul(inner.extent, inner.stride)


def _merged(atoms: Sequence[Atom]) -> Axis:
    result: list[Atom] = []
    for atom in atoms:
        if result and follows(result[-1], atom):
            outer = result.pop()
            result.append(Atom(atom.axis, symbolic.mul(outer.extent, atom.extent), atom.stride))
        else:
            result.append(atom)
    return tuple(result)


def in_memory_order(atoms: Sequence[Atom]) -> list[Atom] | None:
    """The atoms by base axis and, along one axis, by falling stride; None if two strides cannot be compared."""
    comparable = True

    def compare(left: Atom, right: Atom) -> int:
        nonlocal comparable
        if left.axis != right.axis:
            return left.axis - right.axis
        if symbolic.exact_div(left.stride, right.stride) is not None:
            return -1
        comparable &= symbolic.exact_div(right.stride, left.stride) is not None
        return 1

    result = sorted(atoms, key=functools.cmp_to_key(compare))
    return result if comparable else None
