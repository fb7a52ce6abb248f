"""Exact integer arithmetic on symbolic dimensions.

A `Dim` is an int or an `Expr`. An Expr is a polynomial with integer coefficients over atoms: symbols (non-negative
integers such as dim_params), floor divisions, remainders, maxima and minima. It is kept in one canonical form, so two
expressions that are equal as polynomials over the same atoms compare equal; a result that is constant is always an
int. Every identity used here holds for all non-negative values of the symbols for which the divisors are not zero.
"""

from .bounds import lower_bound, maximum, minimum, provably_nonnegative, provably_positive, truncdiv
from .evaluation import evaluate, substitute, symbols
from .parsing import parse
from .polynomial import (
    Atom,
    Dim,
    Expr,
    add,
    ceildiv,
    exact_div,
    floordiv,
    mod,
    mul,
    neg,
    product,
    sub,
    symbol,
    text,
    total,
)

__all__ = [
    "Atom", "Dim", "Expr", "add", "ceildiv", "evaluate", "exact_div", "floordiv", "lower_bound", "maximum", "minimum",
    "mod", "mul", "neg", "parse", "product", "provably_nonnegative", "provably_positive", "sub", "substitute", "symbol",
    "symbols", "text", "total", "truncdiv",
]  # fmt: skip
