"""Writes ONNX nodes: one body at a time, with constants and fresh names that hold for the whole model."""

from __future__ import annotations

import itertools
from collections import ChainMap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ...compiler.errors import UnsupportedModelError
from .element_types import COMPUTED_IN, FLOATS, numpy_type
from .network import Layer, Tensor


class Emitter:
    """A model under construction.

    nodes: of the body that is being written; values: tensor -> what it is called;
    taken: names that fresh ones differ from."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.values: ChainMap[str, str] = ChainMap()
        self._numbers = itertools.count()
        self.taken: set[str] = set()
        self._claimed: set[str] = set()
        self._constants: dict[tuple[int, tuple[int, ...], bytes], str] = {}

    def reserve(self, names: Iterable[str]) -> None:
        """Names that fresh ones must differ from."""
        self.taken.update(names)

    def fresh(self, stem: str) -> str:
        """A name that nothing has yet."""
        name = next(n for i in self._numbers if (n := f"{stem}:{i}") not in self.taken)
        self.taken.add(name)
        return name

    def name_of(self, tensor: Tensor | None) -> str:
        """What a tensor is called here; "" for an input that is not there."""
        return "" if tensor is None else self.values.get(tensor.name, tensor.name)

    def claim(self, name: str) -> str:
        """The name of a tensor for the value that takes it first, a fresh one for others."""
        if name in self._claimed:
            return self.fresh(name)
        self._claimed.add(name)
        return name

    def adopt_names(self, first: int, tensors: Sequence[Tensor]) -> None:
        """Call what the nodes from the first on give for tensors after these."""
        nodes = self.nodes[first:]
        made = {name for node in nodes for name in node.output}
        for tensor in tensors:
            value = self.values[tensor.name]
            if value not in made or tensor.name in self._claimed:
                continue
            own = self.values[tensor.name] = self.claim(tensor.name)
            for node in nodes:
                for names in (node.input, node.output):
                    names[:] = [own if name == value else name for name in names]

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is said of the names of tensors holds in here only."""
        self.values = self.values.new_child()
        try:
            yield
        finally:
            self.values = self.values.parents

    @contextmanager
    def body(self) -> Iterator[list[NodeProto]]:
        """Write into a body of its own, which sees the names of what is around it."""
        outer, self.nodes = self.nodes, []
        try:
            with self.scope():
                yield self.nodes
        finally:
            self.nodes = outer

    def op(self, op_type: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str]:
        """Write a node; the names of its outputs."""
        names = [self.fresh(op_type) for _ in range(outputs)]
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(op_type, list(inputs), names, name=names[0], **given))
        return names

    def constant(self, array: np.ndarray) -> str:
        """A constant; equal ones are kept once."""
        tensor = numpy_helper.from_array(np.asarray(array))
        key = (tensor.data_type, tuple(tensor.dims), tensor.raw_data)
        if key not in self._constants:
            tensor.name = self._constants[key] = self.fresh("constant")
            self.initializers.append(tensor)
        return self._constants[key]

    def integers(self, numbers: int | Sequence[int]) -> str:
        """A constant of 64-bit integers, of rank 0 for a single number."""
        return self.constant(np.array(numbers, np.int64))

    def weights(self, tensor: TensorProto) -> str:
        """A constant that is kept as it is."""
        self.initializers.append(tensor)
        self.taken.add(tensor.name)
        return tensor.name


class Frame:
    """What a lifter sees of one layer, and what it writes with.

    x: names of the inputs in the types that they are computed in, "" for one that is missing. narrow: inputs and
    outputs keep their own types though ONNX Runtime does not compute in them.
    """

    def __init__(self, emitter: Emitter, layer: Layer, narrow: bool = False) -> None:
        self.emitter, self.layer, self.raw = emitter, layer, layer.raw
        self.narrow = narrow
        self.x = [self._widened(tensor) for tensor in layer.inputs]

    def _widened(self, tensor: Tensor | None) -> str:
        name = self.emitter.name_of(tensor)
        if tensor is None or self.narrow or tensor.type not in COMPUTED_IN:
            return name
        return self.cast(name, COMPUTED_IN[tensor.type])

    def has(self, index: int) -> bool:
        """Whether an input is there."""
        return self.layer.given(index) is not None

    def tensor(self, index: int) -> Tensor:
        """An input that must be there."""
        found = self.layer.given(index)
        return found if found is not None else self.refuse(f"input {index} is missing")

    def type(self, index: int) -> int:
        """The type that an input is computed in."""
        own = self.tensor(index).type
        return own if self.narrow else COMPUTED_IN.get(own, own)

    def rank(self, index: int = 0) -> int:
        """The rank of an input."""
        shape = self.tensor(index).shape
        return len(shape) if shape is not None else self.refuse(f"the rank of input {index} is not known")

    def result_type(self, index: int = 0) -> int:
        """The type that an output is computed in."""
        own = self.layer.outputs[index].type
        return own if self.narrow else COMPUTED_IN.get(own, own)

    def refuse(self, reason: str) -> Any:
        """Give up.

        Raises:
            UnsupportedModelError: always.
        """
        raise UnsupportedModelError(f"{self.layer} cannot be lifted: {reason}", where=", ".join(self.layer.origins))

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Write a node with one output."""
        return self.emitter.op(op_type, inputs, **attributes)[0]

    def ops(self, op_type: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Write a node with several outputs."""
        return self.emitter.op(op_type, inputs, outputs, **attributes)

    def cast(self, name: str, to: int) -> str:
        """The value in another type."""
        return self.op("Cast", name, to=to)

    def ints(self, numbers: int | Sequence[int]) -> str:
        """A constant of 64-bit integers, of rank 0 for a single number."""
        return self.emitter.integers(numbers)

    def scalar(self, number: float, like: int) -> str:
        """A constant of rank 0; what an integer type does not hold becomes its nearest."""
        if like not in FLOATS and like in _LIMITS:
            number = int(min(max(number, _LIMITS[like][0]), _LIMITS[like][1]))
        return self.emitter.constant(np.array(number).astype(numpy_type(like)))

    def int64(self, index: int) -> str:
        """An input as 64-bit integers."""
        name = self.emitter.name_of(self.tensor(index))
        return name if self.tensor(index).type == TensorProto.INT64 else self.cast(name, TensorProto.INT64)

    def float32(self, index: int) -> str:
        """An input as float32."""
        name = self.x[index]
        return name if self.type(index) == TensorProto.FLOAT else self.cast(name, TensorProto.FLOAT)

    def vector(self, index: int) -> str:
        """An input as a vector of 64-bit integers."""
        return self.op("Reshape", self.int64(index), self.ints([-1]))

    def shape(self, name: str) -> str:
        return self.op("Shape", name)

    def extent(self, name: str, axis: int) -> str:
        """The size of one axis, as a scalar."""
        return self.op("Squeeze", self.op("Shape", name, start=axis, end=axis + 1 or None))

    def count(self, number: str) -> str:
        """0, 1, 2 ... up to a number."""
        return self.op("Range", self.ints(0), number, self.ints(1))


def _limits(numpy_name: str) -> tuple[int, int]:
    info = np.iinfo(numpy_name)
    return int(info.min), int(info.max)


_LIMITS: dict[int, tuple[int, int]] = {
    TensorProto.INT8: _limits("int8"), TensorProto.UINT8: _limits("uint8"), TensorProto.INT32: _limits("int32"),
    TensorProto.INT64: _limits("int64"),
}  # fmt: skip
