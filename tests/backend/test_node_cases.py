"""Every node-level backend case of ONNX gives the same outputs after the default pipeline, and none fails.

A case that ONNX Runtime cannot run is optimized all the same. How many are compared is asserted, so that the test does
not shrink unnoticed.
"""

from __future__ import annotations

import onnxruntime
import pytest
from backend.node_cases import GUISES, Case, all_cases, checked, interface

import planish
from planish.compiler.errors import EvaluationError
from planish.compiler.verify import verify
from planish.runtime.comparison import compare_output
from planish.runtime.onnxruntime_session import Session, open_session

CHUNKS = 8
# Cases that can be compared with onnx 1.23 and ONNX Runtime 1.32 are 1,762 of 1,884, most of them in every guise too.
NEWEST = tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 32)
COMPARED = {
    "as_it_is": 1750, "with_constant_inputs": 1650, "with_one_input": 1700, "with_symbolic_sizes": 1650,
    "in_the_branches_of_an_if": 1500, "in_a_function": 1500,
}  # fmt: skip
SHARE_OF_OLDER_VERSIONS = 0.6


def answers(session: Session, case: Case) -> list | None:
    try:
        return session.run(case.feeds)
    except EvaluationError:
        return None


def session_of(model: object) -> Session | None:
    try:
        return open_session(model)  # type: ignore[arg-type]
    except EvaluationError:
        return None


def problem_of(case: Case) -> tuple[str, bool]:
    """(what is wrong or "", whether outputs were compared)."""
    try:
        result = planish.optimize(case.model, verify="off")
        verify(result.model)
        after = result.proto()
    except Exception as error:
        return f"{type(error).__name__}: {error}", False
    if interface(after) != interface(case.model):
        return "inputs or outputs have other names or types", False
    if checked(case.model) and not checked(after):
        return "the checker does not take it any more", False
    before = session_of(case.model)
    want = None if before is None else answers(before, case)
    if before is None or want is None:
        return "", False
    optimized = session_of(after)
    if optimized is None:
        return "it does not load any more", True
    got = answers(optimized, case)
    if got is None:
        return "it does not run any more", True
    found = [compare_output(name, a, b).problem for name, a, b in zip(before.output_names, want, got, strict=True)]
    return next((text for text in found if text), ""), True


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("guise", GUISES)
def test_node_cases(guise: str, chunk: int) -> None:
    wrong, compared = [], 0
    for case in all_cases()[chunk::CHUNKS]:
        problem, ran = problem_of(GUISES[guise](case))
        compared += ran
        if problem:
            wrong.append(f"{case.name}: {problem}")
    assert not wrong, f"{len(wrong)} of {compared}:\n" + "\n".join(wrong)
    least = COMPARED[guise] // CHUNKS - 12
    assert compared >= (least if NEWEST else SHARE_OF_OLDER_VERSIONS * least)
