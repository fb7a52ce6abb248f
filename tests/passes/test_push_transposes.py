"""Random graphs of Transposes and reshapes: the numbers stay, and what the pass pushes only becomes fewer."""

from __future__ import annotations

import pytest
from random_graphs.layouts import LayoutGraph

from planish.runtime.optimize import optimize

VIEWS = "(push-transposes,push-reshapes,fuse-views,eliminate-no-ops,eliminate-common-subexpressions)*"
KINDS = {"(push-transposes)*": {"Transpose"}, "(push-reshapes)*": {"Reshape", "Squeeze", "Unsqueeze", "Transpose"}}


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("passes", [*KINDS, VIEWS], ids=["transposes", "reshapes", "all views"])
def test_random_layouts(seed: int, passes: str) -> None:
    proto = LayoutGraph(seed).model()
    result = optimize(proto, passes=passes, verify="each")
    assert result.parity is not None and result.parity.status == "proven", result.parity
    assert not result.held_back
    assert result.after.nodes <= result.before.nodes
    kinds = KINDS.get(passes, set())
    before = sum(node.op_type in kinds for node in proto.graph.node)
    assert sum(node.op in kinds for node in result.model.graph) <= before


def test_a_long_residual_chain_is_one_region() -> None:
    graph = LayoutGraph(0)
    graph.nodes, graph.constants, graph.tensors = [], [], [("x", (1, 8, 4, 4))]
    graph.op("Transpose", ["x"], (1, 4, 4, 8), perm=(0, 2, 3, 1))
    for _ in range(300):
        name, shape = graph.tensors[-1]
        graph.op("Sigmoid", [name], shape)
        graph.op("Add", [name, graph.tensors[-1][0]], shape)
    graph.op("Transpose", [graph.tensors[-1][0]], (1, 8, 4, 4), perm=(0, 3, 1, 2))
    result = optimize(graph.model(shown=0), passes="(push-transposes)*", verify="off")
    assert {node.op for node in result.model.graph} == {"Sigmoid", "Add"}
    assert len(list(result.journal.rewrites())) == 1
