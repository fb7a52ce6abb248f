"""Golden cases: the graph after, what was refused, equal numbers, a second run that finds nothing, nested scopes."""

from __future__ import annotations

import os

import pytest
from golden.cases import FOLDER, Case, outcome, read, write
from golden.nesting import in_branches, in_function
from onnx import ModelProto

from planish.runtime.optimize import Result, optimize

BLESS = os.environ.get("BLESS") == "1"
CASES = [case for path in sorted(FOLDER.glob("*.txt")) for case in read(path)]


def run(case: Case, model: ModelProto) -> Result:
    """The pass until it comes to rest, with the numbers compared and the invariants checked."""
    verify = "each" if case.runs_here else "off"
    result = optimize(model, passes=f"({case.passes})*", target=case.target, verify=verify)
    if result.parity is None:
        return result
    if "proof" in case.options:
        assert result.parity.status == "not-run", "the case can be proven: drop its `proof:` line"
    else:
        assert result.parity.status == "proven", result.parity.reason
    assert not result.held_back
    return result


def rewrites_of(case: Case, model: ModelProto) -> int:
    return optimize(model, passes=f"({case.passes})*", target=case.target, verify="off").journal.count


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file.stem}: {case.title}")
def test_case(case: Case) -> None:
    result = run(case, case.model())
    after, missed = outcome(result)
    if BLESS:
        everything = read(case.file)
        mine = next(c for c in everything if c.title == case.title)
        mine.after, mine.missed = after, missed
        write(case.file, everything)
        return
    assert after == case.after
    assert missed == case.missed
    assert not rewrites_of(case, result.proto()), "a second run still finds something to do"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file.stem}: {case.title}")
def test_case_in_branches(case: Case) -> None:
    nested = run(case, in_branches(case.model()))
    if rewrites_of(case, case.model()) and "bodies" not in case.options:
        assert list(nested.journal.rewrites()), "the pass does nothing in the body of an If"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file.stem}: {case.title}")
def test_case_in_a_function(case: Case) -> None:
    run(case, in_function(case.model()))


def test_titles_are_unique() -> None:
    titles = [(case.file.stem, case.title) for case in CASES]
    assert len(titles) == len(set(titles))
