"""simplify-batch-norm: a BatchNormalization that only scales, or only shifts, or does nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.graph import Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .layers.affine import affine_of
from .layers.axis_arrays import collapsed, shortest
from .layers.linear_layers import rounded


@dataclass(frozen=True)
class SimplifyBatchNorm(RewritePass):
    """Replace an inference BatchNormalization by the one elementary operation that is left of it.

    Before => After
        y = BatchNormalization(x, s, m * s / sqrt(v + eps), m, v)   =>   y = Mul(x, s / sqrt(v + eps))
        y = BatchNormalization(x, sqrt(v + eps), t, m, v)           =>   y = Add(x, t - m)
        y = BatchNormalization(x, sqrt(v + eps), m, m, v)           =>   y = x

    Legal when
        The norm is in inference mode with constant parameters that the caller cannot override and unread statistics,
        its shift is exactly zero, or its scale is 1 once rounded to the type of x. Elementary operations broadcast
        without being told since opset 7.

    Pays when
        Always: one node for one node, with less arithmetic and one parameter instead of four. A norm that both
        scales and shifts stays, because it would become two nodes.

    Numerics
        The parameter is computed in float64 and rounded once.
    """

    name: ClassVar[str] = "simplify-batch-norm"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("BatchNormalization"),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        norm = match.root
        x, scale, shift = affine_of(norm, rewriter)
        if x.dtype not in dtypes.FLOATING:
            rewriter.refuse("the type of the input is not known")
        scale, shift = (rounded(a, x.dtype, rewriter) if a.any() else a for a in (scale, shift))
        scales, shifts = bool((scale != 1).any()), bool(shift.any())
        if scales and shifts:
            rewriter.refuse("it both scales and shifts, and two nodes would be no gain")
        if not scales and not shifts:
            rewriter.replace(norm.output, x)
            return
        if rewriter.opset() < 7:
            rewriter.refuse("broadcasting is explicit before opset 7")
        op_type, array, what = ("Mul", scale, "scale") if scales else ("Add", shift, "shift")
        constant = _constant(array, x, f"{norm.label}.{what}", rewriter)
        rewriter.replace(norm.output, rewriter.op(op_type, [x, constant], name=norm.name))


def _constant(array: np.ndarray, x: Value, hint: str, rewriter: Rewriter) -> Value:
    return rewriter.constant(shortest(collapsed(array)).astype(dtypes.to_numpy(x.dtype)), hint)
