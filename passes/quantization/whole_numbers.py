"""Float tensors that hold whole numbers within the range of an integer type, so that a Cast to it loses nothing."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from ...compiler import dtypes
from ...compiler.graph import Value

RANGES = {TensorProto.INT8: (-128, 127), TensorProto.UINT8: (0, 255), TensorProto.INT16: (-32768, 32767),
          TensorProto.UINT16: (0, 65535)}  # fmt: skip
_QUANTIZERS = frozenset({"compute-integers-in-float", "write-out-quantization"})  # passes that write them out
_DEEPEST = 4  # steps that are followed


def whole_behind(value: Value) -> Value | None:
    """The float32 tensor with the same numbers as an integer tensor that a quantizer became; None if there is none.

    Other Casts give some integer for NaN, where the float tensor holds NaN.
    """
    cast = value.producer
    if cast is None or cast.op != "Cast" or value.dtype not in RANGES or cast.rewritten_by not in _QUANTIZERS:
        return None
    source = cast.inputs[0]
    if source is None or source.dtype != dtypes.FLOAT:
        return None
    low, high = RANGES[value.dtype]  # type: ignore[index]
    return source if _within(source, low, high) and _is_whole(source, _DEEPEST) else None


def _within(value: Value, low: int, high: int) -> bool:
    """Whether it is clipped to the range."""
    clip = value.producer
    if clip is None or clip.op != "Clip" or len(clip.inputs) != 3:
        return False
    limits = [None if limit is None or limit.constant is None else limit.constant.numpy() for limit in clip.inputs[1:]]
    if any(limit is None or limit.size != 1 for limit in limits):
        return False
    smallest, largest = (float(limit.reshape(())) for limit in limits if limit is not None)
    return low <= smallest <= largest <= high


def _is_whole(value: Value | None, steps: int) -> bool:
    if value is None:
        return False
    if value.constant is not None:
        numbers = value.constant.numpy()
        return bool(np.all(numbers == np.rint(numbers)))
    node = value.producer
    if node is None or not steps:
        return False
    if node.op == "Cast":
        return node.inputs[0] is not None and node.inputs[0].dtype in RANGES
    if node.op in ("Clip", "Add", "Sub"):
        return all(_is_whole(operand, steps - 1) for operand in node.inputs)
    return node.op in ("Round", "Floor", "Ceil")
