"""Polynomials with integer coefficients over atoms, in one canonical form; their sums, products and quotients."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Union

Dim = Union[int, "Expr"]
Monomial = tuple[tuple["Atom", int], ...]  # atoms with their powers, sorted by text


class Atom:
    """What a polynomial is built of: kind "symbol", "//", "%", "max" or "min", with its name or operands."""

    __slots__ = ("_hash", "kind", "name", "operands", "sort_key")

    def __init__(self, kind: str, name: str = "", operands: tuple[Dim, ...] = ()) -> None:
        self.kind, self.name, self.operands = kind, name, operands
        self._hash = hash((kind, name, operands))
        self.sort_key: str = name if kind == "symbol" else _atom_text(self)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Atom):
            return NotImplemented
        return self._hash == other._hash and (self.kind, self.name, self.operands) == (
            other.kind, other.name, other.operands,
        )  # fmt: skip


class Expr:
    """An immutable polynomial that is not constant. terms: monomial -> coefficient, never 0."""

    __slots__ = ("_hash", "terms")

    def __init__(self, terms: dict[Monomial, int]) -> None:
        self.terms = terms
        self._hash: int | None = None

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, Expr):
            return hash(self) == hash(other) and self.terms == other.terms
        return False if isinstance(other, int) else NotImplemented

    def __add__(self, other: Dim) -> Dim:
        return add(self, other)

    __radd__ = __add__

    def __sub__(self, other: Dim) -> Dim:
        return sub(self, other)

    def __rsub__(self, other: Dim) -> Dim:
        return sub(other, self)

    def __mul__(self, other: Dim) -> Dim:
        return mul(self, other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return floordiv(self, other)

    def __mod__(self, other: Dim) -> Dim:
        return mod(self, other)

    def __neg__(self) -> Dim:
        return mul(self, -1)

    def __repr__(self) -> str:
        return text(self)


def make(terms: dict[Monomial, int]) -> Dim:
    """The int or Expr with these terms."""
    if not terms:
        return 0
    if len(terms) == 1 and () in terms:
        return terms[()]
    return Expr(terms)


def terms_of(value: Dim) -> dict[Monomial, int]:
    """Monomial -> coefficient; an int has the empty monomial only."""
    if isinstance(value, Expr):
        return value.terms
    return {(): int(value)} if value else {}


def of_atom(atom: Atom) -> Expr:
    return Expr({((atom, 1),): 1})


def symbol(name: str) -> Expr:
    """A non-negative integer unknown."""
    return of_atom(Atom("symbol", name))


def add(a: Dim, b: Dim) -> Dim:
    """a + b."""
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    terms = dict(terms_of(a))
    for monomial, coefficient in terms_of(b).items():
        merged = terms.get(monomial, 0) + coefficient
        if merged:
            terms[monomial] = merged
        else:
            del terms[monomial]
    return make(terms)


def neg(a: Dim) -> Dim:
    """-a."""
    return mul(a, -1)


def sub(a: Dim, b: Dim) -> Dim:
    """a - b."""
    if isinstance(a, int) and isinstance(b, int):
        return a - b
    return 0 if a == b else add(a, mul(b, -1))


def mul(a: Dim, b: Dim) -> Dim:
    """a * b."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    if isinstance(a, int):
        a, b = b, a
    assert isinstance(a, Expr)
    if isinstance(b, int):
        return a if b == 1 else make({m: c * b for m, c in a.terms.items()} if b else {})
    terms: dict[Monomial, int] = {}
    for left, x in a.terms.items():
        for right, y in b.terms.items():
            monomial = _times(left, right)
            merged = terms.get(monomial, 0) + x * y
            if merged:
                terms[monomial] = merged
            else:
                terms.pop(monomial, None)
    return make(terms)


def _times(left: Monomial, right: Monomial) -> Monomial:
    if not left or not right:
        return left or right
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: (item[0].kind, item[0].sort_key)))


def product(dims: Iterable[Dim]) -> Dim:
    """The product of all; 1 if there are none."""
    result: Dim = 1
    for dim in dims:
        result = mul(result, dim)
    return result


def total(dims: Iterable[Dim]) -> Dim:
    """The sum of all; 0 if there are none."""
    result: Dim = 0
    for dim in dims:
        result = add(result, dim)
    return result


def exact_div(a: Dim, b: Dim) -> Dim | None:
    """The q with a == q * b as polynomials, valid where b is not 0; None if there is none."""
    if b == 0:
        return None
    if isinstance(a, int) and isinstance(b, int):
        return a // b if a % b == 0 else None
    if a == b:
        return 1
    if isinstance(b, int) or len(b.terms) == 1:
        ((divisor, coefficient),) = terms_of(b).items()
        return _divide_by_monomial(a, divisor, coefficient)
    return _long_division(a, b)


def _divide_by_monomial(a: Dim, divisor: Monomial, coefficient: int) -> Dim | None:
    terms: dict[Monomial, int] = {}
    for monomial, value in terms_of(a).items():
        rest = _without(monomial, divisor)
        if rest is None or value % coefficient:
            return None
        terms[rest] = value // coefficient
    return make(terms)


