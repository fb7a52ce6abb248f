"""Failures of `planish`: one line on stderr, the right status, nothing half-written, no traceback unless asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import ModelProto, TensorProto, helper

from planish.runtime.command_line import run

PLANISH = [sys.executable, "-c", "from planish.runtime.command_line import main; main()"]
MODEL = """
<ir_version: 10, opset_import: ["" : 17]>
g (float[N,4] x) => (float[N,4] y) { i = Identity (x)  y = Relu (i) }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a good model and several bad files."""
    onnx.save(onnx.parser.parse_model(MODEL), tmp_path / "good.onnx")
    (tmp_path / "text.onnx").write_text("this is no model")
    broken = onnx.parser.parse_model(MODEL)
    broken.graph.node[1].input[0] = "nowhere"
    onnx.save(broken, tmp_path / "broken.onnx")
    onnx.save(outside(), tmp_path / "outside.onnx")
    np.savez(tmp_path / "wrong.npz", other=np.zeros(3))
    (tmp_path / "nothing.npz").write_bytes(b"no archive")
    (tmp_path / "fail.py").write_text(dedent(FAILING))
    monkeypatch.chdir(tmp_path)
    return tmp_path


FAILING = """
    import planish

    @planish.graphsurgeon_pass("fail")
    def fail(graph):
        raise ValueError("too bad")
"""
SLOW = """
    import time
    import planish

    @planish.graphsurgeon_pass("sleep")
    def sleep(graph):
        print("asleep", flush=True)
        time.sleep(60)
"""


def outside() -> ModelProto:
    """A model whose weight lies in a file outside of its folder."""
    proto = onnx.parser.parse_model(MODEL)
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="../../etc/passwd")
    proto.graph.initializer.append(weight)
    proto.graph.node.append(helper.make_node("Add", ["y", "w"], ["q"]))
    return proto


@pytest.mark.parametrize(
    "command, status, complaint",
    [
        ("optimize", 2, "Missing argument 'IN.onnx'"),
        ("optimise good.onnx", 2, "No such command 'optimise'"),
        ("good.onnx out.onnx", 2, "planish optimize good.onnx out.onnx"),
        ("optimize good.onnx --verbose", 2, "No such option"),
        ("optimize good.onnx --verify twice", 2, "--verify"),
        ("optimize good.onnx --passes fuse-nothing", 2, "there is no pass 'fuse-nothing'"),
        ("optimize good.onnx --passes fold-constants{x=1}", 2, "has no option 'x'"),
        ("optimize good.onnx --skip fuse-nothing", 2, "there is no pass 'fuse-nothing'"),
        ("optimize good.onnx --outputs z", 2, "the model has no output 'z' (its outputs: y)"),
        ("optimize good.onnx --drop-output y", 2, "no output would be left"),
        ("optimize good.onnx --input-shape x:1,5", 2, "axis 1 of input 'x' is 4 in the model, so it cannot be 5"),
        ("optimize good.onnx --input-shape x=1,4", 2, "'x=1,4' is no shape (write it as x:1,3,224,224)"),
        ("optimize good.onnx --samples gone.npz", 2, "gone.npz"),
        ("optimize good.onnx --samples nothing.npz", 2, "nothing.npz"),
        ("optimize good.onnx --samples text.onnx", 2, "are no .npz file of arrays"),
        ("optimize good.onnx --plugin gone.py", 2, "plugin 'gone.py' cannot be read"),
        ("optimize good.onnx --fold-budget lots", 2, "fold_budget must be a number of bytes"),
        ("optimize good.onnx --grep (", 2, "'(' is no regular expression"),
        ("optimize good.onnx gone/out.onnx", 8, "the folder of 'gone/out.onnx' does not exist (mkdir -p gone)"),
        ("optimize good.onnx .", 8, "'.' is a folder (name the file to write)"),
        ("optimize gone.onnx", 3, "gone.onnx: there is no such file"),
        ("optimize text.onnx", 3, "text.onnx: this is not an ONNX model"),
        ("optimize broken.onnx", 3, "value 'nowhere' is read, but nothing produces it"),
        ("optimize outside.onnx", 3, "external data outside of the model's folder: '../../etc/passwd'"),
        ("optimize good.onnx --opset 99", 4, "there is no opset 99"),
        ("optimize good.onnx --plugin fail.py", 5, "pass fail failed: ValueError: too bad"),
        ("inspect gone.onnx", 3, "gone.onnx: there is no such file"),
        ("passes --explain nothing", 2, "there is no pass 'nothing'"),
        ("passes --explain fuse-bach-norm", 2, "did you mean fuse-batch-norm"),
        ("model nothing", 2, "there is no model 'nothing'"),
        ("model digits_cnn gone/x.onnx", 8, "the folder of 'gone/x.onnx' does not exist"),
    ],
)
def test_a_failure_is_one_line_and_a_status(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, status: int, complaint: str
) -> None:
    there = set(folder.iterdir())
    assert run(command.split()) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and captured.err.startswith("planish: ") and complaint in captured.err
    left = {path.name for path in set(folder.iterdir()) - there} - {"__pycache__"}
    assert left == ({"good.optimized.failed"} if status == 5 else set())


def test_debug_shows_the_traceback(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["optimize", "gone.onnx", "--debug"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_json_leaves_stdout_empty_on_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["optimize", "broken.onnx", "--json"]) == 3
    assert capsys.readouterr().out == ""


def test_a_failed_pass_says_where_it_left_the_reproducer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["optimize", "good.onnx", "--plugin", "fail.py", "--reproducer", "here"]) == 5
    assert "'here' shows it again" in capsys.readouterr().err
    names = {path.name for path in (folder / "here").iterdir()}
    assert names == {"before.onnx", "pipeline.txt", "command.txt", "error.txt", "fail.py"}


def test_an_error_of_ours_is_called_that(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("planish.runtime.inspect_command.infer_model", fails)
    assert run(["inspect", "good.onnx"]) == 1
    assert "internal error, ZeroDivisionError: oh" in capsys.readouterr().err


def test_a_full_disk_leaves_what_was_there(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "out.onnx").write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert run(["optimize", "good.onnx", "out.onnx", "--verify", "off"]) != 0
    assert "No space left on device" in capsys.readouterr().err
    assert (folder / "out.onnx").read_bytes() == b"old"
    assert not [path for path in folder.iterdir() if path.name.startswith(".out")]


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "optimize" in capsys.readouterr().out


def test_an_interrupt_leaves_nothing_behind(folder: Path) -> None:
    (folder / "sleep.py").write_text(dedent(SLOW))
    there = set(folder.iterdir())
    command = [*PLANISH, "optimize", "good.onnx", "--plugin", "sleep.py"]
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts with & would ignore it
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, usual)
    assert process.stdout is not None and process.stdout.readline() == "asleep\n"
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == 130
    assert complaints.strip() == "planish: interrupted; nothing was written"
    assert {path.name for path in set(folder.iterdir()) - there} <= {"__pycache__"}


def test_a_reader_that_goes_away_is_no_traceback(folder: Path) -> None:
    command = [*PLANISH, "passes", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    os.close(process.stdout.fileno())
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.returncode == 1
    assert process.stderr is not None and process.stderr.read() == ""
