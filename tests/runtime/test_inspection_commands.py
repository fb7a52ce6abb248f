"""`planish inspect`, `planish passes` and `planish model`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from planish.models import BUILDERS, TRAINED, build, trained
from planish.passes import PASSES, PIPELINES
from planish.runtime.command_line import run

Call = Callable[..., str]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command, which must succeed and complain about nothing: stdout."""

    def called(*words: object) -> str:
        assert run([str(word) for word in words]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return called


def test_inspect_shows_what_a_model_holds(call: Call) -> None:
    shown = call("inspect", trained("digits_cnn"))
    for text in ("image: float[batch, 1, 8, 8]", "logits: float[batch, 10]", "ai.onnx 13"):
        assert text in shown
    assert ["BatchNormalization", "7"] in [line.split() for line in shown.splitlines()]
    assert "FLOPs (with batch = 1)" in shown
    assert "FLOPs (" not in call("inspect", trained("digits_cnn"), "--input-shape", "image:1,1,8,8")


def test_inspect_json_counts_as_optimize_does(call: Call, tmp_path: Path) -> None:
    held = json.loads(call("inspect", trained("digits_gru"), "--json"))
    account = json.loads(call("optimize", trained("digits_gru"), tmp_path / "out.onnx", "--json"))
    for key in ("nodes", "flops", "parameters", "weight_bytes", "moved_bytes"):
        assert held[key] == account[key]["before"]
    after = json.loads(call("inspect", tmp_path / "out.onnx", "--json"))
    assert after["ops"] == {name: sides["after"] for name, sides in account["ops"].items() if sides["after"]}


def test_inspect_text_shows_every_node(call: Call) -> None:
    text = call("inspect", trained("digits_gru"), "--text")
    for node in onnx.load(trained("digits_gru")).graph.node:
        assert f"= {node.op_type}(" in text


def test_inspect_shows_other_kinds_of_inputs(call: Call, tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 17, "local" : 1]>
        g (seq(float[N]) s, float[3] w = {1, 2, 3}, float x) => (float[M] y) { y = local.Join (s) }
        <domain: "local", opset_import: ["" : 17]> Join (s) => (y) { y = ConcatFromSequence <axis = 0> (s) }"""
    )
    onnx.save(proto, tmp_path / "model.onnx")
    shown = call("inspect", tmp_path / "model.onnx")
    for text in ("s: sequence", "w: float[3] (has a default)", "x: float[]", "local::Join"):
        assert text in shown


def test_passes_lists_every_pass_and_pipeline(call: Call) -> None:
    shown = call("passes")
    assert all(name in shown for name in [*PASSES, *PIPELINES])
    described = json.loads(call("passes", "--json"))
    assert [entry["name"] for entry in described["passes"]] == list(PASSES)
    assert described["pipelines"] == PIPELINES
    assert all(entry["page"] and entry["from"] == "planish" for entry in described["passes"])


@pytest.mark.parametrize("name", PASSES)
def test_passes_explains_each(call: Call, name: str) -> None:
    page = call("passes", "--explain", name)
    assert page.startswith(f"{name} (") and "Legal when" in page
    for key, default in json.loads(call("passes", "--explain", name, "--json"))["passes"][0]["options"].items():
        assert f"{key}={json.dumps(default)}" in page


def test_model_lists_what_there_is(call: Call) -> None:
    assert all(name in call("model") for name in [*BUILDERS, *TRAINED])


def test_model_writes_a_built_or_trained_one(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("model", "digits_cnn") == "wrote digits_cnn.onnx\n"
    assert (tmp_path / "digits_cnn.onnx").read_bytes() == trained("digits_cnn").read_bytes()
    call("model", "yolo_head", "y.onnx", "--seed", "3")
    assert onnx.load("y.onnx") == build("yolo_head", 3) != build("yolo_head", 0)
