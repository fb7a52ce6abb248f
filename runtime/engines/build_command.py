"""`planish build`: the options, and what is printed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ...compiler.errors import OptionError
from ..options import VERIFY
from ..progress import reporting
from ..tables import console
from .adapter import BACKENDS
from .build import Refused, build, build_parts
from .build_tables import kernel_table, left_over, summary
from .chain import MANIFEST
from .ep_context import save_ep_context
from .report import SCHEMA

_FILE = click.Path(path_type=Path)
DIFFERENT = 6  # exit status, as of a result that computes something else


@click.command("build", short_help="Build a TensorRT engine of a model.")
@click.argument("source", metavar="IN.onnx", type=_FILE)
@click.option("-o", "--output", metavar="OUT.plan", type=_FILE,
              help="Where to write the engine; the report goes to OUT.build.json. Default: IN.plan")
@click.option("--backend", type=click.Choice(["auto", *BACKENDS]), default="auto", show_default=True,
              help="Library: TensorRT needs a GPU, TensorRT-RTX builds without; auto takes what works here.")
@click.option("--compute-capability", "compute_capabilities", metavar="N.M", multiple=True,
              help="GPU to build for, e.g. 8.9; may be repeated, or take a,b,c. TensorRT-RTX only.")
@click.option("--profile", "profiles", metavar="SIZES", multiple=True,
              help="Smallest, usual and largest sizes of open inputs: x=1x3x224x224:8x3x224x224:32x3x224x224, several "
              "inputs with ; between. May be repeated for several profiles.")
@click.option("--tf32", is_flag=True, help="Let float32 layers round their factors to TF32.")
@click.option("--timeout", type=click.FloatRange(min=1), metavar="SECONDS", default=1800.0, show_default=True,
              help="How long parsing and building may take.")
@click.option("--memory", metavar="BYTES", help="How much memory they may take, e.g. 8GiB.")
@click.option("--skip", metavar="NAME", multiple=True, help="Leave a pass out, as for optimize.")
@click.option("--passes", metavar="TEXT", help="Pipeline to run instead of `tensorrt`, as for optimize.")
@click.option("--opset", type=click.IntRange(min=1), metavar="N", help="Convert to opset N first.")
@click.option("--input-shape", "input_shapes", metavar="NAME:DIMS", multiple=True, help="Fix dimensions.")
@click.option("--samples", type=_FILE, metavar="FILE.npz", help="Real inputs for the comparison.")
@click.option("--verify", type=click.Choice(VERIFY), default="final", show_default=True,
              help="Compare the optimized model with the original, as for optimize.")
@click.option("--ep-context", metavar="OUT.onnx", type=_FILE, help="Experimental: also write an ONNX model with the "
              "engine inside, for ONNX Runtime's provider of TensorRT-RTX.")
@click.option("--partition", metavar="DIR", type=_FILE, help="Cut the model: engines for what TensorRT takes, ONNX "
              "models for the rest, and a manifest, into a new folder instead of OUT.plan.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON instead of tables.")
@click.option("--layers", is_flag=True, help="Print the kernels of the engine too, as inspect does.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option("--progress/--no-progress", "show_progress", default=None, help="Show what is being done.")
@click.option("--debug", is_flag=True, expose_value=False, help="Print the traceback of a failure.")
def build_engine(
    source: Path, output: Path | None, skip: tuple[str, ...], compute_capabilities: tuple[str, ...], as_json: bool,
    layers: bool, quiet: bool, show_progress: bool | None, ep_context: Path | None, partition: Path | None,
    **options: object,
) -> int:  # fmt: skip
    """Optimize IN.onnx for TensorRT, build an engine of it, and report what each node became.

    The engine is not run: that takes the GPU that it is for.
    """
    options = {**options, "skip": ",".join(skip), "compute_capabilities": ",".join(compute_capabilities)}
    if partition is not None:
        if output is not None or ep_context is not None:
            raise OptionError("--partition writes a folder: it goes with neither -o nor --ep-context")
        _build_parts(source, partition, as_json, quiet, show_progress, options)
        return 0
    destination = output or source.with_suffix(".plan")
    with reporting(False if quiet and show_progress is None else show_progress) as progress:
        try:
            made = build(source, destination, progress=progress, **options)  # type: ignore[arg-type]
        except Refused as refused:
            if as_json:
                click.echo(json.dumps({"schema": SCHEMA, "refused": [asdict(p) for p in refused.problems]}, indent=1))
            for problem in refused.problems:
                click.echo(f"node {problem.node}: {problem} ({problem.code})", err=True)
            raise
    if ep_context is not None:
        save_ep_context(made.plan, made.report, ep_context)
    if as_json:
        click.echo(json.dumps(made.report, indent=1))
    elif not quiet:
        out = console()
        out.print(summary(made.report))
        if layers:
            out.print("", kernel_table(made.report), "", left_over(made.report), sep="\n")
        out.print(f"wrote {made.plan} and {made.report_file}", soft_wrap=True)
    return 0 if made.proven else DIFFERENT


def _build_parts(
    source: Path, folder: Path, as_json: bool, quiet: bool, show_progress: bool | None, options: dict[str, Any]
) -> None:
    with reporting(False if quiet and show_progress is None else show_progress) as progress:
        manifest = build_parts(source, folder, progress=progress, **options)
    if as_json:
        click.echo(json.dumps(manifest, indent=1))
    elif not quiet:
        for part in manifest["parts"]:
            inputs, outputs = ", ".join(part["inputs"]), ", ".join(part["outputs"])
            click.echo(f"{part['plan'] or part['model']}: {len(part['nodes'])} nodes, {inputs} -> {outputs}")
            for name, reason in part.get("reasons", {}).items():
                click.echo(f"   {name}: {reason}")
        click.echo(f"wrote {folder / MANIFEST}")
