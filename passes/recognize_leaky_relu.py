"""recognize-leaky-relu: a line that bends at zero, however it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.arithmetic_pattern import product, scalar
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, known, op
from ..compiler.rewriter import Rewriter
from .recognition.standard_operators import require_elementwise, require_operator
from .values.readers import refuse_readers_outside
from .values.uniform_values import fill_of

_X = any_("x")
_SLOPED = product(None, _X, name="slope")
_POSITIVE = op("Relu", _X)
_NEGATIVE = product(None, op("Relu", op("Neg", _X)), name="slope")
_ZERO = scalar(0.0)


@dataclass(frozen=True)
class RecognizeLeakyRelu(RewritePass):
    """Replace what keeps positive numbers and scales negative ones by LeakyRelu (Maas, Hannun and Ng 2013).

    Before => After
        y = Max(x, 0.1 * x)                  =>   y = LeakyRelu(x) {alpha=0.1}      a slope between 0 and 1
        y = Min(x, 3 * x)                    =>   y = LeakyRelu(x) {alpha=3}        a slope above 1
        y = Where(x > 0, x, 0.1 * x)         =>   y = LeakyRelu(x) {alpha=0.1}      any slope; x >= 0, x < 0, x <= 0 too
        y = Relu(x) - 0.1 * Relu(-x)         =>   y = LeakyRelu(x) {alpha=0.1}      any slope; Add too
        y = PRelu(x, 0.1)                    =>   y = LeakyRelu(x) {alpha=0.1}      one slope for all elements

    Legal when
        The slope is a finite constant that the caller cannot override and adds no axes; values between have no other
        reader. Integers have no LeakyRelu, and ONNX Runtime none of double.

    Pays when
        Always: nodes go, or a constant.

    Numerics
        Unchanged: every element is x or the slope times x. NaN stays NaN.
    """

    name: ClassVar[str] = "recognize-leaky-relu"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("Max|Min", _X, _SLOPED, commutative=True),
        op("Where", op("Greater|GreaterOrEqual", _X, _ZERO), _X, _SLOPED),
        op("Where", op("Less|LessOrEqual", _X, _ZERO), _SLOPED, _X),
        op("Sub", _POSITIVE, _NEGATIVE),
        op("Add", _POSITIVE, _NEGATIVE, commutative=True),
        op("PRelu", _X, known("slopes")),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root, x = match.root, match["x"]
        if root.op == "PRelu":
            fill = fill_of(match["slopes"])
            if fill is None:
                rewriter.refuse("")
            slope = float(fill.astype(np.float64))
        else:
            refuse_readers_outside(match, rewriter)
            slope = match.numbers["slope"] * (-1.0 if root.op == "Add" else 1.0)
            require_elementwise(match, x, rewriter)
        if not np.isfinite(slope):
            rewriter.refuse("the slope is not finite")
        if (root.op == "Max" and not 0 < slope < 1) or (root.op == "Min" and slope <= 1):
            rewriter.refuse("")
        require_operator("LeakyRelu", x.dtype, rewriter, since=6)
        rewriter.replace(root.output, rewriter.op("LeakyRelu", [x], name=root.name, alpha=slope))
