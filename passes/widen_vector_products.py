"""widen-vector-products: a vector that is multiplied with many matrices is a matrix of one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter
from .views.view_plans import unsqueezed


@dataclass(frozen=True)
class WidenVectorProducts(RewritePass):
    """Write the product of a vector with a stack of matrices as one of matrices.

    Before => After
        y = MatMul(a: [k], b: [n, k, m])     =>   y = Squeeze(MatMul(Unsqueeze(a, 0), b), -2)

    TensorRT's parser fails on the first. It is part of the pipeline `tensorrt`.

    Legal when
        The left operand has one axis, and the right one three or more.

    Pays when
        Always: the model could not be built.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "widen-vector-products"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("MatMul"),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        left, right = node.inputs
        if left is None or right is None or left.rank != 1 or right.rank is None or right.rank < 3:
            rewriter.refuse("")
        product = rewriter.op("MatMul", [unsqueezed(left, 0, rewriter), right], name=node.name)
        rewriter.replace(node.output, _without_axis(product, right.rank - 2, rewriter))


def _without_axis(value: Value, axis: int, rewriter: Rewriter) -> Value:
    """A Squeeze of one axis in the form of the graph's opset."""
    if rewriter.opset() < 13:
        return rewriter.op("Squeeze", [value], axes=[axis])
    return rewriter.op("Squeeze", [value, rewriter.ints([axis], "axis")])
