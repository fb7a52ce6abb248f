"""What is known of the sign of a value from how it is computed."""

from __future__ import annotations

import numpy as np

from ...compiler import dtypes
from ...compiler.arithmetic_pattern import scalar_of
from ...compiler.graph import Node, Value

_DEPTH = 6  # producers looked at in a row
_LARGEST = 1 << 12  # elements of a constant that is read
_ALWAYS = frozenset({
    "Abs", "Exp", "Sigmoid", "Softmax", "Softplus", "ReduceL1", "ReduceL2", "ReduceSumSquare",
})  # fmt: skip
_IF_ALL_ARE = frozenset({"Add", "Sum", "Mul", "Div", "Mean", "Concat"})
_IF_FIRST_IS = frozenset({
    "ReduceSum", "ReduceMean", "ReduceMin", "ReduceProd", "Reshape", "Transpose", "Squeeze", "Unsqueeze",
    "Flatten", "Identity", "Slice", "Gather", "Expand", "Sqrt", "Split", "Tile",
})  # fmt: skip


def never_negative(value: Value | None, depth: int = _DEPTH) -> bool:
    """True only if no element of a floating tensor is below 0, nor -0.0, whatever the inputs are (NaN aside)."""
    if value is None or depth == 0 or value.dtype not in dtypes.FLOATING:
        return False
    tensor = value.constant
    if tensor is not None:
        return tensor.size <= _LARGEST and not bool(np.signbit(tensor.numpy()).any())
    node = value.producer
    if node is None:
        return False
    if node.op in _ALWAYS:
        return True
    if node.op in _IF_FIRST_IS:
        return never_negative(node.inputs[0], depth - 1)
    return _is_square(node) or (node.op in _IF_ALL_ARE and all(never_negative(v, depth - 1) for v in node.inputs))


def _is_square(node: Node) -> bool:
    if node.op == "Mul":
        return node.inputs[0] is node.inputs[1]
    return node.op == "Pow" and scalar_of(node.input(1)) == 2.0
