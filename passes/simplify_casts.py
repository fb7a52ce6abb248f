"""simplify-casts: a Cast that loses nothing before another Cast goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, op
from ..compiler.rewriter import Rewriter

_MANTISSA: dict[int, int] = {dtypes.FLOAT16: 11, dtypes.BFLOAT16: 8, dtypes.FLOAT: 24, dtypes.DOUBLE: 53}
_EXPONENT: dict[int, int] = {dtypes.FLOAT16: 5, dtypes.BFLOAT16: 8, dtypes.FLOAT: 8, dtypes.DOUBLE: 11}
_WHOLE = frozenset(t for t in dtypes.INTEGER if dtypes.BITS[t] >= 8)
_PLAIN = _WHOLE | dtypes.FLOATING | {dtypes.BOOL}


@dataclass(frozen=True)
class SimplifyCasts(RewritePass):
    """Skip a Cast that keeps every value when another Cast follows.

    Before => After
        Cast(Cast(x: float16, float), int32)   =>   Cast(x, int32)
        Cast(Cast(x: bool, int64), bool)       =>   x

    Legal when
        Every value of x's type is a value of the type in between: bool in anything, integers in wider integers of the
        same or greater range or in a float whose digits hold them, floats in wider floats. Then the second Cast sees
        the same numbers. If it is back to the type of x the first may have other readers. Not through a float to a
        narrower integer, which wraps around from an integer but not from a float; not for strings, 4-bit and 8-bit
        floats.

    Pays when
        Always.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "simplify-casts"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("Cast", op("Cast", any_("x"), shared=True, node="first")),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root, first, x = match.root, match.node("first"), match["x"]
        source, between, target = x.dtype, first.int_attr("to", 0), root.int_attr("to", 0)
        if not {source, between, target} <= _PLAIN:
            rewriter.refuse("")
        if not keeps_every_value(source, between):
            rewriter.refuse(f"{dtypes.name_of(between)} does not hold every {dtypes.name_of(source)}")
        if target == source:
            rewriter.replace(root.output, x)
            return
        through_float = between in dtypes.FLOATING and {source, target} <= _WHOLE
        if through_float and not keeps_every_value(source, target):
            rewriter.refuse(f"{dtypes.name_of(source)} numbers outside of {dtypes.name_of(target)} would wrap around")
        if len(first.output.uses) > 1:
            rewriter.refuse("the first Cast has other readers, so no node is saved")
        rewriter.replace(root.output, rewriter.op("Cast", [x], root.attributes, name=root.name))


def keeps_every_value(source: int, target: int) -> bool:
    """Whether each value of one element type is a value of the other."""
    if source == target or source == dtypes.BOOL:
        return True
    if source in dtypes.FLOATING:
        return target in dtypes.FLOATING and (
            _MANTISSA[source] <= _MANTISSA[target] and _EXPONENT[source] <= _EXPONENT[target]
        )
    digits = dtypes.BITS[source] - (source in dtypes.SIGNED)
    if target in dtypes.FLOATING:
        return digits <= _MANTISSA[target] and digits < 2 ** (_EXPONENT[target] - 1)
    if target not in _WHOLE:
        return False
    if source in dtypes.SIGNED and target in dtypes.UNSIGNED:
        return False
    return digits <= dtypes.BITS[target] - (target in dtypes.SIGNED)
