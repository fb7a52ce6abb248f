"""recognize-hard-swish: x * HardSigmoid(x) is HardSwish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.arithmetic_pattern import near
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, op
from ..compiler.rewriter import Rewriter
from .recognition.standard_operators import require_elementwise, require_operator

_X = any_("x")


@dataclass(frozen=True)
class RecognizeHardSwish(RewritePass):
    """Replace x * HardSigmoid(x) by HardSwish (Howard et al. 2019, "Searching for MobileNetV3").

    Before => After
        y = x * HardSigmoid(x) {alpha=1/6, beta=0.5}   =>   y = HardSwish(x)

    The gate written as Clip(x + 3, 0, 6) / 6 is brought to HardSigmoid by recognize-hard-sigmoid.

    Legal when
        The opset is 14 or later, x is float or half, alpha is 1/6 up to the digits in which it is written and beta is
        0.5, and the gate has no other reader.

    Pays when
        Always.

    Numerics
        HardSwish is defined as this product, with the nearest float32 to 1/6.
    """

    name: ClassVar[str] = "recognize-hard-swish"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("Mul", _X, op("HardSigmoid", _X, node="gate"), commutative=True),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        x, gate = match["x"], match.node("gate")
        alpha, beta = gate.float_attr("alpha", 0.2), gate.float_attr("beta", 0.5)
        written = dtypes.FLOAT16 if x.dtype == dtypes.FLOAT16 else dtypes.FLOAT  # attributes are float32 at best
        if not (near(alpha, 1 / 6, written) and near(beta, 0.5, written)):
            rewriter.refuse("")
        require_operator("HardSwish", x.dtype, rewriter)
        require_elementwise(match, x, rewriter)
        rewriter.replace(match.root.output, rewriter.op("HardSwish", [x]))
