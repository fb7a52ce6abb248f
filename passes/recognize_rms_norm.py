"""recognize-rms-norm: division by the root of the mean square over the last axes is RMSNormalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern
from ..compiler.rewriter import Rewriter
from .recognition.written_norms import ROOT_MEAN_SQUARE_NORM, write_over_last_axes, written_norm


@dataclass(frozen=True)
class RecognizeRmsNorm(RewritePass):
    """Replace the written-out root-mean-square norm by RMSNormalization (Zhang and Sennrich 2019).

    Before => After
        y = x / Sqrt(ReduceMean(x * x) + epsilon)   =>   y = RMSNormalization(x, 1)

    The square may be a Pow, the division a Reciprocal or a Pow with exponent -0.5. A scale that follows is taken in by
    fuse-scale-shift-into-norm.

    Legal when
        The opset is 23 or later, the reduction keeps its axes and reduces the last axes, whose extents are known,
        epsilon is a constant, and the inner values have no other reader. x is float, half or bfloat16: the operator
        computes its statistics in float32, which is too little for double.

    Pays when
        Always: five nodes become one; unless the scale of ones would have more than 65,536 elements.

    Numerics
        The same formula; in half precision its statistics are computed in float32 instead of half. Where x * x
        overflowed (from 256 in half, 1.8e19 in float32) the original was 0, and the operator is right.
    """

    name: ClassVar[str] = "recognize-rms-norm"
    patterns: ClassVar[tuple[RootPattern, ...]] = ROOT_MEAN_SQUARE_NORM

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        norm = written_norm(match, rewriter)
        write_over_last_axes("RMSNormalization", match, norm, rewriter)
