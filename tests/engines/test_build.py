"""`planish build` from model to engine and report, on TensorRT-RTX, which needs no GPU."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from engines.rtx import needs_rtx

from planish.compiler.errors import BackendError, ModelError, OptionError, UnsupportedModelError
from planish.models import trained
from planish.runtime.command_line import run
from planish.runtime.engines.build import Build, Refused, build, choose_backend, report_file
from planish.runtime.engines.inspection import read_report
from planish.runtime.engines.isolation import Crash

PROFILE = "image=1x1x8x8:4x1x8x8:8x1x8x8"


def model(folder: Path, text: str, **weights: np.ndarray) -> Path:
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]> {text}')
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in weights.items())
    path = folder / "model.onnx"
    onnx.save(proto, path)
    return path


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The trained digits model as an engine of two profiles."""
    folder = tmp_path_factory.mktemp("digits")
    return build(
        trained("digits_cnn"), folder / "digits.plan", profiles=[PROFILE, "image=9x1x8x8:16x1x8x8:32x1x8x8"]
    )


@needs_rtx
def test_a_trained_model_builds_with_levels_of_proof(digits: Build) -> None:
    made = digits.report
    assert digits.proven and digits.plan.stat().st_size == made["bytes"]["plan"] > 10_000
    assert made["parity"]["L1"]["status"] == "proven" and made["parity"]["L3"]["status"] == "passed"
    assert made["parity"]["L2"]["status"] == "proven" and made["parity"]["L2"]["worst"] < 1e-5
    assert made["parity"]["L4"] == {"status": "not-run", "reason": "no CUDA device"} and made["executed"] is False
    assert made["backend"]["strongly_typed"] and made["backend"]["flags"] == []
    assert len(made["backend"]["profiles"]) == 2
    assert made["bindings"]["image"] == ["Input", "Float", [-1, 1, 8, 8]]
    assert set(made["engine"]["kernels"]) <= {"Float", "-"}
    conv = next(layer for layer in made["engine"]["list"] if any("stem.conv" in name for name in layer["nodes"]))
    assert conv["inputs"][0]["shape"] == [-1, 1, 8, 8] and conv["inputs"][0]["dtype"] == "Float"
    assert all(entry["fate"] != "lost" for entry in made["nodes"].values())
    assert "stem.bn" in {name for entry in made["nodes"].values() for name in entry["origins"]}
    assert set(made["seconds"]) == {"optimize", "parse", "lift", "build"}


@needs_rtx
def test_a_network_that_cannot_be_read_back_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lift is replaced by one that does not know a layer, in the process that would have used it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'planish.runtime.engines.worker' in sys.orig_argv:\n"
        "    from planish.compiler.errors import UnsupportedModelError\n"
        "    from planish.runtime.lifting import lifting\n"
        "    def lift(network, module): raise UnsupportedModelError('there is no counterpart of MOE')\n"
        "    lifting.lift = lift\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = build(trained("tumours_mlp"), tmp_path / "m.plan", profiles=["measurements=1x30"])
    reason = "the network cannot be read back: there is no counterpart of MOE"
    assert made.report["parity"]["L2"] == {"status": "not-run", "reason": reason} and made.proven


