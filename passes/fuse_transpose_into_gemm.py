"""fuse-transpose-into-gemm: a transposed matrix is read as it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.graph import Graph, Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .values.readers import refuse_other_readers


@dataclass(frozen=True)
class FuseTransposeIntoGemm(RewritePass):
    """Let Gemm read a matrix transposed instead of transposing it before; MatMul of matrices becomes Gemm.

    Before => After
        y = Gemm(Transpose(a), b, c)   =>   y = Gemm(a, b, c) {transA=1}
        y = MatMul(a, Transpose(b))    =>   y = Gemm(a, b) {transB=1}

    Legal when
        The Transpose swaps the two axes of a matrix and has no other reader. MatMul also needs operands that are both
        matrices of a floating type, and opset 11, since when Gemm does without a bias.

    Pays when
        Always: nothing is copied.

    Numerics
        Unchanged, but for the order in which the kernel may add.
    """

    name: ClassVar[str] = "fuse-transpose-into-gemm"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Gemm|MatMul"),)

    @property
    def depth(self) -> int:
        return 2

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        sources = [_transposed(v, node.graph) for v in node.inputs[:2]]
        found = [(i, source) for i, source in enumerate(sources) if source is not None]
        if not found:
            rewriter.refuse("")
        for index, _ in found:
            value = node.inputs[index]
            assert value is not None
            refuse_other_readers(value, rewriter)
        if node.op == "Gemm":
            for index, source in found:
                rewriter.set_input(node, index, source)
                name = ("transA", "transB")[index]
                rewriter.set_attribute(node, name, None if node.int_attr(name, 0) else 1)
            return
        _check_product(node, rewriter)
        flags = {("transA", "transB")[index]: 1 for index, _ in found}
        operands = [source or v for source, v in zip(sources, node.inputs)]
        rewriter.replace(node.output, rewriter.op("Gemm", operands, flags, name=node.name))


def _transposed(value: Value | None, graph: Graph) -> Value | None:
    """x if the value is Transpose(x) of a matrix in this graph."""
    node = None if value is None else value.producer
    if node is None or node.op != "Transpose" or node.graph is not graph:
        return None
    order = node.ints_attr("perm")
    is_matrix = order == (1, 0) or (order is None and node.output.rank == 2)
    return node.inputs[0] if is_matrix else None


def _check_product(node: Node, rewriter: Rewriter) -> None:
    if any(v is None or v.rank != 2 for v in node.inputs):
        rewriter.refuse("MatMul is not of two matrices")
    if node.output.dtype not in dtypes.FLOATING:
        rewriter.refuse(f"Gemm does not take the type {dtypes.name_of(node.output.dtype)} everywhere")
    if rewriter.opset() < 11:
        rewriter.refuse("Gemm needs its bias before opset 11")
