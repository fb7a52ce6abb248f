"""Whether a standard operator may take the place of what is written out in smaller ones."""

from __future__ import annotations

from functools import cache

import onnx
from onnx import TensorProto

from ...compiler import dtypes
from ...compiler.graph import Value
from ...compiler.pattern import Match
from ...compiler.rewriter import Rewriter

# Operators that the standard defines for double but ONNX Runtime's CPU provider has no kernel for.
_WITHOUT_DOUBLE = frozenset({
    "LeakyRelu", "Gelu", "HardSigmoid", "HardSwish", "Softplus", "InstanceNormalization", "GlobalAveragePool",
    "GlobalMaxPool",
})  # fmt: skip

# When operators first appear that take half, float and double in every version: the schemas of onnx say the same, but
# take longer to load than most models to optimize.
FIRST_VERSION = {
    **dict.fromkeys(
        ("DepthToSpace", "Gemm", "Greater", "HardSigmoid", "InstanceNormalization", "LeakyRelu", "Less", "LogSoftmax",
         "LpNormalization", "MatMul", "Mul", "ReduceL1", "ReduceL2", "ReduceSum", "ReduceSumSquare", "Softmax",
         "Softplus", "SpaceToDepth"), 1),
    "GreaterOrEqual": 12, "LessOrEqual": 12, "HardSwish": 14, "LayerNormalization": 17, "GroupNormalization": 18,
    "Mish": 18, "Gelu": 20, "RMSNormalization": 23, "Swish": 24,
}  # fmt: skip
_FLOATS = frozenset({dtypes.FLOAT16, dtypes.FLOAT, dtypes.DOUBLE})
_FROM_13 = frozenset({dtypes.FLOAT16, TensorProto.INT8, TensorProto.UINT8})


@cache
def runs(op_type: str, opset: int, dtype: int) -> bool:
    """Whether ONNX Runtime's CPU provider runs the operator on this type, as far as operators here are concerned."""
    if op_type in ("DepthToSpace", "SpaceToDepth"):
        return dtype in (dtypes.FLOAT, dtypes.DOUBLE) or (opset >= 13 and dtype in _FROM_13)
    if op_type == "Gemm":
        return dtype in _FLOATS
    if op_type == "Swish":  # by the definition of opset 24, which it does not look up for later ones
        return opset == 24 and dtype in _FLOATS
    if op_type in ("MatMul", "Mul", "ReduceSum"):
        return dtype != dtypes.BFLOAT16
    return dtype != dtypes.DOUBLE or op_type not in _WITHOUT_DOUBLE


@cache
def first_version(op_type: str) -> int:
    """The opset in which the operator first appears."""
    if op_type in FIRST_VERSION:
        return FIRST_VERSION[op_type]
    return next(v for v in range(1, onnx.defs.onnx_opset_version() + 1) if onnx.defs.has(op_type, v, ""))


@cache
def takes(op_type: str, opset: int, dtype: int) -> bool:
    """Whether the operator's first input may have this element type at this opset."""
    if op_type in FIRST_VERSION and dtype in _FLOATS and opset >= FIRST_VERSION[op_type]:
        return True
    schema = onnx.defs.get_schema(op_type, opset, "")
    return f"tensor({dtypes.name_of(dtype)})" in schema.inputs[0].types


def require_operator(op_type: str, dtype: int, rewriter: Rewriter, since: int = 0) -> None:
    """Refuse unless the model's own opset (`since` at least) has the operator for this element type.

    Raising the opset is the user's decision, so it is named in the reason.
    """
    opset, needed = rewriter.opset(), max(since, first_version(op_type))
    if opset < needed:
        rewriter.refuse(f"{op_type} needs opset {needed}, the model has {opset}")
    if not dtype:
        rewriter.refuse("the element type is not known")
    if not takes(op_type, opset, dtype):
        rewriter.refuse(f"{op_type} of opset {opset} does not take {dtypes.name_of(dtype)}")
    if not runs(op_type, opset, dtype):
        rewriter.refuse(f"ONNX Runtime does not run {op_type} of opset {opset} on {dtypes.name_of(dtype)}")


def require_elementwise(match: Match, x: Value, rewriter: Rewriter) -> None:
    """Refuse unless the matched nodes are elementwise on x alone: their constants of one element add no axes to it."""
    if any(node.version < 7 for node in match.nodes if node.op in _BROADCASTING):
        rewriter.refuse("broadcasting is explicit before opset 7")
    if x.shape is not None and match.root.output.shape == x.shape:
        return
    if any(_adds_axes(value, x) for node in match.nodes for value in node.inputs):
        rewriter.refuse("a constant may add axes to the input")


def _adds_axes(value: Value | None, x: Value) -> bool:
    rank = 0 if value is None or value.constant is None else len(value.constant.shape)
    return rank > (x.rank or 0)


_BROADCASTING = frozenset({"Add", "Sub", "Mul", "Div", "Pow"})
