"""unroll-loop: a Loop of few known iterations becomes their nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.graph import Graph, Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference import content_of
from ..compiler.inference.control_flow import through_identities
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from ..compiler.symbolic import product
from ..compiler.tensor import Tensor
from .inlining.handing_over import hand_over
from .views.view_plans import unsqueezed

_MOST_TRIPS = 1024
_LARGEST_EMPTY = 1 << 20


@dataclass(frozen=True)
class UnrollLoop(RewritePass):
    """Replace a Loop whose number of iterations is known by its body, once for each iteration.

    Before => After
        y = Loop(1, true, x) { s' = s * s }    =>   y = x * x
        y = Loop(0, true, x) { s' = s * s }    =>   y = x

    Option growth: nodes that unrolling may add.

    Legal when
        The trip count is a number and the loop starts and goes on for certain, or the body ends it after the first
        iteration. Of a loop that never runs the stacked outputs must have known extents.

    Pays when
        No more nodes are left than before (as a rule for one iteration, for two of a single node, or where the body
        only hands values on), growth aside. A stacked output takes an Unsqueeze for each iteration and a Concat.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "unroll-loop"
    growth: int = 0
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Loop"),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        body = node.bodies.get("body")
        carried = len(node.inputs) - 2
        if body is None or carried < 0 or len(body.inputs) != carried + 2 or len(body.outputs) < len(node.outputs) + 1:
            rewriter.refuse("")
        trips = _trips(node, body)
        if trips is None:
            rewriter.refuse("the number of iterations is not known")
        stacked = [i for i, v in enumerate(node.outputs) if i >= carried and v is not None and v.uses]
        added = _added_nodes(body, trips, len(stacked))
        if trips > _MOST_TRIPS or added > self.growth:
            rewriter.refuse(f"{added} nodes more would be left")
        values = [_present(value, rewriter) for value in node.inputs[2:]]
        pieces: dict[int, list[Value]] = {index: [] for index in stacked}
        for trip in range(trips):
            results = _iteration(body, trip, values, rewriter)
            values = results[1 : carried + 1]
            for index in stacked:
                pieces[index].append(results[index + 1])
        hand_over(node, values, rewriter)
        for index in stacked:
            output = node.outputs[index]
            if output is not None:
                rewriter.replace(output, _stack(output, body.outputs[index + 1], pieces[index], rewriter))


def _trips(node: Node, body: Graph) -> int | None:
    limit, start = content_of(node.input(0)), content_of(node.input(1))
    most = limit[0] if limit is not None and len(limit) == 1 else None
    if isinstance(most, int) and most <= 0:
        return 0
    if start is not None and len(start) == 1 and start[0] == 0:
        return 0
    if node.input(1) is not None and start != (1,):
        return None
    condition = through_identities(body.outputs[0])
    goes_on = content_of(condition)
    if goes_on == (0,) and (isinstance(most, int) or node.input(0) is None):
        return 1
    if condition is body.inputs[1] or goes_on == (1,):
        return most if isinstance(most, int) else None
    return None


def _added_nodes(body: Graph, trips: int, stacked: int) -> int:
    """How many nodes more there are when the loop is unrolled; an Identity is none, it goes."""
    once = sum(node.op not in ("Constant", "Identity") for graph in body.nested_graphs() for node in graph)
    held = sum(node.op != "Constant" for graph in body.nested_graphs() for node in graph)
    return trips * (once + stacked) + (stacked if trips > 1 else 0) - (held + 1)


def _present(value: Value | None, rewriter: Rewriter) -> Value:
    if value is None:
        rewriter.refuse("a carried value has no initial value")
    return value


def _iteration(body: Graph, trip: int, carried: Sequence[Value], rewriter: Rewriter) -> list[Value]:
    number = rewriter.constant(np.array(trip, np.int64), f"{body.inputs[0].name}.{trip}")
    goes_on = rewriter.constant(np.array(True), f"{body.inputs[1].name}.{trip}")
    bound = dict(zip(body.inputs, [number, goes_on, *carried], strict=True))
    return [_present(value, rewriter) for value in rewriter.inline(body, bound)]


def _stack(output: Value, piece: Value, pieces: Sequence[Value], rewriter: Rewriter) -> Value:
    if not pieces:
        return _nothing(output, piece, rewriter)
    first = [unsqueezed(value, 0, rewriter) for value in pieces]
    return first[0] if len(first) == 1 else rewriter.op("Concat", first, axis=0)


def _nothing(output: Value, piece: Value, rewriter: Rewriter) -> Value:
    shape = piece.shape
    count = None if shape is None else product(shape)
    if shape is None or not isinstance(count, int) or count > _LARGEST_EMPTY or not piece.dtype:
        rewriter.refuse("the loop never runs, and the extents of a stacked output are not known")
    if piece.dtype == dtypes.STRING:
        rewriter.refuse("the loop never runs, and stacks strings")
    extents = [extent for extent in shape if isinstance(extent, int)]
    return rewriter.stand_in(output, Tensor.from_array(np.zeros((0, *extents), dtypes.to_numpy(piece.dtype))))
