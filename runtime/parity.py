"""Whether an optimized model computes what the original computes: both in ONNX Runtime, its optimizations off."""

from __future__ import annotations

import functools
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import ModelProto, ValueInfoProto

from ..compiler.errors import EvaluationError
from .comparison import OutputError, compare_output, identical
from .onnxruntime_session import Interface, Session, open_session
from .randomness import draws_random_numbers, seeded
from .rounding import Neighbourhood, Neighbours
from .samples import Feeds, Sample, is_defined_on_nan, load_samples, offer_samples
from .specification import forbids

Status = Literal["proven", "mismatch", "not-run"]

_Verdict = Literal["right", "wrong", "undecided"]

_REAL_SAMPLES = 8
_SECONDS = 10.0  # of running the original, after which no further sample is added
_CONTRADICTIONS = 4  # to the declared shapes of outputs, after which the declarations are taken to be wrong
_BYTES = 1 << 30  # of inputs and answers that are kept, likewise


@dataclass
class ParityReport:
    """Result of a comparison.

    reason: what differs, or why nothing could be run; "" when proven. samples: what was run. errors: of the floating
    outputs, without those where the original differs from itself as much when it is rounded otherwise. notes: what a
    reader should know about the strength of the proof.
    """

    status: Status
    reason: str = ""
    samples: list[str] = field(default_factory=list)
    errors: list[OutputError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fail(self, reason: str) -> ParityReport:
        """This report as one of a mismatch."""
        self.status, self.reason = "mismatch", reason
        return self

    @property
    def worst(self) -> float:
        """Largest error relative to an output's scale."""
        return max((e.relative for e in self.errors), default=0.0)


def _keep_largest(errors: list[OutputError], error: OutputError | None) -> None:
    """Keep the error of an output if it is the largest so far."""
    if error is None:
        return
    known = next((e for e in errors if e.name == error.name), None)
    if known is None:
        errors.append(error)
    elif error.relative > known.relative:
        errors[errors.index(known)] = error


@dataclass
class _Run:
    sample: Sample
    answers: list[Any]
    neighbours: Neighbours | None = None


class Reference:
    """The original's answers, computed once and compared with as often as wanted.

    Args:
        original: a proto, or the path of a model (needed for external data).
        samples: .npz file with real inputs, which are used before the drawn ones.
        seed: of the drawn inputs.

    `reason` says why nothing can be proven; it is "" if something can.
    """

    def __init__(self, original: ModelProto | Path, *, samples: Path | None = None, seed: int = 0) -> None:
        given = load_samples(samples)[:_REAL_SAMPLES] if samples is not None else []
        proto = _proto(original)
        self._random = draws_random_numbers(proto)
        self._original = seeded(original) if self._random else original
        self._runs: list[_Run] = []
        self._notes: list[str] = []
        self._declared, self._contradicted = list(proto.graph.output), 0
        self._interface: Interface = ((), ())
        self.reason = ""
        try:
            session = open_session(self._original)
        except EvaluationError as error:
            self.reason = error.what
            return
        self._interface = session.interface
        self._neighbourhood = Neighbourhood(self._original, session.output_names)
        started = time.perf_counter()
        failure = self._run_real(session, given, started)
        attempt, stop = functools.partial(self._try, session), functools.partial(self._enough, started)
        real = self._runs[0].sample.feeds if self._runs else None
        if not self._enough(started):
            failure = offer_samples(proto, seed, real, attempt, stop) or failure
        if not self._runs and self._contradicted:
            self._contradicted = _CONTRADICTIONS
            failure = offer_samples(proto, seed, real, attempt, stop)
        if not self._runs:
            self.reason = f"the original runs on none of the inputs: {failure}"
        elif self._random:
            self._answer_afresh()

    @property
    def provable(self) -> bool:
        return not self.reason

    @property
    def output_names(self) -> list[str]:
        return [name for name, _ in self._interface[1]]

    @property
    def feeds(self) -> list[Feeds]:
        """The inputs that the original runs on."""
        return [run.sample.feeds for run in self._runs]

    @property
    def interface(self) -> Interface:
        """Names and types of the inputs and outputs."""
        return self._interface

    @property
    def notes(self) -> list[str]:
        """What a reader should know about the inputs."""
        return list(self._notes)

    def answers(self) -> list[tuple[Sample, dict[str, Any]]]:
        """The inputs that the original runs on, and its outputs by name."""
        return [(run.sample, dict(zip(self.output_names, run.answers, strict=True))) for run in self._runs]

    def explains(self, number: int, name: str, got: Any) -> bool:
        """Whether an output of a run (by its number) differs as the original does from itself, rounded otherwise."""
        run = self._runs[number]
        if run.neighbours is None:
            run.neighbours = self._neighbourhood.of(run.sample.feeds)
        return run.neighbours.explain(name, run.answers[self.output_names.index(name)], got)

    def _try(self, session: Session, sample: Sample) -> str:
        """Run the original and keep its answers; why that failed, "" if it did not."""
        try:
            answers = session.run(sample.feeds)
        except EvaluationError as error:
            return error.what
        if self._contradicted < _CONTRADICTIONS and not all(map(_fits, self._declared, answers)):
            self._contradicted += 1
            return "an output contradicts its declared shape"
        self._runs.append(_Run(sample, answers))
        return ""

    def _run_real(self, session: Session, given: list[Sample], started: float) -> str:
        """Run the user's samples as long as there is time; the last failure."""
        failure = ""
        for number, sample in enumerate(given):
            if number > 1 and self._enough(started):
                break
            if problem := self._try(session, sample):
                failure = problem
                self._notes.append(f"real sample {number} was rejected by the original: {problem}")
        return failure

    def _enough(self, started: float) -> bool:
        kept = sum(_nbytes([*run.sample.feeds.values(), *run.answers]) for run in self._runs)
        slow, large = time.perf_counter() - started > _SECONDS, kept > _BYTES
        if slow or large:
            note = f"the model is so {'slow' if slow else 'large'} that not every kind of input was run"
            self._notes += [note] if note not in self._notes else []
        return slow or large

    def _answer_afresh(self) -> None:
        """Random generators go on from run to run: only fresh sessions that run the same samples draw the same."""
        session = open_session(self._original)
        for run in self._runs:
            run.answers = session.run(run.sample.feeds)
        session = open_session(self._original)
        if not all(identical(run.answers, session.run(run.sample.feeds)) for run in self._runs):
            self.reason = "the model draws random numbers that cannot be repeated"

    def compare(self, optimized: ModelProto | Path) -> ParityReport:
        """Run the optimized model on the same inputs and compare every output."""
        if not self.provable:
            return ParityReport("not-run", self.reason, notes=self._notes)
        report = ParityReport("proven", samples=[str(run.sample) for run in self._runs], notes=list(self._notes))
        try:
            session = open_session(seeded(optimized) if self._random else optimized)
        except EvaluationError as error:
            return report.fail(f"the optimized model does not load: {error.what}")
        for kind, before, after in zip(("inputs", "outputs"), self._interface, session.interface):
            if before != after:
                return report.fail(f"{kind} {_listed(before)} became {_listed(after)}")
        undecided = dict.fromkeys(self.output_names)
        unstable: Counter[str] = Counter()
        for run in self._runs:
            try:
                results = session.run(run.sample.feeds)
            except EvaluationError as error:
                if self._is_forbidden(run):
                    continue
                return report.fail(f"on {run.sample}: {error.what}")
            for name, got in zip(self.output_names, results, strict=True):
                verdict, problem = self._compare_one(run, name, got, report)
                if verdict == "wrong":
                    if run.sample.kind == "nan" and not is_defined_on_nan(_proto(optimized)):
                        break
                    return report.fail(f"output '{name}' on {run.sample}: {problem}")
                if verdict == "right":
                    undecided.pop(name, None)
                    unstable[name] += bool(problem)
        for name, number in unstable.items():
            if number:
                where = f"output '{name}' differs on {number} of {len(self._runs)} inputs"
                report.notes.append(f"{where} no more than the original does from itself when it is rounded otherwise")
        if undecided:
            report.status = "not-run"
            report.reason = f"output '{next(iter(undecided))}' has another shape when the original is rounded otherwise"
        return report

    def _is_forbidden(self, run: _Run) -> bool:
        """True if a drawn sample has sizes that mean nothing for the original, though ONNX Runtime takes them."""
        others = [r for r in self._runs if r.sample.sizes != run.sample.sizes]
        if run.sample.kind == "real" or not others:
            return False
        smallest = min(others, key=lambda r: _nbytes(list(r.sample.feeds.values())))
        whole = self._original if isinstance(self._original, ModelProto) else onnx.load(str(self._original))
        return forbids(whole, run.sample.feeds, smallest.sample.feeds)

    def _compare_one(self, run: _Run, name: str, got: Any, report: ParityReport) -> tuple[_Verdict, str]:
        """Compare one output on one sample; errors go into the report. Says what differs, "" if nothing."""
        want = run.answers[self.output_names.index(name)]
        found = compare_output(name, want, got)
        if not found.problem:
            _keep_largest(report.errors, found.error)
            return "right", ""
        if run.neighbours is None:
            run.neighbours = self._neighbourhood.of(run.sample.feeds)
        if run.neighbours.shape_depends_on_rounding(name, want):
            return "undecided", found.problem
        if not run.neighbours.explain(name, want, got):
            _keep_largest(report.errors, found.error)
            return "wrong", found.problem
        return "right", found.problem


def _fits(declared: ValueInfoProto, answer: Any) -> bool:
    """False if an output has another shape than it should: sizes for which a model is not made can do that."""
    kind = declared.type.tensor_type
    if not isinstance(answer, np.ndarray) or not kind.HasField("shape"):
        return True
    dims = [d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim]
    return len(dims) == answer.ndim and all(d in (-1, extent) for d, extent in zip(dims, answer.shape))


def _proto(model: ModelProto | Path) -> ModelProto:
    """The model without its external data."""
    return model if isinstance(model, ModelProto) else onnx.load(str(model), load_external_data=False)


def _listed(values: tuple[tuple[str, str], ...]) -> str:
    return "[" + ", ".join(f"{name}: {kind}" for name, kind in values) + "]"


def _nbytes(values: list[Any]) -> int:
    return sum(_nbytes(list(v)) if isinstance(v, list | tuple) else getattr(v, "nbytes", 64) for v in values)
