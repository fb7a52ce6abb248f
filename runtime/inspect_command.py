"""`planish inspect`: what a model or an engine holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..compiler import dtypes, symbolic
from ..compiler.graph import Value
from ..compiler.inference import infer_model
from ..compiler.model import Model
from ..compiler.reading import load
from ..compiler.symbolic import Dim
from ..compiler.text import model_text
from .account import statistics_of
from .engines.inspection import show_engine
from .interface import fix_shapes
from .options import shape_map
from .statistics import Statistics
from .tables import at_least, console, flops_title, quantity, table


@click.command("inspect", short_help="Show what a model or an engine holds.")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option("--text", "as_text", is_flag=True, help="Print every node with its inferred types and shapes.")
@click.option("--input-shape", metavar="NAME:DIMS", multiple=True, help="Fix dimensions, as for optimize.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--debug", is_flag=True, expose_value=False, help="Print the traceback of a failure.")
def inspect_model(source: Path, as_text: bool, input_shape: tuple[str, ...], as_json: bool) -> None:
    """Show a model's inputs, outputs, operators, parameters and work, or its nodes as text.

    Of an engine, OUT.plan or its report OUT.build.json, show the kernels and which nodes became which.
    """
    if source.name.endswith((".plan", ".build.json")):
        show_engine(source, as_json)
        return
    model = load(source)
    fix_shapes(model, shape_map(input_shape))
    infer_model(model)
    if as_text:
        click.echo(model_text(model), nl=False)
    elif as_json:
        click.echo(json.dumps(inspect(model), indent=1))
    else:
        _print(source, inspect(model))


def inspect(model: Model) -> dict[str, Any]:
    """What a model holds, as plain data; its facts must have been inferred."""
    return {
        "inputs": [_interface(v) for v in model.graph.inputs],
        "outputs": [_interface(v) for v in model.graph.outputs],
        "functions": ["::".join(part for part in key if part) for key in model.functions],
        "ir_version": model.ir_version,
        "producer": " ".join(part for part in (model.proto.producer_name, model.proto.producer_version) if part),
        **statistics_of(Statistics.of(model)),
    }


def _interface(value: Value) -> dict[str, Any]:
    shape = None if value.shape is None else [_dimension(d) for d in value.shape]
    kind = "tensor" if value.declared is None else (value.declared.WhichOneof("value") or "tensor_type")
    return {
        "name": value.name, "kind": kind.removesuffix("_type"), "dtype": dtypes.name_of(value.dtype), "shape": shape,
        "overridable": value.overridable,
    }  # fmt: skip


def _dimension(dim: Dim) -> int | str:
    """A dimension; "?" for one that has no name."""
    if isinstance(dim, int):
        return dim
    return "?" if any(name.startswith("?") for name in symbolic.symbols(dim)) else symbolic.text(dim)


def _print(source: Path, found: dict[str, Any]) -> None:
    rows = table("", "", header=False)
    for title, key in (("input", "inputs"), ("output", "outputs")):
        for entry in found[key]:
            note = " (has a default)" if entry["overridable"] else ""
            rows.add_row(title, f"{entry['name']}: {_type(entry)}{note}")
    rows.add_row("opsets", ", ".join(f"{domain or 'ai.onnx'} {n}" for domain, n in found["opsets"].items()))
    rows.add_row("IR version", str(found["ir_version"]))
    if found["producer"]:
        rows.add_row("producer", found["producer"])
    if found["functions"]:
        rows.add_row("functions", ", ".join(found["functions"]))
    rows.add_row("parameters", f"{quantity(found['parameters'])} in {quantity(found['weight_bytes'])} bytes")
    rows.add_row(flops_title(found["symbols"]), at_least(quantity(found["flops"]), found["uncounted"]))
    rows.add_row("nodes", str(found["nodes"]))
    operators = table("operator", numbers=("nodes",))
    for name, number in sorted(found["ops"].items(), key=lambda item: (-item[1], item[0])):
        operators.add_row(name, str(number))
    for part in (str(source), "", rows, "", operators):
        console().print(part)


def _type(entry: dict[str, Any]) -> str:
    if entry["kind"] != "tensor":
        return str(entry["kind"])
    shape = "[?]" if entry["shape"] is None else "[" + ", ".join(map(str, entry["shape"])) + "]"
    return f"{entry['dtype']}{shape}"
