"""How far the original's own answers move when it is rounded otherwise: the second opinion on a difference.

A rewrite that only associates sums differently gives the exact answer of a model whose weights and inputs lie a few
units in the last place beside the given ones (backward stability, Higham, Accuracy and Stability of Numerical
Algorithms, 1.5). So the original is run on such neighbours, and once with ONNX Runtime's own optimizations. This
decides about ties (ArgMax, TopK, thresholds, quantization steps) and ill-conditioned outputs, and only about them:
where the neighbours agree with the original, a difference stays a difference.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, numpy_helper

from ..compiler.errors import EvaluationError
from .comparison import differ, local_scale
from .onnxruntime_session import Session, open_session
from .tolerances import TOLERANCES

_NEIGHBOURS = 6
_UNITS = 16  # in the last place, by which weights and inputs are moved: about the square root of the terms of a sum
_FACTOR = 4.0  # by which a difference may exceed the original's own: the neighbours are only a sample
_WEIGHT = 16  # elements from which on a constant is taken for a weight; smaller ones are axes, sizes, exponents
_LARGEST = 1 << 30  # bytes of a model beyond which its weights are not moved

_UNIT_ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11}
_MOVED = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64, TensorProto.FLOAT16: np.float16}


class Neighbourhood:
    """The original under other roundings."""

    def __init__(self, original: ModelProto | Path, output_names: list[str]) -> None:
        self.output_names = output_names
        self._original = original

    @functools.cached_property
    def _sessions(self) -> list[tuple[Session, int | None]]:
        """Sessions of the neighbours, each with the seed by which to move the inputs (None: not at all)."""
        proto = _loaded(self._original)
        found: list[tuple[Session, int | None]] = []
        for level, seed in [("off", None), ("all", None), *(("off", seed) for seed in range(_NEIGHBOURS))]:
            model: ModelProto | Path = self._original
            if proto is not None and seed is not None:
                model = neighbour(proto, np.random.default_rng(seed))
            with contextlib.suppress(EvaluationError):
                found.append((open_session(model, level=level), seed))
        return found

    def of(self, feeds: Mapping[str, Any]) -> Neighbours:
        """The neighbours' answers on one set of inputs."""
        answers = []
        for session, seed in self._sessions:
            generator = None if seed is None else np.random.default_rng(seed)
            given = {name: array if generator is None else moved(array, generator) for name, array in feeds.items()}
            with contextlib.suppress(EvaluationError):
                answers.append(session.run(given))
        return Neighbours(self.output_names, answers)


class Neighbours:
    """Answers of the original on one set of inputs under other roundings, by output."""

    def __init__(self, output_names: list[str], answers: list[list[Any]]) -> None:
        self._names, self.answers = output_names, answers

    def explain(self, name: str, want: Any, got: Any) -> bool:
        """True if a difference in this output is one that rounding makes in the original too."""
        index = self._names.index(name)
        others = [answer[index] for answer in self.answers]
        if not isinstance(want, np.ndarray) or not isinstance(got, np.ndarray) or want.dtype != got.dtype:
            return False
        if any(not isinstance(o, np.ndarray) or o.dtype != want.dtype for o in others):
            return False
        if any(o.shape != want.shape for o in others) or got.shape != want.shape:
            return False
        if want.dtype.name in TOLERANCES:
            return _floats_explained(want, got, others)
        return _codes_explained(want, got, others)

    def shape_depends_on_rounding(self, name: str, want: Any) -> bool:
        """True if neighbours give this output another shape or length, so that elements cannot be compared."""
        index = self._names.index(name)
        return any(_extent(answer[index]) != _extent(want) for answer in self.answers)


def _floats_explained(want: np.ndarray, got: np.ndarray, others: list[np.ndarray]) -> bool:
    """The differences, sorted, are at most a few times the neighbours' and twice as many; the largest lie where theirs
    do."""
    noise = _noise(want, others)
    # What every number may be off by in its last places does not count as a difference.
    negligible = TOLERANCES[want.dtype.name] * np.abs(np.where(np.isfinite(want), want, 0).astype(np.float64))
    difference = _difference(want, got)
    difference[difference <= negligible] = 0
    near = (difference <= np.maximum(_FACTOR * local_scale(noise), noise.max(initial=0))) | np.isinf(noise)
    return bool(near.all()) and _dominated(difference, noise, _FACTOR)


def _codes_explained(want: np.ndarray, got: np.ndarray, others: list[np.ndarray]) -> bool:
    """Integers, flags, words: as few elements differ as between neighbours, at the same places or by as much."""
    different = differ(want, got)
    flipped = np.zeros(want.shape, bool)
    most = 0
    for other in others:
        flips = differ(want, other)
        flipped |= flips
        most = max(most, int(flips.sum()))
    if not most or int(different.sum()) > 2 * most:
        return False
    if (different & ~flipped).sum() <= 0.1 * different.sum():
        return True
    if want.dtype.kind not in "iu":
        return False
    return _dominated(_difference(want, got), _noise(want, others), 1.0)


def _noise(want: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    noise = np.zeros(want.shape)
    for other in others:
        np.maximum(noise, _difference(want, other), out=noise)
    return noise


def _dominated(difference: np.ndarray, noise: np.ndarray, factor: float) -> bool:
    ranked, bound = np.sort(difference, axis=None)[::-1], factor * np.sort(noise, axis=None)[::-1]
    return bool((ranked <= np.repeat(bound, 2)[: ranked.size]).all())


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Absolute differences; infinite where only one is finite, or NaN and infinity or their signs differ."""
    with np.errstate(invalid="ignore", over="ignore"):
        first, second = a.astype(np.float64), b.astype(np.float64)
        difference = np.asarray(np.abs(first - second))
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    difference[np.isnan(difference)] = np.inf
    difference[same] = 0
    return difference


def _extent(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_extent(one) for one in value]
    return getattr(value, "shape", None)


def moved(array: Any, generator: np.random.Generator) -> Any:
    """The array with every number moved by up to a few units in its last place; as it is if it holds no floats."""
    if not isinstance(array, np.ndarray) or array.dtype.name not in _UNIT_ROUNDOFF:
        return array
    unit = _UNITS * _UNIT_ROUNDOFF[array.dtype.name]
    return (array * (1 + generator.uniform(-unit, unit, array.shape))).astype(array.dtype)


def neighbour(proto: ModelProto, generator: np.random.Generator) -> ModelProto:
    """The model with its float weights moved in their last places."""
    copy = ModelProto()
    copy.CopyFrom(proto)
    for tensor in _weights(copy):
        tensor.CopyFrom(numpy_helper.from_array(moved(numpy_helper.to_array(tensor), generator), tensor.name))
    return copy


def _weights(proto: ModelProto) -> Iterator[TensorProto]:
    stack: list[Any] = [proto.graph, *proto.functions]
    while stack:
        graph = stack.pop()
        tensors = list(getattr(graph, "initializer", ()))
        for node in graph.node:
            tensors.extend(a.t for a in node.attribute if node.op_type == "Constant" and a.HasField("t"))
            stack.extend(a.g for a in node.attribute if a.HasField("g"))
        yield from (t for t in tensors if t.data_type in _MOVED and np.prod(t.dims, dtype=object) >= _WEIGHT)


def _loaded(original: ModelProto | Path) -> ModelProto | None:
    """The model with its external data, None if it is too large to be copied."""
    if isinstance(original, ModelProto):
        return original if original.ByteSize() <= _LARGEST else None
    beside = sum(file.stat().st_size for file in original.parent.glob(f"{original.name}*"))
    return onnx.load(str(original)) if beside <= _LARGEST else None
