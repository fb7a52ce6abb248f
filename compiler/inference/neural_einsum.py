"""Einsum: the equation as numpy.einsum reads it."""

from __future__ import annotations

from collections.abc import Sequence

from ..graph import Node, Shape
from ..symbolic import Dim
from .axes import known
from .facts import Facts, rule, unknown_dim
from .numeric import broadcast


@rule("Einsum")
def einsum(node: Node) -> Sequence[Facts]:
    dtype, _ = known(node.input(0))
    return (Facts(dtype, _einsum_shape(node)),)


def _einsum_shape(node: Node) -> Shape | None:
    left, arrow, right = node.str_attr("equation", "").replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(node.inputs):
        return None
    extents: dict[str, set[Dim]] = {}
    wide: list[Shape | None] = []
    for term, value in zip(terms, node.inputs):
        shape = known(value)[1]
        front, dots, back = term.partition("...")
        named = len(front) + len(back)
        if shape is None or (len(shape) < named if dots else len(shape) != named):
            return None
        split = len(shape) - len(back)
        for letter, extent in (*zip(front, shape), *zip(back, shape[split:])):
            extents.setdefault(letter, set()).add(extent)
        if dots:
            wide.append(shape[len(front) : split])
    if not arrow:
        right = implicit_output(left)
    ellipsis = broadcast(node, wide) if wide else ()
    return None if ellipsis is None else _output_shape(node, right, ellipsis, extents)


def implicit_output(left: str) -> str:
    """What stands behind a missing arrow: the ellipsis, then the letters that occur once, in order of the alphabet."""
    letters = [c for c in left if c.isalpha()]
    return ("..." if "..." in left else "") + "".join(sorted(c for c in letters if letters.count(c) == 1))


def _output_shape(node: Node, right: str, ellipsis: Shape, extents: dict[str, set[Dim]]) -> Shape | None:
    front, dots, back = right.partition("...")
    result: list[Dim] = []
    for part in (front, back):
        for letter in part:
            if letter not in extents:
                return None
            # Symbols of a broadcast ellipsis are counted from 0, so the letters start behind them.
            result.append(_common_extent(node, extents[letter], 64 + len(result)))
        if part is front and dots:
            result.extend(ellipsis)
    return tuple(result)


def _common_extent(node: Node, dims: set[Dim], axis: int) -> Dim:
    """One letter's extent: equal in all terms except where it is 1."""
    dims = dims - {1}
    numbers = [d for d in dims if isinstance(d, int)]
    if len(dims) < 2:
        return next(iter(dims), 1)
    return numbers[0] if len(numbers) == 1 else unknown_dim(node, 0, axis)
