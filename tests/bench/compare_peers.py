"""planish beside its peers on a folder of models: nodes left, right or wrong numbers, seconds, memory, latency.

    python tests/bench/compare_peers.py MODELS [--samples FEEDS] [--python PEERS/bin/python] [--into docs/comparison.md]

Every tool runs in a process of its own, so that a crash is a row of the table; the tools take turns, and the best of
all rounds counts. Results are judged against the original in ONNX Runtime with its optimizations off.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from comparison_tables import insert, is_right, models_section, setting
from optimizers import TOOLS

from planish.runtime.onnxruntime_session import open_session
from planish.runtime.parity import Reference

_HERE = Path(__file__).parent


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


def latency_ratio(original: Path, target: Path, feeds: dict[str, np.ndarray], seconds: float = 2.0) -> float:
    """Median of interleaved runs, optimized over original, ONNX Runtime's own optimizations on, one thread."""
    sessions = [open_session(original, level="all"), open_session(target, level="all")]
    times: list[list[float]] = [[], []]
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(times[0]) < 5:
        for session, record in zip(sessions, times, strict=True):
            started = time.perf_counter()
            session.run(feeds)
            record.append(time.perf_counter() - started)
    return statistics.median(times[1][1:]) / statistics.median(times[0][1:])


@dataclass(frozen=True)
class Options:
    """How to measure."""

    rounds: int
    timeout: float
    latency: bool


def compare(path: Path, tools: dict[str, str], samples: Path | None, folder: Path, options: Options) -> dict[str, Any]:
    """One model: every tool in turn, then the verdicts. `tools` has the interpreter of each."""
    reference = Reference(path, samples=samples)
    targets = {tool: folder / tool / path.name for tool in tools}
    runs: dict[str, list[dict[str, Any]]] = {tool: [] for tool in tools}
    for _ in range(options.rounds):
        for tool, python in tools.items():
            targets[tool].parent.mkdir(parents=True, exist_ok=True)
            runs[tool].append(run_tool(python, tool, path, targets[tool], options.timeout))
    cells = {tool: fastest(rows) for tool, rows in runs.items()}
    for tool, cell in cells.items():
        if "verdict" not in cell:
            cell.update(judge(path, targets[tool], reference))
            if options.latency and is_right(cell) and reference.feeds:
                cell["latency"] = latency_ratio(path, targets[tool], reference.feeds[0])
    nodes = sum(count_nodes(onnx.load(str(path), load_external_data=False)))
    return {"model": path.stem, "nodes": nodes, "tools": cells}


@click.command()
@click.argument("models", type=click.Path(exists=True, path_type=Path))
@click.option("--samples", type=click.Path(exists=True, path_type=Path), help="folder of NAME.npz with real inputs")
@click.option("--python", default=sys.executable, help="interpreter that has the peers installed")
@click.option("--tools", default=",".join(TOOLS), help="comma-separated")
@click.option("--only", default="", help="comma-separated names of models")
@click.option("--rounds", default=3, help="each tool runs so often, in turn")
@click.option("--timeout", default=300.0, help="seconds, for each run")
@click.option("--latency", is_flag=True, help="measure latency too")
@click.option("--keep", type=click.Path(path_type=Path), help="keep the optimized files in this folder")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="write all measurements here")
@click.option("--into", type=click.Path(exists=True, path_type=Path), help="write the tables into this document")
def main(
    models: Path, samples: Path | None, python: str, tools: str, only: str, rounds: int, timeout: float, latency: bool,
    keep: Path | None, json_path: Path | None, into: Path | None,
) -> None:  # fmt: skip
    """Compare optimizers on every .onnx file in MODELS."""
    interpreters = {tool: sys.executable if tool == "planish" else python for tool in tools.split(",")}
    origins = json.loads((_HERE / "origins.json").read_text())
    given = " --samples SAMPLES" * (samples is not None) + " --latency" * latency
    command = f"python tests/bench/compare_peers.py MODELS --python peers/bin/python{given} --into docs/comparison.md"
    measured: dict[str, Any] = {**setting(command), "tools": list(interpreters), "rows": []}
    folder = keep or Path(tempfile.mkdtemp())
    for path in sorted(models.glob("*.onnx")):
        if only and path.stem not in only.split(","):
            continue
        real = samples / f"{path.stem}.npz" if samples and (samples / f"{path.stem}.npz").exists() else None
        row = compare(path, interpreters, real, folder, Options(rounds, timeout, latency))
        measured["rows"].append({**row, "package": origins.get(path.stem, "")})
        cells = [f"{tool} {cell.get('nodes', '')} {cell['verdict']}" for tool, cell in row["tools"].items()]
        click.echo(f"{path.stem}: {', '.join(cells)}")
        if json_path:
            json_path.write_text(json.dumps(measured, indent=1))
    if into:
        insert(into, "models", models_section(measured))
    else:
        click.echo(models_section(measured))


if __name__ == "__main__":
    main()
