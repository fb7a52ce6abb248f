"""fuse-concats: concatenations of concatenations, of nothing, and of what is one piece already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference.movement import normalize_axis
from ..compiler.pattern import Match, OpPattern, op, other_readers
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from .values.readers import dying
from .views.joined_views import joined
from .views.view_ops import view_along, view_chain
from .views.view_plans import Plan, plan_of

_LONGEST = 5  # values of a chain of views


@dataclass(frozen=True)
class FuseConcats(RewritePass):
    """Flatten nested Concats, drop empty inputs, and read what adjacent inputs are parts of instead of the parts.

    Before => After
        Concat(a, Concat(b, c))                              =>   Concat(a, b, c)                   same axis
        Concat(a, b[N,0])                                    =>   a
        Concat(Split(x))                                     =>   x                                 parts in order
        Concat(x[:, 0:3], x[:, 3:8], y)                      =>   Concat(x[:, 0:8], y)
        Concat(x[0], x[1], ..., x[19])                       =>   Squeeze(x[20,1,N])
        Concat(x[..., ::2], x[..., 1::2])                    =>   Reshape(Transpose(Reshape(x)))

    Legal when
        The axes are the same; the inner Concat has no other reader; an input that is dropped has extent 0 along the
        axis. Inputs are one piece when they are views of one tensor (see fuse-views) that together are a view of it:
        each goes on where the one before ended, or they are blocks whose starts step evenly.

    Pays when
        Nodes fall, or an input goes.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "fuse-concats"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Concat"),)

    @property
    def depth(self) -> int:
        return 3

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        axis = concat_axis(root)
        inputs = [value for value in root.inputs if value is not None]
        if axis is None or len(inputs) < 2:
            rewriter.refuse("")
        kept = [v for v in inputs if v.shape is None or v.shape[axis] != 0] or inputs[:1]
        flat, reason = _flattened(root, kept, axis, rewriter)
        if len(flat) != len(inputs) or flat != inputs:
            rewriter.replace(root.output, _concat(root, flat, rewriter))
            return
        found = _one_piece(root, inputs, axis, rewriter)
        if found is None:
            rewriter.refuse(reason)
        first, count, base, plan, views = found
        rewriter.include(views)
        piece = plan.build(base, rewriter)
        rewriter.replace(root.output, _concat(root, [*inputs[:first], piece, *inputs[first + count :]], rewriter))


def concat_axis(node: Node) -> int | None:
    """The axis of a Concat, counted from the front; None if the rank is not known or the inputs do not agree on it."""
    rank = node.output.rank
    if rank is None or any(v is not None and v.rank not in (None, rank) for v in node.inputs):
        return None
    axis = normalize_axis(node.int_attr("axis", 1 if node.version < 4 else 0), rank)
    return axis if 0 <= axis < rank else None


def _concat(root: Node, inputs: list[Value], rewriter: Rewriter) -> Value:
    if len(inputs) == 1:
        return inputs[0]
    return rewriter.op("Concat", inputs, root.attributes, name=root.name)


def _flattened(root: Node, inputs: list[Value], axis: int, rewriter: Rewriter) -> tuple[list[Value], str]:
    """The inputs with those of inner Concats in their place, and why one is left."""
    result: list[Value] = []
    reason = ""
    for value in inputs:
        inner = value.producer
        if inner is None or inner.op != "Concat" or inner.graph is not root.graph or concat_axis(inner) != axis:
            result.append(value)
        elif any(reader is not root for reader, _ in value.uses):
            result.append(value)
            reason = other_readers(value)
        else:
            rewriter.include([inner])
            result += [v for v in inner.inputs if v is not None]
    return result, reason


def _one_piece(
    root: Node, inputs: list[Value], axis: int, rewriter: Rewriter
) -> tuple[int, int, Value, Plan, list[Node]] | None:
    """(first, how many, of what, how, views that are read no more) of the longest run that is one view."""
    chains = [view_chain(value, _LONGEST) for value in inputs]
    for count in range(len(inputs), 1, -1):
        for first in range(len(inputs) - count + 1):
            found = _piece(root, chains[first : first + count], axis, len(inputs), rewriter)
            if found is not None:
                return (first, count, *found)
    return None


def _piece(
    root: Node, chains: list[list[Value]], axis: int, total: int, rewriter: Rewriter
) -> tuple[Value, Plan, list[Node]] | None:
    shared = [value for value in chains[0][1:] if all(value in chain for chain in chains)]
    for base in shared:
        parts = [view_along(chain[: chain.index(base) + 1]) for chain in chains]
        views = [part for part in parts if part is not None]
        whole = joined(views, axis) if len(views) == len(parts) else None
        plan = None if whole is None else plan_of(whole, whole.shape)
        if plan is None or base.shape is None:
            continue
        between = [v.producer for chain in chains for v in chain[: chain.index(base)] if v.producer is not None]
        dead = dying(root, between)
        nodes = plan.nodes + (len(chains) < total)
        if nodes >= len(dead) and not (nodes == len(dead) and plan.nodes == 0):
            continue
        try:
            plan.check(base.shape, rewriter)
        except Refusal:
            continue
        return base, plan, [node for node in dict.fromkeys(between) if node in dead]
    return None
