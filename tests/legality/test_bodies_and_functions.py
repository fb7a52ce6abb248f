"""Values that cross the border of a body or a function."""

from __future__ import annotations

import pytest
from legality.adversarial import Case

_IF = """y = If(c) <then_branch = t () => (float[N,4] a) {{ {0} }}, else_branch = e () => (float[N,4] b) {{ {1} }}>"""


def branching(then: str, otherwise: str, constants: str = "", before: str = "", kept: str = "If") -> Case:
    text = f"g (float[N,4] x, bool c) => (float[N,4] y) {constants} {{ {before} {_IF.format(then, otherwise)} }}"
    return Case(text, kept)


CASES = {
    "A value that one branch reads is computed outside": branching(
        "a = Exp(s)", "b = Neg(x)", before="s = Sin(x)"),
    "A value that both branches read": branching("a = Exp(s)", "b = Neg(s)", before="s = Sin(x)"),
    "Equal nodes in both branches": branching("a = Exp(x)", "b = Exp(x)", kept=""),
    "Equal nodes inside and outside": branching(
        "s1 = Sin(x) a = Exp(s1)", "b = Neg(s)", before="s = Sin(x)"),
    "A chain that begins outside": branching(
        "a = Mul(s, k)", "b = Neg(s)", "<float k = {2}, float l = {3}>", "s = Mul(x, l)"),
    "Axes that are a constant of the outer graph": Case("""
        g (float[1,4] x, bool c) => (float[4] y) <int64[1] axes = {0}> {
            y = If(c) <then_branch = t () => (float[4] a) { a = Squeeze(x, axes) },
                       else_branch = e () => (float[4] b) { s = Neg(x) b = Squeeze(s, axes) }>
        }"""),
    "Axes that are a constant of a branch that is chosen": Case("""
        g (float[1,4] x) => (float[4] y) <bool yes = {1}> {
            y = If(yes) <then_branch = t () => (float[4] a) <int64[1] axes = {0}> { a = Squeeze(x, axes) },
                         else_branch = e () => (float[4] b) { s = Neg(x) b = Squeeze(s) }>
        }""", gone="If"),
    "Branches whose constants have the same name": Case("""
        g (float[4] x, bool c) => (float[4] y) {
            y = If(c) <then_branch = t () => (float[4] a) <float k = {2}> { a = Mul(x, k) },
                       else_branch = e () => (float[4] b) <float k = {3}> { b = Mul(x, k) }>
        }"""),
    "A branch that hands on an outer value": branching("a = Identity(x)", "b = Exp(x)"),
    "A branch that hands on an outer constant": Case("""
        g (float[4] x, bool c) => (float[4] y) <float[4] k = {1, 2, 3, 4}> {
            y = If(c) <then_branch = t () => (float[4] a) { a = Identity(k) },
                       else_branch = e () => (float[4] b) { b = Exp(x) }>
        }"""),
    "Branches of unlike shapes": Case("""
        g (float[4] x, bool c) => (float[N] y) <int64[1] s = {0}, int64[1] e = {2}> {
            y = If(c) <then_branch = t () => (float[4] a) { a = Exp(x) },
                       else_branch = e () => (float[2] b) { b = Slice(x, s, e) }>
        }"""),
    "A condition that is a comparison of constants": Case(
        """g (float[N,4] x) => (float[N,4] y) <float k = {2}, float l = {3}> {
            c = Less(l, k)
            y = If(c) <then_branch = t () => (float[N,4] a) { a = Exp(x) },
                       else_branch = e () => (float[N,4] b) { b = Neg(x) }>
        }""", gone="If"),
    "A condition of one element with an axis": Case("""
        g (float[4] x, float[1] z) => (float[4] y) <float[1] k = {1}> {
            c = Less(z, k)
            y = If(c) <then_branch = t () => (float[4] a) { a = Exp(x) },
                       else_branch = e () => (float[4] b) { b = Neg(x) }>
        }"""),
    "A Loop that changes what it carries": Case("""
        g (float[4] x) => (float[4] y) <int64 n = {3}, float k = {2}> {
            y = Loop(n, , x) <body = l (int64 i, bool c, float[4] s) => (bool d, float[4] t) {
                d = Identity(c)
                m = Mul(s, k)
                t = Sin(m)
            }>
        }"""),
    "A Loop that reads its number": Case("""
        g (float[4] x, int64 n) => (float[4] y) {
            y = Loop(n, , x) <body = l (int64 i, bool c, float[4] s) => (bool d, float[4] t) {
                d = Identity(c)
                f = Cast<to = 1>(i)
                t = Add(s, f)
            }>
        }""", kept="Loop", fixed={"n": [0, 1, 4]}),
    "A Loop that ends itself": Case("""
        g (float[4] x, int64 n) => (float[4] y) <float k = {100}, int64[1] z = {0}> {
            y = Loop(n, , x) <body = l (int64 i, bool c, float[4] s) => (bool d, float[4] t) {
                t = Add(s, s)
                e = Gather(t, z)
                f = Squeeze(e)
                d = Less(f, k)
            }>
        }""", kept="Loop", fixed={"n": [0, 3, 20]}),
    "A Loop that exchanges what it carries": Case("""
        g (float[4] x, float[4] z, int64 n) => (float[4] y, float[4] w) {
            y, w = Loop(n, , x, z) <
                body = l (int64 i, bool c, float[4] s, float[4] t) => (bool d, float[4] u, float[4] v) {
                d = Identity(c)
                u = Identity(t)
                v = Identity(s)
            }>
        }""", kept="Loop", fixed={"n": [0, 1, 2]}),
    "A Loop that carries what never changes": Case("""
        g (float[4] x, float[4] z, int64 n) => (float[4] y, float[4] w) {
            y, w = Loop(n, , x, z) <
                body = l (int64 i, bool c, float[4] s, float[4] t) => (bool d, float[4] u, float[4] v) {
                d = Identity(c)
                u = Add(s, t)
                v = Identity(t)
            }>
        }""", fixed={"n": [0, 1, 3]}),
    "A Loop that stacks what it carries": Case("""
        g (float[4] x, int64 n) => (float[4] y, float[A,4] w) {
            y, w = Loop(n, , x) <body = l (int64 i, bool c, float[4] s) => (bool d, float[4] u, float[4] v) {
                d = Identity(c)
                u = Sin(s)
                v = Identity(s)
            }>
        }""", fixed={"n": [0, 1, 3]}),
    "A Scan that adds up": Case("""
        g (float[4] x, float[N,4] z) => (float[4] y, float[N,4] w) {
            y, w = Scan<num_scan_inputs = 1, body = l (float[4] s, float[4] e) => (float[4] t, float[4] v) {
                t = Add(s, e)
                v = Identity(t)
            }>(x, z)
        }""", fixed={"x": [[1, 2, 3, 4]]}, sizes=(3, 1)),
    "A function called with two shapes": Case("""
        <ir_version: 10, opset_import: ["" : 17, "local" : 1]>
        g (float[N,4] x, float[2,3] z) => (float[N,4] y, float[2,3] w) { y = local.F(x) w = local.F(z) }
        <domain: "local", opset_import: ["" : 17]>
        F (p) => (q) { s = Shape(p) c = ConstantOfShape(s) e = Exp(p) q = Add(e, c) }"""),
    "A function called with other numbers": Case("""
        <ir_version: 10, opset_import: ["" : 17, "local" : 1]>
        g (float[N,4] x) => (float[N,4] y, float[N,4] w) <float a = {1}, float b = {0}> {
            y = local.F(x, a)
            w = local.F(x, b)
        }
        <domain: "local", opset_import: ["" : 17]>
        F (p, k) => (q) { m = Mul(p, k) e = Exp(m) q = Neg(e) }"""),
    "A function whose attribute its caller binds": Case("""
        <ir_version: 10, opset_import: ["" : 17, "local" : 1]>
        g (float[2,3,4] x) => (float[2,3,4] y, float[2,3,4] w) { y = local.F<at = 1>(x) w = local.F<at = 2>(x) }
        <domain: "local", opset_import: ["" : 17]>
        F<at>(p) => (q) { s = Softmax<axis: int = @at>(p) q = Neg(s) }""",
        fixed={"x": [[[[1, 2, 3, 4], [5, 1, 2, 3], [0, 1, 0, 1]], [[9, 1, 8, 2], [1, 1, 1, 1], [3, 2, 1, 0]]]]}),
    "A function whose input is omitted": Case("""
        <ir_version: 10, opset_import: ["" : 17, "local" : 1]>
        g (float[N,4] x) => (float[N,4] y) <float hi = {1}> { y = local.F(x, , hi) }
        <domain: "local", opset_import: ["" : 17]>
        F (p, lo, hi) => (q) { c = Clip(p, lo, hi) q = Neg(c) }"""),
    "A function that hands its input on": Case("""
        <ir_version: 10, opset_import: ["" : 17, "local" : 1]>
        g (float[N,4] x) => (float[N,4] y, float[N,4] w) { y, w = local.F(x) }
        <domain: "local", opset_import: ["" : 17]>
        F (p) => (q, r) { q = Exp(p) r = Identity(p) }"""),
    "A function that calls a function": Case("""
        <ir_version: 10, opset_import: ["" : 17, "local" : 1]>
        g (float[N,4] x) => (float[N,4] y) { y = local.F(x) }
        <domain: "local", opset_import: ["" : 17, "local" : 1]>
        F (p) => (q) { s = local.G(p) t = local.G(s) q = Neg(t) }
        <domain: "local", opset_import: ["" : 17]>
        G (p) => (q) { s = Sin(p) q = Abs(s) }"""),
    "A function's output that nobody reads": Case("""
        <ir_version: 10, opset_import: ["" : 17, "local" : 1]>
        g (float[N,4] x, float[N,4] z) => (float[N,4] y, float[N,4] w) { y, u = local.F(x) v, w = local.F(z) }
        <domain: "local", opset_import: ["" : 17]>
        F (p) => (q, r) { a = Exp(p) b = Sin(a) q = Neg(b) c = Cos(p) r = Abs(c) }"""),
    "A branch in a branch of the same condition": Case("""
        g (float[N,4] x, bool c) => (float[N,4] y) {
            y = If(c) <then_branch = t () => (float[N,4] a) {
                u = If(c) <then_branch = tt () => (float[N,4] p) { p = Exp(x) },
                           else_branch = te () => (float[N,4] q) { q = Neg(x) }>
                a = Sin(u)
            }, else_branch = e () => (float[N,4] b) { b = Abs(x) }>
        }"""),
    "A sequence that grows": Case("""
        g (float[N,4] x, float[N,4] z) => (float[M,4] y) <int64 i = {0}> {
            s = SequenceConstruct(x, z)
            t = SequenceInsert(s, z, i)
            y = ConcatFromSequence<axis = 0>(t)
        }"""),
    "A sequence from which something is taken": Case("""
        g (float[N,4] x, float[N,4] z) => (float[N,4] y) <int64 i = {-2}, int64 j = {0}> {
            s = SequenceConstruct(x, z, x)
            t = SequenceErase(s, j)
            y = SequenceAt(t, i)
        }"""),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_scopes_stay(title: str) -> None:
    CASES[title].check()
