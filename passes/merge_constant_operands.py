"""merge-constant-operands: constants that stand side by side in an operator of many inputs become one."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter

_LARGEST = 1 << 20  # bytes
_FREE_GROWTH = 4096


@dataclass(frozen=True)
class MergeConstantOperands(RewritePass):
    """Compute now what an operator of many inputs would compute of its constants alone.

    Before => After
        y = Concat(x, c1, c2, z)   =>   y = Concat(x, [c1, c2], z)
        y = Sum(c1, x, c2)         =>   y = Sum(x, c1 + c2)
        y = Max(x, c1, c2)         =>   y = Max(x, max(c1, c2))    likewise Min

    Legal when
        The constants cannot be overridden by the caller, hold no NaN where they are compared, and their sum is finite.

    Pays when
        The merged constant has at most 1 MiB and is at most 4 KiB larger than what goes for it: constants that others
        read stay, and a row and a column would become a matrix.

    Numerics
        Concat, Max and Min unchanged. A sum of constants is computed in float64 and rounded once.
    """

    name: ClassVar[str] = "merge-constant-operands"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Concat|Sum|Max|Min", where=lambda node: len(node.inputs) > 2),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        if node.op != "Concat" and node.version < 8:
            rewriter.refuse("")  # all inputs have one shape, so nobody writes constants there
        groups = [group for group in _groups(node) if 1 < len(group) < len(node.inputs)]
        if not groups:
            rewriter.refuse("")
        inputs = list(node.inputs)
        for group in groups:
            inputs[group[0]] = _merged(node, [v for v in (node.inputs[i] for i in group) if v is not None], rewriter)
        left_out = {i for group in groups for i in group[1:]}
        kept = [value for i, value in enumerate(inputs) if i not in left_out]
        rewriter.replace(node.output, rewriter.op(node.op_type, kept, node.attributes, name=node.name))


def _groups(node: Node) -> list[list[int]]:
    """Positions of constants that may be merged: next to each other in a Concat, anywhere else."""
    groups: list[list[int]] = [[]]
    for position, value in enumerate(node.inputs):
        if value is not None and value.constant is not None:
            groups[-1].append(position)
        elif node.op == "Concat":
            groups.append([])
    return groups


def _merged(node: Node, values: Sequence[Value], rewriter: Rewriter) -> Value:
    tensors = [tensor for tensor in (value.constant for value in values) if tensor is not None]
    arrays = [tensor.numpy() for tensor in tensors]
    if sum(tensor.nbytes for tensor in tensors) > _LARGEST:
        rewriter.refuse("the constants are large")
    if node.op == "Concat":
        result = np.concatenate(arrays, node.int_attr("axis", 1 if node.version < 4 else 0))
    else:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        if math.prod(shape) * arrays[0].itemsize > _LARGEST:
            rewriter.refuse("the constants would grow")
        result = _sum(arrays, rewriter) if node.op == "Sum" else _extreme(node.op, arrays, rewriter)
    freed = sum(v.constant.nbytes for v in set(values) if v.constant is not None and len(v.readers) == values.count(v))
    if result.nbytes - freed > _FREE_GROWTH:
        rewriter.refuse("the constants would grow")
    return rewriter.constant(result, f"{node.label}.constant")


def _sum(arrays: Sequence[np.ndarray], rewriter: Rewriter) -> np.ndarray:
    kind = arrays[0].dtype
    with np.errstate(over="ignore", invalid="ignore"):
        total = functools.reduce(np.add, [array.astype(np.float64) for array in arrays])
        result = total.astype(kind)
    if not np.isfinite(result).all():
        rewriter.refuse("the sum of the constants is not finite")
    return result


def _extreme(kind: str, arrays: Sequence[np.ndarray], rewriter: Rewriter) -> np.ndarray:
    if any(bool((array != array).any()) for array in arrays):
        rewriter.refuse("a constant is NaN")
    return functools.reduce(np.maximum if kind == "Max" else np.minimum, arrays)
