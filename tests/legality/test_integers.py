"""Integers are cut off when they are divided, and wrap around when they grow too large."""

from __future__ import annotations

import pytest
from legality.adversarial import Case


def of(formula: str, constants: str = "", kept: str = "", gone: str = "", kind: str = "int32") -> Case:
    """y as a formula of x; the constants are of its type."""
    given = f"<{', '.join(f'{kind} {c}' for c in constants.split(', '))}>" if constants else ""
    return Case(f"g ({kind}[N] x) => ({kind}[N] y) {given} {{ {formula} }}", kept, gone, sizes=(15, 1, 0))


CASES = {
    "A product divided again": of("a = Mul(x, k) y = Div(a, k)", "k = {2}", "Mul Div"),
    "A quotient multiplied again": of("a = Div(x, k) y = Mul(a, k)", "k = {2}", "Div Mul"),
    "Two quotients": of("a = Div(x, k) y = Div(a, l)", "k = {3}, l = {2}"),
    "Two quotients whose divisor overflows": of("a = Div(x, k) y = Div(a, l)", "k = {65536}, l = {65536}"),
    "A product of quotients": of("a = Div(x, k) y = Mul(a, l)", "k = {4}, l = {8}", "Div Mul"),
    "A quotient of a product by more": of("a = Mul(x, k) y = Div(a, l)", "k = {3}, l = {6}", "Mul Div"),
    "A quotient of a sum": of("a = Add(x, k) y = Div(a, k)", "k = {2}", "Add Div"),
    "The quotient of a negated number": of("a = Neg(x) y = Div(a, k)", "k = {2}"),
    "A negated quotient": of("a = Div(x, k) y = Neg(a)", "k = {2}"),
    "Divided by one": of("a = Div(x, k) y = Abs(a)", "k = {1}", gone="Div"),
    "Multiplied by zero": of("a = Mul(x, k) y = Add(a, x)", "k = {0}"),
    "Minus itself": of("a = Sub(x, x) y = Add(a, x)"),
    "Factors whose product wraps around": of("a = Mul(x, k) y = Mul(a, l)", "k = {65536}, l = {65537}"),
    "Terms whose sum wraps around": of("a = Add(x, k) y = Add(a, l)", "k = {2147483647}, l = {5}"),
    "A term that is taken away again": of("a = Add(x, k) y = Sub(a, k)", "k = {2147483647}"),
    "The magnitude of the lowest": of("a = Abs(x) y = Abs(a)", gone=""),
    "The magnitude of the negated": of("a = Neg(x) y = Abs(a)"),
    "Negated twice": of("a = Neg(x) b = Neg(a) y = Abs(b)"),
    "The sign of the magnitude": of("a = Abs(x) y = Sign(a)", kept="Sign"),
    "A remainder of a remainder": of("a = Mod(x, k) y = Mod(a, l)", "k = {6}, l = {4}"),
    "A remainder of a multiple": of("a = Mul(x, k) y = Mod(a, k)", "k = {6}", "Mod"),
    "A remainder that takes the sign of the dividend": of("a = Mod<fmod = 1>(x, k) y = Abs(a)", "k = {3}", "Mod"),
    "Shares of what is left": of("q = Div(x, k) p = Mul(q, k) r = Sub(x, p) y = Abs(r)", "k = {3}", "Div"),
    "A square": of("a = Mul(x, x) y = Abs(a)", kept="Mul"),
    "Long integers, a product divided again": of("a = Mul(x, k) y = Div(a, k)", "k = {2}", "Mul Div", kind="int64"),
    "Long integers, a quotient multiplied again": of("a = Div(x, k) y = Mul(a, k)", "k = {2}", "Div Mul", kind="int64"),
    "Long integers, factors that wrap around": of(
        "a = Mul(x, k) y = Mul(a, l)", "k = {4294967296}, l = {4294967296}", kind="int64"),
    "Less after adding": Case("""
        g (int32[N] x, int32[N] z) => (bool[N] y) <int32 k = {1}> {
            a = Add(x, k)
            b = Add(z, k)
            y = Less(a, b)
        }""", kept="Add Add", sizes=(15, 0)),
    "A comparison of a sum": Case("""
        g (int32[N] x) => (bool[N] y) <int32 k = {1}, int32 l = {5}> {
            a = Add(x, k)
            y = Less(a, l)
        }""", kept="Add", sizes=(15, 0)),
    "A number is less than its successor": Case("""
        g (int32[N] x) => (bool[N] y) <int32 k = {1}> {
            a = Add(x, k)
            y = Less(x, a)
        }""", kept="Less", sizes=(15, 0)),
    "A scale in float": Case("""
        g (int32[N] x) => (int32[N] y) <float k = {0.5}, float l = {2}> {
            f = Cast<to = 1>(x)
            a = Mul(f, k)
            b = Mul(a, l)
            y = Cast<to = 6>(b)
        }""", fixed={"x": [[7, -7, 2**24 + 1, 3, 0]]}, sizes=(5,)),
    "Half of an extent, twice": Case("""
        g (float[N,4] x) => (int64[1] y) <int64[1] k = {2}, int64[1] z = {0}> {
            s = Shape(x)
            n = Gather(s, z)
            h = Div(n, k)
            y = Mul(h, k)
        }""", sizes=(3, 4, 1, 0)),
    "Half of an extent and the rest": Case("""
        g (float[N,4] x) => (float[A,4] y, float[B,4] z) <int64[1] k = {2}, int64[1] o = {0}, int64[1] e = {1000}> {
            s = Shape(x)
            n = Gather(s, o)
            h = Div(n, k)
            y = Slice(x, o, h, o)
            z = Slice(x, h, e, o)
        }""", sizes=(3, 4, 1, 0)),
    "A quotient of extents": Case("""
        g (float[N,4] x) => (float[A,B] y) <int64[1] k = {2}, int64[1] o = {0}, int64[1] r = {-1}> {
            s = Shape(x)
            n = Gather(s, o)
            h = Div(n, k)
            t = Concat<axis = 0>(h, r)
            y = Reshape(x, t)
        }""", sizes=(4, 2, 6)),
    "A negative extent minus": Case("""
        g (float[N,4] x) => (int64[1] y) <int64[1] k = {-2}, int64[1] z = {0}> {
            s = Shape(x)
            n = Gather(s, z)
            y = Div(n, k)
        }""", sizes=(3, 4, 1, 0)),
    "A remainder of an extent": Case("""
        g (float[N,4] x) => (int64[1] y) <int64[1] k = {4}, int64[1] z = {0}> {
            s = Shape(x)
            n = Gather(s, z)
            m = Neg(n)
            y = Mod(m, k)
        }""", sizes=(3, 4, 1, 0)),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_integers_stay(title: str) -> None:
    CASES[title].check()
