"""Latency of every model of a folder in ONNX Runtime before and after optimizing, beside what the cost model predicts.

    python tests/bench/latency.py MODELS [--samples FEEDS] [--threads 1,2] [--batches 1,8] [--skip PASSES] [--json OUT]
        [--into docs/merging.md]

ONNX Runtime's own optimizations are on. Both models run in turns, in several rounds with fresh sessions; a row shows
the median over the rounds of the median ratio of two runs next to each other. A model is enlarged to a batch only where
its inputs leave their first dimension open. The prediction is of one thread and the batch as it comes, for whole models
and for the rewrites that state their numbers.
"""

from __future__ import annotations

import json
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime
from comparison_tables import insert, introduction, setting, table

import planish
from planish.compiler.errors import EvaluationError
from planish.compiler.inference import infer_model
from planish.compiler.reading import load
from planish.compiler.targets import Scenario, target_named
from planish.runtime.onnxruntime_session import Session, open_session
from planish.runtime.parity import Reference

_PREDICTED = re.compile(r"([\d.]+) -> ([\d.]+) us predicted")
_FEWEST = 7  # runs of each model in a round
HORIZONTAL = (
    "absorb-channel-padding", "bypass-concats", "compose-layers-through-concat", "eliminate-dead-channels",
    "fuse-added-layers", "fuse-concats", "merge-parts", "merge-siblings", "merge-slices", "recognize-lstm",
)  # fmt: skip


def enlarged(model: onnx.ModelProto, feeds: dict[str, Any], batch: int) -> dict[str, Any] | None:
    """Inputs so many times as large along the first dimension where it is open; None if it is open nowhere."""
    if batch == 1:
        return feeds
    shapes = {i.name: i.type.tensor_type.shape.dim for i in model.graph.input}
    opened = [n for n in feeds if shapes.get(n) and not shapes[n][0].HasField("dim_value")]
    if not opened:
        return None
    return {n: np.concatenate([a] * batch) if n in opened else a for n, a in feeds.items()}


def times_of(sessions: list[Session], feeds: dict[str, Any], seconds: float) -> np.ndarray:
    """Times of the runs of each session, which take turns; the first two are left out."""
    times: list[list[float]] = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(times) < _FEWEST:
        times.append([])
        for session in sessions:
            started = time.perf_counter()
            session.run(feeds)
            times[-1].append(time.perf_counter() - started)
    return np.array(times[2:])


def ratio_of(paths: list[Path], feeds: dict[str, Any], threads: int, rounds: int, seconds: float) -> dict[str, float]:
    """Optimized over original: the median over rounds, and how far the rounds are apart."""
    found = []
    for number in range(rounds):
        order = paths if number % 2 == 0 else paths[::-1]
        sessions = {path: open_session(path, level="all", threads=threads) for path in order}
        times = times_of([sessions[path] for path in paths], feeds, seconds)
        found.append((float(np.median(times[:, 1] / times[:, 0])), float(np.median(times[:, 0]))))
    ratios = sorted(ratio for ratio, _ in found)
    return {
        "ratio": statistics.median(ratios),
        "spread": ratios[-1] - ratios[0],
        "ms": 1e3 * statistics.median(before for _, before in found),
    }


def predicted_seconds(path: Path) -> float:
    model = load(path)
    infer_model(model)
    return target_named("onnx").predict(Scenario(list(model.graph)))


def measure(path: Path, target: Path, reference: Reference, options: dict[str, Any]) -> dict[str, Any]:
    """A row of the table: optimizes into `target` and measures."""
    result = planish.optimize(path, verify="off", skip=options["skip"])
    result.save(target)
    counts: dict[str, int] = {}
    gained = 0.0
    for rewrite in result.journal.rewrites():
        counts[rewrite.pass_name] = counts.get(rewrite.pass_name, 0) + 1
        stated = _PREDICTED.search(rewrite.note)
        gained += float(stated[1]) - float(stated[2]) if stated else 0.0
    before = predicted_seconds(path)
    row: dict[str, Any] = {
        "model": path.stem, "nodes": [result.before.nodes, result.after.nodes], "rewrites": counts,
        "predicted": predicted_seconds(target) / before if before else 1.0, "predicted_us": before * 1e6,
        "stated_gain_us": gained, "measured": {},
    }  # fmt: skip
    model = onnx.load(str(path), load_external_data=False)
    for batch in options["batches"]:
        feeds = enlarged(model, reference.feeds[0], batch)
        for threads in options["threads"]:
            if feeds is None:
                continue
            try:
                found = ratio_of([path, target], feeds, threads, options["rounds"], options["seconds"])
            except EvaluationError:  # the batch is fixed further down
                continue
            row["measured"][f"{threads} threads, batch {batch}"] = found
    return row


