"""eliminate-unused-outputs: outputs of a living node that nobody reads are no longer asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter

# op -> the outputs that the operator's specification declares optional
OPTIONAL_OUTPUTS: dict[str, frozenset[int]] = {
    "Dropout": frozenset({1}),
    "MaxPool": frozenset({1}),
    "LSTM": frozenset({0, 1, 2}),
    "GRU": frozenset({0, 1}),
    "RNN": frozenset({0, 1}),
    "LayerNormalization": frozenset({1, 2}),
    "BatchNormalization": frozenset({1, 2, 3, 4}),
    "Unique": frozenset({1, 2, 3}),
    "Attention": frozenset({1, 2, 3}),
}


@dataclass(frozen=True)
class EliminateUnusedOutputs(RewritePass):
    """Omit optional outputs that nobody reads, so that kernels need not compute and store them.

    Before => After
        y, indices = MaxPool(x)   =>   y = MaxPool(x)           when nobody reads indices
        y, h, c = LSTM(...)       =>   y = LSTM(...)            likewise for each state

    Legal when
        The operator's specification marks the output as optional, no node, subgraph or graph output reads it, and
        another output remains. BatchNormalization keeps its outputs in training mode, where they choose the formula.

    Pays when
        Always.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "eliminate-unused-outputs"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("|".join(OPTIONAL_OUTPUTS), where=lambda n: len(n.outputs) > 1),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        optional = OPTIONAL_OUTPUTS[node.op]
        unread = [i for i, v in enumerate(node.outputs) if v is not None and not v.uses and i in optional]
        if not unread:
            rewriter.refuse("")
        if len(unread) == sum(v is not None for v in node.outputs):
            rewriter.refuse("")  # the whole node is dead, which is another pass's work
        if node.op == "BatchNormalization" and (node.int_attr("training_mode", 0) or node.version < 7):
            rewriter.refuse("training mode chooses its formula by the outputs")
        for index in unread:
            rewriter.drop_output(node, index)
        rewriter.note(f"outputs {unread} are not read")
