"""fuse-batch-norm: BatchNormalization disappears into the layer below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .layers.affine import affine_of
from .layers.layer_below import LONGEST_PATH, fuse_into_layer_below, layer_below


@dataclass(frozen=True)
class FuseBatchNorm(RewritePass):
    """Fold an inference BatchNormalization into the weights and bias of the linear layer that feeds it.

    Before => After
        y = BatchNormalization(Conv(x, w, b), s, t, m, v)   =>   y = Conv(x, w', b')
        w' = w * s / sqrt(v + eps)      b' = (b - m) * s / sqrt(v + eps) + t

    Covers Conv, ConvTranspose (grouped too) with any number of spatial axes, Gemm, and MatMul of rank 2, which becomes
    Gemm; also through Transpose, Reshape, Squeeze, Unsqueeze and Flatten between layer and norm.

    Legal when
        Weights and statistics are constants that the caller cannot override, the layer's output and every view of it
        have no other reader, the normalized channels are the layer's, the norm is in inference mode with its
        statistics unread, and no folded number overflows the weights' type.

    Pays when
        Always; except a large weight that other layers share, which would be stored twice.

    Numerics
        Computed in float64 and rounded once to the weights' type.
    """

    name: ClassVar[str] = "fuse-batch-norm"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("BatchNormalization"),)

    @property
    def depth(self) -> int:
        return LONGEST_PATH

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        place = layer_below(match.root.inputs[0], match.root)
        if place is None:
            rewriter.refuse("")
        fuse_into_layer_below(match.root, place, affine_of(match.root, rewriter), rewriter)
