"""Engines on the GPU that they are for: opened, described, run, and timed.

Kept apart and thin, because it has been tested against stand-ins only: no engine has been run on hardware with it yet.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...compiler.errors import BackendError
from .adapter import Backend, Record
from .layers import EngineContent, EngineLayer, EngineTensor, nodes_in

CLOCK_NOTE = (
    "times are of this GPU at the clocks it chose; `nvidia-smi --lock-gpu-clocks` makes them comparable between runs"
)


@dataclass
class OpenEngine:
    """An engine that is loaded, with the runtime and the logger that have to live as long."""

    backend: Backend
    engine: Any
    runtime: Any
    records: list[Record]


def open_engine(backend: Backend, plan: bytes) -> OpenEngine:
    """Load an engine; that needs the GPU that it is for, and the version of the library that built it.

    Raises:
        BackendError: the library does not take it, with what it says.
    """
    records: list[Record] = []
    runtime = backend.module.Runtime(backend.logger(records))
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        said = [text for severity, text in records if severity in ("ERROR", "INTERNAL_ERROR")]
        reason = "; ".join(" ".join(text.split()) for text in said[:3]) or "it does not say why"
        raise BackendError(
            f"{backend.flavor} {backend.version_text} cannot load the engine: {reason}",
            hint="an engine runs on the GPUs it was built for, with the version that built it",
        )
    return OpenEngine(backend, engine, runtime, records)


def inspect_engine(opened: OpenEngine, nodes: Sequence[str]) -> EngineContent:
    """The layers of a loaded engine, as `layers.read_layers` gives them from the log.

    Args:
        nodes: names of the model's nodes.

    Raises:
        BackendError: the inspector gives something else than is known.
    """
    form = opened.backend.module.LayerInformationFormat.JSON
    text = opened.engine.create_engine_inspector().get_engine_information(form)
    return read_inspection(text, nodes)


def read_inspection(text: str, nodes: Sequence[str]) -> EngineContent:
    """What the inspector says in JSON: of TensorRT 10 with names of bindings, of 11 with descriptions of them."""
    try:
        found = json.loads(text)
        layers = [_layer(entry, nodes) for entry in found["Layers"]]
        tensors = {tensor.name: tensor for layer in layers for tensor in (*layer.inputs, *layer.outputs)}
        written = {tensor.name for layer in layers for tensor in layer.outputs}
        if "I/O Tensors" in found:
            described = [
                (bound["Name"], (bound["IOMode"], bound["DataType"], _shape(bound["Dimensions"])))
                for bound in found["I/O Tensors"]
            ]
        else:
            described = [
                (name, ("Output" if name in written else "Input", tensors[name].dtype, tensors[name].shape))
                for name in found["Bindings"]
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise BackendError(f"the engine is described in another form than is known: {error!r}") from error
    return EngineContent(layers, dict(described))


def _layer(entry: Any, nodes: Sequence[str]) -> EngineLayer:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{entry!r} is a name only: the engine was built without detailed verbosity")
    inputs, constants, outputs = (
        tuple(_tensor(tensor) for tensor in entry.get(key, ())) for key in ("Inputs", "Constants", "Outputs")
    )
    return EngineLayer(
        entry["Name"], entry["LayerType"], inputs, constants, outputs, str(entry.get("TacticName", "")),
        int(entry.get("StreamId", 0)), nodes_in(entry.get("Metadata", ""), nodes),
    )  # fmt: skip


def _tensor(entry: Mapping[str, Any]) -> EngineTensor:
    if "Datatype" in entry:
        return EngineTensor(entry["Name"], _shape(entry["Dimensions"]), entry["Datatype"], str(entry.get("Format", "")))
    both = entry["Format/Datatype"]  # e.g. "Row major linear FP32 format"
    return EngineTensor(entry["Name"], _shape(entry["Dimensions"]), _dtype_in(both), both)


_WORDS = {"FP32": "Float", "FP16": "Half", "BF16": "BFloat16", "FP8": "FP8", "INT8": "Int8", "UINT8": "UInt8",
          "INT32": "Int32", "INT64": "Int64", "INT4": "Int4", "BOOL": "Bool"}  # fmt: skip


def _dtype_in(text: str) -> str:
    for word in re.findall(r"\w+", text):
        if word.upper() in _WORDS:
            return _WORDS[word.upper()]
    raise ValueError(f"no element type in '{text}'")


def _shape(dims: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(number) for number in dims)


def tensorrt_runner(flavor: str, plan: bytes) -> Any:
    """Polygraphy's runner of an engine; it is activated and closed by `with`.

    Polygraphy reads once, when it is first imported, which of the libraries it shall use.
    """
    if flavor == "tensorrt-rtx":
        os.environ["POLYGRAPHY_USE_TENSORRT_RTX"] = "1"
    from polygraphy.backend.trt import EngineFromBytes, TrtRunner

    return TrtRunner(EngineFromBytes(plan))


@dataclass(frozen=True)
class Timing:
    """Latencies in seconds: median and percentiles of the runs after the warm-up."""

    runs: int
    median: float
    p90: float
    p99: float
    note: str = CLOCK_NOTE


def time_runs(run: Callable[[], Any], *, warm_up: int = 20, runs: int = 100) -> Timing:
    """Time a function that returns when the GPU is done, as a runner's `infer` does."""
    for _ in range(warm_up):
        run()
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    median, p90, p99 = (float(np.percentile(taken, share)) for share in (50, 90, 99))
    return Timing(runs, median, p90, p99)
