"""`planish inspect OUT.plan`: the report that was written beside an engine, as tables."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import click

from ...compiler.errors import ModelError
from ..tables import console
from .build import report_file
from .build_tables import kernel_table, left_over, summary
from .report import SCHEMA


def read_report(path: Path) -> dict[str, Any]:
    """The report of an engine, by the path of either.

    Raises:
        ModelError: there is none, it is of another schema, or the engine beside it is another.
    """
    file = path if path.suffix == ".json" else report_file(path)
    try:
        made = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = "`planish build` writes it; an engine cannot be read without the GPU that it is for"
        raise ModelError(f"there is no report {file}", hint=hint) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} is no report of a build: {error}") from error
    if not isinstance(made, dict) or made.get("schema") != SCHEMA or "engine" not in made:
        raise ModelError(f"{file} is no report of a build that this version writes", hint="build the engine again")
    if path.suffix != ".json" and path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != made["sha256"]:
        raise ModelError(f"{file} is the report of another engine than {path}", hint="build the engine again")
    return made


def show_engine(path: Path, as_json: bool) -> None:
    """Print the report of an engine."""
    made = read_report(path)
    if as_json:
        click.echo(json.dumps(made, indent=1))
        return
    for part in (str(path), "", summary(made), "", kernel_table(made), "", left_over(made)):
        console().print(part)
