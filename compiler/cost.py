"""The cost model: arithmetic, memory traffic and parameters of a node and of a whole model.

FLOPs count a multiply-add as 2 and any other elementary function as 1. Bytes are what a kernel reads and writes once:
inputs, weights and outputs. Operators that only rename or re-view memory cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import dtypes, symbolic
from .graph import Graph, Node, Value
from .model import Model
from .symbolic import Dim

FREE_OPS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Shape", "Size", "Constant"})
MOVES = frozenset({
    "Transpose", "Concat", "Split", "Slice", "Gather", "GatherElements", "GatherND", "Pad", "Expand", "Tile", "Cast",
    "DepthToSpace", "SpaceToDepth", "ScatterND", "ScatterElements", "ConstantOfShape", "Range",
})  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """flops: elementary operations. bytes: memory traffic. parameters: elements of constants read."""

    flops: int = 0
    bytes: int = 0
    parameters: int = 0


def elements(value: Value | None, sizes: Mapping[str, int] | None = None) -> int:
    """Number of elements of a value, with symbols bound to `sizes` or else 1; 0 if the rank is unknown."""
    if value is None or value.shape is None:
        return 0
    counts = sizes.counts if isinstance(sizes, Remembering) else None
    if counts is not None and value in counts:
        return counts[value]
    count = 1
    for dim in value.shape:
        count *= dim if isinstance(dim, int) else _number(dim, sizes)
    if counts is not None:
        counts[value] = max(count, 0)
    return max(count, 0)


def _number(dim: Dim, sizes: Mapping[str, int] | None) -> int:
    if isinstance(dim, int):
        return dim
    numbers = sizes.numbers if isinstance(sizes, Remembering) else None
    number = None if numbers is None else numbers.get(dim)
    if number is None:
        try:
            number = symbolic.evaluate(dim, sizes if isinstance(sizes, EverySymbol) else EverySymbol(1, sizes or {}))
        except ZeroDivisionError:
            number = 0
        if numbers is not None:
            numbers[dim] = number
    return number


class EverySymbol(dict[str, int]):
    """Sizes of symbols: one number for all but the given ones."""

    def __init__(self, size: int, given: Mapping[str, int] | None = None) -> None:
        super().__init__(given or {})
        self.size = size

    def __missing__(self, name: str) -> int:
        return self.size


class Remembering(EverySymbol):
    """Sizes of symbols, and the numbers of elements that were worked out with them, of a model that does not change."""

    def __init__(self, given: Mapping[str, int] | None = None) -> None:
        super().__init__(1, given)
        self.counts: dict[Value, int] = {}
        self.numbers: dict[Dim, int] = {}


def cost_of(node: Node, sizes: Mapping[str, int] | None = None) -> Cost:
    """Cost of one node, bodies left out; symbolic dimensions count as `sizes` says, else as 1."""
    if node.op in FREE_OPS:
        return Cost()
    produced = traffic = parameters = 0
    for value in node.inputs:
        if value is not None:
            traffic += dtypes.nbytes(value.dtype, elements(value, sizes))
            tensor = value.constant
            parameters += 0 if tensor is None else tensor.size
    for value in node.outputs:
        if value is not None:
            count = elements(value, sizes)
            produced += count
            traffic += dtypes.nbytes(value.dtype, count)
    formula = _FLOPS.get(node.op)
    if formula is not None:
        flops = formula(node, sizes)
    else:
        flops = 0 if node.op in MOVES or node.bodies else produced * _WEIGHT.get(node.op, 1)
    return Cost(flops, traffic, parameters)


def cost_of_model(model: Model, sizes: Mapping[str, int] | None = None) -> Cost:
    """Cost of the main graph: the dearer branch of an If, a Loop's or Scan's body once, functions by their calls."""
    return _cost_of_graph(model.graph, sizes if isinstance(sizes, Remembering) else Remembering(sizes), model)


def _cost_of_graph(graph: Graph, sizes: Mapping[str, int] | None, model: Model) -> Cost:
    flops = traffic = parameters = 0
    for node in graph:
        function = model.function_of(node)
        parts = [cost_of(node, sizes) if function is None else _cost_of_graph(function, sizes, model)]
        if node.bodies and function is None:
            bodies = [_cost_of_graph(body, sizes, model) for body in node.bodies.values()]
            parts.append(max(bodies, key=lambda c: (c.flops, c.bytes)))
        for part in parts:
            flops, traffic, parameters = flops + part.flops, traffic + part.bytes, parameters + part.parameters
    return Cost(flops, traffic, parameters)


def extents(value: Value | None, sizes: Mapping[str, int] | None = None) -> list[int]:
    """The shape in numbers, with symbols bound to `sizes` or else 1; empty if the rank is unknown."""
    return [] if value is None or value.shape is None else [_number(d, sizes) for d in value.shape]


def _product(numbers: list[int]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result


def _conv(node: Node, sizes: Mapping[str, int] | None) -> int:
    weight = extents(node.input(1), sizes)
    bias = elements(node.output, sizes) if node.input(2) is not None else 0
    return 2 * elements(node.output, sizes) * _product(weight[1:]) + bias


def _conv_transpose(node: Node, sizes: Mapping[str, int] | None) -> int:
    weight = extents(node.input(1), sizes)
    bias = elements(node.output, sizes) if node.input(2) is not None else 0
    return 2 * elements(node.input(0), sizes) * _product(weight[1:]) + bias


def _matmul(node: Node, sizes: Mapping[str, int] | None) -> int:
    shape = extents(node.input(0), sizes)
    return 2 * elements(node.output, sizes) * (shape[-1] if shape else 1)


def _gemm(node: Node, sizes: Mapping[str, int] | None) -> int:
    shape = extents(node.input(0), sizes)
    inner = shape[0 if node.attributes.get("transA") else 1] if len(shape) == 2 else 1
    bias = elements(node.output, sizes) if node.input(2) is not None else 0
    return 2 * elements(node.output, sizes) * inner + bias


def _recurrent(node: Node, sizes: Mapping[str, int] | None) -> int:
    x = extents(node.input(0), sizes)
    steps_and_batch = x[0] * x[1] if len(x) == 3 else 1
    return 2 * steps_and_batch * (elements(node.input(1), sizes) + elements(node.input(2), sizes))


def _reduce(node: Node, sizes: Mapping[str, int] | None) -> int:
    return elements(node.input(0), sizes)


def _pool(node: Node, sizes: Mapping[str, int] | None) -> int:
    return elements(node.outputs[0], sizes) * window_elements(node)


def window_elements(node: Node) -> int:
    """How many elements a pooling operator looks at for one of its output; 1 if that is not known."""
    kernel = node.attributes.get("kernel_shape")
    extents = list(kernel) if isinstance(kernel, tuple) else []
    return _product([extent if isinstance(extent, int) else 1 for extent in extents])


_FLOPS: dict[str, Callable[[Node, Mapping[str, int] | None], int]] = {
    "Conv": _conv,
    "ConvInteger": _conv,
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "Gemm": _gemm,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "MaxPool": _pool,
    "AveragePool": _pool,
    **{f"Reduce{kind}": _reduce for kind in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare")},
    **{f"Global{kind}Pool": _reduce for kind in ("Average", "Max", "Lp")},
}
_WEIGHT = {
    "Softmax": 5, "LogSoftmax": 5, "LayerNormalization": 8, "RMSNormalization": 5, "InstanceNormalization": 8,
    "GroupNormalization": 8, "BatchNormalization": 2, "Gelu": 4, "Sigmoid": 3, "Tanh": 3, "HardSwish": 4, "Mish": 5,
}  # fmt: skip
