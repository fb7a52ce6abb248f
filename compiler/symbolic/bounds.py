"""What can be proven about the sign of a dimension, and the operations that need it: max, min, truncating division."""

from __future__ import annotations

from .polynomial import Atom, Dim, Expr, exact_div, floordiv, of_atom, sub, text


def truncdiv(a: Dim, b: Dim) -> Dim | None:
    """The quotient rounded towards zero, as ONNX divides integers; None where the signs are not known."""
    if isinstance(a, int) and isinstance(b, int):
        if b == 0:
            return None
        quotient = abs(a) // abs(b)
        return quotient if (a < 0) == (b < 0) else -quotient
    exact = exact_div(a, b)
    if exact is not None:
        return exact
    if provably_nonnegative(a) and (provably_positive(b) or (isinstance(b, Expr) and provably_nonnegative(b))):
        return floordiv(a, b)
    return None


def maximum(a: Dim, b: Dim) -> Dim:
    """The larger one."""
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    if provably_nonnegative(sub(a, b)):
        return a
    return b if provably_nonnegative(sub(b, a)) else _extreme("max", a, b)


def minimum(a: Dim, b: Dim) -> Dim:
    """The smaller one."""
    if isinstance(a, int) and isinstance(b, int):
        return min(a, b)
    if provably_nonnegative(sub(a, b)):
        return b
    return a if provably_nonnegative(sub(b, a)) else _extreme("min", a, b)


def _extreme(kind: str, a: Dim, b: Dim) -> Dim:
    return of_atom(Atom(kind, operands=(a, b) if text(a) <= text(b) else (b, a)))


def _lower_bound(atom: Atom, positive: frozenset[str]) -> int | None:
    """A number that the atom never falls below; None if there is none."""
    if atom.kind == "symbol":
        return 1 if atom.name in positive else 0
    left, right = atom.operands
    if atom.kind == "//":
        if provably_nonnegative(left, positive) and (isinstance(right, Expr) or right > 0):
            return 0 if provably_nonnegative(right, positive) else None
        return None
    bounds = [lower_bound(left, positive), lower_bound(right, positive)]
    present = [b for b in bounds if b is not None]
    if atom.kind == "max":
        return max(present, default=None)
    return min(present) if len(present) == 2 else None


def lower_bound(a: Dim, positive: frozenset[str] = frozenset()) -> int | None:
    """A number that `a` never falls below, if one is easy to see; `positive`: symbols known to be at least 1."""
    if isinstance(a, int):
        return a
    bound = 0
    for monomial, coefficient in a.terms.items():
        least = 1
        for atom, _power in monomial:
            low = _lower_bound(atom, positive)
            if low is None or low < 0:
                return None
            least *= low
        if coefficient < 0 and monomial:
            return None
        bound += coefficient * least
    return bound


def provably_nonnegative(a: Dim, positive: frozenset[str] = frozenset()) -> bool:
    """True only if `a` >= 0 for all values of the symbols."""
    bound = lower_bound(a, positive)
    return bound is not None and bound >= 0


def provably_positive(a: Dim, positive: frozenset[str] = frozenset()) -> bool:
    """True only if `a` >= 1 for all values of the symbols."""
    bound = lower_bound(a, positive)
    return bound is not None and bound >= 1
