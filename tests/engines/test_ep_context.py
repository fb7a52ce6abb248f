"""ONNX models with an engine inside."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime
import pytest
from engines.rtx import needs_rtx

from planish.compiler.errors import ModelError, OptionError
from planish.models import trained
from planish.runtime.command_line import run
from planish.runtime.engines.ep_context import engine_in, ep_context_model

MADE = {
    "source": "some/model.onnx",
    "backend": {"flavor": "tensorrt-rtx", "version": "1.7.1.116", "compute_capabilities": ["8.9"]},
    "bindings": {"x": ["Input", "Half", [-1, 3]], "y": ["Output", "Int64", [-1]]},
}


def test_the_engine_and_its_interface_come_back() -> None:
    model = ep_context_model(b"\x00plan", MADE)
    onnx.checker.check_model(model)
    assert engine_in(model) == b"\x00plan"
    x, y = model.graph.input[0], model.graph.output[0]
    assert (x.name, x.type.tensor_type.elem_type, x.type.tensor_type.shape.dim[1].dim_value) == ("x", 10, 3)
    assert (y.name, y.type.tensor_type.elem_type) == ("y", 7) and x.type.tensor_type.shape.dim[0].dim_param


def test_what_is_no_engine_for_the_provider_is_refused() -> None:
    with pytest.raises(OptionError, match="engines of tensorrt-rtx"):
        ep_context_model(b"", {**MADE, "backend": {**MADE["backend"], "flavor": "tensorrt"}})  # type: ignore[dict-item]
    with pytest.raises(ModelError, match="for which ONNX has no name"):
        ep_context_model(b"", {**MADE, "bindings": {"x": ["Input", "Int5", [1]]}})
    with pytest.raises(ModelError, match="holds no engine"):
        engine_in(onnx.load(trained("digits_cnn")))


@needs_rtx
def test_a_build_writes_a_model_that_runtimes_without_the_provider_refuse(tmp_path: Path) -> None:
    plan, model = tmp_path / "d.plan", tmp_path / "d.engine.onnx"
    command = ["build", str(trained("digits_cnn")), "-o", str(plan), "--profile", "image=1x1x8x8", "-q"]
    assert run([*command, "--ep-context", str(model)]) == 0
    assert engine_in(onnx.load(model)) == plan.read_bytes()
    with pytest.raises(Exception, match="EPContext"):
        onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
