"""What TensorRT's parser does not read, or reads as something else, node by node.

Tried with TensorRT-RTX 1.7 on the test cases of the onnx package. A node that is read as something else gives an
engine that computes other numbers, without a message; a scale that is not known when the model is parsed may also end
the process.
"""

from __future__ import annotations

from collections.abc import Iterable

from onnx import TensorProto

from . import dtypes
from .graph import Node
from .model import Model
from .target_operators import NOT_READ_BY_TENSORRT

_QUANTIZING = frozenset({"QuantizeLinear", "DequantizeLinear"})
_DOUBLE = int(TensorProto.DOUBLE)
OPSETS_TRIED = (7, 28)  # from the first with broadcasting by shape to the last whose operators were tried
_RECURRENT = frozenset({"GRU", "LSTM", "RNN"})
_NARROW_FLOATS = frozenset({
    TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E4M3FNUZ, TensorProto.FLOAT8E5M2, TensorProto.FLOAT8E5M2FNUZ,
})  # fmt: skip


def misread(node: Node) -> str:
    """Why TensorRT would compute something else than the node says; "" if it would not."""
    if node.op == "Trilu" and "upper" not in node.attributes:
        return "TensorRT reads Trilu without the attribute upper as the lower triangle"
    if node.op == "SpaceToDepth" and node.attributes.get("mode") in (b"CRD", "CRD"):
        return "TensorRT reads SpaceToDepth in CRD order as DCR"
    if node.op == "QuantizeLinear" and node.output.dtype == int(TensorProto.UINT8):
        return "TensorRT quantizes to int8 where the model says uint8"
    if node.op in _QUANTIZING and any(value is not None and value.constant is None for value in node.inputs[1:]):
        return f"TensorRT needs constant scales, those of this {node.op} are computed or given by the caller"
    if any(value is not None and value.dtype == _DOUBLE for value in (*node.inputs, *node.outputs)):
        return f"TensorRT computes this {node.op} in float32, the model says float64"
    if node.op in _RECURRENT and node.attributes.get("layout", 0):
        return f"TensorRT reads {node.op} with layout=1 as if the batch stood second"
    if node.op in ("Cast", "CastLike") and not node.attributes.get("saturate", 1) and _is_narrow_float(node):
        return f"TensorRT saturates a {node.op} to float8 that should not"
    return _misread_attention(node) or _misread_loop(node)


def _is_narrow_float(node: Node) -> bool:
    return node.output.dtype in _NARROW_FLOATS


def _misread_attention(node: Node) -> str:
    if node.op != "Attention":
        return ""
    if any(node.attributes.get(name, -1) != -1 for name in ("left_window_size", "right_window_size")):
        return "TensorRT ignores the window of an Attention"
    if node.attributes.get("is_causal", 0) and len(node.inputs) > 6 and node.inputs[6] is not None:
        return "TensorRT ignores nonpad_kv_seqlen where an Attention is causal"
    return ""


def _misread_loop(node: Node) -> str:
    condition = node.inputs[1] if node.op == "Loop" and len(node.inputs) > 1 else None
    if condition is not None and condition.is_graph_input:
        return f"TensorRT gives the input {condition.name}, the condition of a Loop, another name"
    return ""


def doubtful(node: Node) -> str:
    """What TensorRT computes otherwise for some sizes only; "" if nothing is known."""
    if node.op != "Squeeze" or "axes" in node.attributes or (len(node.inputs) > 1 and node.inputs[1] is not None):
        return ""
    shape = node.inputs[0].shape if node.inputs[0] is not None else None
    if shape is not None and all(isinstance(extent, int) for extent in shape):
        return ""
    return "TensorRT keeps what this Squeeze drops where an open dimension is 1: name its axes, or fix the dimension"


def untried_opset(model: Model) -> str:
    """Why the operators of the model may mean something else to the parser, which checks no version; "" if not."""
    version = model.opsets.get("", 0)
    first, last = OPSETS_TRIED
    if first <= version <= last:
        return ""
    return f"the parser has been tried with the opsets from {first} to {last}, the model has {version}"


def unread(node: Node) -> str:
    """Why TensorRT's parser refuses the node; "" if nothing is known against it."""
    return f"TensorRT does not read {node.op}" if node.op in NOT_READ_BY_TENSORRT else ""


def double_interface(model: Model) -> Iterable[str]:
    """Inputs and outputs of float64, which the engine would take and give as float32."""
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.dtype == int(TensorProto.DOUBLE):
            yield f"{value.name} is {dtypes.name_of(value.dtype)}, which TensorRT computes in float32"
