"""ONNX's own node cases after the pipeline for TensorRT: lifted, run, and equal, but for those that EXPLAINED lists.

A case counts if TensorRT's parser takes it and the pipeline knows of nothing that the parser would misread in it: such
cases are refused before the parser sees them. The truth is what ONNX Runtime gives for the original, or what the onnx
package says; what ONNX Runtime has no kernel for is run by onnx's reference evaluator.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from backend.node_cases import Case, all_cases
from onnx.reference import ReferenceEvaluator

import planish
from planish.compiler.errors import EvaluationError
from planish.compiler.tensorrt_limits import double_interface, misread
from planish.runtime.comparison import compare_output
from planish.runtime.lifting.lowering import lower, refusal
from planish.runtime.lifting.worker import LiftAnswer
from planish.runtime.onnxruntime_session import open_session

trt = pytest.importorskip("tensorrt_rtx", reason="pip install 'planish[tensorrt-rtx]'")

CHUNKS = 4
TRIED_WITH = ("1.23", "1.7.1")  # onnx and TensorRT-RTX, for which EXPLAINED is exact
LEAST_TAKEN, LEAST_SHARE = 1180, 0.97
_LINE = re.compile(r"(?P<name>test_\w+): (?P<reason>\S.*)")


def explained() -> dict[str, str]:
    """Cases that are not lifted, run and equal, with the reason."""
    text = Path(__file__).with_name("EXPLAINED").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [match for line in lines if (match := _LINE.fullmatch(line))]
    assert len(found) == len(lines), "a line of EXPLAINED is not `case: reason`"
    return {match["name"]: match["reason"] for match in found}


def prepared(case: Case) -> onnx.ModelProto | None:
    """What TensorRT's parser would be given; None if it is known to misread it."""
    result = planish.optimize(case.model, target="tensorrt", verify="off")
    refused = any(map(misread, result.model.nodes())) or any(double_interface(result.model))
    return None if refused else result.proto()


def outputs_of(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    """Outputs of ONNX Runtime, of the reference evaluator where that has no kernel."""
    try:
        return open_session(model).run(feeds)
    except EvaluationError as error:
        if "NOT_IMPLEMENTED" not in error.what:
            raise
    return list(ReferenceEvaluator(model).run(None, feeds))


def difference(want: list[Any], got: list[Any], case: Case) -> str:
    names = [info.name for info in case.model.graph.output]
    pairs = zip(names, want, map(np.asarray, got), strict=True)
    return next((f"{name}: {text}" for name, a, b in pairs if (text := compare_output(name, a, b).problem)), "")


def problem_of(case: Case, answer: LiftAnswer) -> str:
    """What is wrong with a case that the parser takes; "" if it is lifted, run and equal."""
    if refusal(answer):
        return refusal(answer)
    network = onnx.load(answer.lifted)
    names = ([info.name for info in graph.output] for graph in (case.model.graph, network.graph))
    if next(names) != next(names):
        return "other outputs"
    feeds = {info.name: case.feeds[info.name] for info in network.graph.input if info.name in case.feeds}
    try:
        got = outputs_of(network, feeds)
    except Exception as error:
        return f"it does not run: {error}"
    problem = difference(list(case.outputs), got, case)
    if not problem:
        return ""
    try:
        return difference(open_session(case.model).run(case.feeds), got, case)
    except EvaluationError:
        return problem


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_node_cases(chunk: int, tmp_path: Path) -> None:
    cases = [(case, model) for case in all_cases()[chunk::CHUNKS] if (model := prepared(case)) is not None]
    paths = [tmp_path / f"{case.name}.onnx" for case, _ in cases]
    for path, (_, model) in zip(paths, cases, strict=True):
        onnx.save_model(model, path)
    answers = lower(paths, tmp_path)
    taken = [(case, answer) for (case, _), answer in zip(cases, answers, strict=True) if answer.taken]
    problems = {case.name: text for case, answer in taken if (text := problem_of(case, answer))}
    known = explained()
    new = {name: text for name, text in problems.items() if name not in known}
    assert not new, "\n".join(f"{name}: {text}" for name, text in new.items())
    assert len(taken) - len(problems) >= LEAST_SHARE * len(taken)
    if (onnx.__version__.rpartition(".")[0], trt.__version__.rpartition(".")[0]) == TRIED_WITH:
        gone = {case.name for case in all_cases()[chunk::CHUNKS]} & set(known) - set(problems)
        assert not gone, f"these are equal or not taken any more: {sorted(gone)}"
        assert len(taken) >= LEAST_TAKEN // CHUNKS - 12
