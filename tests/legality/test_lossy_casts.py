"""A Cast to a type that cannot hold every number is not undone by a Cast back."""

from __future__ import annotations

import pytest
from legality.adversarial import Case, parsed
from onnx import TensorProto

_FLOAT, _UINT8, _INT8, _INT32, _INT64 = 1, 2, 3, 6, 7
_BOOL, _HALF, _DOUBLE, _UINT32, _UINT64, _BFLOAT16 = 9, 10, 11, 12, 13, 16
_NAMES = {_FLOAT: "float", _UINT8: "uint8", _INT8: "int8", _INT32: "int32", _INT64: "int64", _BOOL: "bool",
          _HALF: "float16", _DOUBLE: "double", _UINT32: "uint32", _UINT64: "uint64"}  # fmt: skip
_FRACTIONS = [[1, 1.5, -2.75, 100], [0.1, -0.1, 0, 127], [2.5, 3.5, -3.5, -100]]
_WIDE = [[2**24 + 1, -(2**24) - 1, 2**31 - 1, -(2**31)], [2**53 + 1, 2**62 + 1, -(2**53) - 1, 2**40 + 1], [0, 1, -1, 7]]
_WORDS = [[2**31 - 1, -(2**31), 65536 + 3, -257], [255, 256, 257, -1], [128, -129, 127, 2**24 + 1]]
_SIGNED = [[-1, -2, -128, 127], [0, 1, 2, 3], [100, -100, 5, -5]]
_FLAGS = [[True, False, True, True]]


def through(first: int, *types: int, given: object, kept: bool = True) -> Case:
    """A value of the first type cast to each of the others in turn; `kept`: no Cast may be left out."""
    casts = "".join(f"c{i + 1} = Cast<to = {kind}>({f'c{i}' if i else 'x'}) " for i, kind in enumerate(types))
    last = f"c{len(types)}"
    text = f"g ({_NAMES[first]}[4] x) => ({_NAMES[types[-1]]}[4] y) {{ {casts} y = Identity({last}) }}"
    return Case(text, " ".join(["Cast"] * len(types)) if kept else "", fixed={"x": given})  # type: ignore[dict-item]


CASES = {
    "float, half, float": through(_FLOAT, _HALF, _FLOAT, given=_FRACTIONS),
    "float, bfloat16, float": through(_FLOAT, _BFLOAT16, _FLOAT, given=_FRACTIONS),
    "half, bfloat16, half": through(_HALF, _BFLOAT16, _HALF, given=_FRACTIONS),
    "double, float, double": through(_DOUBLE, _FLOAT, _DOUBLE, given=_FRACTIONS),
    "double, float, half is rounded twice": through(_DOUBLE, _FLOAT, _HALF, given=[[1 + 2.0**-11 + 2.0**-40, 1, 2, 3]]),
    "float, int64, float": through(_FLOAT, _INT64, _FLOAT, given=_FRACTIONS),
    "float, int32, int64": through(_FLOAT, _INT32, _INT64, given=_FRACTIONS, kept=False),
    "float, bool, float": through(_FLOAT, _BOOL, _FLOAT, given=[[0, 1, 0.5, -2], [-0.0, 7, 1e-40, 3]]),
    "int64, float, int64": through(_INT64, _FLOAT, _INT64, given=[[2**24 + 1, 2**40 + 1, 3, -(2**24) - 1]]),
    "int64, double, int64": through(_INT64, _DOUBLE, _INT64, given=[[2**53 + 1, 2**60 + 1, -(2**53) - 1, 5]]),
    "int32, float, int32": through(_INT32, _FLOAT, _INT32, given=[[2**24 + 1, -(2**24) - 1, 2**30 + 1, 9]]),
    "int64, int32, int64": through(_INT64, _INT32, _INT64, given=_WIDE),
    "int32, int8, int32": through(_INT32, _INT8, _INT32, given=_WORDS),
    "int32, uint8, int32": through(_INT32, _UINT8, _INT32, given=_WORDS),
    "int8, uint8, int32 loses the sign": through(_INT8, _UINT8, _INT32, given=_SIGNED),
    "int32, uint32, int64 loses the sign": through(_INT32, _UINT32, _INT64, given=_WORDS),
    "int64, uint64, float loses the sign": through(_INT64, _UINT64, _FLOAT, given=[[-1, -5, 7, 2**62]]),
    "int32, bool, int32": through(_INT32, _BOOL, _INT32, given=_WORDS),
    "int32, half, int32 is past the largest half": through(_INT32, _HALF, _INT32, given=[[2049, 4099, -2051, 5]]),
    "half, float, half": through(_HALF, _FLOAT, _HALF, given=_FRACTIONS, kept=False),
    "float, double, float": through(_FLOAT, _DOUBLE, _FLOAT, given=_FRACTIONS, kept=False),
    "int32, int64, int32": through(_INT32, _INT64, _INT32, given=_WORDS, kept=False),
    "int32, double, int32": through(_INT32, _DOUBLE, _INT32, given=_WORDS, kept=False),
    "bool, float, bool": through(_BOOL, _FLOAT, _BOOL, given=_FLAGS, kept=False),
    "bool, int64, float": through(_BOOL, _INT64, _FLOAT, given=_FLAGS, kept=False),
    "uint8, int32, float": through(_UINT8, _INT32, _FLOAT, given=[[0, 255, 7, 128]], kept=False),
    "int64, int32, float": through(_INT64, _INT32, _FLOAT, given=_WIDE),
    "float, half, double": through(_FLOAT, _HALF, _DOUBLE, given=_FRACTIONS),
    "half, int32, half": through(_HALF, _INT32, _HALF, given=_FRACTIONS),
    "float, half, float, half": Case("""
        g (float[4] x) => (float16[4] y) {
            a = Cast<to = 10>(x)
            b = Cast<to = 1>(a)
            y = Cast<to = 10>(b)
        }""", kept="Cast", fixed={"x": _FRACTIONS}),
    "A comparison of what was rounded": Case("""
        g (float[4] x) => (bool[4] y) <float c = {0.1}> {
            a = Cast<to = 10>(x)
            b = Cast<to = 1>(a)
            y = Equal(b, c)
        }""", kept="Cast Cast", fixed={"x": _FRACTIONS}),
    "Arithmetic in half precision is not arithmetic in single": Case("""
        g (float[4] x) => (float[4] y) <float16 c = {0}, float16 k = {15360}> {
            a = Cast<to = 10>(x)
            b = Mul(a, a)
            y = Cast<to = 1>(b)
        }""", kept="Cast Cast", fixed={"x": [[300, 1, 2, -300]]}),
    "A shape of what was cast": Case("""
        g (float[N,4] x) => (int64[2] y) {
            a = Cast<to = 10>(x)
            y = Shape(a)
        }""", gone="Cast"),
}  # fmt: skip


@pytest.mark.parametrize("title", CASES)
def test_rounding_stays(title: str) -> None:
    CASES[title].check()


def test_the_numbers_of_the_types_are_right() -> None:
    assert [TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32, TensorProto.INT64] == [
        _FLOAT, _UINT8, _INT8, _INT32, _INT64,
    ]  # fmt: skip
    wide = [TensorProto.BOOL, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT32, TensorProto.UINT64]
    assert wide == [_BOOL, _HALF, _DOUBLE, _UINT32, _UINT64]
    for kind, name in _NAMES.items():
        assert parsed(f"g ({name}[4] x) => ({name}[4] x) {{}}").graph.input[0].type.tensor_type.elem_type == kind