def line(row: dict[str, Any]) -> str:
    fired = [f"{n} {row['rewrites'][n]}" for n in HORIZONTAL if n in row["rewrites"]]
    cells = [f"{k}: {m['ratio']:.3f} ±{m['spread'] / 2:.3f} of {m['ms']:.2f} ms" for k, m in row["measured"].items()]
    head = f"{row['model']}: {row['nodes'][0]} -> {row['nodes'][1]} nodes, predicted {row['predicted']:.3f}"
    return f"{head} (rewrites state {row['stated_gain_us']:.0f} us)\n    {'; '.join(cells)}\n    {', '.join(fired)}"


def summary(rows: list[dict[str, Any]]) -> str:
    lines = []
    for key in dict.fromkeys(k for row in rows for k in row["measured"]):
        mine = [(row, row["measured"][key]["ratio"]) for row in rows if key in row["measured"]]
        fired = [ratio for row, ratio in mine if any(n in row["rewrites"] for n in HORIZONTAL)]
        slower = [f"{row['model']} {ratio:.3f}" for row, ratio in mine if ratio > 1.02]
        lines.append(
            f"{key}: {statistics.geometric_mean([r for _, r in mine]):.3f} over {len(mine)} models, "
            f"{statistics.geometric_mean(fired) if fired else 1:.3f} over {len(fired)} with merges or elisions, "
            f"{sum(r <= 0.85 for r in fired)} at most 0.85; slower than 1.02: {', '.join(slower) or 'none'}"
        )
    return "\n".join(lines)


def joined(parts: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One row for each model with what all parts measured of it; later parts count where several did."""
    found: dict[str, dict[str, Any]] = {}
    for row in (row for part in parts for row in part):
        before = found.get(row["model"], row)
        found[row["model"]] = {**row, "measured": {**before["measured"], **row["measured"]}}
    return [found[name] for name in sorted(found)]


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table, one column for each number of threads and batch."""
    settings = list(dict.fromkeys(key for row in rows for key in row["measured"]))
    lines = []
    for row in rows:
        cells = [row["measured"].get(key) for key in settings]
        found = [f"{cell['ratio']:.3f}" if cell else "" for cell in cells]
        fired = any(name in row["rewrites"] for name in HORIZONTAL)
        milliseconds = next((f"{cell['ms']:.2f}" for cell in cells if cell), "")
        lines.append([row["model"], "yes" if fired else "", milliseconds, f"{row['predicted']:.3f}", *found])
    head = ["model", "merged or elided", "original, ms", "predicted", *settings]
    command = "python tests/bench/latency.py models --samples feeds --into docs/merging.md"
    versions = f"ONNX Runtime {onnxruntime.__version__}, planish {planish.__version__}."
    told = summary(rows).replace("\n", "\n- ")
    return f"{introduction(setting(command))}\n\n{versions}\n\n{table(head, lines, 2)}\n\n- {told}"


@click.command()
@click.argument("models", type=click.Path(exists=True, path_type=Path))
@click.option("--samples", type=click.Path(exists=True, path_type=Path), help="folder of NAME.npz with real inputs")
@click.option("--only", default="", help="comma-separated names of models")
@click.option("--skip", default="", help="comma-separated names of passes to leave out")
@click.option("--threads", default="1,2")
@click.option("--batches", default="1,8")
@click.option("--rounds", default=3)
@click.option("--seconds", default=1.0, help="of each round")
@click.option("--json", "json_path", type=click.Path(path_type=Path))
@click.option("--merge", "earlier", multiple=True, type=click.Path(exists=True, path_type=Path),
              help="a file of --json whose measurements are taken as well")  # fmt: skip
@click.option("--into", type=click.Path(exists=True, path_type=Path), help="write the table into this document")
def main(
    models: Path, samples: Path | None, only: str, skip: str, threads: str, batches: str, rounds: int, seconds: float,
    json_path: Path | None, earlier: tuple[Path, ...], into: Path | None,
) -> None:  # fmt: skip
    """Measure every .onnx file in MODELS before and after optimizing."""
    options = {
        "skip": [name for name in skip.split(",") if name], "threads": [int(n) for n in threads.split(",")],
        "batches": [int(n) for n in batches.split(",")], "rounds": rounds, "seconds": seconds,
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(models.glob("*.onnx")):
            if only and path.stem not in only.split(","):
                continue
            real = samples / f"{path.stem}.npz" if samples and (samples / f"{path.stem}.npz").exists() else None
            reference = Reference(path, samples=real)
            if not reference.feeds:
                click.echo(f"{path.stem}: no inputs that it runs on")
                continue
            rows.append(measure(path, Path(folder) / path.name, reference, options))
            click.echo(line(rows[-1]))
            if json_path:
                json_path.write_text(json.dumps(rows, indent=1))
    rows = joined([json.loads(path.read_text()) for path in earlier] + [rows])
    click.echo(summary(rows))
    if into is not None:
        insert(into, "latency", as_markdown(rows))


if __name__ == "__main__":
    main()
