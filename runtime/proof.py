"""Compares the result with the original, and where it is wrong, finds the guilty rewrites and goes on without them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..compiler.errors import PassError, PlanishError, VerificationError
from ..compiler.graph_pass import Context, Pass
from ..compiler.journal import Remark
from ..compiler.model import Model
from ..compiler.pipeline import Observer
from ..compiler.verify import verify
from .parity import ParityReport, Reference

_WRONG_OF_ONE_PASS = 8  # rewrites after which the whole pass is held back
_WRONG_IN_ALL = 64

Begin = Callable[[int | None, frozenset[str]], Context]
Go = Callable[[Context, Observer | None], float]
Place = Callable[[Model, str], Path]


@dataclass
class Attempt:
    """One run of the pipeline. error: why its result is not right, None if it is.

    right: number of rewrites up to which the numbers are known to be right.
    """

    context: Context
    seconds: float = 0.0
    report: ParityReport | None = None
    error: PlanishError | None = None
    right: int = 0


class _Different(PlanishError):
    """The numbers, or the interface, became others."""


class Proof:
    """Runs the pipeline until its result computes what the original computes.

    Args:
        begin: a fresh context with the model to optimize, for a number of rewrites (None: all) without some of them.
        go: runs the pipeline on a context, calling the observer after every pass that changed something; seconds.
        reference: the original's answers.
        place: writes a model where ONNX Runtime can open it.
        each: compare after every pass, not only at the end.
        say: told what is being done.

    held_back: key of each rewrite that was taken back -> what it did.
    """

    def __init__(
        self, begin: Begin, go: Go, reference: Reference, place: Place, each: bool, say: Callable[[str], None]
    ) -> None:
        self._begin, self._go, self._reference, self._place = begin, go, reference, place
        self._each, self._say = each, say
        self.held_back: dict[str, str] = {}

    def run(self) -> Attempt:
        """The first run of the pipeline that is right.

        Raises:
            VerificationError: the result is wrong, and no rewrite that could be taken back makes it so.
            PassError: a pass fails.
        """
        attempt = self._attempt()
        while attempt.error is not None:
            key = self._guilty(attempt, attempt.error)
            if key in self.held_back or len(self.held_back) == _WRONG_IN_ALL:
                raise _final(attempt.error)
            self._hold_back(key, attempt.error)
            attempt = self._attempt()
        for key, reason in self.held_back.items():
            pass_name, _, place = key.partition("@")
            attempt.context.journal.add_remark(Remark("missed", pass_name, place, "", f"taken back: {reason}"))
        return attempt

    def _attempt(self, limit: int | None = None) -> Attempt:
        context = self._begin(limit, frozenset(self.held_back))
        attempt = Attempt(context)
        interface = _interface(context.model)

        def check(context: Context, one: Pass | None) -> None:
            self._say("comparing" if one is None else f"comparing after {one.name}")
            if _interface(context.model) != interface:
                raise _Different("inputs or outputs of the model have other names or types")
            attempt.report = self._reference.compare(self._place(context.model, "optimized"))
            if attempt.report.status == "mismatch":
                raise _Different(attempt.report.reason)
            attempt.right = context.journal.count

        try:
            attempt.seconds = self._go(context, check if self._each else None)
            verify(context.model)
            check(context, None)
        except PassError as error:
            if error.rewrite:
                raise  # the pass itself failed
            attempt.error = error
        except _Different as error:
            attempt.error = error
        return attempt

    def _guilty(self, attempt: Attempt, error: PlanishError) -> str:
        """The key of a rewrite after which the result is wrong."""
        right, wrong = attempt.right, attempt.context.journal.count
        if not right:
            first = self._attempt(0)
            if first.error is not None or not wrong:
                raise _final(first.error or error)
        while wrong - right > 1:
            middle = (right + wrong) // 2
            self._say(f"looking for the wrong rewrite among {wrong - right}")
            if self._attempt(middle).error is None:
                right = middle
            else:
                wrong = middle
        context = self._attempt(wrong).context
        return list(context.journal.rewrites())[wrong - 1].key

    def _hold_back(self, key: str, error: PlanishError) -> None:
        self.held_back[key] = error.what
        pass_name = key.partition("@")[0]
        of_pass = Counter(k.partition("@")[0] for k in self.held_back)[pass_name]
        if of_pass > _WRONG_OF_ONE_PASS:
            self.held_back = {k: v for k, v in self.held_back.items() if k.partition("@")[0] != pass_name}
            self.held_back[pass_name] = f"more than {_WRONG_OF_ONE_PASS} of its rewrites are wrong: {error.what}"


def _final(error: PlanishError) -> PlanishError:
    if isinstance(error, _Different):
        return VerificationError(f"the result differs from the original: {error.what}")
    return error


def _interface(model: Model) -> list[tuple[str, bytes]]:
    """Names and declared types of what callers pass to the main graph and get from it."""
    inputs = [v for v in model.graph.inputs if v.is_graph_input]
    declared = [(v.name, v.declared) for v in (*inputs, *model.graph.outputs)]
    return [(name, b"" if kind is None else kind.SerializeToString(deterministic=True)) for name, kind in declared]
