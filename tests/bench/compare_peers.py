"""planish beside its peers on a folder of models: nodes left, right or wrong numbers, seconds, memory, latency.

    python tests/bench/compare_peers.py MODELS [--samples FEEDS] [--python PEERS/bin/python] [--into docs/comparison.md]

Every tool runs in a process of its own, so that a crash is a row of the table; the tools take turns, and the best of
all rounds counts. Results are judged against the original in ONNX Runtime with its optimizations off.

A long comparison can be made in parts: with --json FILE and --keep FOLDER each call adds what it measures (--only,
--tools, --measure) to what the file holds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import onnx
from comparison_tables import insert, is_right, models_section, setting
from latency import ratio_of
from optimizers import TOOLS

from planish.runtime.parity import Reference

_HERE = Path(__file__).parent
MEASURES = ("seconds", "verdict", "latency")
_COMMAND = (
    "python tests/bench/compare_peers.py MODELS --samples SAMPLES --python peers/bin/python \\\n"
    f"    --measure {','.join(MEASURES)} --rounds {{}} --into docs/comparison.md"
)


def count_nodes(model: onnx.ModelProto) -> tuple[int, int]:
    """(nodes of standard domains, nodes of other domains), bodies and functions included, Constant left out."""
    standard = other = 0
    stack: list[Any] = [model.graph.node, *(f.node for f in model.functions)]
    while stack:
        for node in stack.pop():
            if node.domain in ("", "ai.onnx", "ai.onnx.ml"):
                standard += node.op_type != "Constant"
            else:
                other += 1
            stack.extend(a.g.node for a in node.attribute if a.type == onnx.AttributeProto.GRAPH)
    return standard, other


def run_tool(python: str, tool: str, source: Path, target: Path, timeout: float) -> dict[str, Any]:
    command = [python, str(_HERE / "optimizers.py"), tool, str(source), str(target)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return {"verdict": "timeout"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        return {"verdict": "crash", "reason": last.replace(f"{source.parent}/", "")[:200]}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def fastest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The best of the runs of one tool on one model; a failure if one of them failed."""
    failure = next((row for row in rows if "verdict" in row), None)
    if failure is not None:
        return failure
    return {**rows[0], **{key: min(row[key] for row in rows) for key in ("seconds", "peak_mib")}}


def names_of_inputs(model: onnx.ModelProto) -> set[str]:
    """What a caller may give. Before IR version 4 every weight had to be listed, whether or not it was meant as one."""
    listed = {value.name for value in model.graph.input}
    return listed if model.ir_version >= 4 else listed - {tensor.name for tensor in model.graph.initializer}


def judge(original: Path, target: Path, reference: Reference) -> dict[str, Any]:
    """What a result is worth: its nodes, its interface, its numbers."""
    before, after = (onnx.load(str(path), load_external_data=False) for path in (original, target))
    (_, others), (nodes, others_after) = count_nodes(before), count_nodes(after)
    report = reference.compare(target)
    return {
        "nodes": nodes + others_after,
        "other_domains_added": max(others_after - others, 0),
        "inputs_lost": len(names_of_inputs(before) - names_of_inputs(after)),
        "verdict": {"proven": "right", "mismatch": "wrong", "not-run": "not run"}[report.status],
        "reason": report.reason,
    }


@dataclass(frozen=True)
class Options:
    """What to measure, and how."""

    measures: tuple[str, ...]
    rounds: int
    timeout: float
    folder: Path


def run_all(path: Path, tools: dict[str, str], options: Options) -> dict[str, dict[str, Any]]:
    """Run the tools in turn; where it is not their time that is asked for, only those that have left no file."""
    timed = "seconds" in options.measures
    targets = {tool: options.folder / tool / path.name for tool in tools}
    due = [tool for tool in tools if timed or not targets[tool].exists()]
    runs: dict[str, list[dict[str, Any]]] = {tool: [] for tool in due}
    for _ in range(options.rounds if timed else 1):
        for tool in due:
            targets[tool].parent.mkdir(parents=True, exist_ok=True)
            targets[tool].unlink(missing_ok=True)
            runs[tool].append(run_tool(tools[tool], tool, path, targets[tool], options.timeout))
    cells = {tool: fastest(rows) for tool, rows in runs.items()}
    for cell in cells.values():
        for key in () if timed else ("seconds", "peak_mib"):
            cell.pop(key, None)
    return cells


