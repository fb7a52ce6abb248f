"""Measures what kernels of ONNX Runtime's CPU provider cost here, and writes it as a target of the cost model.

    python tests/bench/calibrate_costs.py --write compiler/targets/onnxruntime_cpu.json     measure and fit
    python tests/bench/calibrate_costs.py                                                   predicted beside measured

Small graphs of many kinds are timed with ONNX Runtime's own optimizations on, one thread, in rounds apart in time; the
first decile of the runs counts, since other processes only ever add time. Non-negative least squares on the relative
error finds the time of each unit of work; a quarter of the graphs is left out of the fit and tells how good it is.
"""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path

import click
import numpy as np
import onnx
import onnxruntime
from calibration_graphs import FAMILIES, draw
from scipy.optimize import nnls

from planish.compiler.inference import infer_model
from planish.compiler.reading import load
from planish.compiler.targets.kernels import Profile, Work
from planish.compiler.targets.scenario import Scenario
from planish.runtime.onnxruntime_session import open_session


def processor() -> str:
    """Name of the processor and its vector extensions that matter."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    widest = [x for x in ("avx2", "avx512f") if x in fields.get("flags", "").split()]
    return f"{fields.get('model name', platform.processor())} ({', '.join(widest[-1:])})"


def block_size() -> int:
    """Channels in a block of the convolution kernels: as many floats as a vector register holds."""
    return 16 if "avx512f" in processor() else 8


def work_of(proto: onnx.ModelProto, block: int) -> Work:
    model = load(proto)
    infer_model(model)
    work = Profile(Scenario(list(model.graph)), block).work()
    work["runs"] += 1
    return work


def seconds_of(proto: onnx.ModelProto, budget: float) -> float:
    """Time of an undisturbed run: the first decile."""
    session = open_session(proto, level="all")
    rng = np.random.default_rng(0)
    feeds = {
        i.name: rng.standard_normal([d.dim_value for d in i.type.tensor_type.shape.dim]).astype(np.float32)
        for i in proto.graph.input
    }
    times = []
    deadline = time.perf_counter() + budget
    while time.perf_counter() < deadline or len(times) < 12:
        started = time.perf_counter()
        session.run(feeds)
        times.append(time.perf_counter() - started)
    return float(np.quantile(times[2:], 0.1))


def fit(rows: list[Work], seconds: np.ndarray) -> dict[str, float]:
    """Seconds per unit of work."""
    units = sorted({unit for row in rows for unit in row if row[unit]})
    matrix = np.array([[row[unit] for unit in units] for row in rows], float) / seconds[:, None]
    scale = np.maximum(matrix.max(axis=0), 1e-300)
    found, _ = nnls(matrix / scale, np.ones(len(rows)), maxiter=10_000)
    return {unit: float(c / s) for unit, c, s in zip(units, found, scale)}


def predicted(row: Work, rates: dict[str, float]) -> float:
    return sum(rates.get(unit, 0.0) * amount for unit, amount in row.items())


@click.command()
@click.option("--write", type=click.Path(path_type=Path), help="fit and write this file")
@click.option("--per-family", default=60, help="graphs of each kind")
@click.option("--budget", default=0.1, help="seconds per graph and round")
@click.option("--rates", "rates_path", type=click.Path(path_type=Path), help="compare with this file instead")
def main(write: Path | None, per_family: int, budget: float, rates_path: Path | None) -> None:
    """Calibrate, or compare predictions with measurements."""
    block = block_size()
    names, rows, protos = [], [], []
    for family in FAMILIES:
        for seed in range(per_family):
            protos.append(draw(family, seed))
            names.append(family.__name__)
            rows.append(work_of(protos[-1], block))
    rounds = [[seconds_of(proto, budget) for proto in protos] for _ in range(3)]
    seconds = np.min(rounds, axis=0)
    held_out = np.arange(len(rows)) % 4 == 3
    if rates_path is not None:
        rates = json.loads(rates_path.read_text())["seconds"]
    else:
        rates = fit([r for r, out in zip(rows, held_out) if not out], seconds[~held_out])
    guesses = np.array([predicted(row, rates) for row in rows])
    errors = np.abs(guesses / seconds - 1)
    for family in dict.fromkeys(names):
        mine = np.array([n == family for n in names])
        click.echo(
            f"{family:20} median error {np.median(errors[mine & held_out]):6.1%}, "
            f"nine of ten below {np.quantile(errors[mine & held_out], 0.9):6.1%} (graphs that were not fitted)"
        )
    middle, most = np.quantile(errors[held_out], [0.5, 0.9])
    click.echo(f"all: median {middle:.1%}, nine of ten below {most:.1%}")
    for unit, rate in sorted(rates.items()):
        click.echo(f"{unit:24} {rate:.3e}")
    if write is not None:
        text = {
            "name": "onnxruntime-cpu",
            "measured": {
                "processor": processor(), "onnxruntime": onnxruntime.__version__, "threads": 1,
                "how": f"tests/bench/calibrate_costs.py --write FILE --per-family {per_family}",
                "median error": round(float(middle), 3),
                "ninth decile of the error": round(float(most), 3),
            },
            "block": block,
            "seconds": {unit: float(f"{rate:.4g}") for unit, rate in sorted(rates.items())},
        }  # fmt: skip
        write.write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