@needs_rtx
def test_what_the_parser_made_of_a_model_is_compared_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trilu without the attribute is read as the lower triangle; what refuses it is switched off here."""
    path = model(tmp_path, "g (float[4,4] x) => (float[4,4] y) { y = Trilu (x) }")
    monkeypatch.setattr("planish.runtime.engines.build.misread", lambda node: "")
    wrong = build(path, tmp_path / "model.plan", passes="")
    assert wrong.report["parity"]["L1"]["status"] == "proven" and not wrong.proven
    lowering = wrong.report["parity"]["L2"]
    assert lowering["status"] == "mismatch" and "output 'y'" in lowering["reason"]
    assert build(path, tmp_path / "model.plan").proven


@needs_rtx
def test_the_report_stands_beside_the_engine_and_is_shown(digits: Build, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(digits.report_file.read_text()) == json.loads(json.dumps(digits.report))
    assert run(["inspect", str(digits.plan)]) == 0
    shown = capsys.readouterr().out
    assert "strongly typed" in shown and "correlation" in shown and "L3" in shown
    assert run(["inspect", str(digits.report_file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sha256"] == digits.report["sha256"]


@needs_rtx
def test_a_report_of_another_engine_is_not_believed(digits: Build, tmp_path: Path) -> None:
    other = tmp_path / "digits.plan"
    other.write_bytes(b"another engine")
    with pytest.raises(ModelError, match="there is no report"):
        read_report(other)
    report_file(other).write_text(digits.report_file.read_text())
    with pytest.raises(ModelError, match="report of another engine"):
        read_report(other)
    report_file(other).write_text("{}")
    with pytest.raises(ModelError, match="no report of a build that this version writes"):
        read_report(other)


@needs_rtx
def test_an_open_dimension_needs_a_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "digits.plan"
    assert run(["build", str(trained("digits_cnn")), "-o", str(plan)]) == 2
    said = capsys.readouterr().err
    assert "input image (?x1x8x8)" in said and "--profile 'image=1x1x8x8:4x1x8x8:16x1x8x8'" in said
    assert list(tmp_path.iterdir()) == []
    assert run(["build", str(trained("digits_cnn")), "-o", str(plan), "--input-shape", "image:2,1,8,8", "-q"]) == 0
    assert read_report(plan)["bindings"]["image"][2] == [2, 1, 8, 8]


@needs_rtx
def test_what_the_library_does_not_take_is_named_by_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = model(tmp_path, """
        g (uint8[4] a, float[4] x) => (uint8[4] z, float[4] y) {
            y = Relu (x)
            [shift] z = BitShift <direction = "LEFT"> (a, a)
        }""")
    with pytest.raises(Refused, match="does not take 1 of the nodes") as raised:
        build(path, tmp_path / "model.plan")
    assert [(p.name, p.op) for p in raised.value.problems] == [("shift", "BitShift")]
    assert run(["build", str(path)]) == 4
    assert "BitShift shift: the parser does not take this BitShift" in capsys.readouterr().err
    assert run(["build", str(path), "--json"]) == 4
    problem, = json.loads(capsys.readouterr().out)["refused"]
    assert (problem["name"], problem["op"], problem["severity"]) == ("shift", "BitShift", "error")
    assert {file.name for file in tmp_path.iterdir()} == {"model.onnx"}


@needs_rtx
def test_scales_that_are_not_known_are_refused_before_they_break_the_parser(tmp_path: Path) -> None:
    path = model(tmp_path, """
        g (float[4] x, float s) => (float[4] y) {
            [q] q = QuantizeLinear (x, s, z)
            [dq] y = DequantizeLinear (q, s, z)
        }""", z=np.array(0, np.int8))
    with pytest.raises(Refused, match="needs constant scales") as raised:
        build(path, tmp_path / "model.plan", passes="", backend="tensorrt-rtx")
    assert [problem.name for problem in raised.value.problems] == ["q", "dq"]
    assert {file.name for file in tmp_path.iterdir()} == {"model.onnx"}


@needs_rtx
def test_float64_inputs_and_outputs_are_refused(tmp_path: Path) -> None:
    path = model(tmp_path, "g (double[4] x) => (double[4] y) { y = Relu (x) }")
    with pytest.raises(Refused, match="computes this Relu in float32, the model says float64; x is double, which"):
        build(path, tmp_path / "model.plan", backend="tensorrt-rtx")


@needs_rtx
def test_float64_in_between_is_computed_in_float32_and_compared(tmp_path: Path) -> None:
    text = """
        g (float[4] x) => (float[4] y) {
            d = Cast <to = 11> (x)
            e = Tanh (d)
            y = Cast <to = 1> (e)
        }"""
    made = build(model(tmp_path, text), tmp_path / "model.plan")
    assert made.proven and [entry["op"] for entry in made.report["nodes"].values()] == ["Tanh"]
    with pytest.raises(Refused, match="computes this Cast in float32, the model says float64"):
        build(tmp_path / "model.onnx", tmp_path / "model.plan", skip="compute-doubles-in-float")


@needs_rtx
@pytest.mark.parametrize("opset, refused", [(6, True), (7, False), (99, True)])
def test_operators_of_opsets_that_were_not_tried_are_refused(tmp_path: Path, opset: int, refused: bool) -> None:
    path = model(tmp_path, "g (float[4] x) => (float[4] y) { y = Relu (x) }")
    proto = onnx.load(path)
    proto.opset_import[0].version = opset
    onnx.save(proto, path)
    if refused:
        with pytest.raises(UnsupportedModelError, match=f"from 7 to 28, the model has {opset}"):
            build(path, tmp_path / "model.plan", verify="off")
    else:
        assert build(path, tmp_path / "model.plan", verify="off").proven


@needs_rtx
def test_a_crash_of_the_library_ends_only_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser is replaced by one that breaks, in the process that would have used it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'planish.runtime.engines.worker' in sys.orig_argv:\n"
        "    import tensorrt_rtx\n"
        "    class Parser:\n"
        "        def __init__(self, network, logger): pass\n"
        "        def parse_from_file(self, path): os.kill(os.getpid(), 11)\n"
        "    tensorrt_rtx.OnnxParser = Parser\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    plan = tmp_path / "digits.plan"
    with pytest.raises(Crash, match=r"crashed with SIGSEGV while parsing .*digits_cnn") as raised:
        build(trained("digits_cnn"), plan, profiles=[PROFILE])
    assert "polygraphy debug reduce" in raised.value.hint and raised.value.exit_code == BackendError.exit_code
    assert not plan.exists() and not report_file(plan).exists()


@needs_rtx
def test_a_build_that_takes_too_long_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Crash, match=r"took longer than 0\.01 s"):
        build(trained("digits_cnn"), tmp_path / "digits.plan", profiles=[PROFILE], timeout=0.01)
    assert list(tmp_path.iterdir()) == []


@needs_rtx
def test_a_killed_build_leaves_neither_half_a_file_nor_a_process(tmp_path: Path) -> None:
    plan = tmp_path / "digits.plan"
    call = f"build({str(trained('digits_cnn'))!r}, {str(plan)!r}, profiles=[{PROFILE!r}])"
    code = f"from planish.runtime.engines.build import build; {call}"
    process = subprocess.Popen([sys.executable, "-c", code])
    worker = None
    end = time.monotonic() + 60
    while worker is None and process.poll() is None and time.monotonic() < end:
        worker = child_of(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert worker is not None, "the build ended before its process was seen"
    while Path(f"/proc/{worker}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
    assert list(tmp_path.iterdir()) == []


def child_of(process: int) -> int | None:
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        numbers = task.read_text().split()
        if numbers:
            return int(numbers[0])
    return None


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(["build", str(trained("digits_cnn")), "-o", str(tmp_path / "digits.plan")]) == 9
    assert "pip install 'planish[tensorrt-rtx]'" in capsys.readouterr().err
    with pytest.raises(BackendError, match="tensorrt is not installed"):
        choose_backend("tensorrt")
    with pytest.raises(OptionError, match="no backend 'trt'"):
        choose_backend("trt")


@pytest.mark.parametrize("devices, chosen", [(0, "tensorrt-rtx"), (1, "tensorrt")])
def test_auto_builds_with_what_works_here(monkeypatch: pytest.MonkeyPatch, devices: int, chosen: str) -> None:
    found: Any = object()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found)
    monkeypatch.setattr("planish.runtime.engines.build.cuda_devices", lambda: devices)
    assert choose_backend("auto") == chosen
