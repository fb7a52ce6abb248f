"""planish beside its peers on a folder of models: nodes left, right or wrong numbers, seconds, memory, latency.

    python tests/bench/compare_peers.py MODELS [--samples FEEDS] [--python PEERS/bin/python] [--json OUT]

Every tool runs in a process of its own, so that a crash is a row of the table. Results are judged against the
original in ONNX Runtime with its optimizations off.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from optimizers import TOOLS

import planish
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
        return {"verdict": "crash", "reason": (done.stderr.strip().splitlines() or [str(done.returncode)])[-1][:200]}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def judge(row: dict[str, Any], original: Path, target: Path, reference: Reference) -> None:
    """Add nodes and the verdict to a row."""
    before = count_nodes(onnx.load(str(original), load_external_data=False))
    model = onnx.load(str(target), load_external_data=False)
    row["nodes"], row["other_domains"] = count_nodes(model)
    row["contrib_added"] = max(row["other_domains"] - before[1], 0)
    inputs = [i.name for i in onnx.load(str(original), load_external_data=False).graph.input]
    row["inputs_changed"] = inputs != [i.name for i in model.graph.input]
    report = reference.compare(target)
    row["verdict"] = {"proven": "right", "mismatch": "wrong", "not-run": "not run"}[report.status]
    row["reason"] = report.reason


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


def markdown(rows: list[dict[str, Any]], tools: list[str]) -> str:
    lines = ["| model | nodes | " + " | ".join(tools) + " |", "|---|---:|" + "---:|" * len(tools)]
    for row in rows:
        cells = []
        for tool in tools:
            cell = row["tools"][tool]
            if "nodes" not in cell:
                cells.append(cell["verdict"])
                continue
            extra = f"+{cell['contrib_added']}c" if cell["contrib_added"] else ""
            mark = "" if cell["verdict"] == "right" else f" {cell['verdict']}"
            latency = f", {cell['latency']:.2f}x" if "latency" in cell else ""
            cells.append(f"{cell['nodes']}{extra}{mark} ({cell['seconds']:.2f} s{latency})")
        lines.append(f"| {row['model']} | {row['nodes']} | " + " | ".join(cells) + " |")
    lines.append("")
    lines.extend(summary(rows, tools))
    return "\n".join(lines) + "\n"


def summary(rows: list[dict[str, Any]], tools: list[str]) -> list[str]:
    lines = []
    for tool in tools:
        cells = [(row["nodes"], row["tools"][tool]) for row in rows]
        right = [(n, c) for n, c in cells if c.get("verdict") == "right" and not c["contrib_added"]]
        if right:
            left = statistics.geometric_mean(max(c["nodes"], 1) / max(n, 1) for n, c in right)
            seconds = statistics.geometric_mean(c["seconds"] for _, c in right)
            lines.append(
                f"- {tool} {right[0][1]['version']}: right on {len(right)} of {len(rows)}, there {left:.3f} of the "
                f"nodes are left (geometric mean), {seconds:.3f} s"
            )
    best = []
    for row in rows:
        peers = [
            c["nodes"] for t, c in row["tools"].items()
            if t != "planish" and c.get("verdict") == "right" and not c["contrib_added"]
        ]  # fmt: skip
        best.append(max(min(peers, default=row["nodes"]), 1) / max(row["nodes"], 1))
    lines.append(f"- the best right peer of each model: {statistics.geometric_mean(best):.3f} of the nodes are left")
    return lines


@click.command()
@click.argument("models", type=click.Path(exists=True, path_type=Path))
@click.option("--samples", type=click.Path(exists=True, path_type=Path), help="folder of NAME.npz with real inputs")
@click.option("--python", default=sys.executable, help="interpreter that has the peers installed")
@click.option("--tools", default=",".join(TOOLS), help="comma-separated")
@click.option("--only", default="", help="comma-separated names of models")
@click.option("--timeout", default=300.0)
@click.option("--latency", is_flag=True, help="measure latency too")
@click.option("--keep", type=click.Path(path_type=Path), help="keep the optimized files in this folder")
@click.option("--json", "json_path", type=click.Path(path_type=Path))
@click.option("--markdown", "markdown_path", type=click.Path(path_type=Path))
def main(
    models: Path, samples: Path | None, python: str, tools: str, only: str, timeout: float, latency: bool,
    keep: Path | None, json_path: Path | None, markdown_path: Path | None,
) -> None:  # fmt: skip
    """Compare optimizers on every .onnx file in MODELS."""
    chosen = tools.split(",")
    rows: list[dict[str, Any]] = []
    folder = keep or Path(tempfile.mkdtemp())
    for path in sorted(models.glob("*.onnx")):
        if only and path.stem not in only.split(","):
            continue
        real = samples / f"{path.stem}.npz" if samples and (samples / f"{path.stem}.npz").exists() else None
        reference = Reference(path, samples=real)
        row: dict[str, Any] = {"model": path.stem, "tools": {}}
        row["nodes"] = sum(count_nodes(onnx.load(str(path), load_external_data=False)))
        for tool in chosen:
            target = folder / tool / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            interpreter = sys.executable if tool == "planish" else python
            cell = run_tool(interpreter, tool, path, target, timeout)
            if "verdict" not in cell:
                judge(cell, path, target, reference)
                if latency and cell["verdict"] == "right" and reference.feeds:
                    cell["latency"] = latency_ratio(path, target, reference.feeds[0])
            row["tools"][tool] = cell
        rows.append(row)
        cells = [f"{tool} {cell.get('nodes', '')} {cell['verdict']}" for tool, cell in row["tools"].items()]
        click.echo(f"{path.stem}: {', '.join(cells)}")
        if json_path:
            json_path.write_text(json.dumps(rows, indent=1))
    text = markdown(rows, chosen)
    if markdown_path:
        markdown_path.write_text(text)
    click.echo(text)
    click.echo(f"planish {planish.__version__}")


if __name__ == "__main__":
    main()
