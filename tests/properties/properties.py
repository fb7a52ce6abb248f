"""What must hold of every optimized model, and how many random models it is tried on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import onnx
from backend.node_cases import interface
from hypothesis import HealthCheck, Phase, settings
from onnx import ModelProto
from survival import assert_same

from planish.compiler.reading import load
from planish.compiler.verify import verify
from planish.compiler.writing import to_proto
from planish.runtime.optimize import optimize
from planish.runtime.parity import Reference
from planish.runtime.result import Result

EXAMPLES = os.environ.get("PLANISH_EXAMPLES")


def examples(usual: int, share: float = 1.0) -> Any:
    """Settings of a property: so many examples, always the same ones; PLANISH_EXAMPLES asks for other ones, and more.

    Args:
        share: part of PLANISH_EXAMPLES that is tried, for a property that is expensive.
    """
    count = usual if EXAMPLES is None else max(1, int(int(EXAMPLES) * share))
    unhurried = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    explained = [phase for phase in Phase if phase is not Phase.explain]
    return settings(
        max_examples=count, deadline=None, database=None, derandomize=EXAMPLES is None, print_blob=True,
        suppress_health_check=unhurried, phases=explained,
    )  # fmt: skip


def shown(model: ModelProto) -> str:
    """The model as text, for the message of a failure."""
    return "\n" + onnx.printer.to_text(model)


def optimized(model: ModelProto, **options: Any) -> Result:
    """The model optimized without a comparison, with its invariants checked and its interface compared."""
    result = optimize(model, verify="off", **options)
    verify(result.model)
    assert interface(result.proto()) == interface(model), "inputs or outputs have other names or types"
    return result


def assert_right(reference: Reference, result: Result, what: str) -> None:
    """The result computes what the original computes, for two sizes of every symbol and several kinds of numbers."""
    report = reference.compare(result.proto())
    assert report.status == "proven" or not reference.provable, f"{what}: {report.reason}"


def assert_at_rest(result: Result, **options: Any) -> None:
    """A second run of the same passes applies nothing."""
    again = optimize(result.proto(), verify="off", **options)
    assert not [str(rewrite) for rewrite in again.journal.rewrites()], "a second run still finds something to do"


def assert_saved_whole(result: Result, folder: Path) -> None:
    """What is written is what is in memory, and reading and writing it again changes nothing."""
    result.save(folder / "optimized.onnx")
    written = onnx.load(folder / "optimized.onnx")
    assert_same(written, result.proto())
    assert_same(to_proto(load(folder / "optimized.onnx")), written)
