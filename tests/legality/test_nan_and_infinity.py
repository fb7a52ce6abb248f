"""What is true of finite numbers only, and of those that do not leave the range on the way."""

from __future__ import annotations

import pytest
from legality.adversarial import Case


def of(formula: str, constants: str = "", kept: str = "", overflows: bool = False) -> Case:
    """y as a formula of x, of shape [3,N]."""
    text = f"g (float[3,N] x) => (float[3,N] y) {constants} {{ {formula} }}"
    return Case(text, kept, sizes=(5, 1, 0), overflows=overflows)


CASES = {
    "Zero times a number": of("m = Mul(x, z) y = Exp(m)", "<float z = {0}>", "Mul"),
    "A number minus itself": of("m = Sub(x, x) y = Exp(m)", kept="Sub"),
    "A number over itself": of("m = Div(x, x) y = Exp(m)", kept="Div"),
    "Zero over a number": of("m = Div(z, x) y = Exp(m)", "<float z = {0}>", "Div"),
    "A number over zero": of("m = Div(x, z) y = Exp(m)", "<float z = {0}>", "Div"),
    "A sum over zero, channel by channel": Case("""
        g (float[N,2,3] x) => (float[N,2,3] y) <float[2,1] b = {0, 1}, float[2,1] z = {0, 2}> {
            a = Add(x, b)
            y = Div(a, z)
        }"""),
    "To the power of zero": of("m = Pow(x, z) y = Exp(m)", "<float z = {0}>"),
    "One to any power": of("m = Pow(o, x) y = Exp(m)", "<float o = {1}>"),
    "The root of the square": Case(
        "g (float[4] x) => (float[4] y) { m = Mul(x, x) s = Sqrt(m) y = Neg(s) }", overflows=True,
        fixed={"x": [[1.5, -2, -0.0, 0], [float("nan"), float("inf"), float("-inf"), 3e38]]}),
    "The square of the root": of("s = Sqrt(x) m = Mul(s, s) y = Neg(m)", kept="Sqrt"),
    "The logarithm of the exponential": of("e = Exp(x) l = Log(e) y = Neg(l)", kept="Exp Log"),
    "The exponential of the logarithm": of("l = Log(x) e = Exp(l) y = Neg(e)", kept="Log Exp"),
    "The reciprocal of the reciprocal": of("a = Reciprocal(x) b = Reciprocal(a) y = Neg(b)"),
    "Plus and minus a large number": of("a = Add(x, k) y = Sub(a, k)", "<float k = {1e38}>"),
    "Two factors whose product overflows": of(
        "a = Mul(x, k) b = Mul(a, l) y = Neg(b)", "<float k = {1e30}, float l = {1e30}>", "Mul Mul"),
    "Two factors whose product vanishes": of(
        "a = Mul(x, k) b = Mul(a, l) y = Neg(b)", "<float k = {1e-30}, float l = {1e-30}>", "Mul Mul"),
    "Two divisors whose product overflows": of(
        "a = Div(x, k) b = Div(a, l) y = Neg(b)", "<float k = {1e30}, float l = {1e30}>"),
    "Two divisors whose product vanishes": of(
        "a = Div(x, k) b = Div(a, l) y = Neg(b)", "<float k = {1e-30}, float l = {1e-30}>"),
    "A factor and a divisor that nearly cancel": of(
        "a = Mul(x, k) b = Div(a, l) y = Neg(b)", "<float k = {1e38}, float l = {1e38}>", overflows=True),
    "A factor of infinity": of("a = Mul(x, k) b = Mul(a, l) y = Neg(b)", "<float k = {inf}, float l = {0}>"),
    "Infinity is added and taken away": of("a = Add(x, k) y = Sub(a, k)", "<float k = {inf}>"),
    "NaN is added": of("a = Add(x, k) y = Exp(a)", "<float k = {nan}>"),
    "A scale of infinity before a layer": Case("""
        g (float[N,2] x) => (float[N,2] y) <float[2] k = {inf, 1}, float[2,2] w = {1, 0, 2, 1}> {
            a = Mul(x, k)
            y = MatMul(a, w)
        }"""),
    "A scale of zero before a layer": Case("""
        g (float[N,2] x) => (float[N,2] y) <float[2] k = {0, 1}, float[2,2] w = {1, 0, 2, 1}> {
            a = Mul(x, k)
            y = MatMul(a, w)
        }"""),
    "A scale after a layer that overflows its weight": Case("""
        g (float[N,2] x) => (float[N,2] y) <float k = {1e30}, float[2,2] w = {1e20, 0, 2, 1}> {
            a = MatMul(x, w)
            y = Mul(a, k)
        }"""),
    "A scale that underflows a weight": Case("""
        g (float[N,2] x) => (float[N,2] y) <float k = {1e-30}, float[2,2] w = {1e-20, 1, 2, 1}> {
            a = MatMul(x, w)
            y = Mul(a, k)
        }""", overflows=True),
    "A bias of infinity": Case("""
        g (float[N,2] x) => (float[N,2] y)
        <float[2] k = {inf, 1}, float[2] l = {-inf, 1}, float[2,2] w = {1, 0, 2, 1}> {
            a = Gemm(x, w, k)
            y = Add(a, l)
        }"""),
    "Equal to itself": Case("g (float[3,N] x) => (bool[3,N] y) { e = Equal(x, x) y = Not(e) }", kept="Equal"),
    "Not less is not greater or equal": Case(
        "g (float[N] x, float[N] z) => (bool[N] y) { e = Less(x, z) y = Not(e) }", kept="Less Not"),
    "Not greater is not less or equal": Case(
        "g (float[N] x, float[N] z) => (bool[N] y) { e = Greater(x, z) y = Not(e) }", kept="Greater Not"),
    "Not less or equal is not greater": Case(
        "g (float[N] x, float[N] z) => (bool[N] y) { e = LessOrEqual(x, z) y = Not(e) }", kept="LessOrEqual Not"),
    "Not less, of integers": Case(
        "g (int64[N] x, int64[N] z) => (bool[N] y) { e = Less(x, z) y = Not(e) }"),
    "The larger of a number and itself by Where": Case("""
        g (float[N] x, float[N] z) => (float[N] y) {
            e = Greater(x, z)
            y = Where(e, x, z)
        }"""),
    "Relu by Where": Case("""
        g (float[N] x) => (float[N] y) <float z = {0}> {
            e = Greater(x, z)
            y = Where(e, x, z)
        }"""),
    "The magnitude by Where": Case("""
        g (float[N] x) => (float[N] y) <float z = {0}> {
            e = Less(x, z)
            n = Neg(x)
            y = Where(e, n, x)
        }"""),
    "Where the mask is a NaN test": Case("""
        g (float[N] x) => (float[N] y) <float z = {0}> {
            e = IsNaN(x)
            y = Where(e, z, x)
        }""", kept="IsNaN"),
    "NaN by being unequal to itself": Case("""
        g (float[N] x) => (float[N] y) <float z = {0}> {
            e = Equal(x, x)
            y = Where(e, x, z)
        }""", kept="Equal"),
    "Both branches of a Where are equal": Case("""
        g (float[N] x, bool[N] c) => (float[N] y) {
            w = Where(c, x, x)
            y = Exp(w)
        }"""),
    "Max with minus infinity": of("m = Max(x, k) y = Exp(m)", "<float k = {-inf}>"),
    "Min with infinity": of("m = Min(x, k) y = Exp(m)", "<float k = {inf}>"),
    "Clip to NaN": of("y = Clip(x, k)", "<float k = {nan}>"),
    "Clip with crossed bounds": of("y = Clip(x, k, l)", "<float k = {3}, float l = {1}>"),
    "Clip of a Clip that lies elsewhere": of(
        "c = Clip(x, k, l) y = Clip(c, m, n)", "<float k = {0}, float l = {1}, float m = {2}, float n = {3}>"),
    "Max and Min with crossed bounds": of("c = Max(x, k) y = Min(c, l)", "<float k = {3}, float l = {1}>"),
    "Min and Max with crossed bounds": of("c = Min(x, k) y = Max(c, l)", "<float k = {1}, float l = {3}>"),
    "Clip after Relu": of("c = Relu(x) y = Clip(c, k, l)", "<float k = {-1}, float l = {6}>"),
    "Relu after Sigmoid": of("c = Sigmoid(x) y = Relu(c)"),
    "A softmax written out, without its maximum": Case("""
        g (float[2,3] x) => (float[2,3] y) <int64[1] a = {1}> { e = Exp(x) s = ReduceSum(e, a) y = Div(e, s) }""",
        overflows=True, fixed={"x": [[[100, 1, 2], [3, -100, 5]], [[float("nan"), 1, 2], [float("-inf"), 3e38, 7]]]}),
    "A softmax of minus infinity alone": Case("""
        g (float[2,3] x) => (float[2,3] y) { s = Softmax(x) y = Neg(s) }""",
        fixed={"x": [[[float("-inf")] * 3, [1, 2, float("-inf")]], [[float("nan"), 1, 2], [float("inf"), 1, 2]]]}),
    "A logarithm of a softmax that underflows": Case("""
        g (float[2,3] x) => (float[2,3] y) { s = Softmax(x) l = Log(s) y = Exp(l) }""",
        fixed={"x": [[[1, 2, 3], [-1, 0, 1]]]}),
    "A Softplus that overflows": of(
        "e = Exp(x) a = Add(e, o) l = Log(a) y = Neg(l)", "<float o = {1}>", overflows=True),
    "A Sigmoid written out": of("n = Neg(x) e = Exp(n) a = Add(e, o) y = Div(o, a)", "<float o = {1}>"),
    "A Swish at minus infinity": of("s = Sigmoid(x) y = Mul(x, s)", kept="Sigmoid"),
    "A hard swish at minus infinity": of(
        "a = Add(x, t) c = Clip(a, z, s) m = Mul(x, c) y = Div(m, s)", "<float t = {3}, float z = {0}, float s = {6}>",
        overflows=True),
    "A product with a mask of zeros": Case("""
        g (float[3,N] x) => (float[3,N] y) <float[3,1] m = {0, 1, 0}> { p = Mul(x, m) y = Exp(p) }""", kept="Mul"),
    "A Trilu that forgets": Case("""
        g (float[3,3] x) => (float[3,3] y) { p = Trilu(x) y = Exp(p) }""", kept="Trilu"),
    "A sum whose terms cancel": of("a = Neg(x) s = Add(a, x) y = Exp(s)"),
    "A difference from infinity": of("a = Sub(k, x) y = Sub(k, a)", "<float k = {inf}>"),
    "A linear layer whose weights are zero": Case("""
        g (float[N,2] x) => (float[N,2] y) <float[2,2] w = {0, 0, 0, 0}> { a = MatMul(x, w) y = Exp(a) }"""),
    "A layer that is scaled by zero": Case("""
        g (float[N,2] x) => (float[N,2] y) <float[2,2] w = {1, 2, 3, 4}, float z = {0}> {
            a = MatMul(x, w)
            b = Mul(a, z)
            y = Exp(b)
        }""", overflows=True),
    "The largest of nothing but NaN": Case("""
        g (float[N,3] x) => (float[N,1] y) { m = ReduceMax<axes = [1]>(x) n = ReduceMax<axes = [1]>(m) y = Neg(n) }"""),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_special_numbers_stay(title: str) -> None:
    CASES[title].check()
