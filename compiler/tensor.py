"""Constant tensors that stay where they are until somebody reads them."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from . import dtypes
from .errors import ModelError, UnsafeModelError

_COPY_CHUNK = 1 << 24
_GLIMPSE = 61


class ExternalData:
    """A byte range of a file beside the model (`TensorProto.external_data`)."""

    __slots__ = ("length", "offset", "path")

    def __init__(self, path: Path, offset: int, length: int) -> None:
        self.path, self.offset, self.length = path, offset, length

    @classmethod
    def of(cls, proto: TensorProto, folder: Path | None, expected_bytes: int) -> ExternalData:
        """Resolve the reference, refusing a file outside the model's folder or a range outside the file."""
        entries = {e.key: e.value for e in proto.external_data}
        location = entries.get("location", "")
        if folder is None:
            raise ModelError(
                f"tensor '{proto.name}' keeps its data in '{location}', but the model was not loaded from a file",
                hint="pass the path of the .onnx file instead of the ModelProto",
            )
        root = folder.resolve()
        path = (root / location).resolve()
        if not location or Path(location).is_absolute() or not path.is_relative_to(root):
            raise UnsafeModelError(
                f"tensor '{proto.name}' refers to external data outside of the model's folder: '{location}'",
                hint="move the data file into the folder of the model",
            )
        if not path.is_file():
            raise ModelError(f"tensor '{proto.name}': external data file '{location}' is missing")
        try:
            offset = int(entries.get("offset", 0))
            length = int(entries.get("length", expected_bytes))
        except ValueError as error:
            raise ModelError(f"tensor '{proto.name}': external data offset or length is not a number") from error
        if offset < 0 or length != expected_bytes or offset + length > path.stat().st_size:
            raise UnsafeModelError(
                f"tensor '{proto.name}': external data range {offset}+{length} does not fit its shape "
                f"({expected_bytes} bytes) or the file '{location}' ({path.stat().st_size} bytes)"
            )
        return cls(path, offset, length)

    def view(self) -> memoryview:
        """The bytes, mapped and not read."""
        if self.length == 0:
            return memoryview(b"")
        page = self.offset - self.offset % mmap.ALLOCATIONGRANULARITY
        with self.path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), self.length + self.offset - page, offset=page, access=mmap.ACCESS_READ)
        return memoryview(mapped)[self.offset - page :]

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces, for copying without holding the whole tensor."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            left = self.length
            while left:
                piece = file.read(min(left, _COPY_CHUNK))
                if not piece:
                    raise ModelError(f"external data file '{self.path.name}' ended {left} bytes early")
                left -= len(piece)
                yield piece


