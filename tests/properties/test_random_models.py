"""Random models of everything, through the pipelines and through passes alone and in pairs."""

from __future__ import annotations

import itertools
import random
import tempfile
import zlib
from pathlib import Path

import pytest
from onnx import ModelProto
from properties.properties import (
    assert_at_rest,
    assert_right,
    assert_saved_whole,
    assert_valid,
    holds_for,
    optimized,
)
from random_graphs.mixed import joined_graphs, mixed_graphs
from survival import assert_survives

from planish.passes import PASSES
from planish.runtime.parity import Reference


def check_pipeline(model: ModelProto, target: str = "onnx") -> None:
    reference = Reference(model)
    result = optimized(model, target=target)
    assert_right(reference, result, target)
    assert_valid(model, result)
    assert_at_rest(result, target=target)
    assert result.after.nodes <= result.before.nodes


@pytest.mark.parametrize("part", range(8))
def test_the_pipeline(part: int) -> None:
    holds_for(mixed_graphs(), check_pipeline, 250, part)


@pytest.mark.parametrize("target", ["ort", "tensorrt"])
def test_targets(target: str) -> None:
    holds_for(mixed_graphs(), lambda model: check_pipeline(model, target), 200, len(target) + 100)


@pytest.mark.parametrize("part", range(10))
def test_values_that_part_and_come_together(part: int) -> None:
    """5,000 graphs of Concat, Split, Slice, Gather and layers that share an input."""

    def check(model: ModelProto) -> None:
        assert_right(Reference(model), optimized(model), "the pipeline")

    holds_for(joined_graphs(), check, 500, 200 + part)


def test_models_are_saved_whole() -> None:
    def check(model: ModelProto) -> None:
        with tempfile.TemporaryDirectory() as folder:
            assert_survives(model, Path(folder))
            assert_saved_whole(model, Path(folder))

    holds_for(mixed_graphs(), check, 200, 300)


@pytest.mark.parametrize("part", range(2))
def test_every_pass_alone(part: int) -> None:
    def check(model: ModelProto) -> None:
        reference = Reference(model)
        for name in PASSES:
            result = optimized(model, passes=f"({name})*")
            if result.journal.count:
                assert_right(reference, result, name)
                assert_at_rest(result, passes=f"({name})*")

    holds_for(mixed_graphs(), check, 60, 400 + part)


@pytest.mark.parametrize("part", range(2))
def test_pairs_of_passes_in_both_orders(part: int) -> None:
    def check(model: ModelProto) -> None:
        reference = Reference(model)
        chosen = random.Random(zlib.crc32(model.SerializeToString(deterministic=True)))
        busy = [name for name in PASSES if optimized(model, passes=name).journal.count]
        pairs = list(itertools.combinations(busy, 2))
        for first, second in chosen.sample(pairs, min(4, len(pairs))):
            for text in (f"{first},{second}", f"{second},{first}", f"({second},{first})*"):
                assert_right(reference, optimized(model, passes=text), text)

    holds_for(mixed_graphs(), check, 60, 500 + part)
