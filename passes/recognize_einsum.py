"""recognize-einsum: an Einsum that one simpler operator computes becomes that operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference.neural_einsum import implicit_output
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter
from .recognition.reductions import reduction
from .recognition.standard_operators import require_operator

_ELLIPSIS = "."  # stands for "..." as if it were one letter


@dataclass(frozen=True)
class RecognizeEinsum(RewritePass):
    """Replace an Einsum by Transpose, ReduceSum, Mul, MatMul or Gemm where one of them computes it.

    Before => After
        y = Einsum(x) "ij->ji"                        =>   y = Transpose(x)
        y = Einsum(x) "bij->bj"                       =>   y = ReduceSum(x, axes=1)
        y = Einsum(a, b) "bij,j->bij"                 =>   y = Mul(a, b)
        y = Einsum(a, b) "bhij,bhjk->bhik"            =>   y = MatMul(a, b)
        y = Einsum(a, w) "bid,od->bio"                =>   y = MatMul(a, transposed w)      w constant
        y = Einsum(a, b) "ik,jk->ij"                  =>   y = Gemm(a, b) {transB=1}

    Legal when
        No letter stands twice in a term, "..." stands first, letters that both operands share have the same proven
        extent (Einsum would broadcast an extent of 1), and the letters are in the order of the operator, in either
        order of the operands. A constant operand is transposed as needed, any operand of a matrix product of rank 2
        by Gemm.

    Pays when
        One node takes the place of one: MatMul has none of Einsum's transposes and reshapes. What would take a
        Transpose beside a MatMul stays.

    Numerics
        The sum is associated differently.
    """

    name: ClassVar[str] = "recognize-einsum"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("Einsum"),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        terms, result = _equation(node, rewriter)
        operands = [value for value in node.inputs if value is not None]
        if len(operands) != len(terms) or len(terms) > 2:
            rewriter.refuse("the product of more than two operands is not one operator")
        if len(terms) == 1:
            replacement = _unary(node, operands[0], terms[0], result, rewriter)
        else:
            _require_equal_extents(operands, terms, rewriter)
            replacement = _binary(node, operands, terms, result, rewriter)
        if replacement is None:
            rewriter.refuse(f"'{','.join(terms)}->{result}' is not one simpler operator".replace(_ELLIPSIS, "..."))
        rewriter.replace(node.output, replacement)


def _equation(node: Node, rewriter: Rewriter) -> tuple[list[str], str]:
    """(terms, result) with one character per axis, the ellipsis as one; refuses repeated letters."""
    left, arrow, right = node.str_attr("equation", "").replace(" ", "").partition("->")
    if not arrow:
        right = implicit_output(left)
    terms = [term.replace("...", _ELLIPSIS) for term in left.split(",")]
    result = right.replace("...", _ELLIPSIS)
    for term in (*terms, result):
        if len(set(term)) != len(term):
            rewriter.refuse("a letter stands twice in a term")
        if _ELLIPSIS in term[1:]:
            rewriter.refuse("the ellipsis does not stand first")
    return terms, result


def _require_equal_extents(operands: list[Value], terms: list[str], rewriter: Rewriter) -> None:
    extents: dict[str, object] = {}
    for value, term in zip(operands, terms):
        letters = term.replace(_ELLIPSIS, "")
        if value.shape is None:
            rewriter.refuse("the shapes are not known")
        for letter, extent in zip(reversed(letters), reversed(value.shape)):
            if extents.setdefault(letter, extent) != extent:
                rewriter.refuse(f"the extents of '{letter}' may differ, so that one of them is broadcast")


def _unary(node: Node, x: Value, term: str, result: str, rewriter: Rewriter) -> Value | None:
    if x.rank is None:
        rewriter.refuse("the rank is not known")
    wide = x.rank - len(term.replace(_ELLIPSIS, ""))  # axes of the ellipsis
    places = {letter: wide + index for index, letter in enumerate(term.replace(_ELLIPSIS, ""))}
    kept = [letter for letter in result if letter != _ELLIPSIS]
    if (_ELLIPSIS in term and wide and _ELLIPSIS not in result) or not set(kept) <= set(places):
        return None
    if len(kept) == len(places):
        order = [*range(wide), *(places[letter] for letter in kept)]
        if order == list(range(x.rank)):
            return x
        return rewriter.op("Transpose", [x], perm=tuple(order), name=node.name)
    if [letter for letter in places if letter in kept] != kept:
        return None
    require_operator("ReduceSum", x.dtype, rewriter)
    axes = [place for letter, place in places.items() if letter not in kept]
    return reduction("ReduceSum", x, axes, False, rewriter, node.name)


def _binary(
    node: Node, operands: list[Value], terms: list[str], result: str, rewriter: Rewriter
) -> Value | None:
    a, b = operands
    if result in terms and all(result.endswith(term) for term in terms):
        require_operator("Mul", a.dtype, rewriter)
        return rewriter.op("Mul", [a, b], name=node.name)
    for (left, right), (first, second) in (((a, b), terms), ((b, a), reversed(terms))):
        shape = _matrix_product(first, second, result)
        if shape is None:
            continue
        if left.rank == right.rank == 2 and (first, second) != shape:
            require_operator("Gemm", a.dtype, rewriter, since=11)
            transposed = {"transA": int(first != shape[0]) or None, "transB": int(second != shape[1]) or None}
            return rewriter.op("Gemm", [left, right], transposed, name=node.name)
        ordered = [_ordered(v, old, new, rewriter) for v, old, new in zip((left, right), (first, second), shape)]
        if None not in ordered:
            require_operator("MatMul", a.dtype, rewriter)
            return rewriter.op("MatMul", ordered, name=node.name)
    return None


def _matrix_product(first: str, second: str, result: str) -> tuple[str, str] | None:
    """The terms that the operands of a MatMul with this result must have; None if no MatMul gives it."""
    summed = [letter for letter in first if letter not in result]
    if len(summed) != 1 or summed != [letter for letter in second if letter not in result]:
        return None
    (k,) = summed
    if len(first) == 1 or len(second) == 1:  # a vector
        wanted = (k, result[:-1] + k + result[-1:]) if len(first) == 1 else (result + k, k)
        if len(first) == len(second) == 1:
            wanted = (k, k)
        fits = sorted(wanted[0]) == sorted(first) and sorted(wanted[1]) == sorted(second)
        return wanted if fits else None
    if len(result) < 2 or result[-1] == _ELLIPSIS:
        return None
    batch, m, n = result[:-2], result[-2], result[-1]
    if m not in first or n not in second or m in second or n in first:
        return None
    shared = [[letter for letter in term if letter not in (m, n, k)] for term in (first, second)]
    suffixes = ["".join(letter for letter in batch if letter in letters) for letters in shared]
    if any(not batch.endswith(suffix) or len(suffix) != len(s) for suffix, s in zip(suffixes, shared)):
        return None
    return f"{suffixes[0]}{m}{k}", f"{suffixes[1]}{k}{n}"


def _ordered(value: Value, term: str, wanted: str, rewriter: Rewriter) -> Value | None:
    """The operand with its axes in the wanted order; None if it is no constant and would need a Transpose."""
    if term == wanted:
        return value
    if value.constant is None or _ELLIPSIS in term:
        return None
    array = value.constant.numpy().transpose([term.index(letter) for letter in wanted])
    return rewriter.constant(np.ascontiguousarray(array), value.name)
