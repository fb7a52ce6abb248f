"""Tensors without elements, and axes that may turn out to have none."""

from __future__ import annotations

import pytest
from legality.adversarial import Case

CASES = {
    "A Concat with an empty part": Case("""
        g (float[N,3] x) => (float[M,3] y) <float[0,3] e = {}> { c = Concat<axis = 0>(x, e) y = Exp(c) }"""),
    "A Concat of a part that may be empty": Case("""
        g (float[N,3] x, float[M,3] z) => (float[A,3] y) { c = Concat<axis = 0>(x, z) y = Exp(c) }"""),
    "A Concat of empty parts alone": Case("""
        g (float[0,3] x) => (float[0,3] y) { c = Concat<axis = 0>(x, x) y = Exp(c) }"""),
    "A Slice that takes nothing": Case("""
        g (float[N,3] x) => (float[M,3] y) <int64[1] s = {2}, int64[1] e = {2}> { c = Slice(x, s, e) y = Exp(c) }"""),
    "A Slice past the end": Case("""
        g (float[4,3] x) => (float[M,3] y) <int64[1] s = {9}, int64[1] e = {12}> { c = Slice(x, s, e) y = Exp(c) }"""),
    "Two Slices that leave nothing": Case("""
        g (float[N,3] x) => (float[M,3] y) <int64[1] a = {0}, int64[1] b = {2}, int64[1] c = {2}, int64[1] d = {4}> {
            p = Slice(x, a, b)
            y = Slice(p, c, d)
        }"""),
    "A layer of nothing": Case("""
        g (float[N,3,4,4] x) => (float[N,2,4,4] y) <float[2,3,1,1] w = {1, 2, 3, 4, 5, 6}, float[2,1,1] k = {2, 3}> {
            c = Conv(x, w)
            y = Mul(c, k)
        }""", sizes=(0, 2)),
    "A product over nothing": Case("""
        g (float[N,0] x) => (float[N,2] y) <float[0,2] w = {}, float[2] b = {1, 2}> {
            c = MatMul(x, w)
            y = Add(c, b)
        }"""),
    "A product over an axis that may be empty": Case("""
        g (float[3,N] x, float[N,2] z) => (float[3,2] y) <float[2] b = {1, 2}> {
            c = MatMul(x, z)
            y = Add(c, b)
        }"""),
    "Two products of nothing in a row": Case("""
        g (float[N,3] x) => (float[N,3] y) <float[3,0] u = {}, float[0,3] w = {}> {
            c = MatMul(x, u)
            y = MatMul(c, w)
        }"""),
    "The sum of nothing": Case("""
        g (float[N,3] x) => (float[1,3] y) <int64[1] a = {0}> { c = ReduceSum(x, a) y = Exp(c) }"""),
    "The mean of nothing": Case("""
        g (float[3,N] x) => (float[3,1] y) { c = ReduceMean<axes = [1]>(x) y = Exp(c) }"""),
    "The product of nothing": Case("""
        g (float[N,3] x) => (float[3] y) { c = ReduceProd<axes = [0], keepdims = 0>(x) y = Exp(c) }"""),
    "A sum over no axes at all": Case("""
        g (float[N,3] x) => (float[N,3] y) <int64[0] a = {}> {
            c = ReduceSum<noop_with_empty_axes = 1>(x, a)
            y = Exp(c)
        }"""),
    "A sum over all axes by no axes": Case("""
        g (float[N,3] x) => (float[1,1] y) <int64[0] a = {}> { c = ReduceSum(x, a) y = Exp(c) }"""),
    "Two sums, one of them over no axes": Case("""
        g (float[N,3] x) => (float[1,1] y) <int64[0] a = {}, int64[1] b = {0}> {
            c = ReduceSum(x, b)
            y = ReduceSum(c, a)
        }"""),
    "A softmax of nothing": Case("""
        g (float[N,3] x) => (float[N,3] y) { c = Softmax<axis = 0>(x) y = Neg(c) }"""),
    "An expansion to nothing": Case("""
        g (float[1,3] x) => (float[0,3] y) <int64[2] s = {0, 3}> { c = Expand(x, s) y = Exp(c) }"""),
    "An expansion by an extent that may be 0 or 1": Case("""
        g (float[1,3] x, float[N,3] z) => (float[N,3] y) { s = Shape(z) c = Expand(x, s) y = Exp(c) }"""),
    "A sum that broadcasts to an extent that may be 0": Case("""
        g (float[1,3] x, float[N,3] z) => (float[N,3] y) { s = Shape(z) c = Expand(x, s) y = Add(c, z) }"""),
    "Two extents that broadcast": Case("""
        g (float[N,3] x, float[M,3] z) => (float[A,3] y)
        <float o = {1}> { m = Mul(x, o) y = Add(m, z) }""", sizes=(1,)),
    "A repetition of nothing": Case("""
        g (float[N,3] x) => (float[M,3] y) <int64[2] r = {0, 1}> { c = Tile(x, r) y = Exp(c) }"""),
    "Indices that pick nothing": Case("""
        g (float[3,4] x) => (float[0,4] y) <int64[0] i = {}> { c = Gather(x, i) y = Exp(c) }"""),
    "A Split with an empty part": Case("""
        g (float[N,3] x) => (float[N,3] y, float[N,0] z) <int64[2] s = {3, 0}> {
            a, b = Split<axis = 1>(x, s)
            y = Exp(a)
            z = Exp(b)
        }"""),
    "A Split into one part": Case("""
        g (float[N,3] x) => (float[N,3] y)
        <int64[1] s = {3}> { a = Split<axis = 1>(x, s) y = Exp(a) }""", gone="Split"),
    "A Transpose of nothing": Case("""
        g (float[N,3,0] x) => (float[A,B,C] y) { a = Transpose<perm = [2, 0, 1]>(x) y = Exp(a) }"""),
    "A pad of nothing": Case("""
        g (float[N,3] x) => (float[M,3] y) <int64[4] p = {1, 0, 1, 0}> { a = Pad(x, p) y = Exp(a) }"""),
    "A Loop that never runs": Case("""
        g (float[N,3] x) => (float[N,3] y) <int64 n = {0}> {
            y = Loop(n, , x) <body = l (int64 i, bool c, float[N,3] s) => (bool d, float[N,3] t) {
                d = Identity(c)
                t = Exp(s)
            }>
        }"""),
    "A Loop that stops at once": Case("""
        g (float[N,3] x) => (float[N,3] y) <int64 n = {3}, bool no = {0}> {
            y = Loop(n, no, x) <body = l (int64 i, bool c, float[N,3] s) => (bool d, float[N,3] t) {
                d = Identity(c)
                t = Exp(s)
            }>
        }"""),
    "Rows that a Loop does not stack": Case("""
        g (float[3] x) => (float[A,3] y) <int64 n = {0}, bool yes = {1}> {
            y = Loop(n, yes) <body = l (int64 i, bool c) => (bool d, float[3] t) {
                d = Identity(c)
                t = Exp(x)
            }>
        }"""),
    "NonZero of zeros": Case("""
        g (float[N,3] x) => (int64[2,M] y) <float k = {0}> { m = Mul(x, k) y = NonZero(m) }"""),
    "Normalized nothing": Case("""
        g (float[N,4] x) => (float[N,4] y) <float two = {2}, float eps = {1e-5}> {
            m = ReduceMean<axes = [-1]>(x)
            c = Sub(x, m)
            q = Pow(c, two)
            v = ReduceMean<axes = [-1]>(q)
            a = Add(v, eps)
            r = Sqrt(a)
            y = Div(c, r)
        }""", sizes=(0, 2)),
    "Merged layers of nothing": Case("""
        g (float[N,2] x) => (float[N,2] y, float[N,3] z)
        <float[2,2] u = {1, 2, 3, 4}, float[2,3] w = {1, 2, 3, 4, 5, 6}> {
            y = MatMul(x, u)
            z = MatMul(x, w)
        }"""),
    "Attention over nothing": Case("""
        g (float[N,4] x) => (float[N,4] y) {
            t = Transpose(x)
            s = MatMul(x, t)
            p = Softmax(s)
            y = MatMul(p, x)
        }"""),
    "An extent of nothing in arithmetic": Case("""
        g (float[N,3] x) => (int64[1] y) <int64[1] z = {0}, int64[1] k = {7}> {
            s = Shape(x)
            n = Gather(s, z)
            m = Mul(n, k)
            d = Max(m, k)
            y = Div(k, d)
        }"""),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_nothing_stays_nothing(title: str) -> None:
    CASES[title].check()
