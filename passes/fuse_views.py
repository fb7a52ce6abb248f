"""fuse-views: chains of reshapes, transposes and slices in their shortest form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from .reshape_targets import RESHAPES
from .strided_views import View
from .view_ops import VIEW_OPS, view_through
from .view_plans import Plan, plan_of

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

    Covers Reshape, Squeeze, Unsqueeze, Flatten, Identity, Transpose, Slice (also with steps and negative ones) and
    Gather of constant evenly spaced positions.

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
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("|".join(sorted(VIEW_OPS))),)

    @property
    def depth(self) -> int:
        return 4

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        best: tuple[_Cost, list[Node], Value, Plan] | None = None
        reason = ""
        for chain in _chains(root):
            base = chain[-1].inputs[0]
            plan = _plan(chain)
            if base is None or plan is None:
                continue
            gain, skips = _gain(chain, plan)
            if gain > (0, 0) or (gain == (0, 0) and skips):
                try:
                    plan.check(base.shape, rewriter, cautious=gain[0] == 0)
                except Refusal as refusal:
                    reason = refusal.reason
                    continue
                if best is None or gain >= best[0]:
                    best = (gain, chain, base, plan)
            elif len(chain) > 1 and plan.nodes < len(chain):
                reason = reason or _sharing(chain)
        if best is None:
            rewriter.refuse(reason)
        _, chain, base, plan = best
        rewriter.include(chain)
        rewriter.replace(root.output, plan.build(base, rewriter))


def _chains(root: Node) -> Iterator[list[Node]]:
    """The root alone, then with the views that it reads, up to the one whose input is no view."""
    chain = [root]
    while len(chain) < _LONGEST:
        yield list(chain)
        value = chain[-1].inputs[0]
        producer = None if value is None else value.producer
        if producer is None or producer.op not in VIEW_OPS or producer.graph is not root.graph:
            return
        chain.append(producer)


def _plan(chain: list[Node]) -> Plan | None:
    base, shape = chain[-1].inputs[0], chain[0].output.shape
    if len(chain) == 1 and chain[0].op != "Transpose":
        return None
    if base is None or shape is None:
        return None
    if base.shape is None:
        return Plan(shape, after=shape) if all(node.op in RESHAPES for node in chain) else None
    if all(node.op in RESHAPES for node in chain):
        return Plan(base.shape, after=None if base.shape == shape else shape)
    view: View | None = View.whole(base.shape)
    for node in reversed(chain):
        view = None if view is None else view_through(node, view)
    return None if view is None else plan_of(view, shape)


def _gain(chain: list[Node], plan: Plan) -> tuple[_Cost, bool]:
    """(nodes and copies that the plan saves, whether it also lets the root skip views that others only view)."""
    dead, skips = [chain[0]], False
    for node in chain[1:]:
        if len(node.output.uses) > 1:
            skips = plan.nodes <= 1 and not node.output.is_graph_output
            skips &= all(reader.op in VIEW_OPS for reader in node.output.readers)
            break
        dead.append(node)
    copies = sum(node.op not in RESHAPES and node.op != "Identity" for node in dead)
    return (len(dead) - plan.nodes, copies - plan.copies), skips and len(dead) >= plan.nodes


def _sharing(chain: list[Node]) -> str:
    """What keeps a chain from being fused although it has a shorter form."""
    shared = next((node.output for node in chain[1:] if len(node.output.uses) > 1), None)
    if shared is None:
        return ""
    return f"{shared.name} {'is a graph output' if shared.is_graph_output else 'has other readers'}"
