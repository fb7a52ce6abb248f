"""Inputs for proofs: seeded, of several kinds, for two sizes of every symbolic dimension; or the user's own."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto
from onnx.helper import tensor_dtype_to_np_dtype

from ..compiler.errors import OptionError

Feeds = dict[str, np.ndarray]
KINDS = ("normal", "wide", "negative", "zero", "edges")
_SIZES = (2, 3, 16, 5, 32, 64, 1, 8, 128, 224, 7, 320, 512, 256)
_LARGEST = 1 << 26  # elements of one input; a size beyond it is not tried


@dataclass
class Sample:
    """One set of inputs. kind: how it was drawn ("normal" ... or "real"); sizes: of the symbolic dimensions."""

    kind: str
    feeds: Feeds
    sizes: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        sizes = ", ".join(f"{k}={v}" for k, v in self.sizes.items())
        return f"{self.kind} ({sizes})" if sizes else self.kind


def load_samples(path: Path) -> list[Sample]:
    """Samples from an .npz file: keys are input names, or "number|input name" for several samples.

    Raises:
        OptionError: the file cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            grouped: dict[int, Feeds] = {}
            for key in archive.files:
                number, bar, name = key.partition("|")
                index = int(number) if bar and number.isdigit() else 0
                grouped.setdefault(index, {})[name if bar and number.isdigit() else key] = archive[key]
    except (OSError, ValueError) as error:
        raise OptionError(f"samples '{path}' cannot be read: {error}", hint="give an .npz file") from error
    return [Sample("real", grouped[i]) for i in sorted(grouped)]


def required_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Inputs without a default."""
    defaults = {t.name for t in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    return [i for i in graph.input if i.name not in defaults]


def symbols_of(graph: GraphProto) -> list[str]:
    """Symbolic dimensions of the inputs; unnamed ones are called after their input and axis."""
    names: dict[str, None] = {}
    for info in required_inputs(graph):
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            if dim.WhichOneof("value") != "dim_value":
                names[_symbol(info, axis)] = None
    return list(names)


def _symbol(info: ValueInfoProto, axis: int) -> str:
    return info.type.tensor_type.shape.dim[axis].dim_param or f"{info.name}.{axis}"


def size_choices(graph: GraphProto) -> Iterator[dict[str, int]]:
    """Sizes for the symbolic dimensions to try: leading axes small, the others from short to image-like."""
    names = symbols_of(graph)
    leading = {_symbol(i, 0) for i in required_inputs(graph) if len(i.type.tensor_type.shape.dim) > 1}
    if not names:
        yield {}
        return
    for size in _SIZES:
        for lead in (2, 1):
            yield {name: lead if name in leading else size for name in names}
    for lead, size in itertools.product((1, 2), _SIZES):
        yield {name: size if name in leading else lead for name in names}


def draw(graph: GraphProto, kind: str, sizes: dict[str, int], seed: int) -> Feeds | None:
    """One set of inputs; None if the model has inputs that are no tensors or would be absurdly large."""
    feeds: Feeds = {}
    for info in required_inputs(graph):
        if not info.type.HasField("tensor_type"):
            return None
        dims = info.type.tensor_type.shape.dim
        shape = tuple(
            d.dim_value if d.WhichOneof("value") == "dim_value" else sizes[_symbol(info, axis)]
            for axis, d in enumerate(dims)
        )
        if int(np.prod(shape, dtype=object)) > _LARGEST:
            return None
        generator = np.random.default_rng([seed, zlib.crc32(f"{info.name}/{kind}".encode())])
        array = _array(generator, info.type.tensor_type.elem_type, shape, kind, _index_limit(graph, info.name))
        if array is None:
            return None
        feeds[info.name] = np.asarray(array)  # arithmetic on rank 0 gives scalars
    return feeds


def _array(
    generator: np.random.Generator, dtype: int, shape: tuple[int, ...], kind: str, limit: int
) -> np.ndarray | None:
    if dtype == TensorProto.STRING:
        words = np.array(["", "a", "planish", "Ünïcode 7"], dtype=object)
        return np.asarray(words[generator.integers(0, len(words), shape)], dtype=object).reshape(shape)
    try:
        numpy_type = np.dtype(tensor_dtype_to_np_dtype(dtype))
    except (KeyError, TypeError):
        return None
    if dtype == TensorProto.BOOL:
        return np.zeros(shape, bool) if kind == "zero" else np.asarray(generator.random(shape) < 0.7)
    if numpy_type.kind in "iu":
        if kind == "zero":
            return np.zeros(shape, numpy_type)
        highest = min(limit, int(np.iinfo(numpy_type).max))
        if kind == "edges":
            return generator.choice(np.array([0, highest]), shape).astype(numpy_type)
        return generator.integers(0, highest + 1, shape).astype(numpy_type)
    numbers = generator.standard_normal(shape)
    match kind:
        case "wide":
            numbers *= 10.0 ** generator.uniform(-2, 1.5, shape)
        case "negative":
            numbers = -np.abs(numbers)
        case "zero":
            numbers = np.zeros(shape)
        case "edges":
            numbers = generator.choice(np.array([-1.0, -0.0, 0.0, 0.5, 1.0]), shape)
    return np.asarray(numbers).astype(numpy_type)


_THROUGH = frozenset({"Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Flatten", "Clip", "Transpose", "Add"})


def _index_limit(graph: GraphProto, name: str) -> int:
    """The largest index that an integer input may hold, where it selects rows of a constant table; else 3."""
    tables = {t.name: t.dims for t in graph.initializer}
    limits, names = [], {name}
    for node in graph.node:
        if node.op_type == "Gather" and len(node.input) == 2 and node.input[1] in names and node.input[0] in tables:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            limits.append(tables[node.input[0]][axis] - 1)
        elif node.op_type in _THROUGH and node.input and node.input[0] in names:
            names.update(node.output)
    return max(min(limits, default=3), 0)


def seeded_samples(model: ModelProto, seed: int) -> Iterator[tuple[dict[str, int], Iterator[Sample]]]:
    """For each choice of sizes, the samples of every kind."""
    for sizes in size_choices(model.graph):

        def samples(sizes: dict[str, int] = sizes) -> Iterator[Sample]:
            for number, kind in enumerate(KINDS):
                feeds = draw(model.graph, kind, sizes, seed + number)
                if feeds is not None:
                    yield Sample(kind, feeds, sizes)

        yield sizes, samples()
