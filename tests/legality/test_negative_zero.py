"""Zero has a sign that a division shows."""

from __future__ import annotations

import pytest
from legality.adversarial import Case


def of(formula: str, constants: str = "", kept: str = "", kind: str = "float") -> Case:
    """y as a formula of x and of its reciprocal: r."""
    text = f"g ({kind}[N] x) => ({kind}[N] y) {constants} {{ {formula} y = Reciprocal(r) }}"
    return Case(text, kept, sizes=(15, 1, 0))


CASES = {
    "Zero is added": of("r = Add(x, z)", "<float z = {0}>", "Add"),
    "Zero is added from the left": of("r = Add(z, x)", "<float z = {0}>", "Add"),
    "Negative zero is added": of("r = Add(x, z)", "<float z = {-0.0}>"),
    "Zero is taken away": of("r = Sub(x, z)", "<float z = {0}>"),
    "Negative zero is taken away": of("r = Sub(x, z)", "<float z = {-0.0}>", "Sub"),
    "Taken away from zero": of("r = Sub(z, x)", "<float z = {0}>", "Sub"),
    "Taken away from negative zero": of("r = Sub(z, x)", "<float z = {-0.0}>"),
    "Multiplied by minus one": of("r = Mul(x, z)", "<float z = {-1}>"),
    "Divided by minus one": of("r = Div(x, z)", "<float z = {-1}>"),
    "A difference turned round": of("d = Sub(x, z) r = Neg(d)", "<float z = {1}>"),
    "The negative of a difference": Case("""
        g (float[N] x, float[N] z) => (float[N] y) { d = Sub(x, z) r = Neg(d) y = Reciprocal(r) }"""),
    "A sum with a negated number": Case("""
        g (float[N] x, float[N] z) => (float[N] y) { d = Neg(z) r = Add(x, d) y = Reciprocal(r) }"""),
    "Relu": of("r = Relu(x)", kept="Relu"),
    "The larger of zero and a number": of("r = Max(x, z)", "<float z = {0}>"),
    "The smaller of zero and a number": of("r = Min(x, z)", "<float z = {0}>"),
    "Clipped at zero": of("r = Clip(x, z)", "<float z = {0}>", ""),
    "The root": of("r = Sqrt(x)", kept="Sqrt"),
    "The root as a power": of("r = Pow(x, z)", "<float z = {0.5}>"),
    "The first power": of("r = Pow(x, z)", "<float z = {1}>"),
    "The power of minus one": of("r = Pow(x, z)", "<float z = {-1}>"),
    "The power of minus two": of("r = Pow(x, z)", "<float z = {-2}>"),
    "Rounded up": of("r = Ceil(x)", kept="Ceil"),
    "Rounded": of("r = Round(x)", kept="Round"),
    "Rounded down and to the nearest": of("f = Floor(x) r = Round(f)"),
    "A cast to integers": Case("""
        g (float[5] x) => (float[5] y)
        { i = Cast<to = 7>(x) r = Cast<to = 1>(i) y = Reciprocal(r) }""", kept="Cast Cast",
        fixed={"x": [[-0.5, 0.5, -0.0, 0, -1]]}),
    "The magnitude": of("r = Abs(x)", kept="Abs"),
    "Times zero": of("r = Mul(x, z)", "<float z = {0}>", "Mul"),
    "Two terms that cancel": of("a = Add(x, z) r = Add(a, k)", "<float z = {1}, float k = {-1}>"),
    "A sum of one term": of("r = Sum(x)"),
    "A mean of one term": of("r = Mean(x)"),
    "A sum of several terms, zero among them": of("r = Sum(x, z, k)", "<float z = {0}, float k = {-0.0}>"),
    "A sum over an axis of one": Case("""
        g (float[N,1] x) => (float[N,1] y)
        <int64[1] a = {1}> { r = ReduceSum(x, a) y = Reciprocal(r) }""", sizes=(15, 0)),
    "A scale and a shift of zero": of("a = Mul(x, k) r = Add(a, z)", "<float k = {2}, float z = {0}>"),
    "A bias of zero": Case("""
        g (float[N,2] x) => (float[N,2] y) <float[2,2] w = {1, 0, 0, 1}, float[2] z = {0, 0}> {
            r = Gemm(x, w, z)
            y = Reciprocal(r)
        }""", fixed={"x": [[[-0.0, 1], [0, -0.0]]]}, sizes=(2,)),
    "A sign": of("s = Sign(x) r = Mul(s, z)", "<float z = {0}>"),
    "Copied by a quotient": Case("""
        g (float[N] x, float[N] z) => (float[N] y) { r = Mul(x, z) y = Reciprocal(r) }"""),
    "In double precision": of("r = Add(x, z)", "<double z = {0}>", "Add", "double"),
    "In half precision": of("r = Add(x, z)", "<float16 z = {0}>", "Add", "float16"),
    "Through views": of(
        "t = Unsqueeze(x, a) u = Add(t, z) r = Squeeze(u, a)", "<float z = {0}, int64[1] a = {0}>", "Add"),
    "Through a Concat": Case("""
        g (float[N] x) => (float[M] y)
        <float z = {0}> { t = Add(x, z) r = Concat<axis = 0>(t, x) y = Reciprocal(r) }""",
        kept="Add"),
    "Equal to zero does not show it": Case("""
        g (float[N] x) => (bool[N] y) <float z = {0}> { t = Add(x, z) y = Equal(t, z) }""", sizes=(15, 0)),
    "An angle shows it": Case("""
        g (float[N] x) => (float[N] y) <float z = {0}> { t = Add(x, z) r = Div(z, t) y = Atan(r) }""", kept="Add"),
    "A padded border": Case("""
        g (float[N] x) => (float[M] y)
        <int64[2] p = {1, 1}, float z = {-0.0}> { r = Pad(x, p, z) y = Reciprocal(r) }""",
        sizes=(3, 1)),
    "Nothing added up": Case("""
        g (float[N,0] x) => (float[N] y) <int64[1] a = {1}> {
            r = ReduceSum<keepdims = 0>(x, a)
            y = Reciprocal(r)
        }""", sizes=(3, 0)),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_its_sign_stays(title: str) -> None:
    CASES[title].check()
