"""Models that are cut: which part gets which nodes, and that the chain of parts computes what the model computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from engines.building import model_of
from engines.rtx import needs_rtx

from planish.compiler.errors import EvaluationError, ModelError, OptionError, UnsupportedModelError
from planish.runtime.command_line import run
from planish.runtime.engines import chain
from planish.runtime.engines.build import build_parts
from planish.runtime.engines.chain import Chain, read_manifest
from planish.runtime.engines.cutting import cut
from planish.runtime.onnxruntime_session import open_session

TEXT = """
    g (float[N,4] x) => (float[M,4] y, uint8[N,4] b) {
        [one] a = Mul (x, w)
        [two] c = Relu (a)
        [three] d = Sigmoid (c)
        [as_bytes] u = Cast <to = 2> (d)
        [shift] s = BitShift <direction = "LEFT"> (u, n)
        [as_floats] f = Cast <to = 1> (s)
        [four] h = Add (f, d)
        [five] i = Tanh (h)
        [six] y = Softmax (i)
        [out] b = Identity (s)
    }"""
WEIGHTS = {"w": np.linspace(-9, 9, 4, dtype=np.float32), "n": np.array([1], np.uint8)}


def test_parts_are_in_an_order_in_which_they_run() -> None:
    parts = cut(model_of(TEXT, **WEIGHTS), {"shift", "as_bytes", "as_floats", "out"})
    assert [(part.kind, part.node_names) for part in parts] == [
        ("tensorrt", ["one", "two", "three"]),
        ("rest", ["as_bytes", "shift", "as_floats", "out"]),
        ("tensorrt", ["four", "five", "six"]),
    ]
    assert [(part.inputs, part.outputs) for part in parts] == [(["x"], ["d"]), (["d"], ["b", "f"]), (["f", "d"], ["y"])]


def test_nodes_in_bodies_decide_for_the_node_around_them() -> None:
    model = model_of("""
        g (bool c, float[3] x, float[3] w) => (float[3] y) {
            [before] a = Neg (x)
            [choice] y = If (c) <then_branch = t () => (float[3] r) { [inner] r = Add (a, w) },
                                 else_branch = e () => (float[3] s) { s = Identity (a) }>
        }""")
    before, choice = cut(model, {"inner"})
    assert (before.node_names, choice.node_names) == (["before"], ["choice"])
    assert choice.kind == "rest" and choice.inputs == ["c", "a", "w"]
    assert [part.node_names for part in cut(model, set())] == [["before", "choice"]]


@needs_rtx
def test_the_chain_of_parts_computes_what_the_model_computes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "cuda_devices", lambda: 0)
    model = model_of(TEXT, **WEIGHTS)
    onnx.save(model, tmp_path / "model.onnx")
    folder = tmp_path / "parts"
    command = ["build", str(tmp_path / "model.onnx"), "--partition", str(folder), "--profile", "x=1x4:2x4:8x4"]
    assert run(command) == 0
    manifest = read_manifest(folder)
    assert [part["kind"] for part in manifest["parts"]] == ["tensorrt", "rest", "tensorrt"]
    assert "does not take this BitShift" in capsys.readouterr().out
    assert all((folder / part["plan"]).stat().st_size > 1000 for part in manifest["parts"] if part["plan"])
    feeds = {"x": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)}
    session = open_session(model)
    expected = dict(zip(session.output_names, session.run(feeds)))
    found = Chain(folder).run(feeds)
    assert list(found) == ["y", "b"]
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5)
    with pytest.raises(EvaluationError, match="lacks x"):
        Chain(folder).run({})


@needs_rtx
def test_parts_with_engines_are_opened_by_the_caller(tmp_path: Path) -> None:
    onnx.save(model_of(TEXT, **WEIGHTS), tmp_path / "model.onnx")
    build_parts(tmp_path / "model.onnx", tmp_path / "parts", profiles=["x=2x4"])
    opened = []

    def open_engine(folder: Path, part):  # type: ignore[no-untyped-def]
        opened.append(part["plan"])
        session = open_session(folder / part["model"])
        return lambda feeds: dict(zip(session.output_names, session.run(feeds)))

    Chain(tmp_path / "parts", open_engine).run({"x": np.ones((2, 4), np.float32)})
    assert opened == ["part0.tensorrt.plan", "part2.tensorrt.plan"]


@needs_rtx
def test_engines_are_run_where_a_device_answers_and_let_go_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(model_of(TEXT, **WEIGHTS), tmp_path / "model.onnx")
    manifest = build_parts(tmp_path / "model.onnx", tmp_path / "parts", profiles=["x=2x4"])
    plans = {(tmp_path / "parts" / p["plan"]).read_bytes(): p["model"] for p in manifest["parts"] if p["plan"]}
    open_now: list[str] = []

    class Runner:
        """Stands for Polygraphy's runner, and computes in ONNX Runtime."""

        def __init__(self, flavor: str, plan: bytes) -> None:
            assert flavor == "tensorrt-rtx"
            self.model = plans[plan]

        def __enter__(self) -> Runner:
            open_now.append(self.model)
            return self

        def __exit__(self, *_: object) -> None:
            open_now.remove(self.model)

        def infer(self, feeds):  # type: ignore[no-untyped-def]
            session = open_session(tmp_path / "parts" / self.model)
            return dict(zip(session.output_names, session.run(feeds)))

    monkeypatch.setattr(chain, "cuda_devices", lambda: 1)
    monkeypatch.setattr(chain, "tensorrt_runner", Runner)
    with Chain(tmp_path / "parts") as parts:
        assert sorted(open_now) == sorted(plans.values()) and len(open_now) == 2
        assert list(parts.run({"x": np.ones((2, 4), np.float32)})) == ["y", "b"]
    assert open_now == []


@needs_rtx
def test_what_leaves_nothing_for_an_engine_is_refused(tmp_path: Path) -> None:
    model = model_of('g (uint8[4] a) => (uint8[4] z) { z = BitShift <direction = "LEFT"> (a, a) }')
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(UnsupportedModelError, match="no part of the model that is worth an engine"):
        build_parts(tmp_path / "m.onnx", tmp_path / "parts")
    assert {file.name for file in tmp_path.iterdir()} == {"m.onnx"}


@needs_rtx
def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    onnx.save(model_of(TEXT, **WEIGHTS), tmp_path / "model.onnx")
    with pytest.raises(OptionError, match="exists"):
        build_parts(tmp_path / "model.onnx", tmp_path, profiles=["x=2x4"])


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no manifest of parts"):
        Chain(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(ModelError, match="no manifest that this version writes"):
        Chain(tmp_path)
