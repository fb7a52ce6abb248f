"""simplify-powers: powers, roots and absolute values that say less than they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.arithmetic_pattern import scalar
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, either, op
from ..compiler.rewriter import Rewriter
from .recognition.standard_operators import require_elementwise
from .values.signs import never_negative

_X = any_("x")
_ROOT = op("Sqrt", _X, shared=True)


@dataclass(frozen=True)
class SimplifyPowers(RewritePass):
    """Replace powers and roots by something cheaper, and drop absolute values of what is not negative.

    Before => After
        Pow(x, 1)                                =>   x
        Pow(x, -1)                               =>   Reciprocal(x)
        Pow(x, 0.5)              if x >= +0      =>   Sqrt(x)
        Pow(Sqrt(x), 2), Sqrt(x) * Sqrt(x)
                                 if x >= +0      =>   x
        Sqrt(x * x), Sqrt(Pow(x, 2))             =>   Abs(x)
        Abs(x)                   if x >= +0      =>   x

    Legal when
        The type is floating (of base and exponent, which adds no axes). x >= +0 is proven from how x is computed:
        squares, absolute values, exponentials, sums and products of these; a Relu may give -0.0, whose root is -0.0
        and whose power is 0. Sqrt(x * x) not in half precision, where x * x overflows from 256 and vanishes below
        2e-4, nor where x * x is read elsewhere.

    Pays when
        It saves a node, or replaces a Pow, which is the dearest of all of them.

    Numerics
        Up to two roundings. In float32 x * x overflows from 1.8e19, and Abs(x) does not.
    """

    name: ClassVar[str] = "simplify-powers"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("Pow", _ROOT, scalar(2.0), value="root squared"),
        op("Mul", _ROOT, _ROOT),
        op("Pow", _X, scalar(name="exponent")),
        op("Sqrt", either(op("Mul", _X, _X), op("Pow", _X, scalar(2.0)))),
        op("Abs", _X),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root, x = match.root, match["x"]
        exponent = match.numbers.get("exponent")
        if exponent is not None and exponent not in _CHEAPER:
            rewriter.refuse("")
        if x.dtype not in dtypes.FLOATING and exponent != 1.0:
            rewriter.refuse("" if root.op == "Abs" else "the type is not floating")
        needs_sign = exponent == 0.5 or (exponent is None and root.op != "Sqrt")
        if needs_sign and not never_negative(x):
            rewriter.refuse("" if root.op == "Abs" else f"{x.name} may be negative or -0.0")
        if root.op == "Sqrt" and x.dtype == dtypes.FLOAT16:
            rewriter.refuse("in half precision the square overflows from 256 and vanishes below 2e-4")
        kind = "Abs" if root.op == "Sqrt" else _CHEAPER.get(exponent) if exponent is not None else None
        result = x if kind is None else rewriter.op(kind, [x], name=root.name)
        require_elementwise(match, result, rewriter)
        rewriter.replace(root.output, result)


_CHEAPER = {1.0: None, -1.0: "Reciprocal", 0.5: "Sqrt"}