def _without(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    if not divisor:
        return monomial
    powers = dict(monomial)
    for atom, power in divisor:
        left = powers.get(atom, 0) - power
        if left < 0:
            return None
        if left:
            powers[atom] = left
        else:
            del powers[atom]
    return tuple((atom, powers[atom]) for atom, _ in monomial if atom in powers)


def _long_division(a: Dim, b: Expr) -> Dim | None:
    """Multivariate division by leading terms; the quotient only if the remainder is 0."""
    lead = max(b.terms, key=_degree)
    quotient: Dim = 0
    for _ in range(16):
        if a == 0:
            return quotient
        terms = terms_of(a)
        top = max(terms, key=_degree)
        rest = _without(top, lead)
        if rest is None or terms[top] % b.terms[lead]:
            return None
        step = make({rest: terms[top] // b.terms[lead]})
        quotient = add(quotient, step)
        a = sub(a, mul(step, b))
    return None


def _degree(monomial: Monomial) -> tuple[int, tuple[tuple[str, int], ...]]:
    return sum(p for _, p in monomial), tuple((a.sort_key, p) for a, p in monomial)


def floordiv(a: Dim, b: Dim) -> Dim:
    """Floor of a / b; b must not be the int 0."""
    if isinstance(b, int):
        if b == 0:
            raise ZeroDivisionError("a dimension is divided by 0")
        if b < 0:
            return floordiv(mul(a, -1), -b)
        return a // b if isinstance(a, int) else _floordiv_by_int(a, b)
    if a == 0:
        return 0
    exact = exact_div(a, b)
    if exact is not None:
        return exact
    return of_atom(Atom("//", operands=(a, b)))


def _floordiv_by_int(a: Expr, b: int) -> Dim:
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, coefficient in a.terms.items():
        quotient, remainder = divmod(coefficient, b)
        if monomial and remainder:
            rest[monomial] = coefficient  # (5N)//2 stays: N, 2N + N//2 and (5N)//2 must not be two forms
            continue
        if quotient:
            whole[monomial] = quotient
        if remainder:
            rest[monomial] = remainder
    outside, inner = make(whole), make(rest)
    if isinstance(inner, int):
        return add(outside, inner // b)
    common = math.gcd(b, *(c for m, c in inner.terms.items() if m))
    if common > 1:  # (6N + 3)//4 == (3N + 1)//2
        inner = make({m: c // common for m, c in inner.terms.items() if c // common})
        return add(outside, floordiv(inner, b // common))
    nested = _only_division(inner)
    if nested is not None:  # (x//2 + c)//3 == (x + 2c)//6
        numerator, divisor, offset = nested
        return add(outside, floordiv(add(numerator, offset * divisor), divisor * b))
    return add(outside, of_atom(Atom("//", operands=(inner, b))))


def _only_division(value: Dim) -> tuple[Dim, int, int] | None:
    """(x, d, c) if `value` is x//d + c with a positive int d."""
    terms = dict(terms_of(value))
    offset = terms.pop((), 0)
    if len(terms) != 1:
        return None
    ((monomial, coefficient),) = terms.items()
    if coefficient != 1 or len(monomial) != 1 or monomial[0][1] != 1 or monomial[0][0].kind != "//":
        return None
    numerator, divisor = monomial[0][0].operands
    return (numerator, divisor, offset) if isinstance(divisor, int) and divisor > 0 else None


def ceildiv(a: Dim, b: Dim) -> Dim:
    """Ceiling of a / b."""
    return mul(floordiv(mul(a, -1), b), -1)


def mod(a: Dim, b: Dim) -> Dim:
    """a - b * floor(a / b), as Python's %."""
    if isinstance(a, int) and isinstance(b, int):
        return a % b
    return sub(a, mul(b, floordiv(a, b)))


def _atom_text(atom: Atom) -> str:
    if atom.kind == "symbol":
        return atom.name
    left, right = (text(o) for o in atom.operands)
    if atom.kind == "//":
        return f"({left})//({right})" if not right.isdigit() else f"({left})//{right}"
    return f"{atom.kind}({left}, {right})"


def text(a: Dim) -> str:
    """Canonical text, e.g. "2*N*H + 3" or "(H - 1)//2 + 1"; `parsing.parse` reads it."""
    if isinstance(a, int):
        return str(a)
    parts: list[str] = []
    for monomial in sorted(a.terms, key=_degree, reverse=True):
        coefficient = a.terms[monomial]
        factors = [_atom_text(atom) for atom, power in monomial for _ in range(power)]
        if abs(coefficient) != 1 or not factors:
            factors.insert(0, str(abs(coefficient)))
        sign = ("-" if coefficient < 0 else "") if not parts else (" - " if coefficient < 0 else " + ")
        parts.append(sign + "*".join(factors))
    return "".join(parts)
