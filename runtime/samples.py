"""Inputs for proofs: seeded, of several kinds, for two sizes of every symbolic dimension; or the user's own."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto
from onnx.helper import tensor_dtype_to_np_dtype

from ..compiler.errors import OptionError
from .input_roles import Role, op_types, roles_of
from .input_sizes import (
    Sizes,
    other_sizes,
    ranks_to_try,
    required_inputs,
    shapes_of,
    size_choices,
    sizes_in,
    tensor_type,
)

Feeds = dict[str, Any]
Bound = tuple[int, int]
_FIRST = "normal"
KINDS = (_FIRST, "wide", "negative", "zero", "edges", "nan")
_LARGEST = 1 << 26  # elements of one input; a size beyond it is not tried
_STEPS = (2, 3, 4, -1)  # to the second size of a symbol: a factor, or one more
_NOT_DRAWN = "its inputs are of types that are not drawn"
_FREE = Role()
_SUMMED = Role(-1000, 1000)
_INTEGERS = frozenset(np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64))
_CHOICES = _INTEGERS | {np.dtype(bool)}
# Operators on NaN whose specification says nothing and whose kernels differ: recurrent ones clip before they squash
_UNDEFINED_ON_NAN = frozenset({
    "ArgMax", "ArgMin", "DynamicQuantizeLinear", "GRU", "GlobalMaxPool", "Hardmax", "LSTM", "MaxPool", "QuantizeLinear",
    "RNN", "ReduceMax", "ReduceMin", "TopK",
})  # fmt: skip
# Operators whose kernels saturate or wrap, as they like, when a sum of integers overflows
_SUMS = frozenset({
    "Conv", "ConvInteger", "CumSum", "Einsum", "Gemm", "MatMul", "MatMulInteger", "Mean", "ReduceL1", "ReduceL2",
    "ReduceLogSum", "ReduceMean", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Sum",
})  # fmt: skip
_TRIES = 120  # of sizes, for each bound on the integers
# Tighter and tighter bounds on integers, for models that look up what we cannot see
_BOUNDS: tuple[Bound | None, ...] = (None, (0, 3), (1, 1), (0, 0))


@dataclass
class Sample:
    """One set of inputs. kind: how it was drawn ("normal" ... or "real"); sizes: of the symbolic dimensions."""

    kind: str
    feeds: Feeds
    sizes: Sizes = field(default_factory=dict)

    def __str__(self) -> str:
        sizes = ", ".join(f"{k}={v}" for k, v in self.sizes.items())
        return f"{self.kind} ({sizes})" if sizes else self.kind


def load_samples(path: Path) -> list[Sample]:
    """Samples from an .npz file: keys are input names, or "number|input name" for several samples.

    Raises:
        OptionError: the file cannot be read.
    """
    grouped: dict[int, Feeds] = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for key in archive.files:
                number, bar, name = key.partition("|")
                numbered = bool(bar) and number.isdigit()
                grouped.setdefault(int(number) if numbered else 0, {})[name if numbered else key] = archive[key]
    except OSError as error:
        raise OptionError(f"samples '{path}' cannot be read: {error.strerror or error}") from error
    except Exception as error:
        hint = "numpy.savez writes them, with the names of the inputs as keys"
        raise OptionError(f"samples '{path}' are no .npz file of arrays", hint=hint) from error
    return [Sample("real", grouped[i]) for i in sorted(grouped)]


def is_defined_on_nan(model: ModelProto) -> bool:
    """True if what the model gives for NaN does not depend on the choice of a kernel."""
    return not op_types(model) & _UNDEFINED_ON_NAN


def offer_samples(
    model: ModelProto, seed: int, real: Feeds | None, attempt: Callable[[Sample], str], stop: Callable[[], bool]
) -> str:
    """Draw samples and hand them to `attempt` until two sizes of every symbol have been run with every kind.

    Args:
        real: inputs that the model runs on, whose sizes are tried first.
        attempt: runs a sample and says why that failed, "" if it did not.
        stop: asked after every sample; True ends the search.

    Returns:
        Why the last rejected sample was, "" if none was.
    """
    search = _Search(model, seed, real, attempt, stop)
    bounds = _BOUNDS if search.drawing.has_choices else _BOUNDS[:1]
    for rank, bound in itertools.product(ranks_to_try(model.graph), bounds):
        if search.run(rank, bound):
            break
    return search.failure


class _Search:
    def __init__(
        self, model: ModelProto, seed: int, real: Feeds | None, attempt: Callable[[Sample], str],
        stop: Callable[[], bool],
    ) -> None:  # fmt: skip
        self.drawing = _Drawing(model, seed)
        self._known = [] if real is None else [sizes_in(model.graph, real)]
        self.failure = ""
        self._graph, self._attempt, self._stop = model.graph, attempt, stop
        self._stopped = False

    def run(self, rank: int, bound: Bound | None) -> bool:
        """Try sizes; True if the model runs with some."""
        choices = itertools.islice(itertools.chain(self._known, size_choices(self._graph, rank)), _TRIES)
        # As a last resort the model may run on nothing but zeros, with which conditions are false.
        kinds = (_FIRST, "zero") if bound == _BOUNDS[-1] else (_FIRST,)
        first = next((s for s in choices if any(self._offer(kind, rank, bound, s) for kind in kinds)), None)
        if first is None:
            return False
        chosen = [first]
        for name in (None, *first) if first else ():
            if name is None or all(sizes[name] == first[name] for sizes in chosen):
                others = (other_sizes(first, name, step) for step in _STEPS)
                chosen += itertools.islice((s for s in others if self._offer(_FIRST, rank, bound, s)), 1)
        if first:
            self._offer(_FIRST, rank, bound, dict.fromkeys(first, 1))
        for kind, sizes in itertools.product(self.drawing.kinds, chosen):
            if kind != _FIRST:
                self._offer(kind, rank, bound, sizes)
        return True

    def _offer(self, kind: str, rank: int, bound: Bound | None, sizes: Sizes) -> bool:
        if self._stopped:
            return False
        sample = self.drawing.sample(kind, rank, bound, sizes)
        problem = _NOT_DRAWN if sample is None else self._attempt(sample)
        self.failure = problem or self.failure
        self._stopped = self._stop()
        return not problem


class _Drawing:
    """Draws the inputs of one model."""

    def __init__(self, model: ModelProto, seed: int) -> None:
        self._graph, self._seed, self._roles = model.graph, seed, roles_of(model)
        self._sums = bool(op_types(model) & _SUMS)
        self.kinds = [kind for kind in KINDS if kind != "nan" or is_defined_on_nan(model)]

    @property
    def has_choices(self) -> bool:
        """True if an input may be an index, a size, or the condition of a branch."""
        kinds = [tensor_type(info.type) for info in required_inputs(self._graph)]
        return any(k is not None and _numpy_type(k.elem_type) in _CHOICES for k in kinds)

    def sample(self, kind: str, rank: int, bound: Bound | None, sizes: Sizes) -> Sample | None:
        """One set of inputs; None if the model has inputs that are no tensors or would be absurdly large."""
        shapes = shapes_of(self._graph, rank, sizes)
        if shapes is None:
            return None
        feeds: Feeds = {}
        for info in required_inputs(self._graph):
            tensor, shape = tensor_type(info.type), shapes[info.name]
            if tensor is None or int(np.prod(shape, dtype=object)) > _LARGEST:
                return None
            number = zlib.crc32(f"{info.name}/{kind}".encode())
            generator = np.random.default_rng([self._seed + KINDS.index(kind), number])
            role = self._roles[info.name]
            if self._sums and role.lowest is None:
                role = _SUMMED
            if bound is not None:
                role = Role(*bound)
            array = draw(generator, tensor.elem_type, shape, kind, role)
            if array is None:
                return None
            is_list = info.type.WhichOneof("value") == "sequence_type"
            feeds[info.name] = [array, array[..., ::-1] if array.ndim else array] if is_list else array
        return Sample(kind, feeds, sizes)


def draw(
    generator: np.random.Generator, dtype: int, shape: tuple[int, ...], kind: str, role: Role = _FREE
) -> np.ndarray | None:
    """An array of one kind; None if numpy or ONNX Runtime's Python interface does not know the type."""
    if dtype == TensorProto.STRING:
        words = np.array(["", "a", "planish", "Ünïcode 7"], dtype=object)
        return np.asarray(words[generator.integers(0, len(words), shape)], dtype=object).reshape(shape)
    numpy_type = _numpy_type(dtype)
    if numpy_type is None:
        return None
    if dtype == TensorProto.BOOL:
        return np.zeros(shape, bool) if kind == "zero" else np.asarray(generator.random(shape) < 0.7)
    if numpy_type in _INTEGERS:
        return np.asarray(_integers(generator, numpy_type, shape, kind, role))  # of rank 0 they are scalars
    return np.asarray(_floats(generator, shape, kind, numpy_type))


