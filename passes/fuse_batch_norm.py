"""fuse-batch-norm: BatchNormalization disappears into the layer below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .batch_norm import affine_of, batch_norm_of
from .linear_layers import LINEAR_OPS, channel_axis, fold_output_affine, output_channels


@dataclass(frozen=True)
class FuseBatchNorm(RewritePass):
    """Fold an inference BatchNormalization into the weights and bias of the linear layer that feeds it.

    Before => After
        y = BatchNormalization(Conv(x, w, b), s, t, m, v)   =>   y = Conv(x, w', b')
        w' = w * s / sqrt(v + eps)      b' = (b - m) * s / sqrt(v + eps) + t

    Covers Conv, ConvTranspose (grouped too) with any number of spatial axes, Gemm, and MatMul of rank 2, which becomes
    Gemm.

    Legal when
        Weights and statistics are constants that the caller cannot override, the layer's output has no other reader,
        the norm is in inference mode with its statistics unread, and no folded number overflows the weights' type.

    Pays when
        Always; except a large weight that other layers share, which would be stored twice.

    Numerics
        Computed in float64 and rounded once to the weights' type.
    """

    name: ClassVar[str] = "fuse-batch-norm"
    patterns: ClassVar[tuple[OpPattern, ...]] = (batch_norm_of(op(LINEAR_OPS, node="linear")),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        linear, norm = match.node("linear"), match.node("norm")
        if channel_axis(linear) != 1:
            rewriter.refuse("the layer's channels are not the axis that is normalized")
        scale, shift = affine_of(norm, match, rewriter)
        if output_channels(linear) != len(scale):
            rewriter.refuse("the number of channels is not known")
        rewriter.replace(norm.output, fold_output_affine(linear, scale, shift, rewriter))
