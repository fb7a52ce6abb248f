"""What a failed pass leaves behind: a folder with all that it takes to see the failure again."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path

from ..compiler import pipeline as pipelines
from ..compiler.errors import PassError, PlanishError
from ..compiler.graph_pass import Context, Pass
from ..compiler.inference import infer_model
from ..compiler.model import Model
from ..compiler.pipeline import Instruments, Pipeline
from ..compiler.reading import load
from ..compiler.saving import save
from .options import Options

_VERSIONS = ("planish", "onnx", "onnxruntime", "numpy")
MakeContext = Callable[[Model], Context]


def leave_reproducer(
    error: PassError, failed: Context, pipeline: Pipeline, options: Options, prepare: Callable[[], Model],
    context_of: MakeContext,
) -> None:  # fmt: skip
    """Write the folder that the options name, and say so in the error's hint.

    It holds before.onnx (the model as it came to the failing pass), pipeline.txt, command.txt and error.txt. Where the
    failing pass alone does not fail again on that model, it holds the whole pipeline and the model as it was read.

    Args:
        prepare: gives the model as the pipeline got it.
        context_of: a context for another run, with the same fuel and target.
    """
    folder = options.reproducer
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = _narrowed(folder / "before.onnx", len(failed.journal.runs), pipeline, options, prepare, context_of)
        (folder / "pipeline.txt").write_text(text + "\n", encoding="utf-8")
        (folder / "command.txt").write_text(_command(text, options, folder) + "\n", encoding="utf-8")
        (folder / "error.txt").write_text(_report(error), encoding="utf-8")
        error.hint = f"'{folder}' shows it again; please report it with that folder"
    except (OSError, PlanishError) as problem:
        error.hint = f"the folder '{folder}' to show it again could not be written: {problem}"


def _narrowed(
    path: Path, runs: int, pipeline: Pipeline, options: Options, prepare: Callable[[], Model], context_of: MakeContext
) -> str:
    """Save the model to start from, and return the text of the pipeline that fails on it."""
    stopped = _run_up_to(runs, pipeline, context_of(prepare()))
    if stopped is not None:
        context, culprit = stopped
        save(context.model, path)
        again = load(path)
        infer_model(again)
        try:
            pipelines.run(Pipeline((culprit,)), context_of(again), _instruments(options))
        except PassError:
            return str(culprit)
    save(prepare(), path)
    return str(pipeline)


def _run_up_to(runs: int, pipeline: Pipeline, context: Context) -> tuple[Context, Pass] | None:
    """Run all passes before run number `runs`; the context then, and the pass that would run."""

    def stop(one: Pass) -> None:
        if len(context.journal.runs) == runs - 1:
            raise _StopError(one)

    try:
        pipelines.run(pipeline, context, Instruments(before=stop))
    except _StopError as reached:
        return context, reached.culprit
    except PlanishError:
        return None
    return None


class _StopError(Exception):
    def __init__(self, culprit: Pass) -> None:
        self.culprit = culprit


def _instruments(options: Options) -> Instruments:
    return Instruments(check=options.verify == "each")


def _command(text: str, options: Options, folder: Path) -> str:
    words = ["planish", "optimize", "before.onnx", "after.onnx", "--passes", text, "--target", options.target]
    words += ["--verify", "each" if options.verify == "each" else "off", "--fold-budget", str(options.fold_budget)]
    for plugin in options.plugins:
        if isinstance(plugin, str | os.PathLike):
            shutil.copy(plugin, folder)
            words += ["--plugin", Path(plugin).name]
    return shlex.join([*words, "--debug"])


def _report(error: PassError) -> str:
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _VERSIONS]
    where = f"Python {platform.python_version()}, {platform.platform()}"
    return "".join(traceback.format_exception(error)) + "\n" + "\n".join([*versions, where]) + "\n"
