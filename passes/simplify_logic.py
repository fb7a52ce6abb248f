"""simplify-logic: negations, constants and comparisons of truth values that cancel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.cost import elements
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, op
from ..compiler.rewriter import Rewriter
from .recognition.standard_operators import require_operator
from .values.uniform_values import fill_of

_A, _B = any_("a"), any_("b")
_OPPOSITE = {"Less": "GreaterOrEqual", "Greater": "LessOrEqual", "LessOrEqual": "Greater", "GreaterOrEqual": "Less"}
_LARGEST = 1 << 10  # elements of a constant result
_UNIT = {"And": True, "Or": False, "Xor": False, "Equal": True}


@dataclass(frozen=True)
class SimplifyLogic(RewritePass):
    """Cancel negations of truth values, and drop constants that decide nothing.

    Before => After
        Not(Not(a))                                        =>   a
        Not(a < b), Not(a > b), Not(a <= b), Not(a >= b)   =>   a >= b, a <= b, a > b, a < b      for integers
        a and true, a or false, a xor false, a == true     =>   a
        a xor true, a == false                             =>   Not(a)
        a and false, a or true                             =>   a constant

    Legal when
        Comparisons in integers only (NaN is neither less nor not less), without other readers of the comparison, and
        if the opset has the opposite comparison for their type. The constant does not broadcast a. A constant result
        is made only if its size is known and at most 1,024 elements.

    Pays when
        Always.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "simplify-logic"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("Not", op("Not", _A, shared=True)),
        op("Not", op("|".join(_OPPOSITE), _A, _B, node="comparison")),
        op("And|Or|Xor|Equal", _A, _B),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        if root.op != "Not":
            self._constant_operand(root, match["a"], match["b"], rewriter)
        elif "comparison" in match.named:
            self._negated(root, match.node("comparison"), match["a"], match["b"], rewriter)
        else:
            rewriter.replace(root.output, match["a"])

    def _negated(self, root: Node, comparison: Node, a: Value, b: Value, rewriter: Rewriter) -> None:
        if a.dtype not in dtypes.INTEGER:
            rewriter.refuse("NaN is neither less nor not less")
        require_operator(_OPPOSITE[comparison.op], a.dtype, rewriter)
        rewriter.replace(root.output, rewriter.op(_OPPOSITE[comparison.op], [a, b], name=root.name))

    def _constant_operand(self, root: Node, a: Value, b: Value, rewriter: Rewriter) -> None:
        if a.dtype != dtypes.BOOL or root.version < 7:
            rewriter.refuse("")
        constant = fill_of(b)
        value = a
        if constant is None:
            constant, value = fill_of(a), b
        if constant is None or value.constant is not None:
            rewriter.refuse("")
        if value.shape is None or root.output.shape != value.shape:
            rewriter.refuse("the constant may broadcast the other operand")
        if bool(constant) == _UNIT[root.op]:
            rewriter.replace(root.output, value)
        elif root.op in ("Xor", "Equal"):
            rewriter.replace(root.output, rewriter.op("Not", [value], name=root.name))
        elif all(isinstance(d, int) for d in value.shape) and elements(value) <= _LARGEST:
            shape = [d for d in value.shape if isinstance(d, int)]
            rewriter.replace(root.output, rewriter.constant(np.full(shape, bool(constant)), root.label))
        else:
            rewriter.refuse("the result is constant, but its size is not known or large")
