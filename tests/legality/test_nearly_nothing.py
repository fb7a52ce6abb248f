"""Operators that usually do nothing, in forms that do something."""

from __future__ import annotations

import pytest
from legality.adversarial import Case

CASES = {
    "An Expand to more": Case("""
        g (float[1,4] x) => (float[3,4] y) <int64[2] s = {3, 4}> { a = Expand(x, s) y = Exp(a) }"""),
    "An Expand to a shorter shape": Case("""
        g (float[3,4] x) => (float[3,4] y) <int64[1] s = {4}> { a = Expand(x, s) y = Exp(a) }""", gone="Expand"),
    "An Expand to a shape of ones": Case("""
        g (float[N,4] x) => (float[N,4] y) <int64[2] s = {1, 1}> { a = Expand(x, s) y = Exp(a) }""", gone="Expand"),
    "An Expand to more axes of ones": Case("""
        g (float[N,4] x) => (float[1,N,4] y) <int64[3] s = {1, 1, 1}> { a = Expand(x, s) y = Exp(a) }"""),
    "An Expand to an extent that N may be": Case("""
        g (float[N,4] x) => (float[M,4] y) <int64[2] s = {3, 4}> { a = Expand(x, s) y = Exp(a) }""", kept="Expand",
        sizes=(3, 1)),
    "An Expand before a sum that broadcasts": Case("""
        g (float[1,4] x, float[3,4] z) => (float[3,4] y) <int64[2] s = {3, 4}> { a = Expand(x, s) y = Add(a, z) }""",
        gone="Expand"),
    "An Expand before a sum that does not reach as far": Case("""
        g (float[1,4] x, float[1,4] z) => (float[3,4] y) <int64[2] s = {3, 4}> { a = Expand(x, s) y = Add(a, z) }"""),
    "A Split into two, one of them read": Case("""
        g (float[4,4] x) => (float[2,4] y) { a, b = Split<axis = 0>(x) y = Exp(b) }"""),
    "A Split of one that is not whole": Case("""
        <ir_version: 8, opset_import: ["" : 18]>
        g (float[5,4] x) => (float[2,4] y) { a, b = Split<axis = 0, num_outputs = 2>(x) y = Exp(b) }"""),
    "And with a truth for each": Case("""
        g (bool[N,3] x) => (bool[N,3] y) <bool[3] t = {1, 0, 1}> { a = And(x, t) y = Not(a) }""", kept="And"),
    "Or with the truth": Case("""
        g (bool[N,3] x) => (bool[N,3] y) <bool t = {1}> { a = Or(x, t) y = Not(a) }"""),
    "Xor with the truth": Case("""
        g (bool[N,3] x) => (bool[N,3] y) <bool t = {1}> { a = Xor(x, t) y = Not(a) }"""),
    "Ones for some channels": Case("""
        g (float[N,3] x) => (float[N,3] y) <float[3] o = {1, 1, 2}> { a = Mul(x, o) y = Exp(a) }""", kept="Mul"),
    "One less a number": Case("""
        g (float[N,3] x) => (float[N,3] y) <float o = {0}> { a = Sub(o, x) y = Exp(a) }"""),
    "One over a number": Case("""
        g (float[N,3] x) => (float[N,3] y) <float o = {1}> { a = Div(o, x) y = Exp(a) }"""),
    "One to a power": Case("""
        g (float[N,3] x) => (float[N,3] y) <float o = {2}> { a = Pow(o, x) y = Neg(a) }""", kept="Pow"),
    "Nearly one": Case("""
        g (float[N,3] x) => (float[N,3] y) <float o = {1.0000001}> { a = Mul(x, o) y = Exp(a) }""", kept="Mul"),
    "Nearly zero": Case("""
        g (float[N,3] x) => (float[N,3] y) <float o = {1e-30}> { a = Add(x, o) y = Reciprocal(a) }""", kept="Add"),
    "A Dropout whose ratio is large": Case("""
        g (float[N,3] x) => (float[N,3] y) <float r = {0.9}> { a = Dropout(x, r) y = Exp(a) }""", gone="Dropout"),
    "The Shape of a part": Case("""
        g (float[N,3,4] x) => (int64[2] y) { y = Shape<start = 1, end = 3>(x) }"""),
    "The Shape of a part, from the end": Case("""
        g (float[N,3,4] x) => (int64[1] y) { y = Shape<start = -3, end = -2>(x) }"""),
    "A Concat of a value and nothing": Case("""
        g (float[N,3] x) => (float[N,3] y) <float[0] e = {}> { a = Concat<axis = 1>(x) y = Exp(a) }""", gone="Concat"),
    "Floor of Ceil": Case("g (float[N,3] x) => (float[N,3] y) { a = Ceil(x) y = Floor(a) }", gone=""),
    "Relu of Relu": Case("g (float[N,3] x) => (float[N,3] y) { a = Relu(x) y = Relu(a) }"),
    "Sign of Sign": Case("g (float[N,3] x) => (float[N,3] y) { a = Sign(x) y = Sign(a) }"),
    "LeakyRelu of LeakyRelu": Case("""
        g (float[N,3] x) => (float[N,3] y) { a = LeakyRelu<alpha = 0.5>(x) y = LeakyRelu<alpha = 0.5>(a) }"""),
    "LeakyRelu whose slope is negative": Case("""
        g (float[N,3] x) => (float[N,3] y) { a = LeakyRelu<alpha = -0.5>(x) y = LeakyRelu<alpha = -0.5>(a) }""",
        kept="LeakyRelu LeakyRelu"),
    "The larger of a number and its multiple": Case("""
        g (float[N,3] x) => (float[N,3] y) <float k = {1.5}> { a = Mul(x, k) y = Max(x, a) }"""),
    "The larger of a number and its negative multiple": Case("""
        g (float[N,3] x) => (float[N,3] y) <float k = {-0.5}> { a = Mul(x, k) y = Max(x, a) }"""),
    "Abs of Neg": Case("g (float[N,3] x) => (float[N,3] y) { a = Neg(x) y = Abs(a) }"),
    "Neg of Abs": Case("g (float[N,3] x) => (float[N,3] y) { a = Abs(x) y = Neg(a) }", kept="Neg Abs"),
    "HardSwish of HardSwish": Case("g (float[N,3] x) => (float[N,3] y) { a = HardSwish(x) y = HardSwish(a) }",
                                   kept="HardSwish HardSwish"),
    "Erf of Erf": Case("g (float[N,3] x) => (float[N,3] y) { a = Erf(x) y = Erf(a) }", kept="Erf Erf"),
    "Softmax of Softmax": Case("g (float[N,3] x) => (float[N,3] y) { a = Softmax(x) y = Softmax(a) }",
                               kept="Softmax Softmax", fixed={"x": [[[1, 2, 3]]]}, sizes=(1,)),
    "Rounded to even": Case("g (float[5] x) => (float[5] y) { a = Round(x) y = Neg(a) }", kept="Round",
                            fixed={"x": [[0.5, 1.5, 2.5, -0.5, -1.5]]}),
    "Half of it twice is a quarter": Case("""
        g (float[N,3] x) => (float[N,3] y) <float h = {0.5}> { a = Mul(x, h) y = Mul(a, h) }"""),
    "A mean over nothing but one": Case("""
        g (float[N,1,3] x) => (float[N,1,3] y) { a = ReduceMean<axes = [1]>(x) y = Exp(a) }"""),
    "A sum of squares over one": Case("""
        g (float[N,1,3] x) => (float[N,1,3] y) { a = ReduceSumSquare<axes = [1]>(x) y = Neg(a) }"""),
    "A norm over one": Case("""
        g (float[N,1,3] x) => (float[N,1,3] y) { a = ReduceL2<axes = [1]>(x) y = Neg(a) }""", overflows=True,
        fixed={"x": [[[[1, -2, 0]]]]}, sizes=(1,)),
    "A log-sum-exp over one": Case("""
        g (float[N,1,3] x) => (float[N,1,3] y) { a = ReduceLogSumExp<axes = [1]>(x) y = Neg(a) }""",
        fixed={"x": [[[[1, -2, 0]]]]}, sizes=(1,)),
    "Two means over axes of unlike extents": Case("""
        g (float[2,3,4] x) => (float[2,1,1] y) { a = ReduceMean<axes = [1]>(x) y = ReduceMean<axes = [2]>(a) }"""),
    "A largest of sums": Case("""
        g (float[2,3,4] x) => (float[2,1,1] y)
        <int64[1] i = {1}> { a = ReduceSum(x, i) y = ReduceMax<axes = [2]>(a) }""",
        kept="ReduceSum ReduceMax"),
    "A sum that drops its axis and gets one elsewhere": Case("""
        g (float[2,3,3] x) => (float[2,1,3] y) <int64[1] i = {2}, int64[1] j = {1}> {
            a = ReduceSum<keepdims = 0>(x, i)
            y = Unsqueeze(a, j)
        }"""),
    "A Transpose that moves and one that does not move it back": Case("""
        g (float[2,3,4] x) => (float[4,2,3] y) {
            a = Transpose<perm = [1, 2, 0]>(x)
            y = Transpose<perm = [1, 2, 0]>(a)
        }""", kept="Transpose"),
    "Transposes around a constant": Case("""
        g (float[2,3] x) => (float[2,3] y) <float[2] c = {1, 2}> {
            a = Transpose(x)
            b = Mul(a, c)
            y = Transpose(b)
        }"""),
    "Transposes around a Softmax": Case("""
        g (float[2,3] x) => (float[2,3] y) {
            a = Transpose(x)
            b = Softmax<axis = 1>(a)
            y = Transpose(b)
        }"""),
    "An einsum that is a Transpose": Case("""
        g (float[2,3] x) => (float[3,2] y) { y = Einsum<equation = "ij->ji">(x) }"""),
    "An einsum that takes a diagonal": Case("""
        g (float[3,3] x) => (float[3] y) { y = Einsum<equation = "ii->i">(x) }"""),
    "An einsum that sums a factor alone": Case("""
        g (float[2,3] x, float[3,4] z) => (float[2] y) { y = Einsum<equation = "ij,jk->i">(x, z) }""",
        fixed={"x": [[[1, 2, 3], [4, 5, 6]]], "z": [[[1, 2, 3, 4], [5, 6, 7, 8], [9, 1, 2, 3]]]}),
    "A Resize by one that reads other places": Case("""
        g (float[1,1,4,4] x) => (float[A,B,C,D] y) <float[4] s = {1, 1, 1, 1}> {
            y = Resize<mode = "linear", coordinate_transformation_mode = "align_corners">(x, , s)
        }"""),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_what_they_do_stays(title: str) -> None:
    CASES[title].check()
