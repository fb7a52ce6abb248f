"""fuse-reshapes-around-gemm: a Gemm between two views becomes the product of higher rank that it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter
from .layers.linear_layers import bias_of, rounded, weight_of
from .values.readers import refuse_other_readers

_VIEWS = "Reshape|Squeeze|Unsqueeze|Flatten"
_VIEW_OPS = frozenset(_VIEWS.split("|"))


@dataclass(frozen=True)
class FuseReshapesAroundGemm(RewritePass):
    """Multiply a tensor by a matrix as it is, instead of flattening it before and restoring its axes after.

    Before => After
        y = Reshape(Gemm(Reshape(x[N,L,8], [-1,8]), w, b), [N,L,4])   =>   y = Add(MatMul(x, w), b)

    Legal when
        All axes of x but the last come back in y, the weight and the bias are constants that the caller cannot
        override, the bias is one number per column, and the values between have no other reader.

    Pays when
        Two nodes, or one without a bias, are fewer than what goes: with a bias the view of x must have no other reader.

    Numerics
        The bias is added to the same sums; only the rounding may differ. Gemm's factors go into the constants.
    """

    name: ClassVar[str] = "fuse-reshapes-around-gemm"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op(_VIEWS),)

    @property
    def depth(self) -> int:
        return 3

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        result = root.inputs[0]
        gemm = None if result is None else result.producer
        if result is None or gemm is None or gemm.op != "Gemm" or gemm.graph is not root.graph:
            rewriter.refuse("")
        flat = gemm.inputs[0]
        view = None if flat is None else flat.producer
        if flat is None or view is None or view.op not in _VIEW_OPS or view.graph is not root.graph:
            rewriter.refuse("")
        x = view.inputs[0]
        if x is None or not _keeps_rows(x, flat, root.output, result):
            rewriter.refuse("")
        refuse_other_readers(result, rewriter)
        if gemm.int_attr("transA", 0):
            rewriter.refuse("Gemm transposes the flattened tensor")
        bias = bias_of(gemm, rewriter)
        if bias is not None:
            if bias.size not in (1, bias.shape[-1] if bias.ndim else 1):
                rewriter.refuse("the bias is not one number per column")
            refuse_other_readers(flat, rewriter)
            if rewriter.opset() < 7:
                rewriter.refuse("broadcasting is explicit before opset 7")
        rewriter.include([gemm, view])
        weight = _weight(gemm, rewriter)
        product = rewriter.op("MatMul", [x, weight], name=gemm.name)
        if bias is not None:
            hint = f"{gemm.label}.bias"
            constant = rewriter.constant(rounded(bias.ravel(), weight.dtype, rewriter), hint)
            product = rewriter.op("Add", [product, constant], name=root.name)
        rewriter.replace(root.output, product)


def _keeps_rows(x: Value, flat: Value, restored: Value, product: Value) -> bool:
    """Whether flattening and restoring leave all axes but the last as they were in x."""
    shapes = [v.shape for v in (x, flat, restored, product)]
    before, between, after, columns = shapes
    if before is None or between is None or after is None or columns is None:
        return False
    if len(before) != len(after) or len(before) < 3 or len(between) != 2:
        return False
    return before[-1] == between[1] and after[-1] == columns[1] and before[:-1] == after[:-1]


def _weight(gemm: Node, rewriter: Rewriter) -> Value:
    """The matrix on the right as a constant, transposed and scaled as Gemm does."""
    value, alpha = gemm.inputs[1], gemm.float_attr("alpha", 1.0)
    transposed = bool(gemm.int_attr("transB", 0))
    if value is None or value.dtype not in dtypes.FLOATING:
        rewriter.refuse("the weight's type is not known")
    if not transposed and alpha == 1:
        return value
    weight = alpha * weight_of(gemm, rewriter)
    return rewriter.constant(rounded(np.ascontiguousarray(weight.T if transposed else weight), value.dtype, rewriter),
                             value.name)  # fmt: skip
