"""Several views of one tensor, concatenated, as a single view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .strided_views import Atom, View

_Starts = tuple[int, ...]


def joined(views: Sequence[View], axis: int) -> View | None:
    """The view that the concatenation of the views along `axis` is; None if it is none.

    Either the views go on where the one before ended, at any lengths, or they are blocks of the same form whose starts
    step evenly along base axes, as the phases of an image or the steps of a sequence do.
    """
    first = views[0]
    for view in views:
        if view.base != first.base or len(view.axes) != len(first.axes):
            return None
        if any(mine != other for i, (mine, other) in enumerate(zip(view.axes, first.axes)) if i != axis):
            return None
    result = _one_after_the_other(views, axis)
    return _blocks(views, axis) if result is None else result


def _one_after_the_other(views: Sequence[View], axis: int) -> View | None:
    """A single stretch of a base axis, put together from stretches of it."""
    run = views[0]
    for view in views[1:]:
        merged = _extended(run, view, axis)
        if merged is None:
            return None
        run = merged
    return run


def _extended(run: View, view: View, axis: int) -> View | None:
    mine, other = run.axes[axis], view.axes[axis]
    if len(mine) > 1 or len(other) > 1:
        return None
    moved = [i for i, (start, end) in enumerate(zip(run.starts, view.starts)) if start != end]
    if len(moved) != 1:
        return None
    (base_axis,) = moved
    ahead = view.starts[base_axis] - run.starts[base_axis]
    length = mine[0].extent if mine else 1
    if not isinstance(length, int) or any(atom.axis != base_axis for atom in (*mine, *other)):
        return None
    stride = mine[0].stride if mine else other[0].stride if other else ahead
    if any(atom.stride != stride for atom in (*mine, *other)) or stride == 0 or ahead != _times(length, stride):
        return None
    further = other[0].extent if other else 1
    atom = Atom(base_axis, length + further if isinstance(further, int) else further + length, stride)
    return replace(run, axes=(*run.axes[:axis], (atom,), *run.axes[axis + 1 :]))


def _times(length: int, stride: object) -> int | None:
    return length * stride if isinstance(stride, int) else None


def _blocks(views: Sequence[View], axis: int) -> View | None:
    """Blocks of one form, with further outer axes for the steps between them."""
    first = views[0]
    if any(view.axes[axis] != first.axes[axis] for view in views):
        return None
    outer = _steps([view.starts for view in views])
    if outer is None:
        return None
    return replace(first, axes=(*first.axes[:axis], (*outer, *first.axes[axis]), *first.axes[axis + 1 :]))


def _steps(starts: Sequence[_Starts]) -> list[Atom] | None:
    """The atoms, from the outermost to the innermost, that step through these starts in order."""
    if len(starts) == 1:
        return []
    for size in range(1, len(starts)):
        if len(starts) % size:
            continue
        steps = {
            tuple(b - a for a, b in zip(starts[i], starts[i + size])) for i in range(len(starts) - size)
        }
        moved = [i for i, step in enumerate(next(iter(steps))) if step]
        if len(steps) == 1 and len(moved) == 1:
            inner = _steps(starts[:size])
            if inner is None:
                return None
            (axis,) = moved
            return [Atom(axis, len(starts) // size, next(iter(steps))[axis]), *inner]
    return None
