"""The table of passes: names, texts, and the named pipelines."""

from __future__ import annotations

import pytest

from planish.compiler import pipeline
from planish.passes import PASSES, PIPELINES


@pytest.mark.parametrize("name", PASSES)
def test_the_text_of_a_pass_gives_it_back(name: str) -> None:
    one = PASSES[name]()
    assert str(one) == name
    assert list(pipeline.parse(str(one), PASSES).passes()) == [one]


@pytest.mark.parametrize("name", PIPELINES)
def test_the_text_of_a_pipeline_gives_it_back(name: str) -> None:
    parsed = pipeline.parse(PIPELINES[name], PASSES)
    assert pipeline.parse(str(parsed), PASSES) == parsed
