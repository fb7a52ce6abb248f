"""eliminate-expands: what is broadcast anyway need not be expanded before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Node, Shape, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference import content_of
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter

_BROADCASTING = (
    "Add|And|BitShift|BitwiseAnd|BitwiseOr|BitwiseXor|Div|Equal|Expand|Greater|GreaterOrEqual|Less|LessOrEqual|MatMul|"
    "Max|Mean|Min|Mod|Mul|Or|Pow|Sub|Sum|Where|Xor"
)
_VARIADIC = frozenset({"Max", "Mean", "Min", "Sum"})


@dataclass(frozen=True)
class EliminateExpands(RewritePass):
    """Let an operator that broadcasts read what was expanded for it.

    Before => After
        Add(x[N,4], Expand(b[1,4], [N,4]))                   =>   Add(x, b)
        Where(c[N,M], Tile(a[N,1], [1, M]), b)               =>   Where(c, a, b)
        MatMul(Expand(a[1,3,4], [N,3,4]), b[N,4,5])          =>   MatMul(a, b)
        Expand(Expand(x[1,1], [N,1]), [N,4])                 =>   Expand(x, [N,4])

    Legal when
        The symbolic shapes prove that broadcasting alone gives the same shape: along every axis another operand has the
        extent of the result. Tile may only repeat axes of extent 1. Operands are broadcast from opset 7 on, those of
        Max, Min, Mean and Sum from opset 8 on.

    Pays when
        Always: less is read; and the Expand goes if nobody else needs it.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "eliminate-expands"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op(_BROADCASTING),)

    @property
    def depth(self) -> int:
        return 2

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        result = root.output.shape
        count = 1 if root.op == "Expand" else len(root.inputs)
        found = [(i, node) for i, v in enumerate(root.inputs[:count]) if v and (node := _expansion(v, root))]
        if not found or result is None or root.version < (8 if root.op in _VARIADIC else 7):
            rewriter.refuse("")
        shapes = _operand_shapes(root)
        if shapes is None:
            rewriter.refuse("the shape of an operand is not known")
        changed = False
        for index, node in found:
            source = node.inputs[0]
            if source is None or source.shape is None:
                continue
            trial = [source.shape if i == index else shape for i, shape in enumerate(shapes)]
            if _broadcasts_to(trial, result, root):
                shapes, changed = trial, True
                rewriter.set_input(root, index, source)
        if not changed:
            rewriter.refuse("nothing else has the extents to which it expands")
        rewriter.include(node for _, node in found)


def _expansion(value: Value, root: Node) -> Node | None:
    """The Expand, or the Tile of axes of extent 1, that makes a value."""
    node = value.producer
    if node is None or node.graph is not root.graph or node.op not in ("Expand", "Tile"):
        return None
    source = node.inputs[0]
    if source is None or source.shape is None or value.shape is None:
        return None
    repeats = any(new != old and old != 1 for old, new in zip(source.shape, value.shape))
    return None if node.op == "Tile" and repeats else node


def _operand_shapes(root: Node) -> list[Shape] | None:
    shapes: list[Shape] = []
    for index, value in enumerate(root.inputs):
        if root.op == "Expand" and index == 1:
            target = content_of(value)
            if target is None:
                return None
            shapes.append(target)
        elif value is None or value.shape is None:
            return None
        else:
            shapes.append(value.shape)
    return shapes


def _broadcasts_to(shapes: Sequence[Shape], result: Shape, root: Node) -> bool:
    if root.op == "MatMul":
        if any(len(shape) < 2 for shape in shapes) or len(result) < 2:
            return False
        left, right = shapes
        if (left[-2], right[-1]) != (result[-2], result[-1]) or left[-1] != right[-2]:
            return False
        shapes, result = [left[:-2], right[:-2]], result[:-2]
    if max(map(len, shapes)) != len(result):
        return False
    for axis in range(1, len(result) + 1):
        extents = [shape[-axis] for shape in shapes if len(shape) >= axis]
        if result[-axis] not in extents or any(e not in (1, result[-axis]) for e in extents):
            return False
    return True
