"""Symbols of a dimension, and what it is once they are known."""

from __future__ import annotations

from collections.abc import Mapping

from .bounds import maximum, minimum
from .polynomial import Atom, Dim, add, floordiv, mul, of_atom


def symbols(a: Dim) -> frozenset[str]:
    """Names of the symbols that occur anywhere in `a`."""
    if isinstance(a, int):
        return frozenset()
    found: set[str] = set()
    for monomial in a.terms:
        for atom, _ in monomial:
            found |= {atom.name} if atom.kind == "symbol" else set().union(*(symbols(o) for o in atom.operands))
    return frozenset(found)


def substitute(a: Dim, values: Mapping[str, Dim]) -> Dim:
    """`a` with symbols replaced."""
    if isinstance(a, int):
        return a
    result: Dim = 0
    for monomial, coefficient in a.terms.items():
        term: Dim = coefficient
        for atom, power in monomial:
            replaced = _substitute_atom(atom, values)
            for _ in range(power):
                term = mul(term, replaced)
        result = add(result, term)
    return result


def _substitute_atom(atom: Atom, values: Mapping[str, Dim]) -> Dim:
    if atom.kind == "symbol":
        return values.get(atom.name, of_atom(atom))
    left, right = (substitute(o, values) for o in atom.operands)
    return {"//": floordiv, "max": maximum, "min": minimum}[atom.kind](left, right)


def evaluate(a: Dim, values: Mapping[str, int]) -> int:
    """The number for given symbols, without building expressions on the way.

    Raises:
        KeyError: a symbol has no value.
        ZeroDivisionError: a divisor is 0 for these values.
    """
    if isinstance(a, int):
        return a
    result = 0
    for monomial, coefficient in a.terms.items():
        term = coefficient
        for atom, power in monomial:
            term *= _evaluate_atom(atom, values) ** power
        result += term
    return result


def _evaluate_atom(atom: Atom, values: Mapping[str, int]) -> int:
    if atom.kind == "symbol":
        return values[atom.name]
    left, right = (evaluate(o, values) for o in atom.operands)
    if atom.kind == "//":
        return left // right
    return max(left, right) if atom.kind == "max" else min(left, right)
