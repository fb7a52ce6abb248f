"""Pipelines as text: every pipeline prints as text that gives it back, and wrong text is refused with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planish import Context, OptionError, Pass
from planish.compiler.pipeline import Group, Pipeline, parse


@dataclass(frozen=True)
class Plain(Pass):
    """A pass without options."""

    name: ClassVar[str] = "plain"

    def run(self, context: Context, since: int) -> None:
        return


@dataclass(frozen=True)
class Tuned(Pass):
    """A pass with an option of every type."""

    name: ClassVar[str] = "tuned"
    count: int = 3
    min_gain: float = 1.5
    thorough: bool = False
    only: str = "all"

    def run(self, context: Context, since: int) -> None:
        return


REGISTRY: dict[str, type[Pass]] = {"plain": Plain, "tuned": Tuned}
PASSES = st.one_of(
    st.just(Plain()),
    st.builds(Tuned, st.integers(), st.floats(allow_nan=False), st.booleans(), st.text()),
)
STAGES = st.one_of(PASSES, st.lists(PASSES, min_size=1, max_size=3).map(lambda p: Group(tuple(p))))
PIPELINES = st.lists(STAGES, max_size=5).map(lambda s: Pipeline(tuple(s)))


@given(PIPELINES)
def test_text_gives_the_pipeline_back(pipeline: Pipeline) -> None:
    assert parse(str(pipeline), REGISTRY) == pipeline


@given(PIPELINES, st.sets(st.sampled_from(["plain", "tuned"])))
def test_leaving_passes_out_leaves_the_others_in_order(pipeline: Pipeline, skipped: set[str]) -> None:
    rest = pipeline.without(skipped)
    assert [p for p in pipeline.passes() if p.name not in skipped] == list(rest.passes())
    assert parse(str(rest), REGISTRY) == rest


def test_options_that_have_their_default_are_not_written() -> None:
    assert str(Tuned()) == "tuned"
    assert str(Tuned(count=4, thorough=True)) == "tuned{count=4,thorough=true}"
    assert str(Tuned(only="a,b}")) == 'tuned{only="a,b}"}'


def test_spaces_and_line_breaks_mean_nothing() -> None:
    text = " plain ,\n ( tuned { count = 4 , only = x y } , plain )* "
    assert parse(text, REGISTRY) == Pipeline((Plain(), Group((Tuned(count=4, only="x y"), Plain()))))


def test_the_name_of_a_pipeline_stands_for_its_stages() -> None:
    named = {"default": "plain,(tuned)*"}
    assert parse("tuned,default", REGISTRY, named) == Pipeline((Tuned(), Plain(), Group((Tuned(),))))


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("plan", "did you mean plain"),
        ("plain,", "a pass name is expected at position 6"),
        ("(plain", r"'\)\*' expected at position 6"),
        ("(plain)", r"'\)\*' expected at position 6"),
        ("((plain)*)*", "a pass name is expected at position 1"),
        ("()*", "a pass name is expected at position 1"),
        ("plain plain", "unexpected 'p' at position 6"),
        ("plain{x=1}", "has no option 'x'"),
        ("tuned{count}", "option 'count' has no value"),
        ("tuned{count=many}", "is not of type int"),
        ("tuned{thorough=perhaps}", "is not of type bool"),
        ("tuned{count=1,count=2}", "is given twice"),
        ('tuned{only="\\x"}', "is no quoted text"),
        ("(default)*", "there is no pass 'default'"),
        ("default{x=1}", "there is no pass 'default'"),
    ],
)
def test_wrong_text_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse(text, REGISTRY, {"default": "plain"})
    assert re.search(complaint, str(caught.value))
