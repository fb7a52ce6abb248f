"""fold-view-into-weights: a Transpose before a flattened product goes into the rows of the matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import symbolic
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .layout.layouts import SHARED_LIMIT
from .values.readers import dying
from .views.reshape_targets import reshaped, spelling
from .views.strided_views import Atom, View, in_memory_order
from .views.view_ops import view_along, view_chain

_LONGEST = 5  # values of the chain of views


@dataclass(frozen=True)
class FoldViewIntoWeights(RewritePass):
    """Multiply the flattened tensor as it lies by a matrix whose rows stand in another order.

    Before => After
        Gemm(Reshape(Transpose(x[N,C,H,W], [0,2,3,1]), [N, H*W*C]), w)   =>   Gemm(Reshape(x, [N, C*H*W]), w')

    Legal when
        The matrix is a constant that the caller cannot override; the first axis of x is the rows of the product, and
        all others, of known extents, are its columns in some order (as strided views, see fuse-views).

    Pays when
        Always: a Transpose goes. A large matrix that others read as well is not stored twice.

    Numerics
        The same products, added up in another order.
    """

    name: ClassVar[str] = "fold-view-into-weights"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Gemm|MatMul"),)

    @property
    def depth(self) -> int:
        return 4

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        rows, matrix = root.inputs[0], root.inputs[1]
        chain = [] if rows is None or rows.rank != 2 else view_chain(rows, _LONGEST)
        nodes = [value.producer for value in chain[:-1] if value.producer is not None]
        if matrix is None or not any(node.op == "Transpose" for node in nodes):
            rewriter.refuse("")
        if root.op == "Gemm" and root.int_attr("transA", 0):
            rewriter.refuse("Gemm transposes the rows")
        base = chain[-1]
        order = _column_order(view_along(chain))
        if order is None or base.shape is None:
            rewriter.refuse("the columns are not all further axes of a tensor in another order")
        if matrix.constant is None:
            rewriter.refuse("the matrix is not a constant")
        if len(matrix.uses) > 1 and matrix.constant.nbytes > SHARED_LIMIT:
            rewriter.refuse("the matrix is shared and would be stored twice")
        if len(dying(root, nodes) - {root}) < 2 and base.shape is not None and base.rank != 2:
            rewriter.refuse("other readers need the Transpose")
        flat = (base.shape[0], symbolic.product(base.shape[1:]))
        if base.shape != flat:
            spelling(base.shape, flat, rewriter)
        weight = matrix.constant.numpy()
        transposed = root.op == "Gemm" and bool(root.int_attr("transB", 0))
        moved = np.ascontiguousarray(weight[:, order] if transposed else weight[order])
        rewriter.include(nodes)
        operands = [reshaped(base, flat, rewriter), rewriter.constant(moved, matrix.name), *root.inputs[2:]]
        rewriter.replace(root.output, rewriter.op(root.op, operands, root.attributes, name=root.name))


def _column_order(view: View | None) -> np.ndarray | None:
    """For each column in memory order its place among the columns of the view; None if they are no such columns."""
    if view is None or len(view.axes) != 2 or any(view.starts):
        return None
    first, columns = view.axes
    if first != (() if view.base[0] == 1 else (Atom(0, view.base[0], 1),)):
        return None
    memory = in_memory_order(columns)
    extents = [atom.extent for atom in columns if isinstance(atom.extent, int)]
    whole = View.whole(view.base)
    if memory is None or whole is None or len(extents) < len(columns) or any(atom.axis == 0 for atom in columns):
        return None
    if symbolic.product(view.base[1:]) != symbolic.product(extents):
        return None
    places = np.arange(int(np.prod(extents, dtype=np.int64))).reshape(extents)
    order = places.transpose([columns.index(atom) for atom in memory]).ravel()
    return None if (order == np.arange(len(order))).all() else order