def _integers(
    generator: np.random.Generator, numpy_type: np.dtype, shape: tuple[int, ...], kind: str, role: Role
) -> np.ndarray:
    """Integers of a role; free ones may be negative, and at the edges as large as the type allows."""
    largest = int(np.iinfo(numpy_type).max)
    smallest = -largest if numpy_type.kind == "i" else 0  # the least number has no negative and crashes some divisions
    free = role.lowest is None
    lowest = -9 if role.lowest is None else role.lowest
    highest = 9 if role.highest is None else role.highest
    if role.telling and kind in (_FIRST, "edges"):
        return generator.choice(np.array(role.telling), shape).astype(numpy_type)
    match kind:
        case "zero":
            return np.full(shape, 0 if role.telling else max(lowest, 0), numpy_type)
        case "edges":
            ends = [smallest, -1, 0, 1, largest] if free else [lowest, highest]
            return generator.choice(np.array([min(max(e, smallest), largest) for e in ends]), shape).astype(numpy_type)
        case "negative":
            highest = -1 if free else highest
        case "wide" if free:
            lowest, highest = -1000, 1000
    low, high = max(lowest, smallest), min(highest, largest)
    return generator.integers(min(low, high), high, shape, endpoint=True).astype(numpy_type)


def _floats(generator: np.random.Generator, shape: tuple[int, ...], kind: str, numpy_type: np.dtype) -> np.ndarray:
    numbers = np.asarray(generator.standard_normal(shape))
    match kind:
        case "wide":
            # Large, but not so large that an exponential overflows, for what comes after that proves nothing.
            largest = 0.3 if numpy_type == np.float16 else 1.0
            numbers = numbers * 10.0 ** generator.uniform(-2, largest, shape)
        case "negative":
            numbers = -np.abs(numbers)
        case "zero":
            numbers = np.zeros(shape)
        case "edges":
            numbers = generator.choice(np.array([-1.0, -0.0, 0.0, 0.5, 1.0]), shape)
        case "nan":
            numbers = np.where(generator.random(shape) < 0.1, np.nan, numbers)
    return np.asarray(numbers).astype(numpy_type)


def _numpy_type(dtype: int) -> np.dtype | None:
    try:
        return np.dtype(tensor_dtype_to_np_dtype(dtype))
    except (KeyError, TypeError):
        return None
