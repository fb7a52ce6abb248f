"""BatchNormalization at inference as one multiplication and one addition per channel."""

from __future__ import annotations

import numpy as np

from ..compiler.graph import Node
from ..compiler.pattern import Match, OpPattern, ValuePattern, known, op
from ..compiler.rewriter import Rewriter


def batch_norm_of(value: ValuePattern) -> OpPattern:
    """A BatchNormalization of `value` with constant parameters."""
    return op(
        "BatchNormalization", value, known("scale"), known("shift"), known("mean"), known("variance"), node="norm"
    )


def affine_of(node: Node, match: Match, rewriter: Rewriter) -> tuple[np.ndarray, np.ndarray]:
    """(scale, shift) per channel in float64: y = scale * x + shift (Ioffe and Szegedy 2015, with running statistics).

    Refuses training mode, read statistics and the old per-element form.
    """
    if node.int_attr("training_mode", 0) or (node.version < 7 and not node.int_attr("is_test", 0)):
        rewriter.refuse("BatchNormalization is in training mode")
    if not node.int_attr("spatial", 1):
        rewriter.refuse("BatchNormalization normalizes each element (spatial=0)")
    if any(v is not None and v.uses for v in node.outputs[1:]):
        rewriter.refuse("the statistics of BatchNormalization are read")
    scale, shift, mean, variance = (
        match.array(name).astype(np.float64) for name in ("scale", "shift", "mean", "variance")
    )
    factor = scale / np.sqrt(variance + node.float_attr("epsilon", 1e-5))
    if not np.isfinite(factor).all():
        rewriter.refuse("a variance is negative or not finite")
    return factor, shift - mean * factor
