"""Data files beside the model (`TensorProto.external_data`): found safely, mapped or streamed, never read unasked."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from onnx import TensorProto

from .errors import ModelError, UnsafeModelError

_CHUNK = 1 << 24
_READ_AT_ONCE = 1 << 20  # below this a copy is cheaper than the pages of a map
_MOST_MAPS = 32  # each keeps a file open, and an exporter may have made a file for every tensor


class ExternalFile:
    """One data file. It is opened for each read and must still be the file that was there when the model was loaded."""

    __slots__ = ("_folder", "_kept", "_mapped", "_stamp", "path", "size")

    def __init__(self, path: Path, folder: ExternalFolder) -> None:
        status = path.stat()
        self.path, self.size = path, status.st_size
        self._folder = folder
        self._stamp = (status.st_dev, status.st_ino, status.st_mtime_ns)
        self._kept: BinaryIO | None = None
        self._mapped: mmap.mmap | None = None

    @property
    def replaced(self) -> bool:
        """True once the writer has put another file in this one's place."""
        return self._kept is not None

    def keep(self) -> None:
        """Hold the file open, because its name is about to be given to another one."""
        if self._kept is None:
            self._kept = self._open()

    def _open(self) -> BinaryIO:
        try:
            file = self.path.open("rb")
            status = self.path.stat()
        except OSError as error:
            raise ModelError(f"external data file '{self.path.name}' cannot be read: {error.strerror}") from error
        if (status.st_dev, status.st_ino, status.st_mtime_ns) != self._stamp or status.st_size != self.size:
            file.close()
            raise ModelError(
                f"external data file '{self.path.name}' changed after the model was loaded", hint="load the model again"
            )
        return file

    @contextlib.contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        if self._kept is not None:
            yield self._kept
            return
        with self._open() as file:
            yield file

    def map(self) -> mmap.mmap | None:
        """The whole file, mapped once for all tensors in it; None if too many files are mapped already."""
        if self._mapped is None and self._folder.maps < _MOST_MAPS:
            with self._opened() as file:
                self._mapped = mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_READ)
            self._folder.maps += 1
        return self._mapped

    def chunks(self, offset: int, length: int) -> Iterator[bytes]:
        """A range of bytes in pieces."""
        with self._opened() as file:
            while length:
                file.seek(offset)
                piece = file.read(min(length, _CHUNK))
                if not piece:
                    raise ModelError(f"external data file '{self.path.name}' ended {length} bytes early")
                offset, length = offset + len(piece), length - len(piece)
                yield piece


    def sample(self, offsets: Iterable[int], length: int) -> bytes:
        """Some bytes at each of these places."""
        with self._opened() as file:
            return b"".join(file.read(length) for offset in offsets if file.seek(offset) >= 0)


class ExternalData:
    """A range of bytes of an `ExternalFile`."""

    __slots__ = ("file", "length", "offset")

    def __init__(self, file: ExternalFile, offset: int, length: int) -> None:
        self.file, self.offset, self.length = file, offset, length

    def view(self) -> memoryview:
        """The bytes; mapped, where they are many, and so read page by page when somebody looks at them."""
        mapped = self.file.map() if self.length >= _READ_AT_ONCE else None
        if mapped is not None:
            return memoryview(mapped)[self.offset : self.offset + self.length]
        return memoryview(b"".join(self.chunks()))

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces, for copying without holding the whole tensor."""
        return self.file.chunks(self.offset, self.length)

    def sample(self, offsets: Iterable[int], length: int) -> bytes:
        """Some bytes at each of these places in the range."""
        return self.file.sample((self.offset + offset for offset in offsets), length)


class ExternalFolder:
    """The folder of a model, outside of which no data is read."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.maps = 0
        self._files: dict[str, ExternalFile] = {}

    def find(self, proto: TensorProto, expected_bytes: int) -> ExternalData:
        """What a tensor refers to.

        Raises:
            ModelError: there is no such file, or the reference is broken.
            UnsafeModelError: it lies outside of the folder, or the range does not fit the tensor's shape or the file.
        """
        entries = {e.key: e.value for e in proto.external_data}
        location = entries.get("location", "")
        if not isinstance(location, str):
            raise ModelError("external data location is not valid UTF-8", where=str(proto.name))
        file = self._file(proto.name, location)
        try:
            offset = int(entries.get("offset", 0))
            length = int(entries.get("length", expected_bytes))
        except ValueError as error:
            raise ModelError("external data offset or length is not a number", where=proto.name) from error
        if offset < 0 or length != expected_bytes or offset + length > file.size:
            raise UnsafeModelError(
                f"external data range {offset}+{length} does not fit its shape {list(proto.dims)} ({expected_bytes} "
                f"bytes) or the file '{file.path.name}' ({file.size} bytes)",
                where=proto.name, hint="the data file is truncated or belongs to another model",
            )  # fmt: skip
        return ExternalData(file, offset, length)

    def _file(self, tensor: str, location: str) -> ExternalFile:
        found = self._files.get(location)
        if found is not None:
            return found
        try:
            path = (self.path / location).resolve()
            inside = bool(location) and not Path(location).is_absolute() and path.is_relative_to(self.path)
            present = inside and path.is_file()
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"external data location '{location}' is not a path: {error}", where=tensor) from error
        if not inside:
            raise UnsafeModelError(
                f"external data outside of the model's folder: '{location}'", where=tensor,
                hint="move the data file itself, not a link to it, into the folder of the model",
            )  # fmt: skip
        if not present:
            raise ModelError(
                f"external data file '{location}' is missing", where=tensor, hint=f"it is looked for in '{self.path}'"
            )
        self._files[location] = file = ExternalFile(path, self)
        return file

    def files(self) -> list[ExternalFile]:
        """Every data file that a tensor was found in so far."""
        return list(dict.fromkeys(self._files.values()))
