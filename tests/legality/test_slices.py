"""Slices whose bounds are cut off, counted from the end, or go backwards; parts that are put together again."""

from __future__ import annotations

import pytest
from legality.adversarial import Case


def twice(first: str, second: str, shape: str = "float[6,5]", sizes: tuple[int, ...] = (6, 3, 1, 0)) -> Case:
    """A Slice of a Slice; each given as "starts; ends; axes; steps"."""
    constants, nodes = [], []
    for name, source, bounds in (("p", "x", first), ("y", "p", second)):
        names = []
        for place, numbers in enumerate(bounds.split(";")):
            names.append(f"{name}{place}")
            constants.append(f"int64[{len(numbers.split(','))}] {names[-1]} = {{{numbers.strip()}}}")
        nodes.append(f"{name} = Slice({', '.join([source, *names])})")
    text = f"g ({shape} x) => (float[A,B] y) <{', '.join(constants)}> {{ {' '.join(nodes)} }}"
    return Case(text, sizes=sizes)


CASES = {
    "Twice along an axis": twice("1; 5; 0", "1; 3; 0"),
    "Twice along an axis, the second from the end": twice("1; 5; 0", "-2; 1000; 0"),
    "Twice along an axis, both from the end": twice("-5; -1; 0", "-3; -1; 0"),
    "Twice along an axis, the second past the first's end": twice("1; 3; 0", "1; 100; 0"),
    "Twice along an axis, the second before its start": twice("2; 5; 0", "-100; 2; 0"),
    "Twice along an axis in steps": twice("0; 6; 0; 2", "1; 3; 0; 1"),
    "Twice along an axis in steps of steps": twice("1; 6; 0; 2", "0; 3; 0; 2"),
    "Backwards and forwards": twice("-1; -100; 0; -1", "1; 4; 0; 1"),
    "Backwards twice": twice("-1; -100; 0; -1", "-1; -100; 0; -1"),
    "Backwards from beyond the end": twice("100; 0; 0; -2", "0; 2; 0; 1"),
    "Along other axes": twice("1; 5; 0", "1; 3; 1"),
    "The same axis under two names": twice("1; 5; 1", "1; 3; -1"),
    "One axis of two": twice("1, 1; 5, 4; 0, 1", "1; 2; 0"),
    "Axes in another order": twice("1, 1; 5, 4; 1, 0", "1, 0; 2, 2; 0, 1"),
    "Of an unknown extent": twice("1; 5; 0", "1; 3; 0", "float[N,5]"),
    "Of an unknown extent, from the end": twice("0; -1; 0", "1; 1000; 0", "float[N,5]"),
    "Of an unknown extent, from the end twice": twice("0; -2; 0", "-2; 1000; 0", "float[N,5]"),
    "Of an unknown extent, backwards": twice("-1; -1000; 0; -1", "0; 2; 0; 1", "float[N,5]"),
    "Of an unknown extent in steps": twice("0; 1000; 0; 3", "0; 1; 0; 1", "float[N,5]"),
    "Up to the largest number": twice("0; 9223372036854775807; 0", "0; 2147483647; 1", "float[N,5]"),
    "Two that rebuild the whole": Case("""
        g (float[6,5] x) => (float[6,5] y) <int64[1] a = {0}, int64[1] b = {2}, int64[1] c = {6}> {
            p = Slice(x, a, b)
            q = Slice(x, b, c)
            r = Concat<axis = 0>(p, q)
            y = Exp(r)
        }""", gone="Slice Concat"),
    "Two that rebuild it in the wrong order": Case("""
        g (float[6,5] x) => (float[6,5] y) <int64[1] a = {0}, int64[1] b = {2}, int64[1] c = {6}> {
            p = Slice(x, a, b)
            q = Slice(x, b, c)
            r = Concat<axis = 0>(q, p)
            y = Exp(r)
        }""", kept="Concat"),
    "Two that overlap": Case("""
        g (float[6,5] x) => (float[7,5] y) <int64[1] a = {0}, int64[1] b = {3}, int64[1] d = {2}, int64[1] c = {6}> {
            p = Slice(x, a, b)
            q = Slice(x, d, c)
            r = Concat<axis = 0>(p, q)
            y = Exp(r)
        }""", kept="Concat"),
    "Two that rebuild an unknown extent, or not": Case("""
        g (float[N,5] x) => (float[M,5] y) <int64[1] a = {0}, int64[1] b = {2}, int64[1] c = {1000}> {
            p = Slice(x, a, b)
            q = Slice(x, b, c)
            r = Concat<axis = 0>(p, q)
            y = Exp(r)
        }""", sizes=(5, 1, 0)),
    "Two halves of which one counts from the end": Case("""
        g (float[N,5] x) => (float[M,5] y) <int64[1] a = {0}, int64[1] b = {-2}, int64[1] c = {1000}> {
            p = Slice(x, a, b)
            q = Slice(x, b, c)
            r = Concat<axis = 0>(p, q)
            y = Exp(r)
        }""", sizes=(5, 1, 0)),
    "Parts joined along another axis": Case("""
        g (float[4,4] x) => (float[2,8] y) {
            a, b = Split<axis = 0>(x)
            r = Concat<axis = 1>(a, b)
            y = Exp(r)
        }""", kept="Concat"),
    "Parts of which one is read twice": Case("""
        g (float[4,4] x) => (float[4,4] y) {
            a, b = Split<axis = 0>(x)
            r = Concat<axis = 0>(a, a)
            y = Exp(r)
        }""", kept="Concat"),
    "Parts that are changed in between": Case("""
        g (float[4,4] x) => (float[4,4] y) {
            a, b = Split<axis = 0>(x)
            c = Exp(a)
            y = Concat<axis = 0>(c, b)
        }""", kept="Concat"),
    "The first part of a Concat": Case("""
        g (float[N,5] x, float[M,5] z) => (float[A,5] y) <int64[1] a = {0}, int64[1] b = {2}> {
            c = Concat<axis = 0>(x, z)
            p = Slice(c, a, b)
            y = Exp(p)
        }""", sizes=(3, 1, 0)),
    "Of a Concat along the other axis": Case("""
        g (float[2,5] x, float[2,5] z) => (float[1,10] y) <int64[1] a = {0}, int64[1] b = {1}> {
            c = Concat<axis = 1>(x, z)
            p = Slice(c, a, b, a)
            y = Exp(p)
        }"""),
    "A Gather of consecutive places, some from the end": Case("""
        g (float[4,5] x) => (float[3,5] y) <int64[3] i = {1, -2, 3}> { p = Gather(x, i) y = Exp(p) }"""),
    "A Gather of all places of an unknown extent": Case("""
        g (float[N,5] x) => (float[2,5] y) <int64[2] i = {0, 1}> { p = Gather(x, i) y = Exp(p) }""", sizes=(2, 3)),
    "A Gather of Gathers": Case("""
        g (float[4,5] x) => (float[2,5] y) <int64[3] i = {3, 1, 2}, int64[2] j = {-1, 0}> {
            p = Gather(x, i)
            y = Gather(p, j)
        }"""),
    "A Gather of a Gather along another axis": Case("""
        g (float[4,5] x) => (float[3,2] y) <int64[3] i = {3, 1, 2}, int64[2] j = {-1, 0}> {
            p = Gather(x, i)
            y = Gather<axis = 1>(p, j)
        }"""),
    "The last row": Case("""
        g (float[N,5] x) => (float[1,5] y)
        <int64[1] a = {-1}, int64[1] b = {1000}> { p = Slice(x, a, b) y = Exp(p) }"""),
    "Bounds that are attributes": Case("""
        <ir_version: 4, opset_import: ["" : 9]>
        g (float[6,5] x) => (float[2,5] y) {
            p = Slice<starts = [1], ends = [5], axes = [0]>(x)
            y = Slice<starts = [1], ends = [3], axes = [0]>(p)
        }"""),
    "Bounds from a shape": Case("""
        g (float[N,4] x) => (float[A,4] y) <int64[1] a = {0}, int64[1] b = {1}, int64[1] z = {0}> {
            s = Shape(x)
            n = Gather(s, z)
            e = Sub(n, b)
            p = Slice(x, a, e)
            y = Exp(p)
        }""", sizes=(3, 1, 0)),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_positions_stay(title: str) -> None:
    CASES[title].check()
