"""Runs a step of planish in a process of its own, because the library may crash on a model and take all with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from ...compiler.errors import BackendError, OptionError

_POLL = 0.1  # seconds
_TAIL = 400  # characters of what a crashed process said last
STAGE = "stage"


class Crash(BackendError):
    """The process ended without an answer."""


def run_isolated(
    module: str, folder: Path, subject: str, *, timeout: float | None = None, memory: int | None = None
) -> None:
    """Run `python -m module folder`, which ends when this process ends.

    Args:
        subject: what it works on, for messages.
        timeout: seconds. memory: bytes that it may have resident, on Linux.

    Raises:
        Crash: it ended by a signal or with a status other than 0, or it took longer or more than it may.
    """
    if memory is not None and not Path("/proc/self/statm").exists():
        raise OptionError("the memory of a build can be limited on Linux only")
    command = [sys.executable, "-m", module, str(folder)]
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
        try:
            excess = _watch(process, timeout, memory)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
    doing = stage(folder)
    if excess:
        raise Crash(f"{doing} {subject} {excess}", hint="allow it more with --timeout or --memory")
    if process.returncode:
        raise _crash(process.returncode, f"{doing} {subject}", (folder / "output.txt").read_text(errors="replace"))


def _watch(process: subprocess.Popen[bytes], timeout: float | None, memory: int | None) -> str:
    """Wait for the end; what the process took too much of, or ""."""
    end = time.monotonic() + timeout if timeout is not None else None
    while True:
        try:
            process.wait(_POLL)
            return ""
        except subprocess.TimeoutExpired:
            if end is not None and time.monotonic() > end:
                return f"took longer than {timeout:g} s"
            if memory is not None and _resident(process.pid) > memory:
                return f"took more than {memory >> 20} MiB of memory"


def _resident(process: int) -> int:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):  # it has just ended
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _crash(status: int, doing: str, output: str) -> Crash:
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        how = f"crashed with {name}"
    else:
        how = f"ended with status {status}"
    said = " ".join(output.split())[-_TAIL:]
    return Crash(f"TensorRT {how} while {doing}" + (f"; it said last: {said}" if said else ""))


def stage(folder: Path) -> str:
    """What an isolated process was doing last, e.g. "parsing"."""
    try:
        return (folder / STAGE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return "starting on"


def enter_stage(folder: Path, name: str) -> None:
    """In the isolated process: say what it does from now on."""
    (folder / STAGE).write_text(name, encoding="utf-8")


def end_with_parent() -> None:
    """In the isolated process: end when the one that started it ends, however that happens."""

    def wait() -> None:
        os.read(0, 1)  # unbuffered: the interpreter may end meanwhile
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
