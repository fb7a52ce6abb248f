"""recognize-instance-norm: mean, variance and division over all axes behind the channels are InstanceNormalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern
from ..compiler.rewriter import Rewriter
from .recognition.standard_operators import require_operator
from .recognition.written_norms import MEAN_VARIANCE_NORM, extents, is_instance_norm, written_norm


@dataclass(frozen=True)
class RecognizeInstanceNorm(RewritePass):
    """Replace the written-out norm of each channel by InstanceNormalization (Ulyanov, Vedaldi and Lempitsky 2016).

    Before => After
        d = x - ReduceMean(x, axes=[2, 3])
        y = d / Sqrt(ReduceMean(d * d, axes=[2, 3]) + epsilon)   =>   y = InstanceNormalization(x, 1, 0)

    The square may be a Pow, the division a Reciprocal or a Pow with exponent -0.5, and x - mean be computed twice. A
    scale and a shift that follow are taken in by fuse-scale-shift-into-norm. Before opset 17, where there is no
    LayerNormalization, this is also how a layer norm over the last axis of three is written in one node.

    Legal when
        Both reductions keep their axes and reduce all axes from the third on, the number of channels is known,
        epsilon is a constant, and the inner values have no other reader. x is float or half, or what else the
        operator of the opset takes; ONNX Runtime has none of double.

    Pays when
        Always: seven nodes become one, and x is read once instead of six times.

    Numerics
        The same formula. Where d * d overflowed (from 256 in half, 1.8e19 in float32) the original was 0, and the
        operator is right.
    """

    name: ClassVar[str] = "recognize-instance-norm"
    patterns: ClassVar[tuple[RootPattern, ...]] = MEAN_VARIANCE_NORM

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        norm = written_norm(match, rewriter)
        if not is_instance_norm(match, norm):
            rewriter.refuse("")
        require_operator("InstanceNormalization", norm.x.dtype, rewriter, since=6)
        kind = dtypes.to_numpy(norm.x.dtype)
        channels = extents(norm, range(1, 2), rewriter)
        scale = rewriter.constant(np.ones(channels, kind), "scale")
        shift = rewriter.constant(np.zeros(channels, kind), "shift")
        normalized = rewriter.op("InstanceNormalization", [norm.x, scale, shift], epsilon=norm.epsilon)
        rewriter.replace(match.root.output, normalized)
