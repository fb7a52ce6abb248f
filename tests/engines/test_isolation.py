"""Steps in a process of their own: crashes, limits, and what is left of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from planish.compiler.errors import OptionError
from planish.runtime.engines import isolation
from planish.runtime.engines.isolation import Crash, run_isolated

PROGRAM = """
import os, sys, time
from pathlib import Path
from planish.runtime.engines.isolation import end_with_parent, enter_stage
end_with_parent()
folder = Path(sys.argv[1])
enter_stage(folder, "chewing")
print("so far so good", flush=True)
{body}
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A function that runs a body of Python isolated."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(body: str, **limits: float) -> None:
        (tmp_path / "chewer.py").write_text(PROGRAM.replace("{body}", body))
        run_isolated("chewer", tmp_path, "model.onnx", **limits)  # type: ignore[arg-type]

    return run


def test_an_end_without_trouble(program) -> None:  # type: ignore[no-untyped-def]
    program("pass")


@pytest.mark.parametrize(
    "body, said",
    [
        ("os.kill(os.getpid(), 11)", "crashed with SIGSEGV while chewing model.onnx; it said last: so far so good"),
        ("os.abort()", "crashed with SIGABRT while chewing model.onnx"),
        ("sys.exit(3)", "ended with status 3 while chewing model.onnx"),
    ],
)
def test_crashes_are_errors(program, body: str, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Crash) as raised:
        program(body)
    assert said in raised.value.what


def test_what_takes_too_long_is_ended(program) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Crash, match="took longer than 5 s"):
        program("time.sleep(60)", timeout=5)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_what_takes_too_much_memory_is_ended(program) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Crash, match="took more than 256 MiB of memory"):
        program("held = b'x' * (512 << 20); time.sleep(60)", memory=256 << 20, timeout=60)


def test_memory_cannot_be_limited_where_it_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "Path", lambda text: tmp_path / "nothing")
    with pytest.raises(OptionError, match="on Linux only"):
        run_isolated("chewer", tmp_path, "model.onnx", memory=1 << 30)
