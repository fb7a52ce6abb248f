"""recognize-group-norm: an instance norm of reshaped groups is GroupNormalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, known, op
from ..compiler.rewriter import Rewriter
from .recognition.standard_operators import require_operator

_GROUPED = op("Reshape", any_("x"), any_("grouped shape"), value="grouped")
_NORM = op("InstanceNormalization", _GROUPED, known("scale"), known("bias"), node="norm")


@dataclass(frozen=True)
class RecognizeGroupNorm(RewritePass):
    """Replace an instance norm of channels reshaped into groups by GroupNormalization (Wu and He 2018).

    Before => After
        n = InstanceNormalization(Reshape(x, [N, G, -1]), 1, 0)
        y = Reshape(n, [N, C, H, W])                              =>   y = GroupNormalization(x, 1, 0) {num_groups=G}

    A scale and a shift per channel that follow are taken in by fuse-scale-shift-into-norm.

    Legal when
        The opset is 21 or later (before, the operator has a scale per group and is deprecated), both reshapes are
        proven to keep the batch, to put G groups in the place of C channels, and to give the shape of x back; C is
        known; scale and bias are constants; the inner values have no other reader. Not in double: the operator
        computes its statistics in float32.

    Pays when
        Always.

    Numerics
        The same formula.
    """

    name: ClassVar[str] = "recognize-group-norm"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("Reshape", _NORM, any_("shape")),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        x, grouped, norm = match["x"], match["grouped"], match.node("norm")
        if x.shape is None or grouped.shape is None or len(x.shape) < 3 or len(grouped.shape) < 3:
            rewriter.refuse("the shapes are not known")
        channels, groups = x.shape[1], grouped.shape[1]
        if not isinstance(channels, int) or not isinstance(groups, int) or groups == 0 or channels % groups:
            rewriter.refuse("the channels are not divided into groups")
        if grouped.shape[0] != x.shape[0] or match.root.output.shape != x.shape:
            rewriter.refuse("the reshapes mix the groups with other axes, or do not give the shape back")
        if x.dtype == dtypes.DOUBLE:
            rewriter.refuse("the norm's operator computes its statistics in float32")
        require_operator("GroupNormalization", x.dtype, rewriter, since=21)
        parameters = [
            rewriter.constant(np.repeat(match.array(name), channels // groups), f"{norm.label}.{name}")
            for name in ("scale", "bias")
        ]
        attributes = {"num_groups": groups, "epsilon": norm.float_attr("epsilon", 1e-5)}
        rewriter.replace(match.root.output, rewriter.op("GroupNormalization", [x, *parameters], attributes))
