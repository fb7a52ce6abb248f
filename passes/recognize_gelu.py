"""recognize-gelu: the Gaussian error linear unit written out is Gelu."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern
from ..compiler.rewriter import Rewriter
from .recognition.standard_operators import require_elementwise, require_operator
from .recognition.written_gelu import WRITTEN_GELU


@dataclass(frozen=True)
class RecognizeGelu(RewritePass):
    """Replace the written-out Gaussian error linear unit by Gelu (Hendrycks and Gimpel 2016).

    Before => After
        y = x * 0.5 * (1 + Erf(x / sqrt(2)))                                =>   y = Gelu(x)
        y = 0.5 * x * (1 + Tanh(sqrt(2/pi) * (x + 0.044715 * x * x * x)))   =>   y = Gelu(x) {approximate=tanh}

    The factors may be associated and ordered in any way, with Mul or Div by constants; the cube may be a Pow, and
    stand inside or outside of the bracket.

    Legal when
        The opset is 20 or later, x is float or half (ONNX Runtime has no Gelu of double), the inner values have no
        other reader, and the constants are the named ones up to the digits in which they are written: a relative
        error of 1e-6 in the argument changes the result by at most 2.4e-7 * abs(x) in the Erf form (the largest value
        of u * erf'(u) is 0.484) and 4e-7 * abs(x) in the Tanh form, a few roundings of float32.

    Pays when
        Always. Before opset 20 it stays as it is written, which is what runtimes recognize.

    Numerics
        Gelu is defined as these formulas. The cube overflows for x beyond 7e12 in float32 and 40 in half, where Tanh
        of infinity is 1 as well.
    """

    name: ClassVar[str] = "recognize-gelu"
    patterns: ClassVar[tuple[RootPattern, ...]] = WRITTEN_GELU

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        x = match["x"]
        require_operator("Gelu", x.dtype, rewriter)
        require_elementwise(match, x, rewriter)
        exact = "erf" in match.named
        rewriter.replace(match.root.output, rewriter.op("Gelu", [x], approximate=None if exact else "tanh"))
