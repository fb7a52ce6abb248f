"""Networks for tests: of models written as text, or built layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from planish.runtime.comparison import compare_output
from planish.runtime.engines.adapter import ParsedNetwork, load_backend, parse
from planish.runtime.lifting.lifting import Lifted, lift
from planish.runtime.onnxruntime_session import open_session
from planish.runtime.samples import draw

pytest.importorskip("tensorrt_rtx", reason="pip install 'planish[tensorrt-rtx]'")

Feeds = Mapping[str, Any]


def model_of(text: str, opset: int = 21) -> ModelProto:
    """A model in ONNX's text form, without its head."""
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}]>\ng {text}')
    onnx.checker.check_model(model)
    return model


def parsed(model: ModelProto) -> ParsedNetwork:
    """The network of a model that the parser takes."""
    found = parse(load_backend("tensorrt-rtx"), model.SerializeToString())
    assert found.ok, [str(message) for message in found.messages]
    return found


def lifted(model: ModelProto) -> Lifted:
    network = parsed(model)
    return lift(network.network, network.backend.module)


def drawn(model: ModelProto, **sizes: int) -> dict[str, np.ndarray]:
    """Inputs for a model; sizes of its open dimensions, 3 for others."""
    feeds = {}
    for number, info in enumerate(model.graph.input):
        kind = info.type.tensor_type
        shape = tuple(d.dim_value if d.HasField("dim_value") else sizes.get(d.dim_param, 3) for d in kind.shape.dim)
        array = draw(np.random.default_rng(number), kind.elem_type, shape, "normal")
        assert array is not None
        feeds[info.name] = array
    return feeds


def differences(model: ModelProto, feeds: Feeds, again: ModelProto | None = None) -> list[str]:
    """What a model and its lifted network do not have in common."""
    before, after = open_session(model), open_session(again or lifted(model).model)
    if before.interface != after.interface:
        return [f"{before.interface} became {after.interface}"]
    found = zip(before.output_names, before.run(feeds), after.run(feeds), strict=True)
    return [f"{name}: {problem}" for name, want, got in found if (problem := compare_output(name, want, got).problem)]


class Built:
    """A network that is built layer by layer, for what the parser does not make."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str]] = []
        self.backend = load_backend("tensorrt-rtx")
        self.trt = self.backend.module
        self.builder = self.backend.builder(self.backend.logger(self.records))
        self.network = self.backend.network(self.builder)
        self.kept: list[Any] = []

    def input(self, name: str, array: np.ndarray) -> Any:
        names = {"float32": "FLOAT", "float16": "HALF", "bool": "BOOL", "int32": "INT32", "int64": "INT64"}
        return self.network.add_input(name, getattr(self.trt.DataType, names[array.dtype.name]), array.shape)

    def constant(self, array: np.ndarray) -> Any:
        """The array must live as long as the network."""
        self.kept.append(array)
        return self.network.add_constant(array.shape, self.trt.Weights(array)).get_output(0)


def run_built(make: Callable[[Built, Any], Any], x: np.ndarray) -> list[np.ndarray]:
    """Outputs of the lifted network that `make` builds on an input x."""
    built = Built()
    layer = make(built, built.input("x", x))
    assert layer is not None, built.records
    for index in range(layer.num_outputs):
        output = layer.get_output(index)
        output.name = f"y{index}"
        built.network.mark_output(output)
    found = lift(built.network, built.trt)
    return open_session(found.model).run({"x": x})
