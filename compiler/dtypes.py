"""Element types of ONNX tensors: their sizes, families and numpy counterparts.

An element type is the integer of `onnx.TensorProto.DataType`; 0 (UNDEFINED) stands for "not known".
"""

from __future__ import annotations

from functools import cache

import numpy as np
from onnx import TensorProto
from onnx.helper import np_dtype_to_tensor_dtype, tensor_dtype_to_np_dtype

UNKNOWN = TensorProto.UNDEFINED
FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE
FLOAT16, BFLOAT16 = TensorProto.FLOAT16, TensorProto.BFLOAT16
INT32, INT64, BOOL, STRING = TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING

FLOATING = frozenset({FLOAT, DOUBLE, FLOAT16, BFLOAT16})
SIGNED = frozenset({TensorProto.INT8, TensorProto.INT16, INT32, INT64})
UNSIGNED = frozenset({TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64})
INTEGER = SIGNED | UNSIGNED
_EPSILON: dict[int, float] = {DOUBLE: 2.0**-52, FLOAT: 2.0**-23, FLOAT16: 2.0**-10, BFLOAT16: 2.0**-7}
_SMALLEST_NORMAL: dict[int, float] = {DOUBLE: 2.0**-1022, FLOAT: 2.0**-126, FLOAT16: 2.0**-14, BFLOAT16: 2.0**-126}
_LARGEST: dict[int, float] = {
    DOUBLE: (2 - 2.0**-52) * 2.0**1023, FLOAT: (2 - 2.0**-23) * 2.0**127, FLOAT16: 65504.0,
    BFLOAT16: (2 - 2.0**-7) * 2.0**127,
}  # fmt: skip

_BITS_BY_NAME = {
    "FLOAT": 32, "DOUBLE": 64, "FLOAT16": 16, "BFLOAT16": 16, "INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64,
    "UINT8": 8, "UINT16": 16, "UINT32": 32, "UINT64": 64, "BOOL": 8, "COMPLEX64": 64, "COMPLEX128": 128,
    "FLOAT8E4M3FN": 8, "FLOAT8E4M3FNUZ": 8, "FLOAT8E5M2": 8, "FLOAT8E5M2FNUZ": 8, "FLOAT8E8M0": 8,
    "FLOAT6E2M3": 6, "FLOAT6E3M2": 6, "INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2,
}  # fmt: skip
BITS: dict[int, int] = {
    number: _BITS_BY_NAME[name] for name, number in TensorProto.DataType.items() if name in _BITS_BY_NAME
}

_NAMES: dict[int, str] = {number: name.lower() for name, number in TensorProto.DataType.items()} | {UNKNOWN: "?"}


def nbytes(dtype: int, elements: int) -> int:
    """Bytes that `elements` elements of `dtype` take when packed; strings and unknown types count as 0."""
    return (BITS.get(dtype, 0) * elements + 7) // 8


def smallest_normal(dtype: int) -> float:
    """The smallest positive number of a floating type that has all of its digits."""
    return _SMALLEST_NORMAL[dtype]


def epsilon(dtype: int) -> float:
    """Distance from 1 to the next larger number of a floating type."""
    return _EPSILON[dtype]


def finite_limits(dtype: int) -> tuple[float, float]:
    """The lowest and the largest finite number of a floating or integer type; exact, so ints for integers."""
    if dtype in UNSIGNED:
        return 0, (1 << BITS[dtype]) - 1
    if dtype in SIGNED:
        return -(1 << (BITS[dtype] - 1)), (1 << (BITS[dtype] - 1)) - 1
    return -_LARGEST[dtype], _LARGEST[dtype]


def name_of(dtype: int) -> str:
    """Lower-case ONNX name, e.g. "float", "int64", "bfloat16"; "?" when unknown, "?99" for a type of a later ONNX."""
    return _NAMES.get(dtype, f"?{dtype}")


@cache
def to_numpy(dtype: int) -> np.dtype[np.generic]:
    """The numpy (or ml_dtypes) type that holds this element type."""
    return np.dtype(tensor_dtype_to_np_dtype(dtype))


def of_array(array: np.ndarray) -> int:
    """The ONNX element type of a numpy array (object and unicode arrays are strings)."""
    if array.dtype.kind in "OUS":
        return STRING
    return int(np_dtype_to_tensor_dtype(array.dtype))


@cache
def numbers_of(dtype: int) -> range:
    """The numbers that an integer type holds; none for other types."""
    if dtype not in INTEGER:
        return range(0)
    limits = np.iinfo(to_numpy(dtype))  # type: ignore[type-var]
    return range(int(limits.min), int(limits.max) + 1)
