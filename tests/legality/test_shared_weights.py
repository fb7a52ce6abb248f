"""What others read as well stays as it is for them."""

from __future__ import annotations

import pytest
from legality.adversarial import Case

_W = "float[2,2,1,1] w = {1, -1, 2, 0.5}"
_BN = "float[2] s = {2, 3}, float[2] b = {1, -1}, float[2] m = {0.5, 1}, float[2] v = {1, 4}"

CASES = {
    "Two Convs with one weight, one of them scaled": Case(f"""
        g (float[1,2,3,3] x, float[1,2,3,3] z) => (float[1,2,3,3] y, float[1,2,3,3] u)
        <{_W}, float[2,1,1] k = {{2, 3}}> {{
            c = Conv(x, w)
            y = Mul(c, k)
            u = Conv(z, w)
        }}"""),
    "Two Convs with one weight, each with other statistics": Case(f"""
        g (float[1,2,3,3] x, float[1,2,3,3] z) => (float[1,2,3,3] y, float[1,2,3,3] u)
        <{_W}, {_BN}, float[2] n = {{3, 4}}> {{
            c = Conv(x, w)
            y = BatchNormalization(c, s, b, m, v)
            d = Conv(z, w)
            u = BatchNormalization(d, s, b, n, v)
        }}""", gone="BatchNormalization"),
    "One bias of two layers": Case(f"""
        g (float[1,2,3,3] x) => (float[1,2,3,3] y, float[1,2,3,3] u)
        <{_W}, float[2] b = {{1, 2}}, float[2,1,1] k = {{5, 6}}> {{
            c = Conv(x, w, b)
            y = Add(c, k)
            u = Conv(y, w, b)
        }}"""),
    "A weight that is a graph output": Case(f"""
        g (float[1,2,3,3] x) => (float[1,2,3,3] y, float[2,2,1,1] w) <{_W}, float[2,1,1] k = {{2, 3}}> {{
            c = Conv(x, w)
            y = Mul(c, k)
        }}"""),
    "A weight that is read as data": Case(f"""
        g (float[1,2,3,3] x) => (float[1,2,3,3] y, float[2,2,1,1] u) <{_W}, float[2,1,1] k = {{2, 3}}> {{
            c = Conv(x, w)
            y = Mul(c, k)
            u = Exp(w)
        }}"""),
    "A weight that the body of an If reads": Case(f"""
        g (float[1,2,3,3] x, bool c) => (float[1,2,3,3] y, float[1,2,3,3] u) <{_W}, float[2,1,1] k = {{2, 3}}> {{
            p = Conv(x, w)
            y = Mul(p, k)
            u = If(c) <then_branch = t () => (float[1,2,3,3] a) {{ a = Conv(x, w) }},
                       else_branch = e () => (float[1,2,3,3] q) {{ q = Neg(x) }}>
        }}"""),
    "A transposed weight": Case("""
        g (float[N,2] x) => (float[N,2] y, float[N,2] u) <float[2,2] w = {1, 2, 3, 4}> {
            t = Transpose(w)
            y = MatMul(x, t)
            u = MatMul(x, w)
        }"""),
    "A transposed value that others read": Case("""
        g (float[3,2] x) => (float[2,2] y, float[2,3] u) <float[3,2] w = {1, 2, 3, 4, 5, 6}> {
            t = Transpose(x)
            y = MatMul(t, w)
            u = Exp(t)
        }"""),
    "A padded value with two readers": Case(f"""
        g (float[1,2,3,3] x) => (float[1,2,5,5] y, float[1,2,5,5] u) <int64[8] p = {{0, 0, 1, 1, 0, 0, 1, 1}}, {_W}> {{
            q = Pad(x, p)
            y = Conv(q, w)
            u = Exp(q)
        }}"""),
    "Half of a chain is a graph output": Case("""
        g (float[N,4] x) => (float[N,4] a, float[N,4] y) <float k = {2}, float l = {3}> {
            a = Mul(x, k)
            y = Mul(a, l)
        }"""),
    "Every value of a chain is a graph output": Case(f"""
        g (float[1,2,3,3] x) => (float[1,2,3,3] c, float[1,2,3,3] n, float[1,2,3,3] y) <{_W}, {_BN}> {{
            c = Conv(x, w)
            n = BatchNormalization(c, s, b, m, v)
            y = Relu(n)
        }}"""),
    "The inner value of a Gelu": Case("""
        g (float[N,4] x) => (float[N,4] y, float[N,4] e) <float r = {1.4142135}, float one = {1}, float half = {0.5}> {
            d = Div(x, r)
            e = Erf(d)
            a = Add(e, one)
            p = Mul(x, a)
            y = Mul(p, half)
        }""", kept="Erf"),
    "The mean of a LayerNormalization": Case("""
        g (float[N,4] x) => (float[N,4] y, float[N,1] m) <float two = {2}, float eps = {1e-5}> {
            m = ReduceMean<axes = [-1]>(x)
            c = Sub(x, m)
            q = Pow(c, two)
            v = ReduceMean<axes = [-1]>(q)
            a = Add(v, eps)
            r = Sqrt(a)
            y = Div(c, r)
        }""", kept="ReduceMean"),
    "The logarithm and the Softmax are both read": Case("""
        g (float[N,4] x) => (float[N,4] y, float[N,4] s) {
            s = Softmax(x)
            y = Log(s)
        }""", kept="Softmax", fixed={"x": [[[1, 2, 3, 4]]]}, sizes=(1,)),
    "A sum of squares whose root is read elsewhere": Case("""
        g (float[N,4] x) => (float[N,4] y, float[N,1] n) {
            n = ReduceL2<axes = [1]>(x)
            y = Div(x, n)
        }""", kept="ReduceL2 Div", fixed={"x": [[[1, 2, 3, 4]]]}, sizes=(1,)),
    "Merged products of which one is a graph output": Case("""
        g (float[N,2] x) => (float[N,2] a, float[N,2] y) <float[2,2] u = {1, 2, 3, 4}, float[2,2] w = {5, 6, 7, 8}> {
            a = MatMul(x, u)
            b = MatMul(x, w)
            y = Relu(b)
        }"""),
    "The same value twice among the outputs": Case("""
        g (float[N,4] x) => (float[N,4] y, float[N,4] z) {
            a = Exp(x)
            y = Identity(a)
            z = Identity(a)
        }""", sizes=(3, 0)),
    "An output that is an input": Case("""
        g (float[N,4] x) => (float[N,4] y) {
            y = Identity(x)
        }"""),
    "An output that is a constant": Case("""
        g (float[N,4] x) => (float[2] y, float[N,4] z) <float[2] c = {1, 2}> {
            y = Exp(c)
            z = Neg(x)
        }"""),
    "An output that can be folded, and is read": Case("""
        g (float[N,4] x) => (float[1] y, float[N,4] z) <float[1] c = {1}, float[1] d = {2}> {
            y = Add(c, d)
            z = Mul(x, y)
        }"""),
    "Equal constants of other types": Case("""
        g (float[N,4] x, int32[N,4] i) => (float[N,4] y, int32[N,4] j) <float a = {0}, int32 b = {0}> {
            y = Max(x, a)
            j = Add(i, b)
        }""", sizes=(3, 0)),
    "Constants that differ in the sign of zero": Case("""
        g (float[N,4] x) => (float[N,4] y, float[N,4] z) <float a = {0}, float b = {-0.0}> {
            y = Div(x, a)
            z = Div(x, b)
        }""", kept="Div Div"),
    "Equal nodes with outputs of their own": Case("""
        g (float[N,4] x) => (float[N,4] y, float[N,4] z) {
            y = Exp(x)
            z = Exp(x)
        }"""),
    "Equal nodes that draw random numbers": Case("""
        g (float[N,4] x) => (float[N,4] y, bool[2] e) {
            a = RandomNormal<shape = [2], seed = 1.0>()
            b = RandomNormal<shape = [2], seed = 1.0>()
            e = Equal(a, a)
            s = Sub(a, b)
            y = Exp(x)
        }"""),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_readers_stay_right(title: str) -> None:
    CASES[title].check()
