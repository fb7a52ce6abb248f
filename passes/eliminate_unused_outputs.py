"""eliminate-unused-outputs: outputs of a living node that nobody reads are no longer asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference.movement import split_sizes
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .views.view_plans import sliced

# op -> the outputs that the operator's specification declares optional
OPTIONAL_OUTPUTS: dict[str, frozenset[int]] = {
    "Attention": frozenset({1, 2, 3}),
    "BatchNormalization": frozenset({1, 2, 3, 4}),
    "Dropout": frozenset({1}),
    "GRU": frozenset({0, 1}),
    "LSTM": frozenset({0, 1, 2}),
    "LayerNormalization": frozenset({1, 2}),
    "MaxPool": frozenset({1}),
    "RNN": frozenset({0, 1}),
    "SoftmaxCrossEntropyLoss": frozenset({1}),
    "Unique": frozenset({1, 2, 3}),
}


@dataclass(frozen=True)
class EliminateUnusedOutputs(RewritePass):
    """Omit outputs that nobody reads, so that kernels need not compute and store them.

    Before => After
        y, indices = MaxPool(x)   =>   y = MaxPool(x)           when nobody reads indices
        y, h, c = LSTM(...)       =>   y = LSTM(...)            likewise for each state
        a, b, c = Split(x)        =>   b = Slice(x, ...)        when nobody reads a and c

    Legal when
        The operator's specification marks the output as optional, no node, subgraph or graph output reads it, and
        another output remains. BatchNormalization keeps its outputs in training mode, which they are the sign of.
        A Split becomes a Slice if one part is read and inference knows where it begins and ends.

    Pays when
        Always. A Split of which two parts are read stays one: two Slices are more nodes.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "eliminate-unused-outputs"
    patterns: ClassVar[tuple[OpPattern, ...]] = (
        op("|".join((*OPTIONAL_OUTPUTS, "Split")), where=lambda node: len(node.outputs) > 1),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        unread = [i for i, v in enumerate(node.outputs) if v is not None and not v.uses]
        if node.op != "Split":
            unread = [i for i in unread if i in OPTIONAL_OUTPUTS[node.op]]
        read = [v for v in node.outputs if v is not None and v.uses]
        if not unread or not read:
            rewriter.refuse("")  # without any reader the whole node is dead, which is another pass's work
        if node.op == "Split":
            _slice_instead(node, read, rewriter)
            return
        if node.op == "BatchNormalization" and (node.version < 14 or node.int_attr("training_mode", 0)):
            rewriter.refuse("the norm is in training mode, which before opset 14 the outputs say")
        if node.op == "GRU" and node.version < 3 and 1 in unread:
            rewriter.refuse("before opset 3 a GRU must give its last state")
        for index in unread:
            rewriter.drop_output(node, index)
        rewriter.note(f"outputs {unread} are not read")


def _slice_instead(node: Node, read: list[Value], rewriter: Rewriter) -> None:
    if len(read) > 1:
        rewriter.refuse(f"{len(read)} parts are read, which takes as many Slices")
    (part,) = read
    value, axis = node.inputs[0], node.int_attr("axis", 0)
    if value is None or value.shape is None:
        rewriter.refuse("the rank of what is split is not known")
    axis = axis + len(value.shape) if axis < 0 else axis
    sizes = split_sizes(node, value.shape[axis])
    known = None if sizes is None else sizes[: part.index + 1]
    if known is None or not all(isinstance(size, int) for size in known):
        rewriter.refuse("it is not known where the part that is read begins and ends")
    numbers = [size for size in known if isinstance(size, int)]
    start, end = sum(numbers[:-1]), sum(numbers)
    rewriter.replace(part, sliced(value, [(axis, start, end, 1)], rewriter))
