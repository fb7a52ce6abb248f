"""`planish model`: write one of the models that come with the package."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
import onnx

from ..compiler.errors import OptionError, OutputError
from ..models import BUILDERS, TRAINED, build, trained


@click.command("model", short_help="Write a model that comes with planish.")
@click.argument("name", required=False)
@click.argument("target", metavar="[OUT.onnx]", type=click.Path(path_type=Path), required=False)
@click.option("--seed", type=click.IntRange(min=0), metavar="N", default=0, show_default=True,
              help="Of a built model's weights.")
@click.option("--debug", is_flag=True, expose_value=False, help="Print the traceback of a failure.")
def write_model(name: str | None, target: Path | None, seed: int) -> None:
    """Write the model NAME that comes with planish to OUT.onnx (default: NAME.onnx); without NAME list them."""
    if name is None:
        click.echo(f"built:   {', '.join(BUILDERS)}")
        click.echo(f"trained: {', '.join(TRAINED)}")
        return
    if name not in BUILDERS and name not in TRAINED:
        raise OptionError(f"there is no model '{name}'", hint="`planish model` lists all")
    path = target or Path(f"{name}.onnx")
    if not path.parent.is_dir():
        raise OutputError(f"the folder of '{path}' does not exist")
    if name in TRAINED:
        shutil.copyfile(trained(name), path)
    else:
        onnx.save(build(name, seed), path)
    click.echo(f"wrote {path}")
