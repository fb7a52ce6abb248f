"""fuse-bias-into-gemm: the Add after a product of matrices becomes the bias of Gemm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from .values.readers import refuse_other_readers


@dataclass(frozen=True)
class FuseBiasIntoGemm(RewritePass):
    """Add a bias, constant or computed, inside the product of matrices that it is added to.

    Before => After
        y = Add(MatMul(a, b), c)   =>   y = Gemm(a, b, c)        either operand order
        y = Add(Gemm(a, b), c)     =>   y = Gemm(a, b, c)

    Legal when
        The product is of two matrices of a floating type and has no other reader; the bias broadcasts to its shape
        and not the other way around: at most two axes, each of extent 1 or provably that of the product. Gemm
        must not have a bias already, and broadcasts it this way since opset 7.

    Pays when
        Always: a pass over the product less. At rank 3 and above Gemm would need Reshapes, which is no gain.

    Numerics
        The bias is added to the same sum; only the rounding may differ.
    """

    name: ClassVar[str] = "fuse-bias-into-gemm"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Add"),)

    @property
    def depth(self) -> int:
        return 2

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        left, right = root.inputs
        reason = ""
        for product, bias in ((left, right), (right, left)):
            if product is None or bias is None or not _is_product(product, root):
                continue
            try:
                gemm = _fused(product, bias, rewriter)
            except Refusal as refusal:
                reason = reason or refusal.reason
                continue
            rewriter.replace(root.output, gemm)
            return
        rewriter.refuse(reason)


def _is_product(value: Value, reader: Node) -> bool:
    """Whether a MatMul or Gemm of the same graph made it that could be of matrices."""
    node = value.producer
    return node is not None and node.op in ("MatMul", "Gemm") and node.graph is reader.graph and value.rank in (2, None)


def _fused(product: Value, bias: Value, rewriter: Rewriter) -> Value:
    node = product.producer
    assert node is not None
    if any(v is None or v.rank != 2 for v in node.inputs[:2]):
        rewriter.refuse("the product is not known to be of two matrices")
    if product.dtype not in dtypes.FLOATING:
        rewriter.refuse(f"Gemm does not take the type {dtypes.name_of(product.dtype)} everywhere")
    refuse_other_readers(product, rewriter)
    if node.input(2) is not None:
        rewriter.refuse("Gemm has a bias already")
    if rewriter.opset() < 7:
        rewriter.refuse("Gemm broadcasts its bias otherwise before opset 7")
    shape, mine = product.shape, bias.shape
    if shape is None or mine is None:
        rewriter.refuse("the rank of the bias is not known")
    fits = len(mine) <= 2 and all(d in (1, whole) for d, whole in zip(reversed(mine), reversed(shape)))
    if not fits:
        rewriter.refuse("the bias is not known to broadcast to the product")
    attributes = {**node.attributes, "beta": None} if node.op == "Gemm" else {}
    return rewriter.op("Gemm", [*node.inputs[:2], bias], attributes, name=node.name)
