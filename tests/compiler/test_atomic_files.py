"""Files are replaced whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from survival import parsed

from planish.compiler.atomic_files import replace_files
from planish.compiler.errors import OutputError, PlanishError
from planish.compiler.reading import load
from planish.compiler.saving import save


class Broken(Exception):
    """Something that goes wrong while content is made."""


def failing() -> Iterator[bytes]:
    yield b"half"
    raise Broken


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_new_files(tmp_path: Path) -> None:
    replace_files({tmp_path / "a": [b"1", memoryview(b"2")], tmp_path / "b": []})
    assert contents(tmp_path) == {"a": b"12", "b": b""}


@pytest.mark.parametrize("error", [Broken, KeyboardInterrupt, OSError, PlanishError])
def test_what_is_there_stays_when_content_cannot_be_made(tmp_path: Path, error: type[BaseException]) -> None:
    def content() -> Iterator[bytes]:
        yield b"half"
        raise error("x")

    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"old")
    with pytest.raises(OutputError if error is OSError else error):
        replace_files({tmp_path / "a": [b"new"], tmp_path / "b": content()})
    assert contents(tmp_path) == {"a": b"old", "b": b"old"}


@pytest.mark.parametrize("present", [True, False])
def test_all_come_back_when_one_cannot_be_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, present: bool
) -> None:
    if present:
        (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").write_bytes(b"old")
    plain = os.replace

    def second_fails(source: Path, target: Path) -> None:
        if Path(target).name == "b" and not str(source).endswith(".old"):
            raise OSError(28, "No space left on device")
        plain(source, target)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(OutputError, match="No space left"):
        replace_files({tmp_path / "a": [b"new"], tmp_path / "b": [b"new"]})
    assert contents(tmp_path) == ({"a": b"old"} if present else {}) | {"b": b"old"}


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_bytes(b"old")
    replace_files({tmp_path / "a": [b"new"], tmp_path / "b": [b"new"]})
    assert contents(tmp_path) == {"a": b"new", "b": b"new"}


def test_permissions_are_kept_and_new_files_get_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(0o640)
    (tmp_path / "plain").write_bytes(b"")
    replace_files({tmp_path / "a": [b"new"], tmp_path / "b": [b"new"]})
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "b", "plain")}
    assert modes["a"] == 0o640 and modes["b"] == modes["plain"]


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "sub" / "real")
    replace_files({tmp_path / "link": [b"new"]})
    assert (tmp_path / "link").is_symlink() and contents(tmp_path / "sub") == {"real": b"new"}


def test_what_cannot_be_a_target(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder does not exist") as raised:
        replace_files({tmp_path / "no" / "a": [b"new"]})
    assert "create" in raised.value.hint
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(OutputError, match="not a regular file"):
            replace_files({path: [b"new"]})
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_names_as_long_as_can_be(tmp_path: Path) -> None:
    name = "n" * 255
    replace_files({tmp_path / name: [b"new"]})
    assert contents(tmp_path) == {name: b"new"}
    with pytest.raises(OutputError):
        replace_files({tmp_path / (name + "n"): [b"new"]})
    assert contents(tmp_path) == {name: b"new"}


def test_a_model_that_cannot_be_written_leaves_no_trace(tmp_path: Path) -> None:
    model = load(parsed("g (float[2] x) => (float[2] y) { y = Relu(x) }"))
    with pytest.raises(OutputError) as raised:
        save(model, tmp_path / "nowhere" / "out.onnx")
    assert raised.value.exit_code == 8 and str(tmp_path / "nowhere" / "out.onnx") in str(raised.value)
    assert not list(tmp_path.iterdir())
