"""fuse-stacked-reductions: what is stacked only to be reduced is combined without being stacked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.graph import Node, Shape, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference.reduction import reduced_axes
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .fuse_concats import concat_axis
from .values.readers import dying
from .views.reshape_targets import RESHAPES, reshaped

_COMBINES = {"ReduceMax": "Max", "ReduceMin": "Min", "ReduceSum": "Sum", "ReduceMean": "Mean"}
_COUNTS = frozenset({dtypes.INT32, dtypes.INT64})


@dataclass(frozen=True)
class FuseStackedReductions(RewritePass):
    """Combine tensors element by element instead of stacking them along a new axis and reducing that.

    Before => After
        ReduceMax(Concat(Unsqueeze(a), Unsqueeze(b), Unsqueeze(c)))   =>   Max(a, b, c)
        ReduceMean(Concat(a[N,1], b[N,1]), keepdims = 1)              =>   Mean(a, b)

    Covers ReduceMax, ReduceMin, ReduceSum and ReduceMean over just the axis of the Concat.

    Legal when
        Every input of the Concat has extent 1 along the axis, and all have the same shape; the combining operator takes
        the type: floating types, for Max and Min from opset 12 on also int32 and int64.

    Pays when
        Nodes fall: the stack has no other reader, and the axis need not be taken away more often than it was added.

    Numerics
        Unchanged, but for the order in which a sum is added up.
    """

    name: ClassVar[str] = "fuse-stacked-reductions"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("|".join(_COMBINES)),)

    @property
    def depth(self) -> int:
        return 3

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        stacked = root.inputs[0]
        stack = None if stacked is None else stacked.producer
        if stacked is None or stack is None or stack.op != "Concat" or stack.graph is not root.graph:
            rewriter.refuse("")
        axis = concat_axis(stack)
        inputs = [value for value in stack.inputs if value is not None]
        if axis is None or stacked.rank is None or reduced_axes(root, stacked.rank) != (axis,) or len(inputs) < 2:
            rewriter.refuse("")
        shape = inputs[0].shape
        if shape is None or shape[axis] != 1 or any(value.shape != shape for value in inputs):
            rewriter.refuse("the tensors are not stacked along a new axis")
        if not _takes(_COMBINES[root.op], stacked.dtype, rewriter.opset()):
            rewriter.refuse(f"{_COMBINES[root.op]} does not take {dtypes.name_of(stacked.dtype)}")
        keep = bool(root.int_attr("keepdims", 1))
        result = shape if keep else (*shape[:axis], *shape[axis + 1 :])
        sources = [_before_reshape(value, root, result) for value in inputs]
        reshapes = sum(value.shape != result for value in sources)
        dead = dying(root, [stack, *(v.producer for v in inputs if v.producer is not None and v not in sources)])
        if 1 + reshapes >= len(dead):
            rewriter.refuse("it would not take fewer nodes")
        rewriter.include([node for node in dead if node is not root])
        operands = [reshaped(value, result, rewriter) for value in sources]
        rewriter.replace(root.output, rewriter.op(_COMBINES[root.op], operands, name=root.name))


def _takes(combine: str, dtype: int, opset: int) -> bool:
    if dtype in dtypes.FLOATING:
        return opset >= 8 and (dtype != dtypes.BFLOAT16 or opset >= 13)
    return combine in ("Max", "Min") and dtype in _COUNTS and opset >= 12


def _before_reshape(value: Value, root: Node, wanted: Shape) -> Value:
    """What a reshape made `value` of, if that has the shape that is wanted."""
    node = value.producer
    source = None if node is None or node.op not in RESHAPES or node.graph is not root.graph else node.inputs[0]
    return value if source is None or source.shape != wanted or value.shape == wanted else source
