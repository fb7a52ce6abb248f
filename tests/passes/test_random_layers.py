"""The whole pipeline on random chains of layers: equal numbers, nothing taken back, nothing left for a second run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from random_graphs.layering import layered_model

from planish.runtime.optimize import optimize


@pytest.mark.parametrize("seed", range(120))
def test_fusions_keep_the_numbers(seed: int, tmp_path: Path) -> None:
    model, x = layered_model(seed)
    samples = None
    if model.graph.input[0].type.tensor_type.shape.dim[0].dim_param:  # the model runs at one size of it only
        samples = tmp_path / "x.npz"
        np.savez(samples, **{"0|x": x, "1|x": 30 * x, "2|x": -abs(x)})
    result = optimize(model, samples=samples)
    assert result.parity is not None
    assert not result.held_back
    assert result.parity.status == "proven", result.parity.reason
    again = optimize(result.proto(), verify="off")
    assert not [str(rewrite) for rewrite in again.journal.rewrites()]
    assert sum(result.after.ops.values()) <= sum(result.before.ops.values())
