"""`planish optimize`: the options, the order of events, and what is printed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..compiler.errors import OptionError, OutputError
from ..passes import PIPELINES
from .optimize import optimize
from .options import TARGETS, VERIFY
from .progress import reporting
from .result import Result
from .tables import console, remarks, summary

_FILE = click.Path(path_type=Path)
_UNWRAPPED = 10_000  # columns: where no terminal reads, a remark stays on one line, for grep


@click.command("optimize", short_help="Make a model smaller and faster with the same numbers.")
@click.argument("source", metavar="IN.onnx", type=_FILE)
@click.argument("target_file", metavar="[OUT.onnx]", type=_FILE, required=False)
@click.option("--passes", "pipeline", metavar="TEXT", help="Pipeline to run: passes by name with commas between, a "
              f"group in (...)* until nothing changes, or a named pipeline: {', '.join(PIPELINES)}.")
@click.option("--skip", metavar="NAME", multiple=True, help="Leave a pass out; may be repeated, or take a,b,c.")
@click.option("--target", type=click.Choice(TARGETS), default="onnx", show_default=True,
              help="Whose operators may appear: standard ONNX only, ONNX Runtime's too, or what TensorRT reads.")
@click.option("--opset", type=click.IntRange(min=1), metavar="N",
              help="Convert to opset N first; else the model's own is kept.")
@click.option("--verify", type=click.Choice(VERIFY), default="final", show_default=True,
              help="Compare the numbers with the original's: not at all, at the end, or after every pass.")
@click.option("--samples", type=_FILE, metavar="FILE.npz",
              help="Real inputs for the comparison, by name; 0|name, 1|name ... if there are several of each.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", default=0, show_default=True,
              help="Of the inputs that are drawn for the comparison.")
@click.option("--outputs", metavar="NAME", multiple=True, help="Keep only these outputs; repeat, or write a,b,c.")
@click.option("--drop-output", metavar="NAME", multiple=True, help="Drop an output and all that only it needs.")
@click.option("--input-shape", metavar="NAME:DIMS", multiple=True,
              help="Fix dimensions: x:1,3,224,224 or x:[1,3,224,224] or x:1x3x224x224; ? leaves one open.")
@click.option("--freeze", is_flag=True, help="Make weights that are listed as inputs constants.")
@click.option("--plugin", metavar="FILE.py", multiple=True,
              help="Load further passes; without --passes they run first.")
@click.option("--fold-budget", metavar="BYTES", default="16MiB", show_default=True,
              help="How much larger folding constants may make the file in all.")
@click.option("--fuel", type=click.IntRange(min=0), metavar="N", help="Apply only the first N rewrites.")
@click.option("--external-data/--no-external-data", default=None,
              help="Weights into OUT.onnx.data, or all into one file; by default as in the input.")
@click.option("--remarks", "show_remarks", is_flag=True, help="Print what was applied and what was refused, and why.")
@click.option("--missed", is_flag=True, help="Print only what was refused, and why.")
@click.option("--grep", metavar="REGEX", help="Print the remarks in which REGEX is found, with every place.")
@click.option("--reproducer", type=_FILE, metavar="DIR",
              help="Where a failed pass leaves what shows the failure again. Default: OUT without .onnx + .failed")
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON instead of tables.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors, and the remarks that are asked for.")
@click.option("--progress/--no-progress", "show_progress", default=None,
              help="Show what is being done; by default when stderr is a terminal.")
@click.option("--debug", is_flag=True, expose_value=False, help="Print the traceback of a failure.")
def optimize_model(
    source: Path, target_file: Path | None, plugin: tuple[str, ...], pipeline: str | None, skip: tuple[str, ...],
    outputs: tuple[str, ...], drop_output: tuple[str, ...], input_shape: tuple[str, ...], external_data: bool | None,
    reproducer: Path | None, show_remarks: bool, missed: bool, grep: str | None, as_json: bool, quiet: bool,
    show_progress: bool | None, **options: Any,
) -> None:  # fmt: skip
    """Optimize IN.onnx without changing what it computes, and write OUT.onnx.

    Without OUT.onnx the result goes beside the input, as IN.optimized.onnx.
    """
    destination = _destination(source, target_file)
    pattern = _pattern(grep)
    kinds = _remark_kinds(show_remarks, missed, grep)
    with _stdout_kept(as_json), reporting(False if quiet and show_progress is None else show_progress) as progress:
        result = optimize(
            source, passes=pipeline, plugins=plugin, skip=",".join(skip), outputs=",".join(outputs),
            drop_outputs=drop_output, input_shapes=input_shape, progress=progress,
            reproducer=reproducer or destination.with_suffix(".failed"), **options,
        )  # fmt: skip
        progress("writing", 1.0)
        result.save(destination, external_data=external_data)
    if as_json:
        click.echo(json.dumps(result.to_dict(), indent=1))
    else:
        _print(result, kinds, pattern, quiet)


def _destination(source: Path, given: Path | None) -> Path:
    """Where to write; the input itself only if the user names it."""
    if given is None:
        name = source.name.removesuffix(".onnx")
        given = source.with_name(f"{name}.optimized.onnx")
    if given.is_dir():
        raise OutputError(f"'{given}' is a folder", hint="name the file to write")
    if not given.parent.is_dir():
        raise OutputError(f"the folder of '{given}' does not exist", hint=f"mkdir -p {shlex.quote(str(given.parent))}")
    if not os.access(given.parent, os.W_OK):
        raise OutputError(f"the folder of '{given}' cannot be written to", hint="name another OUT.onnx")
    return given


def _pattern(grep: str | None) -> str:
    try:
        re.compile(grep or "")
    except re.error as error:
        raise OptionError(f"--grep: '{grep}' is no regular expression: {error}") from error
    return grep or ""


def _remark_kinds(show_remarks: bool, missed: bool, grep: str | None) -> tuple[str, ...]:
    if missed:
        return ("missed",)
    return ("applied", "missed", "analysis") if show_remarks or grep is not None else ()


@contextlib.contextmanager
def _stdout_kept(wanted: bool) -> Iterator[None]:
    """What plugins print goes to stderr while stdout must hold nothing but JSON."""
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield


def _print(result: Result, kinds: tuple[str, ...], pattern: str, quiet: bool) -> None:
    account = result.to_dict()
    out = console()
    if not quiet:
        out.print(summary(account))
    if kinds:
        space = [] if quiet else [""]
        lines = out if out.is_terminal else console(width=_UNWRAPPED)
        lines.print(*space, remarks(account, kinds, pattern), *space, sep="\n")
    if not quiet:
        out.print(f"wrote {result.saved}", soft_wrap=True)
