"""BatchNormalization that computes its statistics from the batch is no affine function of constants."""

from __future__ import annotations

import pytest
from legality.adversarial import Case

_PARAMETERS = """float[4] s = {1, 2, -1, 0.5}, float[4] b = {0, 1, 2, -3}, float[4] m = {1, -1, 0.5, 0},
    float[4] v = {1, 4, 0.25, 2}"""
_CONV = "float[4,2,1,1] w = {1, -1, 2, 0.5, 3, -2, 1, 1}"
_MORE = "float[4] rm, float[4] rv"

CASES = {
    "After a Conv": Case(f"""
        g (float[2,2,3,3] x) => (float[2,4,3,3] y) <{_CONV}, {_PARAMETERS}> {{
            c = Conv(x, w)
            y, rm, rv = BatchNormalization<training_mode = 1>(c, s, b, m, v)
        }}""", kept="BatchNormalization Conv"),
    "After a ConvTranspose": Case(f"""
        g (float[2,2,3,3] x) => (float[2,4,3,3] y) <float[2,4,1,1] w = {{1, -1, 2, 0.5, 3, -2, 1, 1}}, {_PARAMETERS}> {{
            c = ConvTranspose(x, w)
            y, rm, rv = BatchNormalization<training_mode = 1>(c, s, b, m, v)
        }}""", kept="BatchNormalization ConvTranspose"),
    "After a Gemm": Case(f"""
        g (float[N,2] x) => (float[N,4] y) <float[2,4] w = {{1, -1, 2, 0.5, 3, -2, 1, 1}}, {_PARAMETERS}> {{
            c = Gemm(x, w)
            y, rm, rv = BatchNormalization<training_mode = 1>(c, s, b, m, v)
        }}""", kept="BatchNormalization Gemm", sizes=(3, 2)),
    "Before a Conv": Case(f"""
        g (float[2,4,3,3] x) => (float[2,2,3,3] y) <float[2,4,1,1] w = {{1, -1, 2, 0.5, 3, -2, 1, 1}}, {_PARAMETERS}> {{
            c, rm, rv = BatchNormalization<training_mode = 1>(x, s, b, m, v)
            y = Conv(c, w)
        }}""", kept="BatchNormalization Conv"),
    "Alone, with a scale after it": Case(f"""
        g (float[2,4,3,3] x) => (float[2,4,3,3] y) <float[4,1,1] k = {{1, 2, 3, 4}}, {_PARAMETERS}> {{
            c, rm, rv = BatchNormalization<training_mode = 1>(x, s, b, m, v)
            y = Mul(c, k)
        }}""", kept="BatchNormalization"),
    "Its running statistics are read": Case(f"""
        g (float[2,2,3,3] x) => (float[2,4,3,3] y, float[4] rm, float[4] rv) <{_CONV}, {_PARAMETERS}> {{
            c = Conv(x, w)
            y, rm, rv = BatchNormalization<training_mode = 1, momentum = 0.5>(c, s, b, m, v)
        }}""", kept="BatchNormalization"),
    "Opset 14": Case(f"""<ir_version: 8, opset_import: ["" : 14]>
        g (float[2,2,3,3] x) => (float[2,4,3,3] y) <{_CONV}, {_PARAMETERS}> {{
            c = Conv(x, w)
            y, rm, rv = BatchNormalization<training_mode = 1>(c, s, b, m, v)
        }}""", kept="BatchNormalization"),
    "Inference is folded": Case(f"""
        g (float[2,2,3,3] x) => (float[2,4,3,3] y) <{_CONV}, {_PARAMETERS}> {{
            c = Conv(x, w)
            y = BatchNormalization<training_mode = 0>(c, s, b, m, v)
        }}""", gone="BatchNormalization"),
    "Statistics that callers may set": Case("""
        g (float[2,2,3,3] x, float[4] s, float[4] b, float[4] m, float[4] v) => (float[2,4,3,3] y)
        <float[4,2,1,1] w = {1, -1, 2, 0.5, 3, -2, 1, 1}, float[4] s = {1, 2, -1, 0.5}, float[4] b = {0, 1, 2, -3},
         float[4] m = {1, -1, 0.5, 0}, float[4] v = {1, 4, 0.25, 2}> {
            c = Conv(x, w)
            y = BatchNormalization(c, s, b, m, v)
        }""", kept="BatchNormalization", fixed={"v": [[1, 2, 3, 4], [4, 0.5, 1, 1]]}),
    "A variance of zero and no epsilon": Case("""
        g (float[2,2,3,3] x) => (float[2,2,3,3] y) <float[2,2,1,1] w = {1, -1, 2, 0.5}, float[2] s = {1, 2},
        float[2] b = {0, 1}, float[2] m = {1, -1}, float[2] v = {0, 4}> {
            c = Conv(x, w)
            y = BatchNormalization<epsilon = 0.0>(c, s, b, m, v)
        }"""),
    "A negative variance": Case("""
        g (float[2,2,3,3] x) => (float[2,2,3,3] y) <float[2,2,1,1] w = {1, -1, 2, 0.5}, float[2] s = {1, 2},
        float[2] b = {0, 1}, float[2] m = {1, -1}, float[2] v = {-1, 4}> {
            c = Conv(x, w)
            y = BatchNormalization(c, s, b, m, v)
        }"""),
    "The Conv is read by others too": Case(f"""
        g (float[2,2,3,3] x) => (float[2,4,3,3] y, float[2,4,3,3] z) <{_CONV}, {_PARAMETERS}> {{
            c = Conv(x, w)
            y = BatchNormalization(c, s, b, m, v)
            z = Exp(c)
        }}"""),
    "The Conv is a graph output": Case(f"""
        g (float[2,2,3,3] x) => (float[2,4,3,3] y, float[2,4,3,3] c) <{_CONV}, {_PARAMETERS}> {{
            c = Conv(x, w)
            y = BatchNormalization(c, s, b, m, v)
        }}"""),
    "Dropout in training": Case("""
        g (float[N,4] x) => (float[N,4] y) <float ratio = {0}, bool yes = {1}> {
            d = Dropout(x, ratio, yes)
            y = Exp(d)
        }"""),
    "Dropout whose mode callers choose": Case("""
        g (float[N,4] x, bool t) => (float[N,4] y) <float ratio = {0}> {
            d = Dropout(x, ratio, t)
            y = Exp(d)
        }"""),
    "Dropout whose mask is read": Case("""
        g (float[N,4] x) => (float[N,4] y, bool[N,4] k) {
            d, mask = Dropout(x)
            y = Exp(d)
            k = Not(mask)
        }"""),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_numbers_stay(title: str) -> None:
    CASES[title].check()
