"""recognize-layer-norm: mean, variance and division over the last axes are LayerNormalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern
from ..compiler.rewriter import Rewriter
from .recognition.written_norms import MEAN_VARIANCE_NORM, is_instance_norm, write_over_last_axes, written_norm


@dataclass(frozen=True)
class RecognizeLayerNorm(RewritePass):
    """Replace the written-out layer norm by LayerNormalization (Ba, Kiros and Hinton 2016).

    Before => After
        d = x - ReduceMean(x)
        y = d / Sqrt(ReduceMean(d * d) + epsilon)   =>   y = LayerNormalization(x, 1)

    The square may be a Pow, the division a Reciprocal or a Pow with exponent -0.5, and x - mean be computed twice. A
    scale and a shift that follow are taken in by fuse-scale-shift-into-norm.

    Legal when
        The opset is 17 or later, both reductions keep their axes and reduce the same last axes, whose extents are
        known, epsilon is a constant, and the inner values have no other reader. x is float, half or bfloat16: the
        operator computes its statistics in float32, which is too little for double.

    Pays when
        Always: seven nodes become one, and x is read once instead of six times; unless the scale of ones would have
        more than 65,536 elements.

    Numerics
        The same formula; in half precision its statistics are computed in float32 instead of half. Where d * d
        overflowed (from 256 in half, 1.8e19 in float32) the original was 0, and the operator is right.
    """

    name: ClassVar[str] = "recognize-layer-norm"
    patterns: ClassVar[tuple[RootPattern, ...]] = MEAN_VARIANCE_NORM

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        norm = written_norm(match, rewriter)
        if is_instance_norm(match, norm):
            rewriter.refuse("")
        write_over_last_axes("LayerNormalization", match, norm, rewriter)
