"""Element types of TensorRT and what stands for them in ONNX."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper
from onnx.helper import tensor_dtype_to_np_dtype

from ...compiler.dtypes import nbytes
from ...compiler.errors import UnsupportedModelError

ONNX_TYPES: dict[str, int] = {
    "FLOAT": TensorProto.FLOAT, "HALF": TensorProto.FLOAT16, "BF16": TensorProto.BFLOAT16, "INT8": TensorProto.INT8,
    "INT32": TensorProto.INT32, "INT64": TensorProto.INT64, "BOOL": TensorProto.BOOL, "UINT8": TensorProto.UINT8,
    "FP8": TensorProto.FLOAT8E4M3FN, "INT4": TensorProto.INT4, "FP4": TensorProto.FLOAT4E2M1,
    "E8M0": TensorProto.FLOAT8E8M0,
}  # fmt: skip
# Types for which operators are missing in ONNX or in ONNX Runtime -> a type that holds all their values, in which the
# operator is computed; its result is rounded back.
COMPUTED_IN: dict[int, int] = {
    TensorProto.BFLOAT16: TensorProto.FLOAT, TensorProto.FLOAT8E4M3FN: TensorProto.FLOAT,
    TensorProto.FLOAT4E2M1: TensorProto.FLOAT, TensorProto.FLOAT8E8M0: TensorProto.FLOAT,
    TensorProto.INT4: TensorProto.INT32, TensorProto.INT8: TensorProto.INT32, TensorProto.UINT8: TensorProto.INT32,
}  # fmt: skip
FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})


def onnx_type(name: str) -> int:
    """The ONNX type of a TensorRT type's name."""
    if name not in ONNX_TYPES:
        raise UnsupportedModelError(f"TensorRT's type {name} has no counterpart in ONNX")
    return ONNX_TYPES[name]


def numpy_type(onnx_type: int) -> np.dtype:
    """The numpy type of an ONNX type."""
    return np.dtype(tensor_dtype_to_np_dtype(onnx_type))


def weights_tensor(weights: Any, onnx_type: int, shape: tuple[int, ...], name: str) -> TensorProto:
    """The weights of a layer as an ONNX tensor.

    Args:
        weights: an array, or the bindings' Weights for types that numpy lacks.
    """
    if isinstance(weights, np.ndarray):
        return numpy_helper.from_array(np.ascontiguousarray(weights).reshape(shape), name)
    size = nbytes(onnx_type, int(np.prod(shape, dtype=np.int64)))
    raw = ctypes.string_at(_address(weights), size) if size else b""
    return TensorProto(name=name, data_type=onnx_type, dims=shape, raw_data=raw)


def _address(weights: Any) -> int:
    """Where the numbers of a Weights object lie.

    The bindings give no way to read types that numpy lacks. The object holds a pointer to nvinfer1::Weights {type,
    values, count}; that this is so in the installed version is tried on an object whose numbers we made.
    """
    own = np.arange(3, dtype=np.float32)
    if _described(type(weights)(own)) != (own.ctypes.data, 3):
        raise UnsupportedModelError("the weights of this version of TensorRT cannot be read")
    address, count = _described(weights)
    if count != weights.size:
        raise UnsupportedModelError("the weights of this version of TensorRT cannot be read")
    return address


def _described(weights: Any) -> tuple[int, int]:
    held = ctypes.c_void_p.from_address(id(weights) + object.__basicsize__).value or 0
    values = ctypes.c_void_p.from_address(held + 8).value or 0
    return values, ctypes.c_int64.from_address(held + 16).value
