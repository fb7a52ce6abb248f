"""eliminate-broadcasts: elementwise operators broadcast by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Node, Shape, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .values.uniform_values import fill_of

_ELEMENTWISE = (
    "Add|Sub|Mul|Div|Mod|Pow|Max|Min|Sum|Mean|Where|Equal|Less|Greater|LessOrEqual|GreaterOrEqual|And|Or|Xor|"
    "BitwiseAnd|BitwiseOr|BitwiseXor"
)
_SPREADS = frozenset({"Expand", "ConstantOfShape"})


def _reads_a_spread(node: Node) -> bool:
    return any(v is not None and v.producer is not None and v.producer.op in _SPREADS for v in node.inputs)


@dataclass(frozen=True)
class EliminateBroadcasts(RewritePass):
    """Let an elementwise operator read what an Expand spreads, or the number that a ConstantOfShape repeats.

    Before => After
        y = x + Expand(b, Shape(x))                       =>   y = x + b
        y = Where(c, x, ConstantOfShape(Shape(x), k))     =>   y = Where(c, x, k)

    Legal when
        Inference proves that the other operands, together with what is spread, broadcast to the shape of the result:
        each of its extents is, as an expression, the extent of one of them.

    Pays when
        Always: less is read, and the Expand goes if nobody else reads it.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "eliminate-broadcasts"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op(_ELEMENTWISE, where=_reads_a_spread),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        shape = node.output.shape
        if shape is None:
            rewriter.refuse("the shape of the result is not known")
        inputs = list(node.inputs)
        changed = 0
        for position, value in enumerate(inputs):
            source = None if value is None else _spread(value, rewriter)
            if source is None:
                continue
            others = [v.shape for i, v in enumerate(inputs) if v is not None and i != position]
            if _broadcast_to(shape, [source.shape, *others]):
                inputs[position] = source
                changed += 1
        if not changed:
            rewriter.refuse("the other operands may not give the shape that is spread to")
        rewriter.replace(node.output, rewriter.op(node.op_type, inputs, node.attributes, name=node.name))


def _spread(value: Value, rewriter: Rewriter) -> Value | None:
    """What the value repeats."""
    producer = value.producer
    if producer is None or producer.op not in _SPREADS:
        return None
    if producer.op == "Expand":
        return producer.inputs[0]
    fill = fill_of(value)
    return None if fill is None else rewriter.constant(fill, f"{producer.label}.value")


def _broadcast_to(shape: Shape, shapes: list[Shape | None]) -> bool:
    """True if tensors of these shapes certainly broadcast to the shape."""
    known = [s for s in shapes if s is not None]
    if len(known) < len(shapes) or max(len(s) for s in known) != len(shape):
        return False
    return all(
        any(len(s) >= axis and s[-axis] == shape[-axis] for s in known) for axis in range(1, len(shape) + 1)
    )
