"""Constant tensors that stay where they are until somebody reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from . import dtypes
from .errors import ModelError, UnsafeModelError
from .external_data import ExternalData, ExternalFolder
from .partial_copy import copy_only
from .refusal import Refusal

_COUNTED_AT_ONCE = 1 << 16  # bytes; counting the bytes of a bigger raw_data field costs a copy of it
_LIMIT = 1 << 31  # bytes that protobuf can hold
_GLIMPSE = 61
_OTHER_FIELDS: dict[int, str] = {  # where elements are that are not in raw_data; all others are in int32_data
    TensorProto.FLOAT: "float_data", TensorProto.COMPLEX64: "float_data", TensorProto.STRING: "string_data",
    TensorProto.INT64: "int64_data", TensorProto.DOUBLE: "double_data", TensorProto.COMPLEX128: "double_data",
    TensorProto.UINT32: "uint64_data", TensorProto.UINT64: "uint64_data",
}  # fmt: skip
_COMPLEX = (TensorProto.COMPLEX64, TensorProto.COMPLEX128)


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
    def from_proto(cls, proto: TensorProto, folder: ExternalFolder | None = None) -> Tensor:
        """Wrap a TensorProto without decoding it; `folder` is where its external data lies.

        Raises:
            ModelError: negative dimensions, or external data that is not there.
            UnsafeModelError: the elements are fewer or more than the dimensions ask for. Of big tensors in the proto
                this is found when they are read.
        """
        shape = tuple(proto.dims)
        if shape and min(shape) < 0:
            raise ModelError(f"a tensor has a negative dimension: {list(shape)}", where=proto.name)
        external = None
        if proto.data_location == TensorProto.EXTERNAL:
            if folder is None:
                raise ModelError(
                    "the data lies in another file, but the model was not loaded from a file", where=proto.name,
                    hint="pass the path of the .onnx file instead of the ModelProto",
                )  # fmt: skip
            external = folder.find(proto, dtypes.nbytes(proto.data_type, _count(shape)))
        tensor = cls(proto.data_type, shape, proto, None, external)
        if external is None:
            tensor._check_count(proto)
        return tensor

    def _check_count(self, proto: TensorProto) -> None:
        if proto.HasField("raw_data"):
            bits = dtypes.BITS.get(self.dtype)
            if bits is None:
                return
            wanted, unit = (bits * _count(self.shape) + 7) // 8, "bytes"
            if _COUNTED_AT_ONCE <= wanted <= _LIMIT:
                return
            held = len(proto.raw_data)
        else:
            held, wanted, unit = self._numbers_held()
        if held != wanted:
            raise self._miscounted(held, wanted, unit)

    def _numbers_held(self) -> tuple[int, int, str]:
        """(how many numbers the typed field holds, how many it should, what they are)."""
        assert self.proto is not None
        if (not self.packs and self.dtype != dtypes.STRING) or self.proto.HasField("segment"):
            return 0, 0, ""
        held = len(getattr(self.proto, _OTHER_FIELDS.get(self.dtype, "int32_data")))
        if self.dtype in _COMPLEX:
            return held, 2 * self.size, "numbers"
        several_in_one = dtypes.BITS.get(self.dtype, 8) in (2, 4)
        return held, self.nbytes if several_in_one else self.size, "numbers"

    def _miscounted(self, held: int, wanted: int, unit: str) -> UnsafeModelError:
        assert self.proto is not None
        return UnsafeModelError(
            f"a tensor of type {dtypes.name_of(self.dtype)} and shape {list(self.shape)} holds {held} {unit} instead "
            f"of {wanted}", where=self.proto.name, hint="the file is damaged or was written wrongly",
        )  # fmt: skip

    @classmethod
    def from_array(cls, array: np.ndarray) -> Tensor:
        """A tensor that owns a read-only view of `array`."""
        array = np.asarray(array)
        array = array.view()
        array.flags.writeable = False
        return cls(dtypes.of_array(array), array.shape, array=array)

    def reshaped(self, shape: tuple[int, ...]) -> Tensor:
        """The same elements in another shape; nothing is read or copied."""
        if _count(shape) != self.size:
            raise ValueError(f"{self!r} cannot have shape {list(shape)}")
        array = None if self._array is None else self._array.reshape(shape)
        return Tensor(self.dtype, shape, self.proto, array, self.external)

    @property
    def size(self) -> int:
        """Number of elements."""
        return _count(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the packed elements; 0 for strings."""
        return dtypes.nbytes(self.dtype, self.size)

    @property
    def packs(self) -> bool:
        """Whether the elements have a packed form (`TensorProto.raw_data`): strings and unknown types have none."""
        return self.dtype in dtypes.BITS

    @property
    def is_readable(self) -> bool:
        """Whether the elements can be decoded: those of an unknown type, or of a part of a tensor, cannot."""
        whole = self.proto is None or not self.proto.HasField("segment")
        return whole and (self.packs or self.dtype == dtypes.STRING)

    @property
    def is_raw(self) -> bool:
        """Whether it is, or will be written, in the packed form and not as a list of numbers."""
        return self.packs and (self.proto is None or self.external is not None or self.proto.HasField("raw_data"))

    def numpy(self) -> np.ndarray:
        """The elements as a read-only array (ml_dtypes types for bfloat16, float8, int4...).

        Raises:
            Refusal: the element type is unknown.
            ModelError: the elements do not fit the shape.
        """
        if self._array is None:
            self._array = self._decode()
            self._array.flags.writeable = False
        return self._array

    def _decode(self) -> np.ndarray:
        if not self.packs and self.dtype != dtypes.STRING:
            raise Refusal(f"element type {dtypes.name_of(self.dtype)} is unknown")
        if self.external is not None:
            return self._unpack(self.external.view())
        assert self.proto is not None
        if self.packs and self.proto.HasField("raw_data"):
            return self._unpack(self._raw())
        try:
            return numpy_helper.to_array(self.proto).reshape(self.shape)
        except (ValueError, TypeError) as error:
            raise ModelError(f"a tensor cannot be decoded: {error}", where=self.proto.name) from error

    def _raw(self) -> bytes:
        assert self.proto is not None
        raw = self.proto.raw_data
        if len(raw) != self.nbytes:
            raise self._miscounted(len(raw), self.nbytes, "bytes")
        return raw

    def _unpack(self, packed: bytes | memoryview) -> np.ndarray:
        """The elements of packed bytes, without copying them where the type fills whole bytes."""
        if dtypes.BITS[self.dtype] >= 8:
            return np.frombuffer(packed, dtypes.to_numpy(self.dtype).newbyteorder("<")).reshape(self.shape)
        return numpy_helper.to_array(TensorProto(data_type=self.dtype, dims=self.shape, raw_data=bytes(packed)))

    def payload(self) -> Iterator[bytes | memoryview]:
        """The packed elements in pieces, `nbytes` in all; only for a tensor that `packs`."""
        if self.external is not None:
            yield from self.external.chunks()
        elif self.proto is not None and self.proto.HasField("raw_data"):
            yield self._raw()
        else:
            yield self._packed()

    def _packed(self) -> bytes:
        array = self.numpy()
        if dtypes.BITS[self.dtype] >= 8:
            return np.ascontiguousarray(array).tobytes()
        return numpy_helper.from_array(array).raw_data

    def header(self, name: str) -> TensorProto:
        """A TensorProto called `name` with everything but the elements."""
        if self.proto is None:
            header = TensorProto(data_type=self.dtype, dims=self.shape)
        else:
            header = copy_only(self.proto, ("data_type", "segment", "doc_string", "metadata_props"))
            header.dims.extend(self.shape)
        if name:
            header.name = name
        return header

    def to_proto(self, name: str) -> TensorProto:
        """A TensorProto called `name`; external data stays a reference."""
        if self.proto is not None:
            same_shape = tuple(self.proto.dims) == self.shape
            if same_shape and self.proto.name == name:
                return self.proto
            proto = TensorProto()
            proto.CopyFrom(self.proto)
            proto.name = name
            if not same_shape:
                proto.dims[:] = self.shape
            return proto
        array = self.numpy()
        if self.dtype == dtypes.STRING:
            return onnx.helper.make_tensor(name, self.dtype, self.shape, [_to_bytes(s) for s in array.ravel()])  # type: ignore[misc]
        return numpy_helper.from_array(array, name)

    def to_inline_proto(self, name: str) -> TensorProto:
        """A TensorProto called `name` that holds its elements itself, wherever they are now."""
        if self.external is None:
            return self.to_proto(name)
        proto = self.header(name)
        proto.raw_data = b"".join(self.payload())
        return proto

    def digest(self) -> bytes:
        """Hash of type, shape and elements: equal digests mean bit-equal tensors."""
        if self._digest is None:
            hasher = hashlib.blake2b(f"{self.dtype}{self.shape}".encode(), digest_size=16)
            if self.dtype == dtypes.STRING:
                for text in self.numpy().ravel():
                    data = _to_bytes(text)
                    hasher.update(len(data).to_bytes(8, "little") + data)
            elif self.packs:
                for piece in self.payload():
                    hasher.update(piece)
            else:
                assert self.proto is not None
                hasher.update(self.proto.SerializeToString(deterministic=True))
            self._digest = hasher.digest()
        return self._digest

    def glimpse(self) -> bytes:
        """A few bytes from all over the tensor: where they differ the tensors do, and nothing big was read."""
        bits, step = dtypes.BITS.get(self.dtype, 0), max(self.size // _GLIMPSE, 1)
        if bits < 8:
            return b""
        if self.external is not None and self._array is None:
            return self.external.sample(range(0, self.nbytes, step * bits // 8), bits // 8)
        return self.numpy().reshape(-1)[::step].tobytes()

    def __repr__(self) -> str:
        return f"Tensor({dtypes.name_of(self.dtype)}{list(self.shape)})"


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


def _to_bytes(text: object) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode()
