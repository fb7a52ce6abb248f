"""Random models of everything, through the pipelines and through passes alone and in pairs."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from onnx import ModelProto
from properties.properties import assert_at_rest, assert_right, assert_saved_whole, examples, optimized, shown
from random_graphs.mixed import mixed_graphs
from survival import assert_survives

from planish.passes import PASSES
from planish.runtime.parity import Reference


@pytest.mark.parametrize("target", ["onnx", "ort", "tensorrt"])
def test_pipelines(target: str) -> None:
    @examples(250 if target == "onnx" else 60, 1.0 if target == "onnx" else 0.2)
    @given(mixed_graphs())
    def holds(model: ModelProto) -> None:
        note(shown(model))
        reference = Reference(model)
        result = optimized(model, target=target)
        assert_right(reference, result, target)
        assert_at_rest(result, target=target)
        assert result.after.nodes <= result.before.nodes

    holds()


@examples(60, 0.1)
@given(mixed_graphs())
def test_models_are_saved_whole(model: ModelProto) -> None:
    note(shown(model))
    with tempfile.TemporaryDirectory() as folder:
        assert_survives(model, Path(folder))
        assert_saved_whole(optimized(model), Path(folder))


@examples(40, 0.1)
@given(mixed_graphs())
def test_every_pass_alone(model: ModelProto) -> None:
    note(shown(model))
    reference = Reference(model)
    for name in PASSES:
        result = optimized(model, passes=f"({name})*")
        if result.journal.count:
            assert_right(reference, result, name)
            assert_at_rest(result, passes=f"({name})*")


@examples(60, 0.2)
@given(mixed_graphs(), st.randoms(use_true_random=False))
def test_pairs_of_passes_in_both_orders(model: ModelProto, random) -> None:  # type: ignore[no-untyped-def]
    note(shown(model))
    reference = Reference(model)
    busy = [name for name in PASSES if optimized(model, passes=name).journal.count]
    pairs = list(itertools.permutations(busy, 2))
    for first, second in random.sample(pairs, min(4, len(pairs))):
        for text in (f"{first},{second}", f"({second},{first})*"):
            assert_right(reference, optimized(model, passes=text), text)
