"""Intervals of positions whose ends may be symbolic."""

from __future__ import annotations

from .. import symbolic
from ..symbolic import Dim


class Undecided(Exception):
    """Which of two symbolic positions comes first depends on the sizes."""


def at_most(a: Dim, b: Dim) -> bool:
    """Whether a <= b; raises Undecided if that depends on the symbols."""
    if isinstance(a, int) and isinstance(b, int):
        return a <= b
    difference = symbolic.sub(b, a)
    if symbolic.provably_nonnegative(difference):
        return True
    if symbolic.provably_positive(symbolic.neg(difference)):
        return False
    raise Undecided


def overlap(start: Dim, length: Dim, other: Dim, other_length: Dim) -> tuple[Dim, Dim] | None:
    """(start, length) of what two intervals share, None if that is nothing; raises Undecided."""
    if length == 0 or other_length == 0:
        return None
    end, other_end = symbolic.add(start, length), symbolic.add(other, other_length)
    if _surely_at_most(end, other) or _surely_at_most(other_end, start):
        return None
    first = other if start == other or at_most(start, other) else start
    last = end if end == other_end or at_most(end, other_end) else other_end
    if isinstance(first, int) and isinstance(last, int) and first >= last:
        return None
    if not _surely_at_most(first, last):
        raise Undecided
    return first, symbolic.sub(last, first)


def _surely_at_most(a: Dim, b: Dim) -> bool:
    try:
        return at_most(a, b)
    except Undecided:
        return False
