"""Well-typed graphs under construction: what every value is, for several sizes of the symbolic dimensions at once.

Everything random is drawn from hypothesis, the simplest choice first, so that a failing graph shrinks to a small one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import ml_dtypes
import numpy as np
from hypothesis import strategies as st
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

T = TypeVar("T")
Extent = tuple[int, ...]  # its size for each of the choices of sizes
Shape = tuple[Extent, ...]

CHOICES = 3
SYMBOLS: dict[str, Extent] = {"N": (3, 5, 1), "M": (4, 7, 1)}
OPSETS = (17, 18, 13, 11, 20, 21, 23, 9, 24, 25, 26)
F16, F32, F64 = (np.dtype(t) for t in (np.float16, np.float32, np.float64))
I32, I64, BOOL = (np.dtype(t) for t in (np.int32, np.int64, np.bool_))
BF16, U8, I8 = (np.dtype(t) for t in (ml_dtypes.bfloat16, np.uint8, np.int8))
FLOATS, INTEGERS = frozenset({F16, F32, F64}), frozenset({I32, I64})
WHOLE = INTEGERS | {U8, I8}
_WILD = frozenset({"Div", "Exp", "Log", "Pow", "Reciprocal", "ReduceProd", "Sqrt", "Mod"})
LARGEST = 3000  # elements of one value


def fixed(extent: int) -> Extent:
    """An extent that is no symbol."""
    return (extent,) * CHOICES


def is_fixed(extent: Extent) -> bool:
    return len(set(extent)) == 1


def product(extents: Sequence[Extent]) -> Extent:
    return tuple(int(np.prod([e[i] for e in extents], dtype=np.int64)) for i in range(CHOICES))


def broadcast(*shapes: Shape) -> Shape | None:
    """The common shape; None if there is none for every choice of sizes."""
    try:
        wholes = [np.broadcast_shapes(*(tuple(e[i] for e in s) for s in shapes)) for i in range(CHOICES)]
    except ValueError:
        return None
    return tuple(zip(*wholes)) if len({len(w) for w in wholes}) == 1 else None


@dataclass(frozen=True)
class Var:
    """A value of the graph. wild: it may be infinite for finite inputs, so that sums of it depend on their order."""

    name: str
    dtype: np.dtype
    shape: Shape
    wild: bool = False

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def static(self) -> bool:
        return all(map(is_fixed, self.shape))

    @property
    def type(self) -> int:
        return helper.np_dtype_to_tensor_dtype(self.dtype)

    def info(self, declared: bool = True) -> ValueInfoProto:
        names = {extent: name for name, extent in SYMBOLS.items()}
        dims = [e[0] if is_fixed(e) else names.get(e) for e in self.shape]
        return helper.make_tensor_value_info(self.name, self.type, dims if declared else None)


@dataclass
class TypedGraph:
    """Collects nodes. values: what a step may read, in the order in which it came; inner bodies see outer values."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    opset: int = 17
    nodes: list[NodeProto] = field(default_factory=list)
    values: list[Var] = field(default_factory=list)
    inputs: list[Var] = field(default_factory=list)
    constants: dict[str, TensorProto] = field(default_factory=dict)
    overridable: list[ValueInfoProto] = field(default_factory=list)
    functions: list[FunctionProto] = field(default_factory=list)
    depth: int = 0
    kinds: tuple[Any, ...] = ()
    in_function: bool = False
    names: int = 0

    # what is drawn

    def number(self, low: int, high: int) -> int:
        """Between low and high, both included; the least is the simplest."""
        return int(self.draw(st.integers(low, high)))

    def choose(self, things: Sequence[T]) -> T:
        """One of several things; the first is the simplest."""
        return things[self.number(0, len(things) - 1)] if len(things) > 1 else things[0]

    def chance(self, one_in: int) -> bool:
        """True once in so many times; False is the simpler."""
        return self.number(0, one_in - 1) == one_in - 1

    def pick(self, fits: Callable[[Var], bool] = lambda var: True) -> Var | None:
        """A value that fits, the last ones more often; None if none does."""
        found = [v for v in reversed(self.values) if fits(v)]
        if not found:
            return None
        return self.choose(found[:3]) if self.number(0, 2) < 2 else self.choose(found)

    def array(self, dtype: np.dtype, extents: Sequence[int], positive: bool = False) -> np.ndarray:
        """Elements of a constant: all equal to some telling number, or distinct ones away from zero."""
        count = int(np.prod(extents))
        if dtype == BOOL:
            return np.array([self.choose([True, False])] * count, bool).reshape(extents)
        positive = positive or dtype == U8
        telling = [1, 0.5, 2, 3] if positive else [1, 0, -1, 2, 0.5, -0.5, 3]
        if self.number(0, 2) == 0:
            number = self.choose(telling)
            return np.full(extents, int(number) or positive if dtype in WHOLE else number, dtype)
        seeded = np.random.default_rng(self.number(0, 7)).standard_normal(count)
        drawn = np.where(np.abs(seeded) < 0.15, 0.5, seeded)
        drawn = np.abs(drawn) if positive else drawn
        drawn = np.rint(drawn * 3) + (positive * 1) if dtype in WHOLE else drawn
        return drawn.astype(dtype).reshape(extents)

    # what is made

    def name(self, prefix: str = "v") -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def constant(self, array: np.ndarray, *, plain: bool = False) -> Var:
        """A constant: an initializer, a Constant node, or (seldom, never if plain) a weight that callers may set."""
        var = Var(self.name("c"), array.dtype, tuple(map(fixed, array.shape)))
        tensor = numpy_helper.from_array(array, var.name)
        same = [
            name for name, t in self.constants.items()
            if t.dims == tensor.dims and t.data_type == tensor.data_type and t.raw_data == tensor.raw_data
        ]  # fmt: skip
        if same and not self.in_function and self.chance(3):
            return Var(same[0], array.dtype, var.shape)
        if self.in_function or self.chance(4):
            self.nodes.append(helper.make_node("Constant", [], [var.name], value=tensor))
            return var
        self.constants[var.name] = tensor
        if not plain and self.chance(12):
            self.overridable.append(var.info())
        return var

    def ints(self, numbers: Sequence[int] | int) -> Var:
        """A constant for shapes, axes and the like."""
        return self.constant(np.array(numbers, np.int64), plain=True)

    def ops(
        self, op: str, inputs: Sequence[Var | None], results: Sequence[tuple[np.dtype, Shape]], domain: str = "",
        **attributes: Any,
    ) -> list[Var]:  # fmt: skip
        """A node with several outputs."""
        wild = op in _WILD or any(v.wild for v in inputs if v is not None) or any(self.made_inside(attributes))
        made = [Var(self.name(), dtype, tuple(shape), wild) for dtype, shape in results]
        names = [v.name if v is not None else "" for v in inputs]
        while names and not names[-1]:
            names.pop()
        label = f"{op.lower()}_{self.names}"
        node = helper.make_node(op, names, [v.name for v in made], name=label, domain=domain, **attributes)
        self.nodes.append(node)
        self.values += made
        return made

    def made_inside(self, attributes: dict[str, Any]) -> Iterator[bool]:
        """Whether anything in the bodies may be infinite."""
        for one in attributes.values():
            if isinstance(one, GraphProto):
                yield any(n.op_type in _WILD or n.domain for n in one.node)
                for inner in one.node:
                    yield from self.made_inside({a.name: a.g for a in inner.attribute if a.HasField("g")})

    def op(
        self, op: str, inputs: Sequence[Var | None], shape: Shape, dtype: np.dtype | None = None, **more: Any
    ) -> Var:
        """A node with one output, of the first input's type unless another is given."""
        first = inputs[0]
        assert first is not None or dtype is not None
        kind = dtype if dtype is not None else first.dtype  # type: ignore[union-attr]
        return self.ops(op, inputs, [(kind, shape)], **more)[0]

    def with_axes(self, op: str, x: Var, axes: Sequence[int], shape: Shape, since: int, **more: Any) -> Var:
        """A node whose axes are an input from some opset on, and an attribute before."""
        if self.opset >= since:
            return self.op(op, [x, self.ops_constant(axes)], shape, **more)
        return self.op(op, [x], shape, axes=list(axes), **more)

    def ops_constant(self, numbers: Sequence[int]) -> Var:
        return self.ints(list(numbers))

    def fits(self, shape: Shape) -> bool:
        """Whether a value of this shape is not too large."""
        return max(product(shape)) <= LARGEST and len(shape) <= 5

    @contextmanager
    def body(self, given: Sequence[Var] = (), closed: bool = False) -> Iterator[list[NodeProto]]:
        """Steps in here go into a body of their own; a closed one sees nothing but what it is given."""
        outer, values, inside = self.nodes, self.values, self.in_function
        self.nodes, self.values = [], [*([] if closed else values), *given]
        self.in_function = inside or closed
        self.depth += 1
        try:
            yield self.nodes
        finally:
            self.nodes, self.values, self.in_function = outer, values, inside
            self.depth -= 1

    def add_input(self, name: str, dtype: np.dtype, shape: Shape) -> Var:
        var = Var(name, dtype, shape)
        self.inputs.append(var)
        self.values.append(var)
        return var

    def model(self) -> ModelProto:
        """The graph with some of its values as outputs: most of those that nobody reads, some of the others."""
        made = [v for v in self.values if v not in self.inputs]
        read = _names_read(self.nodes)
        shown = [v for v in made if (not self.chance(6) if v.name not in read else self.chance(10))]
        if not shown:
            shown = made[-1:] or [self.op("Identity", [self.values[-1]], self.values[-1].shape)]
        declared = not self.chance(3)
        infos = [v.info() for v in self.inputs] + self.overridable
        outputs = [v.info(declared) for v in shown]
        graph = helper.make_graph(self.nodes, "typed", infos, outputs, list(self.constants.values()))
        imports = [helper.make_opsetid("", self.opset)]
        if self.functions:
            imports.append(helper.make_opsetid("test.local", 1))
        version = 11 if self.opset > 22 else 10
        return helper.make_model(graph, opset_imports=imports, ir_version=version, functions=self.functions)


def _names_read(nodes: Sequence[NodeProto]) -> set[str]:
    found = {name for node in nodes for name in node.input}
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= _names_read(attribute.g.node)
    return found
