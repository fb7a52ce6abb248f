"""prepare-for-tensorrt: what TensorRT's parser misreads is said in full, and what it does not read is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import Context, RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from ..compiler.tensorrt_limits import doubtful, misread, unread


@dataclass(frozen=True)
class PrepareForTensorrt(RewritePass):
    """Write out the default that TensorRT's parser gets wrong, and report what it does not read; for target tensorrt.

    Before => After
        y = Trilu(x, k)      =>   y = Trilu(x, k, upper=1)

    The parser takes a Trilu without the attribute upper for the lower triangle, without a message; by the standard it
    is the upper one. Operators that the parser does not read, whatever their inputs, are named in the account, as are
    those that it reads as something else.

    Legal when
        The run's target is tensorrt. The attribute says what is meant without it.

    Pays when
        Always: the engine would compute something else.

    Numerics
        Unchanged.

    Source: ONNX, operator Trilu; onnx-tensorrt, onnxOpImporters.cpp.
    """

    name: ClassVar[str] = "prepare-for-tensorrt"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Trilu", where=lambda node: "upper" not in node.attributes),)

    def run(self, context: Context, since: int) -> None:
        super().run(context, since)
        if context.target != "tensorrt":
            return
        for node in context.model.nodes():
            text = unread(node) or misread(node) or doubtful(node)
            if text:
                context.remark("analysis", self.name, node, text)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        if rewriter.target != "tensorrt":
            rewriter.refuse("the default needs writing out for the target tensorrt only")
        rewriter.set_attribute(match.root, "upper", 1)