def compare(path: Path, tools: dict[str, str], samples: Path | None, options: Options, row: dict[str, Any]) -> None:
    """One model: every tool in turn, then the verdicts, added to what `row` has. `tools`: the interpreter of each."""
    cells = row["tools"]
    cells.update(run_all(path, tools, options))
    if not {"verdict", "latency"} & set(options.measures):
        return
    reference = Reference(path, samples=samples)
    for tool in tools:
        cell, target = cells[tool], options.folder / tool / path.name
        if "verdict" in options.measures and target.exists():
            cell.update(judge(path, target, reference))
        if "latency" in options.measures and is_right(cell) and reference.feeds:
            cell["latency"] = ratio_of([path, target], reference.feeds[0], threads=1, rounds=1, seconds=2.0)["ratio"]


@click.command()
@click.argument("models", type=click.Path(exists=True, path_type=Path))
@click.option("--samples", type=click.Path(exists=True, path_type=Path), help="folder of NAME.npz with real inputs")
@click.option("--python", default=sys.executable, help="interpreter that has the peers installed")
@click.option("--tools", default=",".join(TOOLS), help="comma-separated")
@click.option("--only", default="", help="comma-separated names of models")
@click.option("--measure", default="seconds,verdict", help=f"of {', '.join(MEASURES)}")
@click.option("--rounds", default=3, help="each tool runs so often, in turn")
@click.option("--timeout", default=300.0, help="seconds, for each run")
@click.option("--keep", type=click.Path(path_type=Path), help="keep the optimized files in this folder")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="add the measurements to those in this file")
@click.option("--into", type=click.Path(exists=True, path_type=Path), help="write the tables into this document")
def main(
    models: Path, samples: Path | None, python: str, tools: str, only: str, measure: str, rounds: int, timeout: float,
    keep: Path | None, json_path: Path | None, into: Path | None,
) -> None:  # fmt: skip
    """Compare optimizers on every .onnx file in MODELS."""
    options = Options(tuple(measure.split(",")), rounds, timeout, keep or Path(tempfile.mkdtemp()))
    if not set(options.measures) <= set(MEASURES):
        raise click.UsageError(f"--measure takes {', '.join(MEASURES)}, not {measure}")
    interpreters = {tool: sys.executable if tool == "planish" else python for tool in tools.split(",")}
    origins = json.loads((_HERE / "origins.json").read_text())
    before = json.loads(json_path.read_text())["rows"] if json_path and json_path.exists() else []
    rows = {row["model"]: row for row in before}
    for path in sorted(models.glob("*.onnx")):
        if only and path.stem not in only.split(","):
            continue
        row = rows.setdefault(path.stem, {"model": path.stem, "package": origins.get(path.stem, ""), "tools": {}})
        row["nodes"] = sum(count_nodes(onnx.load(str(path), load_external_data=False)))
        real = samples / f"{path.stem}.npz" if samples and (samples / f"{path.stem}.npz").exists() else None
        compare(path, interpreters, real, options, row)
        cells = [f"{tool} {cell.get('nodes', '')} {cell.get('verdict', '')}" for tool, cell in row["tools"].items()]
        click.echo(f"{path.stem}: {', '.join(cells)}")
        measured = {**setting(_COMMAND.format(rounds)), "rows": [rows[name] for name in sorted(rows)]}
        if json_path:
            json_path.write_text(json.dumps(measured, indent=1))
    if into:
        insert(into, "models", models_section(measured))
    elif all("verdict" in cell for row in rows.values() for cell in row["tools"].values()):
        click.echo(models_section(measured))


if __name__ == "__main__":
    main()
