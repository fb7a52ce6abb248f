"""Proof that an optimized model computes what the original computes.

Both run in ONNX Runtime with its optimizations off. Our own checks come first (names, order, types, shapes, places of
NaN and infinity), because Polygraphy's comparison passes when an output is missing or of another type; the numbers are
then compared by Polygraphy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import ModelProto
from polygraphy.comparator import CompareFunc, IterationResult
from polygraphy.logger import G_LOGGER

from ..compiler.errors import EvaluationError
from .onnxruntime_session import Session, open_session
from .samples import Feeds, Sample, load_samples, seeded_samples

G_LOGGER.module_severity = G_LOGGER.CRITICAL

Status = Literal["proven", "mismatch", "not-run"]

# numpy type -> (relative to the element, relative to the largest magnitude of the output). A sum of n products in a
# type of unit roundoff u may differ by about n * u when it is associated differently (Higham, Accuracy and Stability of
# Numerical Algorithms, 3.1); n * u is near 1e-4 for float32 at the longest sums of real layers (n about 2e3).
TOLERANCES: dict[str, tuple[float, float]] = {
    "float64": (1e-9, 1e-10),
    "float32": (1e-3, 1e-4),
    "float16": (2e-2, 1e-2),
    "bfloat16": (8e-2, 6e-2),
}
_RANDOM_OPS = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)
_WANTED_SIZES = 2


@dataclass(frozen=True)
class OutputError:
    """How far an output is off: the worst over all samples, in absolute numbers and relative to the output's scale."""

    name: str
    absolute: float
    relative: float


@dataclass
class ParityReport:
    """Result of a comparison. reason: what differs, or why nothing could be run; "" when proven."""

    status: Status
    reason: str = ""
    samples: list[str] = field(default_factory=list)
    errors: list[OutputError] = field(default_factory=list)

    @property
    def worst(self) -> float:
        """Largest error relative to an output's scale."""
        return max((e.relative for e in self.errors), default=0.0)


class Reference:
    """The original's answers, computed once and compared with as often as wanted.

    Args:
        original: a proto, or the path of a model (needed for external data).
        samples: .npz file with real inputs; seeded ones are drawn when None.
        seed: of the drawn inputs.

    `reason` says why nothing can be proven; it is "" if something can.
    """

    def __init__(self, original: ModelProto | Path, *, samples: Path | None = None, seed: int = 0) -> None:
        self._original = original
        self._runs: list[tuple[Sample, list[Any]]] = []
        self.output_names: list[str] = []
        self.reason = ""
        proto = original if isinstance(original, ModelProto) else onnx.load(str(original), load_external_data=False)
        try:
            session = open_session(original)
        except EvaluationError as error:
            self.reason = error.what
            return
        self.output_names = session.output_names
        self._collect(session, proto, load_samples(samples) if samples is not None else None, seed)
        if self._runs and _has_random(proto) and not self._repeats(session):
            self.reason = "the model draws random numbers"

    @property
    def provable(self) -> bool:
        return not self.reason

    @property
    def feeds(self) -> list[Feeds]:
        """The inputs that the original runs on."""
        return [sample.feeds for sample, _ in self._runs]

    def _collect(self, session: Session, proto: ModelProto, given: list[Sample] | None, seed: int) -> None:
        failure = ""
        if given is not None:
            for sample in given[:8]:
                failure = self._try(session, sample) or failure
        else:
            used = 0
            for _sizes, samples in seeded_samples(proto, seed):
                found = [self._try(session, sample) for sample in samples]
                failure = next((f for f in found if f), failure)
                used += "" in found
                if used == _WANTED_SIZES or (used and not _sizes):
                    break
        if not self._runs:
            self.reason = f"the original runs on none of the inputs: {failure or 'its inputs are no plain tensors'}"

    def _try(self, session: Session, sample: Sample) -> str:
        try:
            self._runs.append((sample, session.run(sample.feeds)))
        except EvaluationError as error:
            return error.what
        return ""

    def _repeats(self, session: Session) -> bool:
        sample, first = self._runs[0]
        again = session.run(sample.feeds)
        return all(_same(a, b) for a, b in zip(first, again, strict=True))

    def compare(self, optimized: ModelProto | Path) -> ParityReport:
        """Run the optimized model on the same inputs and compare every output."""
        if not self.provable:
            return ParityReport("not-run", self.reason)
        names = [str(sample) for sample, _ in self._runs]
        try:
            session = open_session(optimized)
        except EvaluationError as error:
            return ParityReport("mismatch", f"the optimized model does not load: {error.what}", names)
        if session.output_names != self.output_names:
            return ParityReport("mismatch", f"outputs {self.output_names} became {session.output_names}", names)
        missing = [n for n in self._runs[0][0].feeds if n not in session.input_names]
        if missing:
            return ParityReport("mismatch", f"inputs {missing} are gone", names)
        errors: dict[str, OutputError] = {}
        for number, (sample, expected) in enumerate(self._runs):
            try:
                results = session.run(sample.feeds)
            except EvaluationError as error:
                return ParityReport("mismatch", f"on {sample}: {error.what}", names)
            for name, want, got in zip(self.output_names, expected, results, strict=True):
                problem, error_size = compare_output(name, want, got)
                if problem and not self._unstable(number, name, want, got):
                    return ParityReport("mismatch", f"output '{name}' on {sample}: {problem}", names)
                if error_size is not None and (name not in errors or error_size.relative > errors[name].relative):
                    errors[name] = error_size
        return ParityReport("proven", "", names, list(errors.values()))

    def _unstable(self, number: int, name: str, want: Any, got: Any) -> bool:
        """True if the original itself answers as differently when only its sums are associated differently.

        ONNX Runtime's own optimizations are the second opinion. This matters for ties (ArgMax, TopK, thresholds) and
        for ill-conditioned outputs; a difference larger than twice the original's own is still a mismatch.
        """
        if not isinstance(want, np.ndarray) or not isinstance(got, np.ndarray) or want.shape != got.shape:
            return False
        sample, _ = self._runs[number]
        try:
            session = open_session(self._original, level="all")
            other = session.run(sample.feeds)[self.output_names.index(name)]
        except EvaluationError:
            return False
        if not isinstance(other, np.ndarray) or other.shape != want.shape or other.dtype != want.dtype:
            return False
        if want.dtype.kind not in "f" and want.dtype.name != "bfloat16":
            return bool((other != want).any()) and bool(((got != want) <= (other != want)).mean() > 0.99)
        reference, mine, theirs = (a.astype(np.float64) for a in (want, got, other))
        with np.errstate(invalid="ignore"):
            own = np.nanmax(np.abs(theirs - reference), initial=0.0)
            difference = np.nanmax(np.abs(mine - reference), initial=0.0)
        same_places = np.array_equal(np.isfinite(mine), np.isfinite(reference))
        return bool(same_places and own > 0 and difference <= 2 * own)


