"""Sizes to try for the symbolic dimensions of a model's inputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
from onnx import GraphProto, TypeProto, ValueInfoProto

from ..compiler.symbolic import Dim, Expr, evaluate, parse, symbol, symbols, text

Sizes = dict[str, int]
_RANKS = (2, 4, 3, 1, 0, 5)  # to try for an input of unknown rank
# unlike sizes for the symbols beyond the batch
_SPREADS = ((5, 7, 4, 6, 3), (64, 96, 32, 128, 160), (16, 24, 8, 40, 32))
_EQUAL = (3, 16, 2, 5, 32, 64, 1, 8, 128, 224, 7, 320, 512, 256, 640, 1600, 16000)
_PRODUCT = 1 << 20  # of all sizes: what a model makes of them may be as large as that many times its channels
_SMALL = (2, 3, 5, 1)  # for symbols that must add up


def required_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Inputs without a default."""
    defaults = {t.name for t in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    return [i for i in graph.input if i.name not in defaults]


def tensor_type(kind: TypeProto) -> TypeProto.Tensor | None:
    """The tensor in a type, also the one that a sequence or an optional holds; None if there is none."""
    match kind.WhichOneof("value"):
        case "tensor_type":
            return kind.tensor_type
        case "sequence_type":
            return tensor_type(kind.sequence_type.elem_type)
        case "optional_type":
            return tensor_type(kind.optional_type.elem_type)
    return None


def dimensions(info: ValueInfoProto, rank: int) -> tuple[Dim, ...] | None:
    """The dimensions of an input, of `rank` unknown ones if its rank is not declared; None if it is no tensor.

    Unnamed dimensions are called after their input and axis.
    """
    kind = tensor_type(info.type)
    if kind is None:
        return None
    if not kind.HasField("shape"):
        return tuple(symbol(f"{info.name}.{axis}") for axis in range(rank))
    return tuple(
        d.dim_value if d.HasField("dim_value") and d.dim_value >= 0
        else parse(d.dim_param) if d.dim_param else symbol(f"{info.name}.{axis}")
        for axis, d in enumerate(kind.shape.dim)
    )  # fmt: skip


def shapes_of(graph: GraphProto, rank: int, sizes: Sizes) -> dict[str, tuple[int, ...]] | None:
    """The shape of every required input for these sizes; None if they give none."""
    shapes = {}
    for info in required_inputs(graph):
        dims = dimensions(info, rank)
        if dims is None or any(name not in sizes for dim in dims for name in symbols(dim)):
            return None
        shape = tuple(evaluate(d, sizes) for d in dims)
        if any(extent < 0 for extent in shape):
            return None
        shapes[info.name] = shape
    return shapes


def sizes_in(graph: GraphProto, feeds: Mapping[str, Any]) -> Sizes:
    """The sizes that inputs of a user have."""
    sizes: Sizes = {}
    for info in required_inputs(graph):
        shape = np.shape(feeds[info.name])
        for dim, extent in zip(dimensions(info, len(shape)) or (), shape):
            if isinstance(dim, Expr) and [dim] == [symbol(name) for name in symbols(dim)]:
                sizes.setdefault(text(dim), extent)
    return sizes


def ranks_to_try(graph: GraphProto) -> tuple[int, ...]:
    """Ranks for the inputs that declare none."""
    kinds = [tensor_type(i.type) for i in required_inputs(graph)]
    return _RANKS if any(k is not None and not k.HasField("shape") for k in kinds) else _RANKS[:1]


def size_choices(graph: GraphProto, rank: int) -> Iterator[Sizes]:
    """Sizes of the symbols to try, each set once, the likeliest first; batches are small, the others grow."""
    leading: dict[str, None] = {}
    others: dict[str, None] = {}
    for info in required_inputs(graph):
        dims = dimensions(info, rank) or ()
        for axis, dim in enumerate(dims):
            (leading if axis == 0 and len(dims) > 1 else others).update(dict.fromkeys(sorted(symbols(dim))))
    seen = set()
    for sizes in _choices(list(leading), [name for name in others if name not in leading]):
        key = tuple(sizes.items())
        if key not in seen and prod(sizes.values()) <= _PRODUCT:
            seen.add(key)
            yield sizes


def _choices(leading: list[str], others: list[str]) -> Iterator[Sizes]:
    for lead, spread in itertools.product((2, 1), _SPREADS):
        yield _spread(leading, (lead,)) | _spread(others, spread)
        yield _spread(leading, (lead + 1,)) | _spread(others, spread[1:])
    for size in _EQUAL:
        for lead in (2, 1):
            yield _spread(leading, (lead,)) | _spread(others, (size,))
    if 2 <= len(others) <= 3:
        for sizes in itertools.product(_SMALL, repeat=len(others)):
            yield _spread(leading, (2,)) | dict(zip(others, sizes))
    for lead, size in itertools.product((1, 2), _EQUAL):
        yield _spread(leading, (size,)) | _spread(others, (lead,))
    for name, size, lead in itertools.product(others, _EQUAL, (2, 1)):
        yield _spread(leading, (lead,)) | _spread(others, (lead,)) | {name: size}


def _spread(names: list[str], sizes: tuple[int, ...]) -> Sizes:
    return dict(zip(names, itertools.cycle(sizes)))


def other_sizes(sizes: Sizes, name: str | None, step: int) -> Sizes:
    """Sizes that differ in one symbol, or (None) in all, by a factor or, if `step` is -1, by one."""
    return {n: (s * step if step > 0 else s + 1) if name in (None, n) else s for n, s in sizes.items()}
