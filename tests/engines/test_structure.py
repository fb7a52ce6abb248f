"""Level 3 of the proof: what counts as the same interface, as a lost node, and as a missed precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from engines.building import model_of

from planish.compiler.inference import infer_model
from planish.compiler.model import Model
from planish.compiler.reading import load
from planish.runtime.engines.structure import check_structure, fates

TEXT = """
    g (float[N,3] x, int64 n) => (float[N,3] y, int64 m) {
        [add] a = Add (x, w)
        [fold] b = Mul (w, w)
        [end] y = Add (a, b)
        [same] m = Identity (n)
    }"""
BINDINGS: dict[str, Any] = {
    "x": ["Input", "Float", [-1, 3]], "n": ["Input", "Int64", []], "y": ["Output", "Float", [-1, 3]],
    "m": ["Output", "Int64", []],
}  # fmt: skip
ENGINE: list[dict[str, Any]] = [{"name": "kernel", "nodes": ["add", "end"], "inputs": [], "constants": []}]
NETWORK: list[dict[str, Any]] = [{"nodes": ["add"]}, {"nodes": ["end"]}, {"nodes": ["fold"]}]


def model(text: str = TEXT, **weights: np.ndarray) -> Model:
    loaded = load(model_of(text, **(weights or {"w": np.ones(3, np.float32)})))
    infer_model(loaded)
    return loaded


def check(bindings: dict[str, Any], network: list[dict[str, Any]] = NETWORK) -> dict[str, Any]:
    return check_structure(model(), bindings, fates(model(), network, ENGINE), ENGINE)


def test_every_node_has_a_fate() -> None:
    found = fates(model(), NETWORK, ENGINE)
    assert {name: entry["fate"] for name, entry in found.items()} == {
        "add": "kernel", "end": "kernel", "fold": "folded by the builder", "same": "read by the parser",
    }
    assert found["add"]["kernels"] == ["kernel"] and found["add"]["op"] == "Add"
    assert check(BINDINGS) == {"status": "passed", "failures": [], "findings": []}


def test_a_node_that_is_nowhere_is_lost() -> None:
    engine = [{**ENGINE[0], "nodes": ["end"]}]
    found = fates(model(), [{"nodes": ["end"]}, {"nodes": ["fold"]}], engine)
    made = check_structure(model(), BINDINGS, found, engine)
    assert (made["status"], made["failures"]) == ("failed", ["Add add is in no layer"])


@pytest.mark.parametrize(
    "name, binding, failure",
    [
        ("x", ["Input", "Half", [-1, 3]], "input x is Half in the engine, float in the model"),
        ("y", ["Output", "Float", [-1, 4]], "output y has the shape [-1, 4] in the engine"),
        ("y", ["Output", "Float", [3]], "output y has the shape [3] in the engine"),
        ("x", ["Output", "Float", [-1, 3]], "the engine's inputs are ['n'], the model's ['x', 'n']"),
        ("x", ["Input", "Float9", [-1, 3]], "input x is Float9 in the engine"),
    ],
)
def test_another_interface_fails(name: str, binding: list[Any], failure: str) -> None:
    made = check({**BINDINGS, name: binding})
    assert made["status"] == "failed" and any(text.startswith(failure) for text in made["failures"]), made


def test_an_open_dimension_may_be_known_in_the_engine() -> None:
    assert check({**BINDINGS, "y": ["Output", "Float", [8, 3]]})["status"] == "passed"


@pytest.mark.parametrize("dtype, findings", [("Int8", 0), ("Float", 1)])
def test_a_quantized_layer_in_float_is_a_finding(dtype: str, findings: int) -> None:
    quantized = model(
        """
        g (float[1,2,4,4] x) => (float[1,2,4,4] y) {
            [q] q = QuantizeLinear (x, s, z)
            [d] d = DequantizeLinear (q, s, z)
            [e] e = DequantizeLinear (w, s, z)
            [conv] y = Conv (d, e)
        }""", s=np.array(0.1, np.float32), z=np.array(0, np.int8), w=np.ones((2, 2, 1, 1), np.int8),
    )  # fmt: skip
    layers = [{"name": "k", "nodes": ["q", "d", "e", "conv"], "inputs": [{"dtype": dtype}], "constants": []}]
    bindings = {"x": ["Input", "Float", [1, 2, 4, 4]], "y": ["Output", "Float", [1, 2, 4, 4]]}
    made = check_structure(quantized, bindings, fates(quantized, layers, layers), layers)
    assert made["status"] == "passed" and len(made["findings"]) == findings
    assert all("Conv conv could run in Int8, but reads Float" in text for text in made["findings"])
