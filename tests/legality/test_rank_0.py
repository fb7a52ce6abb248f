"""Tensors of rank 0, and constants of one element that give the result more axes."""

from __future__ import annotations

import pytest
from legality.adversarial import Case


def of(formula: str, constants: str = "", result: str = "float", kept: str = "", gone: str = "") -> Case:
    """y as a formula of x, a number."""
    return Case(f"g (float x) => ({result} y) {constants} {{ {formula} }}", kept, gone)


CASES = {
    "Zero with an axis is added": of("a = Add(x, z) y = Exp(a)", "<float[1] z = {0}>", "float[1]"),
    "One with two axes multiplies": of("a = Mul(x, o) y = Exp(a)", "<float[1,1] o = {1}>", "float[1,1]"),
    "Zero of rank 0 is added": of("a = Sub(x, z) y = Exp(a)", "<float z = {0}>", gone="Sub"),
    "One that broadcasts": of("a = Mul(x, o) y = Exp(a)", "<float[3] o = {1, 1, 1}>", "float[3]"),
    "Factors with axes": of("a = Mul(x, o) y = Mul(a, p)", "<float[1] o = {2}, float[1,1] p = {3}>", "float[1,1]"),
    "A factor with an axis, and one without": of(
        "a = Mul(x, o) y = Mul(a, p)", "<float[1] o = {2}, float p = {3}>", "float[1]"),
    "A layer input with a factor of more axes": Case("""
        g (float[N,2] x) => (float[1,N,2] y) <float[1,1,1] k = {2}, float[2,2] w = {1, 2, 3, 4}> {
            a = Mul(x, k)
            y = MatMul(a, w)
        }"""),
    "A scale of more axes after a layer": Case("""
        g (float[N,2] x) => (float[1,N,2] y) <float[1,1,1] k = {2}, float[2,2] w = {1, 2, 3, 4}> {
            a = MatMul(x, w)
            y = Mul(a, k)
        }"""),
    "A bias of more axes": Case("""
        g (float[N,2] x) => (float[1,N,2] y) <float[1,1,2] k = {2, 3}, float[2,2] w = {1, 2, 3, 4}> {
            a = MatMul(x, w)
            y = Add(a, k)
        }"""),
    "A bias that makes rows": Case("""
        g (float[1,2] x) => (float[3,2] y) <float[3,1] k = {2, 3, 4}, float[2,2] w = {1, 2, 3, 4}> {
            a = MatMul(x, w)
            y = Add(a, k)
        }"""),
    "A bias per row": Case("""
        g (float[3,2] x) => (float[3,2] y) <float[3,1] k = {2, 3, 4}, float[2,2] w = {1, 2, 3, 4}> {
            a = MatMul(x, w)
            y = Add(a, k)
        }"""),
    "A bias per position": Case("""
        g (float[1,2,2,2] x) => (float[1,2,2,2] y) <float[2,2] k = {2, 3, 4, 5}, float[2,2,1,1] w = {1, 2, 3, 4}> {
            a = Conv(x, w)
            y = Add(a, k)
        }"""),
    "A bias per column that looks like one per channel": Case("""
        g (float[1,2,2,2] x) => (float[1,2,2,2] y) <float[2] k = {2, 3}, float[2,2,1,1] w = {1, 2, 3, 4}> {
            a = Conv(x, w)
            y = Add(a, k)
        }"""),
    "A factor per column that looks like one per channel": Case("""
        g (float[1,2,2,2] x) => (float[1,2,2,2] y) <float[2] k = {2, 3}, float[2,2,1,1] w = {1, 2, 3, 4}> {
            a = Conv(x, w)
            y = Mul(a, k)
        }"""),
    "The product of vectors": Case("""
        g (float[4] x) => (float y) <float[4] w = {1, 2, 3, 4}, float b = {1}> {
            a = MatMul(x, w)
            y = Add(a, b)
        }"""),
    "A vector by a matrix": Case("""
        g (float[2] x) => (float[2] y) <float[2,2] w = {1, 2, 3, 4}, float[2] b = {1, 2}> {
            a = MatMul(x, w)
            y = Add(a, b)
        }"""),
    "A matrix by a vector": Case("""
        g (float[N,2] x) => (float[N] y) <float[2] w = {1, 2}, float b = {1}> {
            a = MatMul(x, w)
            y = Add(a, b)
        }"""),
    "A Transpose of a number": of("a = Transpose(x) y = Exp(a)", gone="Transpose"),
    "A number gets an axis and loses it": of(
        "a = Unsqueeze(x, z) b = Exp(a) y = Squeeze(b, z)", "<int64[1] z = {0}>", gone="Unsqueeze Squeeze"),
    "A number becomes a vector": of("a = Reshape(x, s) y = Exp(a)", "<int64[1] s = {-1}>", "float[1]"),
    "A vector of one becomes a number": Case("""
        g (float[1] x) => (float y) <int64[0] s = {}> { a = Reshape(x, s) y = Exp(a) }"""),
    "A number is expanded to a number": of("a = Expand(x, s) y = Exp(a)", "<int64[0] s = {}>"),
    "A number is expanded to a vector": of("a = Expand(x, s) y = Exp(a)", "<int64[1] s = {1}>", "float[1]"),
    "A sum of a number": of("a = ReduceSum(x) y = Exp(a)", gone=""),
    "A mean of a number": of("a = ReduceMean(x) y = Exp(a)"),
    "The largest of one": of("a = Max(x) y = Exp(a)", gone="Max"),
    "A sum of one": of("a = Sum(x) y = Exp(a)", gone="Sum"),
    "A sum with a vector": of("a = Sum(x, v) y = Exp(a)", "<float[2] v = {1, 2}>", "float[2]"),
    "The larger of a number and a vector": of(
        "a = Max(x, v) b = Max(a, w) y = Neg(b)", "<float[2] v = {1, 2}, float w = {0}>", "float[2]"),
    "One element picked": Case("""
        g (float[4] x) => (float y) <int64 i = {2}> { a = Gather(x, i) y = Exp(a) }"""),
    "One element picked by a vector": Case("""
        g (float[4] x) => (float[1] y) <int64[1] i = {2}> { a = Gather(x, i) y = Exp(a) }"""),
    "One extent picked by a matrix": Case("""
        g (float[N,4] x) => (int64[1,1] y) <int64[1,1] i = {0}> { s = Shape(x) y = Gather(s, i) }"""),
    "The shape of a number": of("s = Shape(x) y = ConstantOfShape(s)"),
    "The size of a number": Case("g (float x) => (int64 y) { y = Size(x) }"),
    "Where of numbers and vectors": Case("""
        g (bool c, float[3] x) => (float[3] y) <float z = {0}> { a = Where(c, x, z) y = Exp(a) }"""),
    "Where with a constant mask that broadcasts": Case("""
        g (float x) => (float[3] y) <bool[3] c = {1, 1, 1}, float z = {0}> { a = Where(c, x, z) y = Exp(a) }"""),
    "Where with the other side larger": Case("""
        g (float x, float[3] z) => (float[3] y) <bool c = {1}> { a = Where(c, x, z) y = Exp(a) }"""),
    "And with a truth that broadcasts": Case("""
        g (bool x) => (bool[3] y) <bool[3] c = {1, 1, 1}> { a = And(x, c) y = Not(a) }"""),
    "Or with a falsehood that has an axis": Case("""
        g (bool x) => (bool[1] y) <bool[1] c = {0}> { a = Or(x, c) y = Not(a) }"""),
    "A power of one with an axis": of("a = Pow(x, o) y = Exp(a)", "<float[1] o = {1}>", "float[1]"),
    "A slope with fewer axes": Case("""
        g (float[2,3] x) => (float[2,3] y) <float[3] s = {1, 1, 1}> { a = PRelu(x, s) y = Exp(a) }"""),
    "A clip whose bounds cross": of("y = Clip(x, h, l)", "<float h = {2}, float l = {1}>"),
    "A softmax of one": Case("g (float[N,1] x) => (float[N,1] y) { a = Softmax(x) y = Neg(a) }"),
    "A Concat of one that is a vector": Case("g (float[N] x) => (float[N] y) { a = Concat<axis = 0>(x) y = Exp(a) }",
                                             gone="Concat"),
    "A Gelu whose constants have axes": of(
        "d = Div(x, r) e = Erf(d) a = Add(e, o) p = Mul(x, a) y = Mul(p, h)",
        "<float[1] r = {1.4142135}, float o = {1}, float h = {0.5}>", "float[1]"),
    "A hard swish whose constants have axes": of(
        "a = Add(x, t) c = Clip(a, z, s) m = Mul(x, c) y = Div(m, d)",
        "<float t = {3}, float z = {0}, float s = {6}, float[1,1] d = {6}>", "float[1,1]"),
    "A cast of a number": of("a = Cast<to = 1>(x) y = Exp(a)", gone="Cast"),
    "Flattened": of("a = Flatten<axis = 0>(x) y = Exp(a)", result="float[1,1]"),
    "A tile of a number": of("a = Tile(x, r) y = Exp(a)", "<int64[0] r = {}>"),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_ranks_stay(title: str) -> None:
    CASES[title].check()
