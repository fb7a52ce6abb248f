"""Engines on a GPU, against a stand-in for the library and recorded descriptions: nothing here ran on hardware."""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from engines.fake_tensorrt import fake_module

from planish.compiler.errors import BackendError
from planish.runtime.engines import execution
from planish.runtime.engines.adapter import Backend, backend_of
from planish.runtime.engines.execution import inspect_engine, open_engine, read_inspection, time_runs

OF_10 = {
    "Layers": [
        {
            "Name": "conv + relu", "LayerType": "CaskConvolution", "TacticName": "sm80_xmma_fprop", "StreamId": 0,
            "Metadata": "[ONNX Layer: conv][ONNX Layer: relu]",
            "Inputs": [{"Name": "x", "Location": "Device", "Dimensions": [1, 4, 8, 8],
                        "Format/Datatype": "Row major linear FP32 format"}],
            "Outputs": [{"Name": "y", "Location": "Device", "Dimensions": [1, 8, 8, 8],
                         "Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}],
        }
    ],
    "Bindings": ["x", "y"],
}  # fmt: skip
OF_11 = {
    "Layers": [
        {
            "Name": "conv_myl0_1", "LayerType": "correlation", "TacticName": "", "StreamId": 0,
            "Metadata": "[ONNX Layer: conv][ONNX Layer: relu]", "Constants": [],
            "Inputs": [{"Name": "x", "Dimensions": [1, 4, 8, 8], "Datatype": "Float", "Format": "Linear"}],
            "Outputs": [{"Name": "y", "Dimensions": [1, 8, 8, 8], "Datatype": "Half", "Format": "NHWC"}],
        }
    ],
    "I/O Tensors": [
        {"Name": "x", "IOMode": "Input", "DataType": "Float", "Dimensions": [1, 4, 8, 8]},
        {"Name": "y", "IOMode": "Output", "DataType": "Half", "Dimensions": [1, 8, 8, 8]},
    ],
}


@pytest.mark.parametrize("found", [OF_10, OF_11], ids=["TensorRT 10", "TensorRT 11"])
def test_descriptions_of_both_versions_are_read(found: dict[str, Any]) -> None:
    content = read_inspection(json.dumps(found), ["conv", "relu"])
    layer, = content.layers
    assert layer.nodes == ("conv", "relu") and layer.role == "compute"
    assert [(t.dtype, t.shape) for t in (*layer.inputs, *layer.outputs)] == [
        ("Float", (1, 4, 8, 8)), ("Half", (1, 8, 8, 8)),
    ]
    assert content.bindings == {"x": ("Input", "Float", (1, 4, 8, 8)), "y": ("Output", "Half", (1, 8, 8, 8))}


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"Layers": []}', '{"Layers": ["conv + relu"], "Bindings": []}', '{"Layers": [{"Name": "conv"}]}'],
)
def test_descriptions_in_another_form_fail_loudly(text: str) -> None:
    with pytest.raises(BackendError, match="in another form than is known"):
        read_inspection(text, [])


def library(engine: Any) -> Backend:
    """A library whose runtime loads this engine, or says why it does not."""

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def deserialize_cuda_engine(self, plan: bytes) -> Any:
            if engine is None:
                self.logger.log(SimpleNamespace(name="ERROR"), "Serialization assertion  failed: version mismatch")
            return engine

    module = fake_module("11.4.0.106", 0)
    module.Runtime = Runtime
    module.LayerInformationFormat = SimpleNamespace(JSON="json")
    return backend_of(module)


def test_an_engine_is_opened_and_described() -> None:
    inspector = SimpleNamespace(get_engine_information=lambda form: json.dumps(OF_11) if form == "json" else "")
    opened = open_engine(library(SimpleNamespace(create_engine_inspector=lambda: inspector)), b"plan")
    assert inspect_engine(opened, ["conv", "relu"]).dtypes() == {"Float": 1}


def test_an_engine_that_cannot_be_loaded_is_an_error_with_the_reason() -> None:
    with pytest.raises(BackendError, match="cannot load the engine: Serialization assertion failed") as raised:
        open_engine(library(None), b"plan")
    assert "version that built it" in raised.value.hint


def test_times_are_percentiles_of_the_runs_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    calls = []

    def run() -> None:
        calls.append(1)
        now[0] += 1000.0 if len(calls) <= 5 else float(len(calls) - 5)

    monkeypatch.setattr(execution.time, "perf_counter", lambda: now[0])
    timing = time_runs(run, warm_up=5, runs=101)
    assert len(calls) == 106
    assert (timing.runs, timing.median, timing.p90, timing.p99) == (101, 51.0, 91.0, 100.0)
    assert "lock-gpu-clocks" in timing.note


@pytest.mark.parametrize("flavor, wanted", [("tensorrt-rtx", "1"), ("tensorrt", None)])
def test_the_runner_is_told_which_library_the_engine_is_of(
    monkeypatch: pytest.MonkeyPatch, flavor: str, wanted: str | None
) -> None:
    trt = SimpleNamespace(EngineFromBytes=lambda plan: ("loader", plan), TrtRunner=lambda loader: ("runner", loader))
    monkeypatch.setitem(sys.modules, "polygraphy.backend.trt", trt)
    monkeypatch.setenv("POLYGRAPHY_USE_TENSORRT_RTX", "0")
    monkeypatch.delenv("POLYGRAPHY_USE_TENSORRT_RTX")
    assert execution.tensorrt_runner(flavor, b"plan") == ("runner", ("loader", b"plan"))
    assert os.environ.get("POLYGRAPHY_USE_TENSORRT_RTX") == wanted
