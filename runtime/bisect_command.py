"""`planish bisect`: which rewrite makes a check of the user's own fail, or which node TensorRT's parser misreads."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import onnx

from ..compiler.errors import OptionError
from ..compiler.journal import Rewrite
from ..compiler.reading import load
from .lifting.bisection import find_culprit
from .optimize import optimize
from .options import TARGETS
from .progress import reporting
from .result import Result

Verdict = Callable[[Result], bool]


@click.command("bisect", short_help="Find the rewrite that makes a command fail, or the node that TensorRT misreads.")
@click.argument("source", metavar="IN.onnx", type=click.Path(path_type=Path))
@click.option("--check", metavar="COMMAND",
              help="Shell command that ends with status 0 if a model is good; {} stands for the model's file.")
@click.option("--lowering", is_flag=True,
              help="Find the node of IN.onnx, as it is, that TensorRT's parser turns into something else.")
@click.option("--samples", metavar="FILE.npz", type=click.Path(path_type=Path), help="Real inputs for --lowering.")
@click.option("--save", "target_folder", metavar="FOLDER", type=click.Path(path_type=Path),
              help="Where --lowering leaves a small model that shows it again.  [default: IN.lowering]")
@click.option("--passes", metavar="TEXT", help="Pipeline to run, as for optimize.")
@click.option("--skip", metavar="NAME", multiple=True, help="Leave a pass out.")
@click.option("--target", type=click.Choice(TARGETS), default="onnx", show_default=True, help="As for optimize.")
@click.option("--opset", type=click.IntRange(min=1), metavar="N", help="As for optimize.")
@click.option("--input-shape", "input_shapes", metavar="NAME:DIMS", multiple=True, help="As for optimize.")
@click.option("--freeze", is_flag=True, help="As for optimize.")
@click.option("--plugin", "plugins", metavar="FILE.py", multiple=True, help="As for optimize.")
@click.option("--progress/--no-progress", "show_progress", default=None, help="As for optimize.")
@click.option("--debug", is_flag=True, expose_value=False, help="Print the traceback of a failure.")
def bisect(
    source: Path, check: str | None, lowering: bool, samples: Path | None, target_folder: Path | None,
    skip: tuple[str, ...], show_progress: bool | None, **options: Any,
) -> None:  # fmt: skip
    """Find the first rewrite after which COMMAND fails on the optimized model, by halving.

    For example: planish bisect model.onnx --check "trtexec --onnx={}"

    Or, with --lowering, the first node whose output TensorRT's network computes otherwise; a small model that shows it
    is left in a folder.
    """
    if lowering == (check is not None):
        raise OptionError("what should be looked for?", hint="either --check COMMAND or --lowering")
    if check is None:
        _bisect_lowering(source, samples, target_folder or source.with_suffix(".lowering"), show_progress)
        return
    if "{}" not in check:
        raise OptionError("--check does not say where the model's file goes", hint="put {} into the command")
    with tempfile.TemporaryDirectory(prefix="planish-") as folder, reporting(show_progress) as report:
        path = Path(folder) / "candidate.onnx"

        def is_good(result: Result) -> bool:
            result.save(path)
            command = check.replace("{}", shlex.quote(str(path)))
            return subprocess.run(command, shell=True, capture_output=True, check=False).returncode == 0

        def build(fuel: int | None) -> Result:
            report("all rewrites" if fuel is None else f"{fuel} rewrites", 0.0)
            return optimize(source, verify="off", skip=",".join(skip), fuel=fuel, **options)

        guilty, number = first_bad(build, is_good)
    where = f" in {guilty.scope}" if guilty.scope else ""
    click.echo(f"rewrite {number}, by {guilty.pass_name} at {guilty.anchor}{where}:")
    click.echo(f"  {guilty}")
    click.echo(f"optimize with --fuel {number - 1} stops before it, with --skip {guilty.pass_name} leaves it out")


def _bisect_lowering(source: Path, samples: Path | None, folder: Path, show_progress: bool | None) -> None:
    load(source)  # says what is wrong with a file, and refuses data outside of its folder
    with reporting(show_progress) as report:
        found = find_culprit(onnx.load(str(source)), samples=samples, say=report)
    click.echo(f"{', '.join(found.nodes)} is computed otherwise by TensorRT's network:")
    click.echo(f"  {found.problem}")
    click.echo(f"a model of {len(found.model.graph.node)} nodes that shows it again: {found.save(folder)}")


def first_bad(build: Callable[[int | None], Result], is_good: Verdict) -> tuple[Rewrite, int]:
    """The first rewrite with which the check fails, and how many there are up to it.

    Args:
        build: the result of so many rewrites; of all for None.

    Raises:
        OptionError: the check fails on the original too, or on neither.
    """
    last = build(None)
    if is_good(last):
        raise OptionError("the check does not fail on the optimized model", hint="there is nothing to look for")
    if not is_good(build(0)):
        raise OptionError("the check fails on the original already", hint="it must end with status 0 there")
    good, bad = 0, last.journal.count
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if is_good(build(middle)) else (good, middle)
    return list(last.journal.rewrites())[bad - 1], bad