def compare_output(name: str, want: Any, got: Any) -> tuple[str, OutputError | None]:
    """(what is wrong or "", the error of a floating output)."""
    if isinstance(want, list | tuple) or isinstance(got, list | tuple):
        return _compare_sequences(name, want, got)
    if want is None or got is None or isinstance(want, dict) or isinstance(got, dict):
        return ("" if _same(want, got) else "values differ"), None
    want, got = np.asarray(want), np.asarray(got)
    if want.dtype != got.dtype:
        return f"type {want.dtype} became {got.dtype}", None
    if want.shape != got.shape:
        return f"shape {list(want.shape)} became {list(got.shape)}", None
    if want.dtype.name not in TOLERANCES:
        different = int((want != got).sum())
        return (f"{different} of {want.size} elements differ" if different else ""), None
    return _compare_floats(name, want, got)


def _compare_sequences(name: str, want: Any, got: Any) -> tuple[str, OutputError | None]:
    if not isinstance(want, list | tuple) or not isinstance(got, list | tuple) or len(want) != len(got):
        return "the sequence has another length", None
    worst: OutputError | None = None
    for a, b in zip(want, got, strict=True):
        problem, error = compare_output(name, a, b)
        if problem:
            return problem, None
        if error is not None and (worst is None or error.relative > worst.relative):
            worst = error
    return "", worst


def _compare_floats(name: str, want: np.ndarray, got: np.ndarray) -> tuple[str, OutputError | None]:
    relative, absolute = TOLERANCES[want.dtype.name]
    reference, result = want.astype(np.float64), got.astype(np.float64)
    if not np.array_equal(np.isnan(reference), np.isnan(result)):
        return "NaN stands in other places", None
    infinite = np.isinf(reference) | np.isinf(result)
    if not np.array_equal(reference[infinite], result[infinite]):
        return "infinity stands in other places", None
    finite = np.isfinite(reference)
    reference, result = reference[finite], result[finite]
    if not reference.size:
        return "", OutputError(name, 0.0, 0.0)
    scale = float(np.abs(reference).max())
    worst = float(np.abs(reference - result).max())
    error = OutputError(name, worst, worst / scale if scale else worst)
    atol = absolute * scale if scale else np.finfo(np.float32).tiny
    comparison = CompareFunc.simple(rtol=relative, atol=atol, check_error_stat="elemwise")
    verdict = comparison(IterationResult({name: result}), IterationResult({name: reference}))
    if not all(bool(v) for v in verdict.values()) or not verdict:
        return f"largest difference {worst:.3g} at a scale of {scale:.3g}", error
    return "", error


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and a.tobytes() == b.tobytes() if a.dtype != object else bool((a == b).all())
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)


def _has_random(model: ModelProto) -> bool:
    stack = [model.graph.node, *(f.node for f in model.functions)]
    while stack:
        for node in stack.pop():
            if node.op_type in _RANDOM_OPS or node.op_type == "Dropout":
                return True
            stack.extend(a.g.node for a in node.attribute if a.HasField("g"))
    return False

