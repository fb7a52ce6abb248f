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
    return ""


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
