"""Initializers that are inputs as well are only defaults: callers may set them, so nothing is computed from them."""

from __future__ import annotations

import pytest
from legality.adversarial import Case

_W = "float[2,2,1,1] w = {1, -1, 2, 0.5}"

CASES = {
    "The weight of a Conv before a scale": Case(f"""
        g (float[1,2,3,3] x, float[2,2,1,1] w) => (float[1,2,3,3] y) <{_W}, float[2,1,1] k = {{2, 3}}> {{
            c = Conv(x, w)
            y = Mul(c, k)
        }}""", kept="Mul"),
    "The scale after a Conv": Case(f"""
        g (float[1,2,3,3] x, float[2,1,1] k) => (float[1,2,3,3] y) <{_W}, float[2,1,1] k = {{2, 3}}> {{
            c = Conv(x, w)
            y = Mul(c, k)
        }}""", kept="Mul"),
    "The bias of a Conv": Case(f"""
        g (float[1,2,3,3] x, float[2] b) => (float[1,2,3,3] y)
        <{_W}, float[2] b = {{0, 0}}, float[2,1,1] k = {{2, 3}}> {{
            c = Conv(x, w, b)
            y = Add(c, k)
        }}"""),
    "A zero that is added": Case("""
        g (float[N,4] x, float z) => (float[N,4] y) <float z = {0}> {
            a = Add(x, z)
            y = Exp(a)
        }""", kept="Add"),
    "A one that multiplies": Case("""
        g (float[N,4] x, float o) => (float[N,4] y) <float o = {1}> {
            a = Mul(x, o)
            y = Exp(a)
        }""", kept="Mul"),
    "Two that are equal": Case("""
        g (float[N,4] x, float a, float b) => (float[N,4] y) <float a = {2}, float b = {2}> {
            p = Mul(x, a)
            q = Add(p, b)
            y = Exp(q)
        }""", kept="Add"),
    "Two that are equal, read by equal nodes": Case("""
        g (float[N,4] x, float a, float b) => (float[N,4] y) <float a = {2}, float b = {2}> {
            p = Sub(x, a)
            q = Sub(x, b)
            y = Mul(p, q)
        }""", kept="Sub Sub"),
    "Two factors": Case("""
        g (float[N,4] x, float a) => (float[N,4] y) <float a = {2}, float b = {3}> {
            p = Mul(x, a)
            y = Mul(p, b)
        }""", kept="Mul Mul"),
    "The target of a Reshape": Case("""
        g (float[2,6] x, int64[2] s) => (float[A,B] y) <int64[2] s = {2, 6}> {
            r = Reshape(x, s)
            y = Exp(r)
        }""", kept="Reshape", fixed={"s": [[2, 6], [3, 4], [0, -1]]}),
    "The target of an Expand": Case("""
        g (float[1,6] x, int64[2] s) => (float[A,B] y) <int64[2] s = {1, 6}> {
            r = Expand(x, s)
            y = Exp(r)
        }""", kept="Expand", fixed={"s": [[1, 6], [3, 1], [2, 6]]}),
    "The bounds of a Slice": Case("""
        g (float[6,4] x, int64[1] e) => (float[A,B] y) <int64[1] s = {0}, int64[1] e = {100}> {
            r = Slice(x, s, e)
            y = Exp(r)
        }""", kept="Slice", fixed={"e": [[100], [2], [-1]]}),
    "The pads of a Pad": Case("""
        g (float[1,2,4,4] x, int64[8] p) => (float[A,B,C,D] y)
        <int64[8] p = {0,0,0,0,0,0,0,0}, float[2,2,1,1] w = {1, 2, 3, 4}> {
            r = Pad(x, p)
            y = Conv(r, w)
        }""", kept="Pad", fixed={"p": [[0] * 8, [0, 0, 1, 1, 0, 0, 1, 0]]}),
    "The number that a Pad writes": Case("""
        g (float[1,2,4,4] x, float z) => (float[1,2,6,6] y)
        <int64[8] p = {0,0,1,1,0,0,1,1}, float z = {0}, float[2,2,1,1] w = {1, 2, 3, 4}> {
            r = Pad(x, p, z)
            y = Conv(r, w)
        }""", kept="Pad"),
    "The condition of an If": Case("""
        g (float[N,4] x, bool c) => (float[N,4] y) <bool c = {1}> {
            y = If(c) <then_branch = t () => (float[N,4] a) { a = Exp(x) },
                       else_branch = e () => (float[N,4] b) { b = Neg(x) }>
        }""", kept="If"),
    "The number of rounds of a Loop": Case("""
        g (float[4] x, int64 n) => (float[4] y) <int64 n = {2}> {
            y = Loop(n, , x) <body = l (int64 i, bool c, float[4] s) => (bool d, float[4] t) {
                d = Identity(c)
                t = Sin(s)
            }>
        }""", kept="Loop", fixed={"n": [2, 0, 3]}),
    "The bounds of a Clip": Case("""
        g (float[N,4] x, float hi) => (float[N,4] y) <float lo = {0}, float hi = {6}> {
            r = Relu(x)
            y = Clip(r, lo, hi)
        }""", kept="Clip", fixed={"hi": [6, 1, 0.5]}),
    "The indices of a Gather": Case("""
        g (float[4,3] x, int64[4] i) => (float[4,3] y) <int64[4] i = {0, 1, 2, 3}> {
            r = Gather(x, i)
            y = Exp(r)
        }""", kept="Gather", fixed={"i": [[0, 1, 2, 3], [3, 1, 1, 0]]}),
    "The mask of a Where": Case("""
        g (float[4] x, float[4] z, bool[4] m) => (float[4] y) <bool[4] m = {1, 1, 1, 1}> {
            r = Where(m, x, z)
            y = Exp(r)
        }""", kept="Where"),
    "The exponent of a Pow": Case("""
        g (float[N,4] x, float p) => (float[N,4] y) <float p = {1}> {
            r = Pow(x, p)
            y = Abs(r)
        }""", kept="Pow", fixed={"p": [1, 2, 3]}),
    "Where a node has two of them only": Case("""
        g (float[N,4] x, float a, float b) => (float[N,4] y) <float a = {2}, float b = {3}> {
            s = Add(a, b)
            y = Mul(x, s)
        }""", kept="Add"),
    "The axes of a Squeeze": Case("""
        g (float[1,4,1] x, int64[1] a) => (float[A,B] y) <int64[1] a = {0}> {
            s = Squeeze(x, a)
            y = Exp(s)
        }""", kept="Squeeze", fixed={"a": [[0], [2], [-1]]}),
    "A shape that is put together": Case("""
        g (float[2,6] x, int64[1] a) => (float[A,B] y) <int64[1] a = {2}, int64[1] b = {-1}> {
            s = Concat<axis = 0>(a, b)
            r = Reshape(x, s)
            y = Exp(r)
        }""", kept="Concat Reshape", fixed={"a": [[2], [3], [12]]}),
    "A scale of quantization": Case("""
        g (float[N,4] x, float s) => (float[N,4] y) <float s = {0.5}, uint8 z = {0}> {
            q = QuantizeLinear(x, s, z)
            y = DequantizeLinear(q, s, z)
        }""", kept="QuantizeLinear", fixed={"s": [0.5, 0.25, 2], "x": [[[0.3, 1, 7, 200]], [[1, 2, 3, 4]]]}),
    "Three products of one value": Case("""
        g (float[N,2] x, float[2,2] a) => (float[N,2] p, float[N,2] q, float[N,2] r)
        <float[2,2] a = {1, 2, 3, 4}, float[2,2] b = {5, 6, 7, 8}, float[2,2] c = {1, 0, 0, 1}> {
            p = MatMul(x, a)
            q = MatMul(x, b)
            r = MatMul(x, c)
        }"""),
    "Before IR version 4 every initializer is listed, and none may be set": Case("""
        <ir_version: 3, opset_import: ["" : 8]>
        g (float[2,4] x) => (float[2,4] y) <float z = {1}> {
            a = Mul(x, z)
            y = Exp(a)
        }"""),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_callers_may_set_them(title: str) -> None:
    CASES[title].check()
