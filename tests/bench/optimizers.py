"""Runs one optimizer on one model in this process: `python optimizers.py TOOL IN OUT` prints a JSON row.

Seconds are those of the optimize call alone (best of up to 3 runs within 2 s); peak memory is the process's.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx


def _onnxsim(path: str) -> Callable[[], Any]:
    import onnxsim

    return lambda: onnxsim.simplify(onnx.load(path))[0]


def _onnxslim(path: str) -> Callable[[], Any]:
    import onnxslim

    return lambda: onnxslim.slim(onnx.load(path))


def _onnxoptimizer(path: str) -> Callable[[], Any]:
    import onnxoptimizer

    return lambda: onnxoptimizer.optimize(onnx.load(path), fixed_point=True)


def _onnxscript(path: str) -> Callable[[], Any]:
    import onnxscript.optimizer

    return lambda: onnxscript.optimizer.optimize(onnx.load(path))


def _ort_basic(path: str) -> Callable[[], Any]:
    import tempfile

    import onnxruntime as ort

    ort.set_default_logger_severity(4)

    def run() -> Any:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.intra_op_num_threads = 1
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            options.optimized_model_filepath = file.name
            ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            result = onnx.load(file.name, load_external_data=False)
        onnx.load_external_data_for_model(result, str(Path(path).parent))
        return result

    return run


def _planish(path: str) -> Callable[[], Any]:
    import planish

    return lambda: planish.optimize(path, verify="off")


TOOLS: dict[str, tuple[str, Callable[[str], Callable[[], Any]]]] = {
    "planish": ("planish", _planish),
    "onnxsim": ("onnxsim", _onnxsim),
    "onnxslim": ("onnxslim", _onnxslim),
    "onnxoptimizer": ("onnxoptimizer", _onnxoptimizer),
    "onnxscript": ("onnxscript", _onnxscript),
    "ort-basic": ("onnxruntime", _ort_basic),
}


def peak_memory() -> float:
    """Most memory that this process has had, in MiB (its ru_maxrss would start at what its parent has)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this system does not say how much memory a process has had")


def main() -> None:
    tool, source, target = sys.argv[1:]
    package, prepare = TOOLS[tool]
    run = prepare(source)
    seconds: list[float] = []
    while len(seconds) < 3 and sum(seconds) < 2:
        started = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - started)
    if result is None:
        raise SystemExit("the tool returned nothing")
    if isinstance(result, onnx.ModelProto):
        onnx.save(result, target)
    else:
        result.save(target)
    row = {"seconds": min(seconds), "peak_mib": peak_memory(), "version": importlib.metadata.version(package)}
    print(json.dumps(row))


if __name__ == "__main__":
    main()
