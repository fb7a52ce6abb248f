"""analyze-concats: which of the Concats that stay a backend can do without copying."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.cost import FREE_OPS
from ..compiler.graph import Graph, Node, Value
from ..compiler.graph_pass import Context, Pass
from ..compiler.inference.movement import normalize_axis
from ..compiler.refusal import Refusal

_ALIGNMENT = 32  # bytes: a vector register of common processors, and what TensorRT's vectorized formats need


@dataclass(frozen=True)
class AnalyzeConcats(Pass):
    """Report for each Concat that stays whether the layers in front could write into its buffer (concat elision).

    Before => After
        y = Concat(Conv(a, u), Conv(b, v))   =>   unchanged, and the remark that nothing need be copied

    Legal when
        Nothing is changed.

    Pays when
        A runtime allocates the buffer of the Concat first and lets each part be written where it belongs, as TensorRT
        does. A part can be written there if a node computes it anew in the same graph (an input, a constant, or a view
        of another tensor lies elsewhere already) and it stands in one Concat only, and there once. If extents in front
        of the axis are other than 1, a part is not in one piece: the kernels that write it, and all of its other
        readers, must go by strides. The start of a part should lie at a multiple of 32 bytes for vector instructions.
        ONNX Runtime's CPU provider copies always.

    Numerics
        Unchanged.

    Source: NVIDIA TensorRT, documentation of its layer fusions, "concatenation elimination".
    """

    name: ClassVar[str] = "analyze-concats"

    def run(self, context: Context, since: int) -> None:
        for node in context.nodes_of(("Concat",)):
            with suppress(Refusal):  # the axis is bound by the caller of a function
                context.remark("analysis", self.name, node, _verdict(node))


def _verdict(concat: Node) -> str:
    reasons = Counter(reason for reason in (_copied(value, concat) for value in concat.inputs) if reason)
    if reasons:
        told = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        return f"{sum(reasons.values())} of the {len(concat.inputs)} parts must be copied: {told}"
    return f"no part need be copied: {_layout(concat)}"


def _copied(value: Value | None, concat: Node) -> str:
    """Why a part cannot be written into the buffer by what makes it; "" if it can."""
    node = None if value is None else value.producer
    if value is None or value.constant is not None:
        return "constant"
    if node is None or node.graph is not concat.graph:
        return "from outside"
    if node.op in FREE_OPS or node.op in ("Split", "Slice"):
        return "a view or a part of another tensor"
    if sum(1 for reader, _ in value.uses if isinstance(reader, Node) and reader.op == "Concat") > 1:
        return "wanted in two places"
    if any(isinstance(reader, Graph) for reader, _ in value.uses):
        return "a graph output"
    return ""


def _layout(concat: Node) -> str:
    """How the parts lie in the buffer."""
    shape = concat.output.shape
    if shape is None:
        return "how they lie is not known"
    axis = normalize_axis(concat.int_attr("axis", 1), len(shape))
    shared = sum(1 for v in concat.inputs if v is not None and len(v.uses) > 1)
    others = f", also for the other readers of {shared}" if shared else ""
    if any(extent != 1 for extent in shape[:axis]):
        return f"each is written with the stride of the whole{others}"
    return f"each is one stretch{_starts(concat, axis)}{others.replace('also', 'which is the same')}"


def _starts(concat: Node, axis: int) -> str:
    """Whether the parts start at multiples of a vector."""
    start = 0
    for value in concat.inputs[:-1]:
        extents = () if value is None or value.shape is None else value.shape[axis:]
        numbers = [extent for extent in extents if isinstance(extent, int)]
        if not extents or len(numbers) < len(extents):
            return ", at starts that are not known"
        start += dtypes.nbytes(concat.output.dtype, prod(numbers))
        if start % _ALIGNMENT:
            return f", not all at multiples of {_ALIGNMENT} bytes"
    return f", at multiples of {_ALIGNMENT} bytes"
