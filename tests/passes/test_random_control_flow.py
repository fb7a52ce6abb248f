"""Random nests of If, Loop, Scan and sequences come out of the passes over control flow with the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from random_graphs.branching import BranchingGraph

from planish.compiler.verify import verify
from planish.runtime.onnxruntime_session import open_session
from planish.runtime.optimize import optimize

PASSES = (
    "eliminate-dead-nodes,(inline-functions,fold-constants,fold-if,fold-sequences,prune-control-flow,unroll-loop,"
    "eliminate-no-ops,eliminate-units,eliminate-idempotents,eliminate-unused-outputs,simplify-shapes,"
    "eliminate-common-subexpressions)*,eliminate-dead-nodes"
)


def feeds(seed: int, condition: bool, count: int) -> dict[str, np.ndarray]:
    drawn = np.random.default_rng(seed).standard_normal((2, 3)).astype(np.float32)
    return {"x": drawn[0], "z": drawn[1], "c": np.array(condition), "n": np.array(count, np.int64)}


def check(seed: int, passes: str) -> None:
    model = BranchingGraph(seed).model()
    result = optimize(model, passes=passes, verify="off")
    verify(result.model)
    again = optimize(result.proto(), passes=passes, verify="off")
    assert not list(again.journal.rewrites()), "a second run still finds something to do"
    before, after = open_session(model), open_session(result.proto())
    for condition in (False, True):
        for count in (0, 1, 3):
            given = feeds(seed, condition, count)
            for wanted, found in zip(before.run(given), after.run(given), strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(150))
def test_control_flow(seed: int) -> None:
    check(seed, PASSES)
