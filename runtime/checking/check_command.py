"""`planish check`: the options, and what is printed."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.text import Text

from ...compiler.errors import OptionError, VerificationError
from ..engines.adapter import BACKENDS
from ..progress import reporting
from ..tables import console, table
from ..tolerances import EFFECTS
from .check import CheckReport, check
from .levels import Level, Metric, OutputReport

_TITLES = {
    "L1": "the models in ONNX Runtime", "L2": "TensorRT's network against the model", "L3": "names, types and shapes",
    "L4": "the engine against the model",
}  # fmt: skip
_STYLES = {"proven": "green", "mismatch": "red", "not-run": "yellow"}


@click.command("check", short_help="Compare two models, or a model with what TensorRT makes of it.")
@click.argument("original", metavar="A.onnx", type=click.Path(path_type=Path, exists=True))
@click.argument("candidate", metavar="[B.onnx]", type=click.Path(path_type=Path, exists=True), required=False)
@click.option("--lowering", is_flag=True, help="Compare B, or A alone, with the network that TensorRT's parser makes.")
@click.option("--samples", metavar="FILE.npz", type=click.Path(path_type=Path, exists=True), help="Real inputs.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Of the drawn inputs.")
@click.option("--tolerance", "tolerances", metavar="[OUTPUT=]X", multiple=True,
              help="Of floating elements, instead of that of their type; may be repeated.")
@click.option("--effect", type=click.Choice(EFFECTS), default="exact", show_default=True,
              help="Whether B differs in rounding only, or changes numbers on purpose.")
@click.option("--metric", "metrics", metavar="MODULE:FUNCTION", multiple=True,
              help="Python function of both dicts of outputs; its value is reported, False fails. May be repeated.")
@click.option("--backend", type=click.Choice(["auto", *BACKENDS]), default="auto", show_default=True,
              help="Library for --lowering.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--progress/--no-progress", "show_progress", default=None, help="Show what is being done.")
@click.option("--debug", is_flag=True, expose_value=False, help="Print the traceback of a failure.")
def check_models(
    original: Path, candidate: Path | None, tolerances: tuple[str, ...], metrics: tuple[str, ...], as_json: bool,
    show_progress: bool | None, **options: Any,
) -> int:  # fmt: skip
    """Compare the outputs of A.onnx and B.onnx on real and drawn inputs; status 6 if they differ.

    With --lowering the model is read by TensorRT's parser, and what the parser made of it is compared as well; no GPU
    is needed for that.
    """
    limits = dict(_tolerance(text) for text in tolerances)
    functions = {text: load_metric(text) for text in metrics}
    with reporting(show_progress) as progress:
        report = check(original, candidate, tolerances=limits, metrics=functions, progress=progress, **options)
    if as_json:
        click.echo(json.dumps(report.as_data(), indent=1))
    else:
        console().print(summary(report))
    return 0 if report.passed else VerificationError.exit_code


def _tolerance(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not value >= 0:
        raise OptionError(f"'{text}' is no tolerance", hint="a number such as 1e-3, or OUTPUT=1e-3")
    return name, value


def load_metric(text: str) -> Metric:
    """The function that "module:function" names; modules of the current folder are found too.

    Raises:
        OptionError: there is no such function.
    """
    module, colon, name = text.partition(":")
    if not colon or not module or not name:
        raise OptionError(f"'{text}' names no function", hint="MODULE:FUNCTION, e.g. my_metrics:iou")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise OptionError(f"metric {text} cannot be loaded: {error}") from error
    if not callable(found):
        raise OptionError(f"metric {text} is no function")
    return found  # type: ignore[no-any-return]


def summary(report: CheckReport) -> RenderableType:
    """A line and, where numbers were compared, a table for each level."""
    parts: list[RenderableType] = []
    for key, level in report.levels.items():
        said = {"proven": "the same", "mismatch": "different", "not-run": "not run"}[level.status]
        reason = f": {level.reason}" if level.reason else ""
        on = f" on {len(level.samples)} inputs" if level.samples else ""
        parts.append(Text(f"{key} {_TITLES[key]}: {said}{on}{reason}", style=_STYLES[level.status]))
        parts += [Text(f"   {note}", style="dim") for note in level.notes if note != level.reason]
        if level.outputs:
            parts.append(_table(level))
    return Group(*parts)


def _table(level: Level) -> RenderableType:
    rows = table("output", numbers=("largest difference", "relative", "cosine", "SNR", "top-1"))
    for report in level.outputs:
        rows.add_row(report.name, *_numbers(report), style="red" if report.problem else "")
    for name, values in level.metrics.items():
        rows.add_row(name, ", ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in values))
    return rows


def _numbers(report: OutputReport) -> list[str]:
    found = report.measures
    formats = ((found.absolute, ".3g"), (found.relative, ".3g"), (found.cosine, ".7g"), (found.snr, ".1f"),
               (found.top1, ".1%"))  # fmt: skip
    texts = ["" if value is None else format(value, form) for value, form in formats]
    return [*texts[:3], f"{texts[3]} dB" if texts[3] else "", texts[4]]
