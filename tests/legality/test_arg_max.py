"""ArgMax sees through a function only if that keeps the order of all numbers, ties among them."""

from __future__ import annotations

import pytest
from legality.adversarial import Case

_ROWS = [[[-1, -4, 2, 3], [-1, -2, -3, -4], [5, 5, 1, 0]], [[1e30, 1, 2e30, 3], [200, 300, 100, -1], [0, -0.0, 0, -1]],
         [[-200, -300, -150, -500], [20, 30, 40, 50], [9, 8, 7, 6]]]  # fmt: skip


def seen(function: str, reader: str = "ArgMax<axis = 1, keepdims = 0>", weights: str = "") -> str:
    return f"g (float[3,4] x) => (int64[3] y) {weights} {{ f = {function} y = {reader}(f) }}"


def case(function: str, kept: str = "", weights: str = "", reader: str = "ArgMax<axis = 1, keepdims = 0>") -> Case:
    return Case(seen(function, reader, weights), kept, fixed={"x": _ROWS})


CASES = {
    "Root of negative numbers": case("Sqrt(x)", "Sqrt"),
    "Logarithm of negative numbers": case("Log(x)", "Log"),
    "An exponential that overflows": case("Exp(x)", "Exp"),
    "A sigmoid that saturates": case("Sigmoid(x)", "Sigmoid"),
    "A hyperbolic tangent that saturates": case("Tanh(x)", "Tanh"),
    "Relu makes ties": case("Relu(x)", "Relu"),
    "Clip makes ties": case("Clip(x, lo, hi)", "Clip", "<float lo = {-1}, float hi = {3}>"),
    "Floor makes ties": case("Floor(x)", "Floor"),
    "Sign makes ties": case("Sign(x)", "Sign"),
    "HardSigmoid makes ties": case("HardSigmoid(x)", "HardSigmoid"),
    "A softmax that underflows": case("Softmax<axis = 1>(x)", "Softmax"),
    "A softmax along another axis": case("Softmax<axis = 0>(x)", "Softmax"),
    "A log-softmax along another axis": case("LogSoftmax<axis = 0>(x)", "LogSoftmax"),
    "A negative factor": case("Mul(x, k)", "", "<float k = {-2}>"),
    "A factor of zero": case("Mul(x, k)", "", "<float k = {0}>"),
    "A large factor": case("Mul(x, k)", "", "<float k = {1e30}>"),
    "A factor for each column": case("Mul(x, k)", "Mul", "<float[4] k = {1, 2, 0.5, 3}>"),
    "A number for each column is added": case("Add(x, k)", "Add", "<float[4] k = {1, 2, 0.5, 3}>"),
    "A large number is added": case("Add(x, k)", "Add", "<float k = {1e9}>"),
    "A square": case("Mul(x, x)", "Mul"),
    "The reciprocal": case("Reciprocal(x)", "Reciprocal"),
    "A negation and ArgMin": case("Neg(x)", "", "", "ArgMin<axis = 1, keepdims = 0>"),
    "The last of equal ones": case("Relu(x)", "Relu", "", "ArgMax<axis = 1, keepdims = 0, select_last_index = 1>"),
    "Rounded to half precision": Case("""
        g (float[3,4] x) => (int64[3] y) {
            h = Cast<to = 10>(x)
            f = Cast<to = 1>(h)
            y = ArgMax<axis = 1, keepdims = 0>(f)
        }""", "Cast", fixed={"x": [[[1, 1.0001, 0.9999, 1], [2048, 2049, 2050, 2051], [0, 1, 2, 3]]]}),
    "Rounded to integers": Case("""
        g (float[3,4] x) => (int64[3] y) {
            h = Cast<to = 7>(x)
            f = Cast<to = 1>(h)
            y = ArgMax<axis = 1, keepdims = 0>(f)
        }""", "Cast", fixed={"x": [[[1, 1.5, 1.75, 1], [2.5, 2.25, 2, 3], [0, 1, 2, 3]]]}),
    "The largest one of a sorted prefix": Case("""
        g (float[3,4] x) => (float[3,2] v, int64[3,2] i) <int64[1] k = {2}> {
            f = Relu(x)
            v, i = TopK(f, k)
        }""", "Relu", fixed={"x": _ROWS}),
    "The largest of roots": Case("""
        g (float[3,4] x) => (float[3,1] y) {
            f = Sqrt(x)
            y = ReduceMax<axes = [1]>(f)
        }""", "Sqrt", fixed={"x": [[[1, 4, 2, 3], [0, 0, 0, 0], [5, 5, 1, 0]]]}),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_places_stay(title: str) -> None:
    CASES[title].check()
