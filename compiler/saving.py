"""Model -> files, streamed: no more than one weight is in memory beside the model itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from onnx import GraphProto, TensorProto

from .atomic_files import Content, replace_files
from .errors import OutputError
from .model import Model
from .partial_copy import varint
from .tensor import Tensor
from .writing import ProtoWriter

_ALIGNMENT = 4096  # a page, so that a reader can map each tensor by itself
_PROTOBUF_LIMIT = 2**31 - 1
_SMALLEST_EXTERNAL = 1024  # bytes
_SMALLEST_STREAMED = 1 << 16
_GRAPH_TAG, _INITIALIZER_TAG, _RAW_DATA_TAG = (varint(number << 3 | 2) for number in (7, 5, 9))


def save(model: Model, path: str | Path, *, external_data: bool | None = None) -> list[Path]:
    """Write the model, with its big tensors in `<name>.data` where it needs that; returns the files written.

    Args:
        external_data: True puts every initializer of at least 1 KiB into the .data file, False forbids the file, None
            does what the source did and what protobuf's 2 GiB limit asks for.

    Both files are written under temporary names and renamed at the end, so that a failure leaves what was there. The
    files that the model was loaded from may be among them.

    Raises:
        OutputError: a file cannot be written, or the model is too big for one file.
    """
    path = Path(path)
    wanted = external_data
    if wanted is None:
        wanted = _has_external_data(model)
    contents: dict[Path, Content] | None = None
    if not wanted:
        size, pieces = _one_file(model)
        if size <= _PROTOBUF_LIMIT:
            contents = {path: pieces}
        elif external_data is False:
            raise OutputError(
                f"the model of {size} bytes exceeds protobuf's limit of 2 GiB", where=str(path),
                hint="let the weights go into a .data file beside it",
            )  # fmt: skip
    if contents is None:
        contents = _two_files(model, path)
    if model.folder is not None:
        for file in model.folder.files():
            if any(file.path == target.resolve() for target in contents):
                file.keep()
    replace_files(contents)
    return list(contents)


def _has_external_data(model: Model) -> bool:
    weights = (value.tensor for graph in model.graphs() for value in graph.initializers)
    return model.has_attached_external_data or any(t is not None and t.external is not None for t in weights)


def _two_files(model: Model, path: Path) -> dict[Path, Content]:
    data = _DataFile(path.name + ".data")
    proto = ProtoWriter(data.place).model(model)
    contents: dict[Path, Content] = {}
    if data.placed:
        contents[path.with_name(data.name)] = data.stream()
    contents[path] = [proto.SerializeToString()]
    return contents


class _DataFile:
    """Where each tensor goes in a file of external data."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.placed: list[tuple[int, Tensor]] = []
        self._end = 0

    def place(self, tensor: Tensor, name: str) -> TensorProto:
        """Give a tensor its place and return the reference to it; small ones and strings stay in the proto."""
        if tensor.nbytes < _SMALLEST_EXTERNAL:
            return tensor.to_inline_proto(name)
        offset = self._end + -self._end % _ALIGNMENT
        self.placed.append((offset, tensor))
        self._end = offset + tensor.nbytes
        proto = tensor.header(name)
        proto.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self.name), ("offset", str(offset)), ("length", str(tensor.nbytes))):
            proto.external_data.add(key=key, value=value)
        return proto

    def stream(self) -> Content:
        position = 0
        for offset, tensor in self.placed:
            yield bytes(offset - position)
            position = offset + tensor.nbytes
            yield from tensor.payload()


def _one_file(model: Model) -> tuple[int, Content]:
    """(size, content) of the model as one message, whose graph ends with the weights, one after the other."""
    proto = ProtoWriter(Tensor.to_inline_proto).model(model, weights=False)
    weights = [(v.name, v.tensor) for v in model.graph.initializers if v.tensor is not None]
    parts = [_Part(proto.graph.SerializeToString()), *_weight_parts(weights)]
    proto.ClearField("graph")
    rest = proto.SerializeToString()
    length = sum(part.size for part in parts)
    start = rest + _GRAPH_TAG + varint(length)
    return len(start) + length, _joined(start, parts)


class _Part:
    """A piece of a message: bytes, and the elements of a tensor after them."""

    __slots__ = ("size", "start", "tensor")

    def __init__(self, start: bytes, tensor: Tensor | None = None) -> None:
        self.start, self.tensor = start, tensor
        self.size = len(start) + (tensor.nbytes if tensor is not None else 0)


def _joined(start: bytes, parts: list[_Part]) -> Content:
    yield start
    for part in parts:
        yield part.start
        if part.tensor is not None:
            yield from part.tensor.payload()


def _weight_parts(weights: Iterable[tuple[str, Tensor]]) -> Iterator[_Part]:
    small = GraphProto()
    for name, tensor in weights:
        if tensor.nbytes < _SMALLEST_STREAMED or not tensor.is_raw:
            small.initializer.append(tensor.to_inline_proto(name))
            continue
        yield _Part(small.SerializeToString())
        small = GraphProto()
        header = tensor.header(name).SerializeToString() + _RAW_DATA_TAG + varint(tensor.nbytes)
        yield _Part(_INITIALIZER_TAG + varint(len(header) + tensor.nbytes) + header, tensor)
    yield _Part(small.SerializeToString())
