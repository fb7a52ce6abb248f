"""One node that gives a value another shape: Reshape, Flatten, Squeeze or Unsqueeze, whichever is sure to work.

A Reshape to constants can copy a dimension of its input that stands at the same place (0) and infer one (-1). What it
cannot do is infer a dimension beside others whose product is 0, so a symbolic extent next to -1 is a risk that is only
taken where the other operators cannot spell the shape, and never for an extent that depends on data and may well be 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...compiler import symbolic
from ...compiler.graph import Shape, Value
from ...compiler.rewriter import Rewriter
from ...compiler.symbolic import Expr

RESHAPES = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})


@dataclass(frozen=True, slots=True)
class Spelling:
    """One way to write a reshape: the operator, and its target, axes or axis."""

    op: str
    numbers: tuple[int, ...]
    allow_zero: bool = False


def reshaped(value: Value, shape: Shape, rewriter: Rewriter) -> Value:
    """`value` viewed as `shape`, which must have as many elements; itself if it has that shape already.

    Refuses where no single operator can spell the shape.
    """
    if value.shape == shape:
        return value
    found = spelling(value.shape, shape, rewriter)
    if found.op == "Flatten":
        return rewriter.op("Flatten", [value], axis=found.numbers[0])
    if found.op == "Reshape":
        if rewriter.opset() < 5:
            return rewriter.op("Reshape", [value], shape=found.numbers)
        target = rewriter.ints(found.numbers, f"{value.name or rewriter.anchor.label}_shape")
        return rewriter.op("Reshape", [value, target], allowzero=1 if found.allow_zero else None)
    return with_axes(found.op, value, found.numbers, rewriter)


def spelling(source: Shape | None, shape: Shape, rewriter: Rewriter, *, cautious: bool = False) -> Spelling:
    """How to reshape `source` to `shape`; refuses, without having planned anything, where there is no way.

    cautious: nor where an extent of 0 at run time would make it fail.
    """
    target = reshape_target(source, shape)
    if target is not None and not _copies_beside_inferred(target, shape):
        return _reshape(source, target, shape, rewriter)
    if source is not None:
        added, dropped = unit_axes_between(source, shape), unit_axes_between(shape, source)
        if added is not None:
            return Spelling("Unsqueeze", added)
        if dropped is not None:
            return Spelling("Squeeze", dropped)
        axis = _flatten_axis(source, shape)
        if axis is not None:
            return Spelling("Flatten", (axis,))
    if target is None:
        rewriter.refuse(f"the shape ({', '.join(map(symbolic.text, shape))}) has more unknowns than Reshape can infer")
    for entry, extent in zip(target, shape):
        if entry == 0 and cautious and isinstance(extent, Expr):
            rewriter.refuse("it saves no node, and a Reshape would fail where an extent is 0")
        if entry == 0 and rewriter.model.depends_on_data(extent):
            rewriter.refuse(f"an extent beside the inferred one depends on data and may be 0: {symbolic.text(extent)}")
    return _reshape(source, target, shape, rewriter)


def reshape_target(source: Shape | None, shape: Shape) -> tuple[int, ...] | None:
    """The constant that makes Reshape give `shape`, with 0 for a copied extent and -1 for one that is inferred.

    None if more than one extent would have to be inferred, or one beside an extent of 0. A literal 0 stands where the
    extent is 0 (see `_reshape`).
    """
    target: list[int] = []
    for axis, extent in enumerate(shape):
        if isinstance(extent, int):
            target.append(extent)
        elif source is not None and axis < len(source) and source[axis] == extent:
            target.append(0)
        else:
            target.append(-1)
    inferred = target.count(-1)
    if inferred > 1 or (inferred and 0 in shape):
        return None
    return tuple(target)


def _copies_beside_inferred(target: Sequence[int], shape: Shape) -> bool:
    return -1 in target and any(
        entry == 0 and not symbolic.provably_positive(extent) for entry, extent in zip(target, shape)
    )


def _reshape(source: Shape | None, target: tuple[int, ...], shape: Shape, rewriter: Rewriter) -> Spelling:
    literal = [axis for axis, extent in enumerate(shape) if extent == 0]
    if all(source is not None and axis < len(source) and source[axis] == 0 for axis in literal):
        return Spelling("Reshape", target)
    if rewriter.opset() < 14 or any(entry == 0 and axis not in literal for axis, entry in enumerate(target)):
        rewriter.refuse("Reshape cannot spell an extent of 0 beside a copied one, nor at all before opset 14")
    return Spelling("Reshape", target, allow_zero=True)


def _flatten_axis(source: Shape, shape: Shape) -> int | None:
    """The axis at which Flatten splits `source` into the two extents of `shape`."""
    if len(shape) != 2:
        return None
    for axis in range(len(source) + 1):
        if symbolic.product(source[:axis]) == shape[0] and symbolic.product(source[axis:]) == shape[1]:
            return axis
    return None


def unit_axes_between(few: Shape, many: Shape) -> tuple[int, ...] | None:
    """Axes of `many` that have extent 1 and whose removal gives `few`; None if there are no such axes."""
    axes: list[int] = []
    position = 0
    for axis, extent in enumerate(many):
        if position < len(few) and few[position] == extent:
            position += 1
        elif extent == 1:
            axes.append(axis)
        else:
            return None
    return tuple(axes) if axes and position == len(few) else None


def with_axes(op_type: str, value: Value, axes: Sequence[int], rewriter: Rewriter) -> Value:
    """Squeeze or Unsqueeze in the form of the graph's opset."""
    if rewriter.opset() < 13:
        return rewriter.op(op_type, [value], axes=tuple(axes))
    return rewriter.op(op_type, [value, rewriter.ints(axes, f"{value.name or rewriter.anchor.label}_axes")])