class Tensor:
    """An immutable constant: a TensorProto, a byte range of a file, or a numpy array; decoded on first use."""

    __slots__ = ("_array", "_digest", "dtype", "external", "proto", "shape")

    def __init__(
        self,
        dtype: int,
        shape: tuple[int, ...],
        proto: TensorProto | None = None,
        array: np.ndarray | None = None,
        external: ExternalData | None = None,
    ) -> None:
        self.dtype, self.shape, self.proto, self.external = dtype, shape, proto, external
        self._array = array
        self._digest: bytes | None = None

    @classmethod
    def from_proto(cls, proto: TensorProto, folder: Path | None = None) -> Tensor:
        """Wrap a TensorProto without decoding it; `folder` is where its external data lies."""
        shape = tuple(proto.dims)
        if any(d < 0 for d in shape):
            raise ModelError(f"tensor '{proto.name}' has a negative dimension: {list(shape)}")
        external = None
        if proto.data_location == TensorProto.EXTERNAL:
            external = ExternalData.of(proto, folder, dtypes.nbytes(proto.data_type, _count(shape)))
        elif proto.raw_data and len(proto.raw_data) != dtypes.nbytes(proto.data_type, _count(shape)):
            raise UnsafeModelError(
                f"tensor '{proto.name}' of shape {list(shape)} holds {len(proto.raw_data)} bytes "
                f"instead of {dtypes.nbytes(proto.data_type, _count(shape))}"
            )
        return cls(proto.data_type, shape, proto=proto, external=external)

    @classmethod
    def from_array(cls, array: np.ndarray) -> Tensor:
        """A tensor that owns a read-only view of `array`."""
        array = np.asarray(array)
        array = array.view()
        array.flags.writeable = False
        return cls(dtypes.of_array(array), array.shape, array=array)

    @property
    def size(self) -> int:
        """Number of elements."""
        return _count(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the packed elements; 0 for strings."""
        return dtypes.nbytes(self.dtype, self.size)

    def numpy(self) -> np.ndarray:
        """The elements as a read-only array (ml_dtypes types for bfloat16, float8, int4...)."""
        if self._array is None:
            self._array = self._decode()
            self._array.flags.writeable = False
        return self._array

    def _decode(self) -> np.ndarray:
        if self.external is not None:
            if dtypes.BITS.get(self.dtype, 0) >= 8:
                flat = np.frombuffer(self.external.view(), dtype=dtypes.to_numpy(self.dtype))
                return flat.reshape(self.shape)
            packed = TensorProto(data_type=self.dtype, dims=self.shape, raw_data=bytes(self.external.view()))
            return numpy_helper.to_array(packed)
        assert self.proto is not None
        try:
            # frombuffer keeps the bytes object of the protobuf alive instead of copying it
            if self.proto.raw_data and dtypes.BITS.get(self.dtype, 0) >= 8:
                flat = np.frombuffer(self.proto.raw_data, dtype=dtypes.to_numpy(self.dtype).newbyteorder("<"))
                return flat.reshape(self.shape)
            return numpy_helper.to_array(self.proto).view()
        except (ValueError, TypeError) as error:
            raise ModelError(f"tensor '{self.proto.name}' cannot be decoded: {error}") from error

    def to_proto(self, name: str, base: Path | None = None) -> TensorProto:
        """A TensorProto called `name`; external data stays a reference (the writer moves it)."""
        if self.proto is not None:
            if self.proto.name == name:
                return self.proto
            proto = TensorProto()
            proto.CopyFrom(self.proto)
            proto.name = name
            return proto
        array = self.numpy()
        if self.dtype == dtypes.STRING:
            return onnx.helper.make_tensor(name, self.dtype, self.shape, [_to_bytes(s) for s in array.ravel()])  # type: ignore[misc]
        return numpy_helper.from_array(array, name)

    def digest(self) -> bytes:
        """Hash of type, shape and elements: equal digests mean bit-equal tensors."""
        if self._digest is None:
            hasher = hashlib.blake2b(f"{self.dtype}{self.shape}".encode(), digest_size=16)
            if self.dtype == dtypes.STRING:
                for text in self.numpy().ravel():
                    data = _to_bytes(text)
                    hasher.update(len(data).to_bytes(8, "little") + data)
            elif self.external is not None:
                for piece in self.external.chunks():
                    hasher.update(piece)
            elif self.proto is not None and self.proto.raw_data:
                hasher.update(self.proto.raw_data)
            else:
                hasher.update(_packed(self.numpy(), self.dtype))
            self._digest = hasher.digest()
        return self._digest

    def glimpse(self) -> bytes:
        """A few bytes from all over the tensor: where they differ the tensors do, and nothing big was read."""
        if dtypes.BITS.get(self.dtype, 0) < 8:
            return b""
        flat = self.numpy().reshape(-1)
        return flat[:: max(len(flat) // _GLIMPSE, 1)].tobytes()

    def __repr__(self) -> str:
        return f"Tensor({dtypes.name_of(self.dtype)}{list(self.shape)})"


def _packed(array: np.ndarray, dtype: int) -> bytes:
    """The elements as TensorProto.raw_data holds them (sub-byte types two or four to the byte)."""
    if dtypes.BITS.get(dtype, 0) >= 8:
        return np.ascontiguousarray(array).tobytes()
    return numpy_helper.from_array(array).raw_data


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


def _to_bytes(text: object) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode()
