"""fuse-views: chains of reshapes, transposes and slices in their shortest form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op, other_readers
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from .values.readers import dying
from .views.reshape_targets import RESHAPES
from .views.view_ops import VIEW_OPS, view_along, view_chain
from .views.view_plans import Plan, plan_of

_LONGEST = 12
_Cost = tuple[int, int]  # nodes, and those of them that move elements


@dataclass(frozen=True)
class FuseViews(RewritePass):
    """Write a chain of operators that only view a tensor with the fewest nodes that give the same view.

    Before => After
        Unsqueeze(Reshape(x))                                    =>   Reshape(x)
        Transpose(Transpose(x))                                  =>   Transpose(x), or x
        Transpose(x[N,1,8], perm = [0, 2, 1])                    =>   Reshape(x, [0, 8, 1])
        Gather(Transpose(Reshape(x[1,96,H,W])), 1)               =>   Slice(x, [1], [96], step 2)
        Squeeze(Transpose(Unsqueeze(x)))                         =>   Transpose(x)
        Slice(Slice(x, 2:, step 2), 1:5)                         =>   Slice(x, 4:12, step 2)

    Covers Reshape, Squeeze, Unsqueeze, Flatten, Identity, Transpose, Slice (also with steps and negative ones), Gather
    of constant evenly spaced positions, and parts of a Split.

    Legal when
        The chain, as strides over the axes of its base (see strided_views), is a Slice or Gather, a Reshape, a
        Transpose and a Reshape of the base, and Reshape can spell the shapes. Symbolic extents count as equal when they
        are the same polynomial. A tensor that is known to be empty is left alone.

    Pays when
        Nodes fall, or as many nodes move fewer elements (a Transpose that only moves axes of extent 1 is a Reshape), or
        the last node of a chain whose middle is also viewed by others can read the base itself instead.

    Numerics
        Unchanged. Where nodes fall, a Reshape may have to infer one extent beside a symbolic one that it copies, and
        such a Reshape fails where that extent is 0 at run time (see fold-target-shapes).
    """

    name: ClassVar[str] = "fuse-views"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("|".join(sorted(VIEW_OPS - {"Split"}))),)

    @property
    def depth(self) -> int:
        return 4

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        whole = view_chain(match.root.output, _LONGEST)
        best: tuple[_Cost, list[Value], Plan] | None = None
        reason = ""
        for length in range(2, len(whole) + 1):
            chain = whole[:length]
            plan = _plan(chain)
            if plan is None:
                continue
            gain, skips = _gain(chain, plan)
            if gain > (0, 0) or (gain == (0, 0) and skips):
                try:
                    plan.check(chain[-1].shape, rewriter, cautious=gain[0] == 0)
                except Refusal as refusal:
                    reason = refusal.reason
                    continue
                if best is None or gain >= best[0]:
                    best = (gain, chain, plan)
            elif length > 2 and plan.nodes < length - 1:
                reason = reason or _sharing(chain)
        if best is None:
            rewriter.refuse(reason)
        _, chain, plan = best
        rewriter.include(_nodes(chain))
        rewriter.replace(match.root.output, plan.build(chain[-1], rewriter))


def _nodes(chain: list[Value]) -> list[Node]:
    """The views of a chain."""
    return [value.producer for value in chain[:-1] if value.producer is not None]


def _plan(chain: list[Value]) -> Plan | None:
    nodes, shape, base = _nodes(chain), chain[0].shape, chain[-1].shape
    if shape is None or (len(nodes) == 1 and nodes[0].op != "Transpose"):
        return None
    if all(node.op in RESHAPES for node in nodes):
        return Plan(base or (), after=None if base == shape else shape)
    view = view_along(chain)
    return None if view is None else plan_of(view, shape)


def _gain(chain: list[Value], plan: Plan) -> tuple[_Cost, bool]:
    """(nodes and copies that the plan saves, whether it also lets the root skip views that others only view)."""
    nodes = _nodes(chain)
    dead = [node for node in nodes if node in dying(nodes[0], nodes[1:])]
    copies = sum(node.op not in RESHAPES and node.op != "Identity" for node in dead)
    skips = len(dead) < len(nodes) and plan.nodes <= 1 and _only_viewed(nodes[len(dead)])
    return (len(dead) - plan.nodes, copies - plan.copies), skips


def _only_viewed(node: Node) -> bool:
    readers = [reader for value in node.outputs if value is not None for reader, _ in value.uses]
    return all(isinstance(reader, Node) and reader.op in VIEW_OPS for reader in readers)


def _sharing(chain: list[Value]) -> str:
    """What keeps a chain from being fused although it has a shorter form."""
    shared = next((value for value in chain[1:-1] if len(value.uses) > 1), None)
    return "" if shared is None else other_readers(shared)
