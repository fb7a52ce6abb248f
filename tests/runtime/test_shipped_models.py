"""The models that come with planish, optimized: proven, smaller, as accurate, valid, and at rest."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import planish
from planish.models import TRAINED, accuracy, build, names, trained


@pytest.mark.parametrize("name", names())
def test_a_built_model_stays_right_valid_and_at_rest(name: str) -> None:
    result = planish.optimize(build(name))
    assert result.parity is not None and result.parity.status == "proven" and not result.held_back
    assert result.after.nodes <= result.before.nodes
    onnx.checker.check_model(result.proto(), full_check=True)
    assert not planish.optimize(result.proto(), verify="off").journal.count, "a second run finds something to do"


@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_model_is_as_accurate_as_before(name: str, tmp_path: Path) -> None:
    result = planish.optimize(trained(name))
    assert result.parity is not None and result.parity.status == "proven"
    result.save(tmp_path / "out.onnx")
    assert accuracy(name, tmp_path / "out.onnx") == accuracy(name)
    assert result.after.nodes < result.before.nodes
    assert (tmp_path / "out.onnx").stat().st_size < trained(name).stat().st_size


def test_a_fused_layer_says_what_it_was_made_of() -> None:
    result = planish.optimize(trained("digits_cnn"), verify="off")
    origins = [node.origins for node in result.model.graph if node.op == "Conv"]
    assert all(len(names) == 2 for names in origins), origins  # the convolution and its norm
