"""recognize-hard-sigmoid: a clipped line from 0 to 1 is HardSigmoid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.arithmetic_pattern import affine, near, product, scalar, scalar_of
from ..compiler.graph import Node
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, known, maybe, op
from ..compiler.rewriter import Rewriter
from .recognition.standard_operators import require_elementwise, require_operator

_CLIP = op("Clip", affine("x"), maybe(known("low")), maybe(known("high")), node="clip", value="clipped")
_SCALED = product(None, _CLIP, name="k")
_STEEPEST = 1e30  # the slope is stored as a float32


@dataclass(frozen=True)
class RecognizeHardSigmoid(RewritePass):
    """Replace a clipped line that runs from 0 to 1 by HardSigmoid.

    Before => After
        y = Clip(x + 3, 0, 6) / 6               =>   y = HardSigmoid(x) {alpha=1/6, beta=0.5}
        y = Clip(0.2 * x + 0.5, 0, 1)           =>   y = HardSigmoid(x) {alpha=0.2, beta=0.5}
        y = 0.5 * Clip(x, -1, 1) + 0.5          =>   y = HardSigmoid(x) {alpha=0.5, beta=0.5}
        y = (x * Clip(x + 3, 0, 6)) / 6         =>   y = x * HardSigmoid(x)

    Legal when
        k * Clip(a * x + b, low, high) + m has constants of one element, and its ends k * low + m and k * high + m are
        0 and 1, the latter up to the digits in which 1/6 is written (see compiler/arithmetic_pattern.py). Inner values
        have no other reader. x is float or half (ONNX Runtime has no HardSigmoid of double).

    Pays when
        It saves a node: always, except for a Clip that stands alone.

    Numerics
        alpha * x + beta is the same line associated differently: the absolute difference is a few roundings of 1.
        NaN stays NaN and infinities go to 0 and 1 as before. In the last form the product x * 6 overflowed for x
        beyond a sixth of the largest number; now it does not.
    """

    name: ClassVar[str] = "recognize-hard-sigmoid"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        _CLIP,
        _SCALED,
        op("Add", _SCALED, scalar(name="m"), commutative=True),
        op("Sub", _SCALED, scalar(name="minus m")),
        product(None, _CLIP, any_("factor"), name="k"),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        x, numbers = match["x"], match.numbers
        scale = numbers.get("k", 1.0)
        shift = numbers.get("m", -numbers.get("minus m", 0.0))
        factor = match.get("factor")
        bounds = clip_bounds(match.node("clip"))
        if bounds is None or len(match.nodes) < (2 if factor is None else 3):
            rewriter.refuse("")
        ends = sorted(1.0 + scale * bound + shift for bound in bounds)
        if bounds[0] > bounds[1] or not (near(ends[0], 1.0, x.dtype, 3) and near(ends[1], 2.0, x.dtype, 3)):
            rewriter.refuse("")
        require_operator("HardSigmoid", x.dtype, rewriter, since=6)
        require_elementwise(match, x, rewriter)
        alpha, beta = scale * numbers["x.scale"], scale * numbers["x.shift"] + shift
        if not (1 / _STEEPEST < abs(alpha) < _STEEPEST and abs(beta) < _STEEPEST):
            rewriter.refuse("the slope does not fit a float32")
        gate = rewriter.op("HardSigmoid", [x], alpha=alpha, beta=beta)
        rewriter.replace(match.root.output, gate if factor is None else rewriter.op("Mul", [factor, gate]))


def clip_bounds(clip: Node) -> tuple[float, float] | None:
    """The bounds of a Clip as finite numbers; None if one is absent, not constant or infinite."""
    if clip.version < 11:
        low, high = clip.attr("min"), clip.attr("max")
    else:
        low, high = (scalar_of(clip.input(index)) for index in (1, 2))
    if not isinstance(low, float) or not isinstance(high, float):
        return None
    return (low, high) if max(abs(low), abs(high)) < _STEEPEST else None
