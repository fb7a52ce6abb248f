"""What must hold of every optimized model, and how many random models it is tried on."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from backend.node_cases import interface
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from onnx import ModelProto
from survival import assert_same

from planish.compiler.reading import load
from planish.compiler.verify import verify
from planish.compiler.writing import to_proto
from planish.runtime.optimize import optimize
from planish.runtime.parity import Reference
from planish.runtime.result import Result

TIMES = float(os.environ.get("PLANISH_EXAMPLES", "1"))
SEED = int(os.environ.get("PLANISH_SEED", "0"))


def holds_for(
    models: st.SearchStrategy[ModelProto], check: Callable[[ModelProto], object], count: int, part: int
) -> None:
    """Check so many random models: always the same ones, unless PLANISH_SEED asks for others.

    PLANISH_EXAMPLES is how many times as many are tried. Each part of a test draws other ones.
    """
    wanted, tried = max(1, int(count * TIMES)), 0

    @seed(1000 * SEED + part)
    @settings(
        max_examples=wanted, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck),
        phases=[phase for phase in Phase if phase is not Phase.explain],
    )  # fmt: skip
    @given(models)
    def holds(model: ModelProto) -> None:
        nonlocal tried
        tried += 1
        note("\n" + onnx.printer.to_text(model))
        check(model)

    holds()
    assert tried >= wanted


def is_valid(model: ModelProto) -> bool:
    """True if ONNX's checker has nothing to say, with shape inference too."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return False
    return True


def optimized(model: ModelProto, **options: Any) -> Result:
    """The model optimized, without a comparison and without a warning; its invariants and its interface are checked."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = optimize(model, verify="off", **options)
    verify(result.model)
    assert interface(result.proto()) == interface(model), "inputs or outputs have other names or types"
    return result


def assert_right(reference: Reference, result: Result, what: str) -> None:
    """The result computes what the original computes, for two sizes of every symbol and several kinds of numbers."""
    report = reference.compare(result.proto())
    assert report.status == "proven" or not reference.provable, f"{what}: {report.reason}"


def assert_valid(model: ModelProto, result: Result) -> None:
    """The result is as good to ONNX's checker as the original."""
    if is_valid(model):
        onnx.checker.check_model(result.proto(), full_check=True)


def assert_at_rest(result: Result, **options: Any) -> None:
    """A second run of the same passes applies nothing, and changes nothing."""
    again = optimize(result.proto(), verify="off", **options)
    assert not [str(rewrite) for rewrite in again.journal.rewrites()], "a second run still finds something to do"
    assert_same(again.proto(), result.proto())


def assert_saved_whole(model: ModelProto, folder: Path) -> None:
    """A file is optimized as what it was written from; the result is written as it is, and read again the same."""
    result = optimized(model)
    onnx.save(model, folder / "model.onnx")
    assert_same(optimize(folder / "model.onnx", verify="off").proto(), result.proto())
    result.save(folder / "optimized.onnx")
    written = onnx.load(folder / "optimized.onnx")
    assert_same(written, result.proto())
    assert_same(to_proto(load(folder / "optimized.onnx")), written)
