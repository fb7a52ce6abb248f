"""One level of a check: the answers of a reference against those of something else that gives outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from onnx import ModelProto

from ...compiler.errors import EvaluationError, OptionError
from ..comparison import compare_output
from ..onnxruntime_session import Interface, open_session
from ..parity import Reference
from ..tolerances import LIMITS, Limits
from .measures import Measures, measure

Status = Literal["proven", "mismatch", "not-run"]
Outputs = dict[str, Any]
Metric = Callable[[Outputs, Outputs], Any]


class Runner(Protocol):
    """What gives outputs: a session of ONNX Runtime, an engine."""

    @property
    def interface(self) -> Interface: ...

    def run(self, feeds: Mapping[str, Any]) -> list[Any]:
        """Outputs in order.

        Raises:
            EvaluationError: it cannot run on these inputs.
        """
        ...


@dataclass
class OutputReport:
    """One output. problem: the first thing that is wrong with it, "" if nothing is; tolerance: what it was held to."""

    name: str
    problem: str = ""
    tolerance: float | None = None
    measures: Measures = field(default_factory=Measures)


@dataclass
class Level:
    """What one level of a check found.

    reason: what differs, or why nothing was run. samples: what was run. metrics: the user's own, for each sample.
    notes: what a reader should know about the strength of the proof.
    """

    status: Status
    reason: str = ""
    samples: list[str] = field(default_factory=list)
    outputs: list[OutputReport] = field(default_factory=list)
    metrics: dict[str, list[Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def fail(self, reason: str) -> Level:
        """This level as one of a mismatch; the first reason stays."""
        self.status, self.reason = "mismatch", self.reason or reason
        return self


@dataclass(frozen=True)
class Terms:
    """What outputs are held to.

    effect: "exact" or "lossy". tolerances: output name -> of its elements, "" for all others. metrics: the user's own.
    """

    effect: str = "exact"
    tolerances: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    def limits(self, name: str, dtype: str) -> Limits:
        """The limits of an output; a tolerance that is given stands for all others."""
        given = self.tolerances.get(name, self.tolerances.get(""))
        return Limits(given) if given is not None else LIMITS[self.effect].get(dtype, Limits())


def compare_level(reference: Reference, candidate: ModelProto | Path | Runner, terms: Terms) -> Level:
    """Run something on the reference's inputs and compare every output of every sample."""
    if not reference.provable:
        return Level("not-run", reference.reason, notes=reference.notes)
    level = Level("proven", samples=[str(sample) for sample, _ in reference.answers()], notes=reference.notes)
    try:
        runner = open_session(candidate) if isinstance(candidate, ModelProto | Path) else candidate
    except EvaluationError as error:
        return level.fail(f"it does not load: {error.what}")
    for kind, before, after in zip(("inputs", "outputs"), reference.interface, runner.interface, strict=True):
        if before != after:
            return level.fail(f"{kind} {_listed(before)} became {_listed(after)}")
    level.outputs = [OutputReport(name) for name in reference.output_names]
    level.metrics = {name: [] for name in terms.metrics}
    for number, (sample, answers) in enumerate(reference.answers()):
        try:
            results = dict(zip(reference.output_names, runner.run(sample.feeds), strict=True))
        except EvaluationError as error:
            level.fail(f"on {sample}: {error.what}")
            continue
        for report in level.outputs:
            _compare_one(report, answers, results, terms, reference, number, level)
        _apply_metrics(answers, results, terms, str(sample), level)
    level.notes += [f"output '{n}' is the same on all inputs: this says little" for n in _constant(reference)]
    return level


def _compare_one(
    report: OutputReport, answers: Outputs, results: Outputs, terms: Terms, reference: Reference, number: int,
    level: Level,
) -> None:  # fmt: skip
    want, got = answers[report.name], results[report.name]
    measures = measure(want, got)
    report.measures.add(measures)
    limits = terms.limits(report.name, want.dtype.name if isinstance(want, np.ndarray) else "")
    report.tolerance = limits.elementwise
    problem = _problem(report.name, want, got, limits, measures)
    if problem and terms.effect == "exact" and not terms.tolerances and reference.explains(number, report.name, got):
        note = f"output '{report.name}' differs no more than the model does from itself when it is rounded otherwise"
        level.notes += [note] if note not in level.notes else []
    elif problem:
        report.problem = report.problem or problem
        level.fail(f"output '{report.name}' on {level.samples[number]}: {problem}")


def _problem(name: str, want: Any, got: Any, limits: Limits, measures: Measures) -> str:
    if limits == Limits() or limits.elementwise is not None:
        return compare_output(name, want, got, limits.elementwise).problem
    structure = compare_output(name, want, got, float("inf")).problem
    if structure:
        return structure
    for measured, limit, title in (
        (measures.cosine, limits.cosine, "cosine"), (measures.snr, limits.snr, "signal-to-noise ratio"),
        (measures.top1, limits.top1, "top-1 agreement"),
    ):  # fmt: skip
        if measured is not None and limit is not None and measured < limit:
            return f"{title} {measured:.4g} is less than {limit:g}"
    return ""


def _apply_metrics(answers: Outputs, results: Outputs, terms: Terms, sample: str, level: Level) -> None:
    for name, metric in terms.metrics.items():
        try:
            value = metric(answers, results)
        except Exception as error:
            raise OptionError(f"metric {name} failed on {sample}: {type(error).__name__}: {error}") from error
        value = value.item() if isinstance(value, np.generic) else value
        level.metrics[name].append(value)
        if value is False:
            level.fail(f"metric {name} is not met on {sample}")


def _constant(reference: Reference) -> Sequence[str]:
    """Outputs that are one and the same number throughout."""
    runs = [answers for _, answers in reference.answers()]
    found = []
    for name in reference.output_names:
        arrays = [answers[name] for answers in runs if isinstance(answers[name], np.ndarray)]
        seen = {number for array in arrays for number in np.unique(array).tolist() if number == number}
        if len(seen) == 1:
            found.append(name)
    return found


def _listed(values: tuple[tuple[str, str], ...]) -> str:
    return "[" + ", ".join(f"{name}: {kind}" for name, kind in values) + "]"
