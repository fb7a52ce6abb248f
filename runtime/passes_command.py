"""`planish passes`: which passes and pipelines there are, and the page of one."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from typing import Any

import click

from ..compiler.graph_pass import Pass
from ..compiler.pipeline import look_up
from ..passes import PASSES, PIPELINES
from .plugins import registry_with
from .tables import console, table


@click.command("passes", short_help="List the passes, or explain one.")
@click.option("--explain", metavar="NAME", help="Print the page of one pass.")
@click.option("--plugin", metavar="FILE.py", multiple=True, help="Load further passes from a file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--debug", is_flag=True, expose_value=False, help="Print the traceback of a failure.")
def list_passes(explain: str | None, plugin: tuple[str, ...], as_json: bool) -> None:
    """List the passes in the order in which they run by default, and the pipelines."""
    registry = registry_with(plugin)
    if explain is not None:
        registry = {explain: look_up(explain, registry)}
    if as_json:
        described = [describe(kind) for kind in registry.values()]
        click.echo(json.dumps({"passes": described, "pipelines": PIPELINES}, indent=1))
    elif explain is not None:
        click.echo(page(registry[explain]))
    else:
        _print(registry)


def describe(kind: type[Pass]) -> dict[str, Any]:
    """A pass as plain data."""
    options = {f.name.replace("_", "-"): f.default for f in dataclasses.fields(kind)}
    origin = "planish" if PASSES.get(kind.name) is kind else kind.__module__
    return {"name": kind.name, "effect": kind.effect.value, "from": origin, "options": options, "page": kind.page()}


def page(kind: type[Pass]) -> str:
    """The page of a pass: its docstring, with its name and its options."""
    options = [f"    {name}={json.dumps(default)}" for name, default in describe(kind)["options"].items()]
    listed = "\nOptions, with their defaults\n" + "\n".join(options) + "\n" if options else ""
    return f"{kind.name} ({kind.effect.value})\n\n{kind.page()}\n{listed}"


def _print(registry: dict[str, type[Pass]]) -> None:
    rows = table("pass", "effect", "what it does")
    for name, kind in registry.items():
        rows.add_row(name, kind.effect.value, kind.page().partition("\n\n")[0].replace("\n", " "))
    out = console()
    out.print(rows)
    for name, text in PIPELINES.items():
        out.print(f"\npipeline {name}:")
        shown = text.replace(",", ", ")
        out.print(textwrap.fill(shown, out.width, initial_indent=" ", subsequent_indent=" ", break_on_hyphens=False))
    out.print("\n`planish passes --explain NAME` prints the page of a pass.")
