"""Arrays of element types that numpy lacks, in and out of ONNX Runtime: bfloat16, float8, and types of 4 and 2 bits."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, numpy_helper
from onnx.helper import tensor_dtype_to_np_dtype

from ..compiler import dtypes

_NATIVE = dtypes.INTEGER | {dtypes.FLOAT, dtypes.DOUBLE, dtypes.FLOAT16, dtypes.BOOL, dtypes.STRING}


def is_narrow(type_name: str) -> bool:
    """True for what ONNX Runtime calls a tensor of a type that numpy lacks, e.g. "tensor(bfloat16)"."""
    return any(word in type_name for word in ("bfloat16", "float8", "float4", "int4", "int2"))


def to_ort(array: np.ndarray) -> Any:
    """The array as an OrtValue."""
    array = np.ascontiguousarray(array)
    if dtypes.of_array(array) in _NATIVE:
        return ort.OrtValue.ortvalue_from_numpy(array)
    packed = numpy_helper.from_array(array)
    value = ort.OrtValue.ortvalue_from_shape_and_type(list(array.shape), packed.data_type)
    ctypes.memmove(value.data_ptr(), packed.raw_data, len(packed.raw_data))
    return value


def from_ort(value: Any) -> Any:
    """The array in an OrtValue; an OrtValue that holds no tensor as it is."""
    if not value.is_tensor():
        return value
    if value.element_type() in _NATIVE:
        return value.numpy()
    tensor = TensorProto(data_type=value.element_type(), dims=value.shape())
    size = dtypes.nbytes(value.element_type(), int(np.prod(value.shape())))
    tensor.raw_data = ctypes.string_at(value.data_ptr(), size)
    array = numpy_helper.to_array(tensor)
    return array.astype(tensor_dtype_to_np_dtype(value.element_type()), copy=False)
