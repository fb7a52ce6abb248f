"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from .errors import OutputError

Content = Iterable[bytes | memoryview]


def replace_files(contents: Mapping[Path, Content]) -> None:
    """Write each file beside its place and, when every one is complete, give them their names.

    A file that is there keeps its content until then, and gets it back if a later one cannot be put in place. A link
    is followed: what it points to is replaced.

    Raises:
        OutputError: a folder is missing, a path is no regular file, the disk is full...
    """
    finished: list[tuple[Path, Path]] = []
    try:
        for path, content in contents.items():
            target = _target(path)
            temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}")
            finished.append((temporary, target))
            _write(temporary, content, target)
        _rename(finished)
    except OSError as error:
        raise OutputError(f"the file cannot be written: {error.strerror or error}", where=str(path)) from error
    finally:
        for temporary, _ in finished:
            temporary.unlink(missing_ok=True)


def _target(path: Path) -> Path:
    target = path.resolve()
    if not target.parent.is_dir():
        raise OutputError("the folder does not exist", where=str(path), hint=f"create '{target.parent}' first")
    if target.exists() and not target.is_file():
        raise OutputError("this is not a regular file", where=str(path))
    return target


def _write(temporary: Path, content: Content, target: Path) -> None:
    with temporary.open("xb") as file:
        for piece in content:
            file.write(piece)
    if target.exists():
        temporary.chmod(stat.S_IMODE(target.stat().st_mode))


def _rename(finished: list[tuple[Path, Path]]) -> None:
    before: list[tuple[Path, Path | None]] = []
    try:
        for temporary, target in finished:
            before.append((target, _second_name(temporary, target) if len(finished) > 1 else None))
            os.replace(temporary, target)
    except OSError:
        for target, backup in before[:-1]:
            if backup is None:
                target.unlink(missing_ok=True)
            else:
                os.replace(backup, target)
        raise
    finally:
        for _, backup in before:
            if backup is not None:
                backup.unlink(missing_ok=True)


def _second_name(temporary: Path, target: Path) -> Path | None:
    """Another name for a file that is about to be replaced, so that it can be put back; None if there is no file."""
    if not target.exists():
        return None
    backup = temporary.with_name(temporary.name + ".old")
    try:
        os.link(target, backup)
    except OSError:  # a file system without links
        shutil.copyfile(target, backup)
    return backup
