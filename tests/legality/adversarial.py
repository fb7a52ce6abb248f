"""Cases of rewrites that are tempting and wrong: what must stay, and inputs on which the wrong result would show.

The passes are run without the comparison that would take a wrong rewrite back, so that it is they who must be right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import onnx.parser
from onnx import ModelProto
from onnx.helper import tensor_dtype_to_np_dtype
from properties.properties import optimized

from planish.runtime.comparison import compare_output
from planish.runtime.onnxruntime_session import open_session
from planish.runtime.samples import is_defined_on_nan

Feeds = dict[str, np.ndarray]

SIZES = (3, 1, 0, 2)  # of a symbolic dimension
FLOATS = (1.5, np.nan, -0.0, np.inf, -2.5, 0.0, -np.inf, 1e-30, 3e38, -1.0, 0.3, -3e38, 70.0, -88.0, 2.0**24 + 2)
_TURNS = 3


def parsed(text: str) -> ModelProto:
    """A model of IR version 10 and opset 17 unless it says otherwise."""
    head = "" if text.lstrip().startswith("<") else '<ir_version: 10, opset_import: ["" : 17]>\n'
    return onnx.parser.parse_model(head + text)


@dataclass(frozen=True)
class Case:
    """A model and what has to be of it.

    text: in ONNX's syntax. kept: operators that must still be there, once each time they are named. gone: operators
    that must not, for a legal rewrite beside the wrong one. fixed: what certain inputs are given instead of adversarial
    numbers, one after the other. sizes: of the symbolic dimensions. overflows: on its way the original leaves the range
    of its type, the result need not: only where the original is finite do they have to agree.
    """

    text: str
    kept: str = ""
    gone: str = ""
    fixed: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    sizes: Sequence[int] = SIZES
    overflows: bool = False

    def check(self) -> None:
        """Optimize, look at what is left, and run both models."""
        model = parsed(self.text)
        result = optimized(model)
        operators = [node.op for node in result.model.nodes()]
        for op in set(self.kept.split()):
            assert operators.count(op) >= self.kept.split().count(op), f"{op} is gone, left are {operators}"
        assert not set(self.gone.split()) & set(operators), f"left are {operators}"
        before, after = open_session(model), open_session(result.proto())
        defined = is_defined_on_nan(model)
        for feeds in self.feeds(model):
            if not defined:  # kernels differ, and the specification says nothing
                feeds = {name: np.where(array != array, 2, array).astype(array.dtype) for name, array in feeds.items()}
            wanted, found = before.run(feeds), after.run(feeds)
            for name, want, got in zip(before.output_names, wanted, found, strict=True):
                if self.overflows:
                    got = np.where(np.isfinite(want), got, want)
                problem = compare_output(name, want, got).problem
                assert not problem, f"{name} on {feeds}: {problem}: {want} became {got}"

    def feeds(self, model: ModelProto) -> Iterator[Feeds]:
        """Every size of every symbol, each with the numbers in several orders."""
        inputs = [i.type.tensor_type for i in model.graph.input]
        symbols = sorted({d.dim_param for kind in inputs for d in kind.shape.dim if d.dim_param})
        for sizes in product(self.sizes, repeat=len(symbols)):
            bound = dict(zip(symbols, sizes))
            for turn in range(max(_TURNS, *map(len, self.fixed.values()), 0)):
                yield {i.name: self._array(i, bound, turn) for i in model.graph.input}

    def _array(self, info: onnx.ValueInfoProto, sizes: Mapping[str, int], turn: int) -> np.ndarray:
        kind = info.type.tensor_type
        dtype = np.dtype(tensor_dtype_to_np_dtype(kind.elem_type))
        if info.name in self.fixed:
            given = self.fixed[info.name]
            return np.array(given[turn % len(given)], dtype)
        shape = [sizes[d.dim_param] if d.dim_param else d.dim_value for d in kind.shape.dim]
        return adversarial(dtype, shape, turn)


def adversarial(dtype: np.dtype, shape: Sequence[int], turn: int) -> np.ndarray:
    """Special numbers of a type in turn: the first turn has finite ones only, the next all, the last ones shifted."""
    if dtype.kind == "b":
        numbers = np.array([True, False, False, True, True])
    elif dtype.kind in "iu":
        limits = np.iinfo(dtype)
        chosen = [7, limits.max, limits.min, 0, 1, 2, 3, limits.max - 1, limits.min + 1, 5]
        chosen += [-7, -1, -2, -3, -5] if dtype.kind == "i" else []
        numbers = np.array(chosen[:1] + chosen[3:] if turn == 0 else chosen, dtype)
    else:
        largest = 3e38 if dtype.itemsize > 2 else 6e4
        wide = np.clip(np.array(FLOATS), -largest, largest)
        wide = np.where(np.isinf(FLOATS), FLOATS, wide)
        numbers = (wide[np.abs(wide) < 100] if turn == 0 else wide).astype(dtype)
    start = 5 * max(turn - 1, 0)
    return np.resize(np.roll(numbers, -start), shape).astype(dtype)
