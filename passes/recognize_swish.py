"""recognize-swish: x * Sigmoid(alpha * x) is Swish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.arithmetic_pattern import product
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, either, op
from ..compiler.rewriter import Rewriter
from .recognition.standard_operators import require_elementwise, require_operator

_X = any_("x")
_GATE = op("Sigmoid", either(_X, product(None, _X, name="alpha")))


@dataclass(frozen=True)
class RecognizeSwish(RewritePass):
    """Replace x * Sigmoid(alpha * x) by Swish (Ramachandran et al. 2017, "Searching for activation functions").

    Before => After
        y = x * Sigmoid(x)           =>   y = Swish(x)
        y = x * Sigmoid(1.702 * x)   =>   y = Swish(x) {alpha=1.702}

    Legal when
        The opset is 24 (ONNX Runtime does not run Swish of later ones), alpha is a constant of one element that a
        float32 holds, and the gate has no other reader.

    Pays when
        Always.

    Numerics
        Swish is defined as this product.
    """

    name: ClassVar[str] = "recognize-swish"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("Mul", _X, _GATE, commutative=True),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        x = match["x"]
        require_operator("Swish", x.dtype, rewriter)
        require_elementwise(match, x, rewriter)
        alpha = match.numbers.get("alpha")
        if alpha is not None and x.dtype == dtypes.DOUBLE and float(np.float32(alpha)) != alpha:
            rewriter.refuse("the slope is no float32 number, as Swish stores it")
        rewriter.replace(match.root.output, rewriter.op("Swish", [x], alpha=alpha))
