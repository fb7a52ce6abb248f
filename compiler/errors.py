"""Every error that planish raises on purpose: what happened, where, and what to do about it."""

from __future__ import annotations


class PlanishError(Exception):
    """Root of the hierarchy.

    Args:
        what: what is wrong, in one sentence.
        where: name of the node, value or file concerned; "" when the whole run is.
        hint: what the user can do; "" when nothing is known.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(what)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"\n  what to do: {self.hint}" if self.hint else ""
        return f"{place}{self.what}{advice}"


class ModelError(PlanishError):
    """The model file or proto is not a valid ONNX model."""

    exit_code = 3


class UnsafeModelError(ModelError):
    """The model asks for something a safe reader must not do (files outside its folder, absurd sizes)."""


class UnsupportedModelError(PlanishError):
    """The model is valid, but this operation cannot be done with it."""

    exit_code = 4


class OptionError(PlanishError):
    """A command line option, pipeline text or argument is wrong."""

    exit_code = 2


class PassError(PlanishError):
    """A pass failed or broke an invariant of the graph.

    rewrite: the key of the rewrite that failed, so that it can be held back; "" if it is not known.
    """

    exit_code = 5

    def __init__(self, what: str, *, where: str = "", hint: str = "", rewrite: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.rewrite = rewrite


class VerificationError(PlanishError):
    """The optimized model does not compute what the original computes."""

    exit_code = 6


class EvaluationError(PlanishError):
    """Running a (sub)graph failed."""

    exit_code = 7


class OutputError(PlanishError):
    """The result cannot be written where it was asked for."""

    exit_code = 8


class BackendError(PlanishError):
    """A library that an engine needs is missing, or it failed or crashed on the model."""

    exit_code = 9
