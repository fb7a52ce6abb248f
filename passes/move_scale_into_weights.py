"""move-scale-into-weights: a constant factor moves down to the weights of what it scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .layers.affine import affine_of, constant_operand
from .layers.scale_sinking import ScaleSinking


@dataclass(frozen=True)
class MoveScaleIntoWeights(RewritePass):
    """Let the weights and constants below do what a constant factor does, wherever the way down is linear.

    Before => After
        q = Transpose(Reshape(Add(MatMul(x, w), b)))                 q = Transpose(Reshape(Add(MatMul(x, w'), b')))
        s = Mul(MatMul(q, k), 0.125)                            =>   s = MatMul(q, k)
        w' = 0.125 * w      b' = 0.125 * b

    The way leads through Reshape, Transpose, Squeeze, Unsqueeze, Flatten, Slice, Gather, Expand, Pad with zeros,
    Concat, sums, averages, interpolation, either side of a MatMul, and with a positive factor Relu, LeakyRelu, PRelu
    and maxima. It ends in the weight and bias of Conv, ConvTranspose, Gemm or MatMul, in scale and shift of a norm, in
    a constant factor, or in a constant table. A factor per channel goes through views, sums and rectifiers.

    Legal when
        Every value on the way has one reader; every term of a sum takes the factor in; the constants are floating,
        cannot be overridden, keep their shape, and neither overflow nor underflow.

    Pays when
        Always: a node that reads and writes a whole tensor goes. Large constants that others share stay.

    Numerics
        New constants are computed in float64 and rounded once; with a power of two every number stays the same.
    """

    name: ClassVar[str] = "move-scale-into-weights"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Mul|Div|Neg"),)

    @property
    def depth(self) -> int:
        return 8

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        operands = constant_operand(root)
        x = root.inputs[0] if root.op == "Neg" else operands[0] if operands is not None else None
        if x is None or x.producer is None or x.producer.graph is not root.graph:
            rewriter.refuse("")
        affine = affine_of(root, rewriter)
        if not np.isfinite(affine.scale).all():
            rewriter.refuse("the scale is not finite")
        sinking = ScaleSinking(root, rewriter)
        sinking.sink(affine.x, affine.scale)
        sinking.apply()
        rewriter.replace(root.output, affine.x)
