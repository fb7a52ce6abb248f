"""`planish.check`: whether two models compute the same, or a model and what TensorRT makes of it; level by level.

The levels are kept apart, because they prove different things: L1 is one model against another in ONNX Runtime, L2 a
model against the network that TensorRT's parser makes of it, L3 compares names, types and shapes and computes nothing,
L4 is the engine itself, which needs a CUDA device.
"""

from __future__ import annotations

import importlib.metadata
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from ...compiler.errors import EvaluationError, OptionError
from ...compiler.reading import load
from ..lifting.lowering import lowered, refusal
from ..parity import Reference
from ..tolerances import EFFECTS
from .engine import NO_DEVICE, can_run, engine_of
from .levels import Level, Metric, Terms, compare_level
from .structure import add_lost_nodes, compare_interfaces

SCHEMA = 1
Report = Callable[[str, float], None]


@dataclass
class CheckReport:
    """What a check found: a level under each of L1 to L4 that was asked for, and the layers of the network."""

    models: list[str]
    effect: str
    levels: dict[str, Level] = field(default_factory=dict)
    layers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether no level failed, and one that compares numbers was run."""
        numeric = [self.levels[key].status for key in ("L1", "L2", "L4") if key in self.levels]
        return "proven" in numeric and all(level.status != "mismatch" for level in self.levels.values())

    def as_data(self) -> dict[str, Any]:
        """As plain data, for JSON: {schema, planish, models, effect, passed, levels, layers}."""
        return {
            "schema": SCHEMA, "planish": importlib.metadata.version("planish"), "models": self.models,
            "effect": self.effect, "passed": self.passed,
            "levels": {key: _plain(asdict(level)) for key, level in self.levels.items()}, "layers": self.layers,
        }  # fmt: skip


def check(
    original: ModelProto | Path, candidate: ModelProto | Path | None = None, *, lowering: bool = False,
    samples: Path | None = None, seed: int = 0, tolerances: Mapping[str, float] | None = None, effect: str = "exact",
    metrics: Mapping[str, Metric] | None = None, backend: str = "auto", progress: Report | None = None,
) -> CheckReport:  # fmt: skip
    """Compare two models (L1, L3), or a model with what TensorRT makes of it (L2, L3, L4), or both.

    Args:
        original: a proto, or a path (needed for external data). candidate: what should compute the same.
        lowering: compare the candidate, or the original where there is none, with TensorRT's network.
        samples: .npz file with real inputs, which are used before the drawn ones. seed: of the drawn inputs.
        tolerances: of floating elements by output, "" for all others; instead of those of their types.
        effect: "exact" where only rounding may differ, "lossy" where the candidate changes numbers on purpose.
        metrics: name -> function of the outputs of both as dicts of arrays; what it gives is reported, and False fails.
        backend: as for `planish build`.

    Raises:
        OptionError: there is nothing to compare, or an option is wrong. BackendError: TensorRT is missing.
        ModelError: a file is no model, or unsafe to read.
    """
    if candidate is None and not lowering:
        raise OptionError("there is nothing to compare with", hint="give a second model, or --lowering")
    if effect not in EFFECTS:
        raise OptionError(f"there is no effect '{effect}'", hint=", ".join(EFFECTS))
    for model in (original, candidate):
        if isinstance(model, Path):
            load(model)  # says what is wrong with a file, and refuses data outside of its folder
    say = progress or (lambda step, share: None)
    names = [str(m) if isinstance(m, Path) else m.graph.name for m in (original, candidate) if m is not None]
    report = CheckReport(names, effect)
    terms = Terms(effect, tolerances or {}, metrics or {})
    say("running the original", 0.1)
    reference = Reference(original, samples=samples, seed=seed)
    _check_names(terms, reference)
    structure = Level("proven")
    if candidate is not None:
        say("comparing the models", 0.3)
        report.levels["L1"] = compare_level(reference, candidate, terms)
        structure = compare_interfaces(_interface(original), _interface(candidate))
    if lowering:
        subject = original if candidate is None else candidate
        _check_lowering(subject, reference, report, structure, terms, backend, samples, say)
    report.levels["L3"] = structure
    if lowering:
        say("running the engine", 0.9)
        report.levels["L4"] = _engine_level(original if candidate is None else candidate, reference, terms)
    return report


def _check_names(terms: Terms, reference: Reference) -> None:
    unknown = [name for name in terms.tolerances if name and name not in reference.output_names]
    if unknown and reference.provable:
        raise OptionError(f"the model has no output '{unknown[0]}'", hint=", ".join(reference.output_names))


def _check_lowering(
    subject: ModelProto | Path, reference: Reference, report: CheckReport, structure: Level, terms: Terms,
    backend: str, samples: Path | None, say: Report,
) -> None:  # fmt: skip
    """Level 2, and what belongs to level 3: the network against the model that the parser was given."""
    say("parsing for TensorRT", 0.5)
    with lowered(subject, backend=backend) as answer:
        problem = refusal(answer)
        if problem:
            report.levels["L2"] = Level("mismatch" if not answer.taken else "not-run", problem)
            return
        report.layers = answer.layers
        say("comparing with TensorRT's network", 0.7)
        given = reference if "L1" not in report.levels else Reference(subject, samples=samples)
        exact = Terms("exact", terms.tolerances, terms.metrics)
        report.levels["L2"] = compare_level(given, Path(answer.lifted), exact)
        network = onnx.load(answer.lifted, load_external_data=False)
        found = add_lost_nodes(compare_interfaces(_interface(subject), network), _interface(subject), answer.layers)
    if found.status == "mismatch":
        structure.fail(found.reason)
        structure.notes += found.notes


def _engine_level(model: ModelProto | Path, reference: Reference, terms: Terms) -> Level:
    if not can_run():
        return Level("not-run", NO_DEVICE)
    if not reference.provable:
        return Level("not-run", reference.reason)
    try:
        with tempfile.TemporaryDirectory(prefix="planish-") as folder:
            path = model if isinstance(model, Path) else Path(folder) / "model.onnx"
            if isinstance(model, ModelProto):
                onnx.save_model(model, path)
            with engine_of(path, reference.interface, reference.feeds) as engine:
                return compare_level(reference, engine, terms)
    except EvaluationError as error:
        return Level("mismatch", error.what)


def _interface(model: ModelProto | Path) -> ModelProto:
    return model if isinstance(model, ModelProto) else onnx.load(str(model), load_external_data=False)


def _plain(value: Any) -> Any:
    """Numbers that JSON has no word for as text."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
