"""Normalization written out in small operators: the pattern, and what every norm checks alike.

    d = x - ReduceMean(x)      y = d / Sqrt(ReduceMean(d * d) + epsilon)

With x itself in place of d it is the root-mean-square norm.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...compiler import dtypes
from ...compiler.arithmetic_pattern import scalar
from ...compiler.graph import Shape, Value
from ...compiler.pattern import Match, OpPattern, ValuePattern, any_, either, maybe, op
from ...compiler.rewriter import Rewriter
from ..values.readers import refuse_readers_outside
from .reductions import axes_of, keeps_dims
from .standard_operators import require_operator

_X = any_("x")
_LARGEST_SCALE = 1 << 16  # elements


def _mean(inner: ValuePattern, name: str) -> OpPattern:
    return op("ReduceMean", inner, maybe(any_(f"{name} axes")), node=name, shared=True)


def _normalized(numerator: ValuePattern, again: ValuePattern) -> tuple[OpPattern, ...]:
    square = either(op("Pow", again, scalar(2.0), shared=True), op("Mul", again, again, shared=True))
    variance = op("Add", _mean(square, "variance"), scalar(name="epsilon"), commutative=True, shared=True)
    deviation = either(op("Sqrt", variance, shared=True), op("Pow", variance, scalar(0.5), shared=True))
    inverse = either(
        op("Reciprocal", deviation, shared=True),
        op("Div", scalar(1.0), deviation, shared=True),
        op("Pow", variance, scalar(-0.5), shared=True),
    )
    return op("Div", numerator, deviation), op("Mul", numerator, inverse, commutative=True)


MEAN_VARIANCE_NORM = _normalized(
    op("Sub", _X, _mean(_X, "mean"), shared=True), op("Sub", _X, _mean(_X, "mean again"), shared=True)
)
ROOT_MEAN_SQUARE_NORM = _normalized(_X, _X)


class WrittenNorm(NamedTuple):
    """x normalized over `axes` (sorted, counted from the front)."""

    x: Value
    shape: Shape
    axes: tuple[int, ...]
    epsilon: float


def written_norm(match: Match, rewriter: Rewriter) -> WrittenNorm:
    """The norm that was matched; refuses unless its reductions agree and nothing else reads the inner values."""
    x, epsilon = match["x"], match.numbers["epsilon"]
    means = [match.named[name] for name in ("mean", "mean again", "variance") if name in match.named]
    axes = axes_of(means[0])
    if axes is None or x.shape is None:
        rewriter.refuse("the normalized axes are not known")
    if any(axes_of(mean) != axes or not keeps_dims(mean) for mean in means):
        rewriter.refuse("mean and variance are not of the same axes")
    if not axes or match.root.output.shape != x.shape:
        rewriter.refuse("a constant may add axes to the input")
    if x.dtype not in dtypes.FLOATING:
        rewriter.refuse("the element type is not known")
    if x.dtype == dtypes.DOUBLE:
        rewriter.refuse("the norm's operator computes its statistics in float32")
    if not 1e-30 < epsilon < 1e30:
        rewriter.refuse("epsilon is 0 or does not fit a float32")
    refuse_readers_outside(match, rewriter)
    return WrittenNorm(x, x.shape, axes, epsilon)


def extents(norm: WrittenNorm, axes: range, rewriter: Rewriter) -> tuple[int, ...]:
    """The extents of some axes of x; refuses if one is not a number, or is 0."""
    found = tuple(d for d in (norm.shape[axis] for axis in axes) if isinstance(d, int) and d > 0)
    if len(found) != len(axes):
        rewriter.refuse("the size of the scale is not known")
    if math.prod(found) > _LARGEST_SCALE:
        rewriter.refuse("the operator's scale of ones would make the file larger")
    return found


def write_over_last_axes(op_type: str, match: Match, norm: WrittenNorm, rewriter: Rewriter) -> None:
    """Write the norm with an operator over the last axes whose scale is all ones; refuses what it does not cover."""
    rank = len(norm.shape)
    if norm.axes != tuple(range(norm.axes[0], rank)):
        rewriter.refuse("the normalized axes are not the last ones")
    require_operator(op_type, norm.x.dtype, rewriter)
    shape = extents(norm, range(norm.axes[0], rank), rewriter)
    ones = rewriter.constant(np.ones(shape, dtypes.to_numpy(norm.x.dtype)), "scale")
    attributes = {"axis": norm.axes[0] - rank, "epsilon": norm.epsilon}
    rewriter.replace(match.root.output, rewriter.op(op_type, [norm.x, ones], attributes))


def is_instance_norm(match: Match, norm: WrittenNorm) -> bool:
    """Whether InstanceNormalization is the operator for a norm over everything behind the channels.

    A layer norm over the last axes can mean the same; the constant beside the result tells which parameters follow.
    """
    rank = len(norm.shape)
    if rank < 3 or norm.axes != tuple(range(2, rank)) or not isinstance(norm.shape[1], int) or not norm.shape[1]:
        return False
    if match.root.graph.opset() < 17:
        return True
    reader = match.root.output.sole_reader
    if reader is not None and reader.op == "Reshape":  # groups of channels, reshaped to be channels
        return True
    if reader is not None and reader.op in ("Mul", "Add"):
        for value in reader.inputs:
            shape = None if value is None or value.constant is None else value.constant.shape
            if shape is not None and len(shape) > 0 and value is not match.root.output:
                return all(extent == 1 for extent in shape[-len(norm.axes) :])
    return rank > 3
