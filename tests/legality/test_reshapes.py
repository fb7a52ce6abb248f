"""A 0 in a Reshape's target means the extent of its own input, or an empty axis; views merge only if that is minded."""

from __future__ import annotations

import pytest
from legality.adversarial import Case

CASES = {
    "A 0 after a Reshape is not that of the first input": Case("""
        g (float[2,3,4] x) => (float[A,B] y) <int64[3] s = {6, 2, 2}, int64[2] t = {0, -1}> {
            r = Reshape(x, s)
            y = Reshape(r, t)
        }"""),
    "Two targets with 0": Case("""
        g (float[2,3,4] x) => (float[A,B] y) <int64[3] s = {0, 4, 3}, int64[2] t = {0, -1}> {
            r = Reshape(x, s)
            y = Reshape(r, t)
        }"""),
    "A 0 of an unknown extent": Case("""
        g (float[N,3,4] x) => (float[A,B,C] y) <int64[2] s = {-1, 4}, int64[3] t = {0, 2, 2}> {
            r = Reshape(x, s)
            y = Reshape(r, t)
        }""", sizes=(3, 1, 2)),
    "The rest is -1 in both": Case("""
        g (float[N,M,4] x) => (float[A,B] y) <int64[2] s = {-1, 2}, int64[2] t = {4, -1}> {
            r = Reshape(x, s)
            y = Reshape(r, t)
        }""", sizes=(2, 1, 4)),
    "A 0 that is an empty axis": Case("""
        g (float[0,3] x) => (float[A,B] y) <int64[2] s = {3, 0}> {
            y = Reshape<allowzero = 1>(x, s)
        }"""),
    "A 0 that is an empty axis, after another Reshape": Case("""
        g (float[0,6] x) => (float[A,B] y) <int64[3] s = {0, 3, 2}, int64[2] t = {5, 0}> {
            r = Reshape(x, s)
            y = Reshape<allowzero = 1>(r, t)
        }"""),
    "Of an empty tensor": Case("""
        g (float[N,4] x) => (float[A,B,C] y) <int64[3] s = {0, 2, 2}> {
            r = Reshape(x, s)
            y = Exp(r)
        }"""),
    "Of an empty tensor, and back": Case("""
        g (float[N,4] x) => (float[A,B] y) <int64[3] s = {0, 2, 2}, int64[2] t = {0, 4}> {
            r = Reshape(x, s)
            e = Exp(r)
            y = Reshape(e, t)
        }"""),
    "To the same shape, known only by number": Case("""
        g (float[N,4] x) => (float[3,4] y) <int64[2] s = {3, 4}> {
            r = Reshape(x, s)
            y = Exp(r)
        }""", sizes=(3,)),
    "To its own shape": Case("""
        g (float[N,4] x) => (float[N,4] y) {
            s = Shape(x)
            r = Reshape(x, s)
            y = Exp(r)
        }""", gone="Reshape Shape"),
    "To its own shape, which is empty": Case("""
        g (float[N,4] x) => (float[N,4] y) {
            s = Shape(x)
            r = Reshape<allowzero = 1>(x, s)
            y = Exp(r)
        }"""),
    "To another's shape of as many numbers": Case("""
        g (float[2,6] x, float[3,4] z) => (float[3,4] y) {
            s = Shape(z)
            r = Reshape(x, s)
            y = Add(r, z)
        }"""),
    "To the shape of a value with other symbols": Case("""
        g (float[N,M] x, float[M,N] z) => (float[M,N] y) {
            s = Shape(z)
            r = Reshape(x, s)
            y = Exp(r)
        }""", sizes=(3, 1, 2)),
    "Flatten of rank 0": Case("""
        g (float x) => (float[1,1] y) {
            f = Flatten<axis = 0>(x)
            y = Exp(f)
        }"""),
    "Flatten at the last axis": Case("""
        g (float[N,3,4] x) => (float[A,B] y) {
            f = Flatten<axis = 3>(x)
            y = Exp(f)
        }"""),
    "Flatten of two axes, unknown and possibly empty": Case("""
        g (float[N,M] x) => (float[N,M] y) {
            f = Flatten(x)
            y = Exp(f)
        }""", gone="Flatten"),
    "Two Squeezes count axes each for itself": Case("""
        g (float[1,3,1,1,4] x) => (float[3,4] y) <int64[1] a = {0}, int64[2] b = {1, 2}> {
            s = Squeeze(x, a)
            y = Squeeze(s, b)
        }"""),
    "Two Squeezes with axes from the end": Case("""
        g (float[1,3,1,1,4] x) => (float[3,4] y) <int64[2] a = {-2, 2}, int64[1] b = {-3}> {
            s = Squeeze(x, a)
            y = Squeeze(s, b)
        }"""),
    "Squeeze of all extents of 1, one of them unknown": Case("""
        g (float[N,1,3] x) => (float[A,B] y) {
            y = Squeeze(x)
        }""", sizes=(2, 3, 0)),
    "Two Unsqueezes": Case("""
        g (float[N,3] x) => (float[A,B,C,D] y) <int64[1] a = {0}, int64[1] b = {1}> {
            s = Unsqueeze(x, a)
            y = Unsqueeze(s, b)
        }"""),
    "Two Unsqueezes with axes from the end": Case("""
        g (float[N,3] x) => (float[A,B,C,D,E] y) <int64[2] a = {-1, 0}, int64[1] b = {-2}> {
            s = Unsqueeze(x, a)
            y = Unsqueeze(s, b)
        }"""),
    "Unsqueeze and Squeeze of other axes": Case("""
        g (float[1,N] x) => (float[N,1] y) <int64[1] a = {2}, int64[1] b = {0}> {
            s = Unsqueeze(x, a)
            y = Squeeze(s, b)
        }"""),
    "A Transpose is a Reshape only of extents of 1": Case("""
        g (float[N,1,4] x) => (float[A,B,C] y) {
            t = Transpose<perm = [1, 2, 0]>(x)
            y = Exp(t)
        }""", kept="Transpose"),
    "Reshapes around a Transpose": Case("""
        g (float[2,3,4] x) => (float[A,B] y) <int64[2] s = {6, 4}, int64[2] t = {3, 8}> {
            r = Reshape(x, s)
            q = Transpose(r)
            y = Reshape(q, t)
        }""", kept="Transpose"),
    "A Softmax between Reshapes sees other rows": Case("""
        g (float[2,3,4] x) => (float[2,3,4] y) <int64[2] s = {2, 12}, int64[3] t = {2, 3, 4}> {
            r = Reshape(x, s)
            q = Softmax(r)
            y = Reshape(q, t)
        }""", kept="Reshape Softmax Reshape"),
    "A constant along an axis that Reshapes merge": Case("""
        g (float[2,3,4] x) => (float[2,3,4] y)
        <int64[2] s = {2, 12}, float[12] c = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, int64[3] t = {2, 3, 4}> {
            r = Reshape(x, s)
            q = Mul(r, c)
            y = Reshape(q, t)
        }"""),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_views_stay(title: str) -> None:
    CASES[title].check()
