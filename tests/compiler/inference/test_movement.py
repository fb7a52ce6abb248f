"""What inference knows of small integer tensors that are moved about, and of slices and sums of unknown extents."""

from __future__ import annotations

import onnx.parser
import pytest

from planish.compiler import symbolic
from planish.compiler.inference import infer_model
from planish.compiler.model import Model
from planish.compiler.reading import load


def inferred(text: str) -> Model:
    model = load(onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 17]>\ng {text}'))
    infer_model(model)
    return model


def value(model: Model, name: str):
    found = model.value_named(name)
    assert found is not None
    return found


def test_the_pads_that_pytorch_turns_round_are_known() -> None:
    model = inferred("""(float[N,T] x) => (float[A,B] y)
        <int64[3] zeros = {0, 0, 0}, int64[2] s = {-1, 2}, int64[1] m1 = {-1}, int64[1] far = {-9223372036854775807},
         int64[1] zero = {0}> {
            n = Shape <start = 1, end = 2> (x)
            c = Concat <axis = 0> (n, zeros)
            r = Reshape (c, s)
            v = Slice (r, m1, far, zero, m1)
            t = Transpose <perm = [1, 0]> (v)
            p = Reshape (t, m1)
            y = Pad (x, p)
        }""")
    size = symbolic.symbol("T")
    assert value(model, "v").content == (0, 0, size, 0)
    assert value(model, "p").content == (0, size, 0, 0)
    assert value(model, "y").shape == (symbolic.symbol("N"), symbolic.mul(size, 2))


@pytest.mark.parametrize(
    ("start", "end"), [(0, 2**63 - 1), (3, 2**63 - 1), (0, 3), (2, 5), (-2, 2**63 - 1), (-4, -1), (0, -3)]
)
def test_a_slice_of_an_unknown_extent(start: int, end: int) -> None:
    model = inferred(f"""(float[N] x) => (float[M] y) <int64[1] s = {{{start}}}, int64[1] e = {{{end}}}> {{
            y = Slice (x, s, e)
        }}""")
    (extent,) = value(model, "y").shape
    assert isinstance(extent, symbolic.Expr)
    for size in range(8):
        real = len(range(size)[start:end])
        assert symbolic.evaluate(extent, {"N": size}) == real


def test_an_end_that_is_the_extent_takes_everything() -> None:
    model = inferred("""(float[N] x) => (float[M] y)
        <int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[2] pads = {0, 0}> {
            n = Shape (x)
            twice = Mul (n, two)
            less = Sub (twice, one)
            minus = Neg (one)
            p = Concat <axis = 0> (n, minus)
            wide = Pad (x, p)
            y = Slice (wide, zero, less)
        }""")
    assert value(model, "y").shape == value(model, "wide").shape


def test_an_extent_and_the_same_one_capped_are_the_same_where_they_meet() -> None:
    model = inferred("""(float[N,4] x, float[9,4] table) => (float[M,4] y) <int64[1] zero = {0}> {
            n = Shape <start = 0, end = 1> (x)
            part = Slice (table, zero, n)
            y = Add (x, part)
        }""")
    assert symbolic.text(value(model, "part").shape[0]) == "min(9, N)"
    assert value(model, "y").shape == (symbolic.symbol("N"), 4)
