"""What is small enough for single precision, and overflows or vanishes in half precision."""

from __future__ import annotations

import re

import numpy as np
import pytest
from legality.adversarial import Case

_X = [[[1, -2, 0.5, 0], [100, 200, -300, 1], [0.001, -0.002, 3, 4]]]


def halves(constants: str) -> str:
    """Constants of type float16: the text syntax wants the bits of the numbers."""

    def written(numbers: re.Match[str]) -> str:
        bits = np.array(numbers[1].split(","), np.float32).astype(np.float16).view(np.uint16)
        return f"{{{', '.join(map(str, bits))}}}"

    return re.sub(r"\{(.*?)\}", written, constants)


def of(formula: str, constants: str = "", kept: str = "") -> Case:
    """y as a formula of x."""
    given = ", ".join(f"float16 {one.strip()}" for one in constants.split(",") if one)
    text = f"g (float16[3,4] x) => (float16[3,4] y) {halves(f'<{given}>') if given else ''} {{ {formula} }}"
    return Case(text, kept, fixed={"x": _X})


def layered(weights: str, formula: str, x: object, shape: str = "N,2") -> Case:
    """y as a formula of x and weights."""
    text = f"g (float16[{shape}] x) => (float16[{shape}] y) <{halves(weights)}> {{ {formula} }}"
    return Case(text, fixed={"x": [x]}, sizes=(1,))


CASES = {
    "Factors whose product overflows": of("a = Mul(x, k) y = Mul(a, l)", "k = {300}, l = {300}", "Mul Mul"),
    "Factors whose product vanishes": of("a = Mul(x, k) y = Mul(a, l)", "k = {0.0001}, l = {0.0001}", "Mul Mul"),
    "Divisors whose product overflows": of("a = Div(x, k) y = Div(a, l)", "k = {300}, l = {300}"),
    "A divisor whose reciprocal is not a normal number": of("a = Div(x, k) y = Neg(a)", "k = {60000}"),
    "A divisor whose reciprocal overflows": of("a = Div(x, k) y = Mul(a, l)", "k = {0.00001}, l = {0.00001}"),
    "Terms whose sum overflows": of("a = Add(x, k) y = Add(a, l)", "k = {60000}, l = {60000}"),
    "A term that is lost, and taken away": of("a = Add(x, k) y = Sub(a, k)", "k = {4096}", "Add Sub"),
    "A large factor and a small one": of("a = Mul(x, k) y = Mul(a, l)", "k = {100}, l = {0.01}"),
    "A term below the last place": of("a = Add(x, k) y = Neg(a)", "k = {0.00006}"),
    "The epsilon of a norm": of(
        "m = ReduceMean<axes = [1]>(x) c = Sub(x, m) q = Mul(c, c) v = ReduceMean<axes = [1]>(q) a = Add(v, e)"
        " r = Sqrt(a) y = Div(c, r)", "e = {0.001}"),
    "A scale into a weight that overflows": layered(
        "float16[2,2] w = {300, 1, 2, 1}, float16 k = {300}", "a = MatMul(x, w) y = Mul(a, k)", [[0.001, 0.5]]),
    "A scale into a weight that vanishes": layered(
        "float16[2,2] w = {0.0001, 0.0002, 0.0003, 0.0001}, float16 k = {0.0001}", "a = MatMul(x, w) y = Mul(a, k)",
        [[1000, 500]]),
    "Statistics into a weight that overflows": layered(
        "float16[1,1,1,1] w = {300}, float16[1] s = {300}, float16[1] b = {1}, float16[1] m = {0},"
        " float16[1] v = {0.0001}", "c = Conv(x, w) y = BatchNormalization(c, s, b, m, v)",
        [[[[0.001, 0.002], [0, -0.001]]]], "1,1,2,2"),
    "Two products in a row whose weights overflow together": layered(
        "float16[2,2] u = {300, 1, 2, 1}, float16[2,2] w = {300, 1, 2, 1}", "a = MatMul(x, u) y = MatMul(a, w)",
        [[0.001, 0.5]]),
    "A bias that overflows when it is scaled": layered(
        "float16[2,2] w = {1, 1, 2, 1}, float16[2] b = {6000, 1}, float16 k = {100}",
        "a = Gemm(x, w, b) y = Mul(a, k)", [[-5990, 0.5]]),
    "A Gelu": of("d = Div(x, r) e = Erf(d) a = Add(e, o) p = Mul(x, a) y = Mul(p, h)",
                 "r = {1.4142135}, o = {1}, h = {0.5}"),
    "A Swish": of("s = Sigmoid(x) y = Mul(x, s)"),
    "A softmax by hand": of("e = Exp(x) s = ReduceSum(e) y = Div(e, s)"),
    "A power": of("y = Pow(x, k)", "k = {2}"),
    "A power of a power": of("a = Pow(x, k) y = Pow(a, k)", "k = {2}"),
    "A cast of a product": Case(f"""
        g (float[N,2] x) => (float[N,2] y) <{halves("float16 k = {1000}")}> {{
            h = Cast<to = 10>(x)
            a = Mul(h, k)
            y = Cast<to = 1>(a)
        }}""", kept="Cast Cast", fixed={"x": [[[0.3, 1], [100, -100]]]}, sizes=(2,)),
    "A constant beyond its range": Case("""
        g (float16[N,2] x) => (float16[N,2] y) <float k = {100000}> { l = Cast<to = 10>(k) y = Min(x, l) }""",
        fixed={"x": [[[0.3, 1], [100, -100]]]}, sizes=(2,)),
    "A mean of large numbers": of("m = ReduceMean<axes = [1]>(x) y = Sub(x, m)"),
    "A square that overflows before its mean": of(
        "q = Mul(x, x) m = ReduceMean<axes = [1]>(q) r = Sqrt(m) y = Div(x, r)"),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_its_range_stays(title: str) -> None:
    CASES[title].check()
