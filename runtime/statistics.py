"""The numbers of a model that are shown before and after: operators, parameters, bytes, work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..compiler.cost import FREE_OPS, MOVES, Remembering, cost_of_model, elements
from ..compiler.graph import Node, Value
from ..compiler.model import Model
from ..compiler.symbolic import Dim
from ..compiler.symbolic import symbols as symbols_in


@dataclass(frozen=True)
class Statistics:
    """ops: operator -> nodes, bodies and functions included, Constant left out. flops, moved_bytes: with the symbolic
    dimensions of the inputs, which `symbols` names, set to 1. uncounted: nodes whose work is not known, because sizes
    depend on data or are 0 with these symbols, so that flops is too low. opsets: domain -> version."""

    ops: Counter[str] = field(default_factory=Counter)
    parameters: int = 0
    weight_bytes: int = 0
    flops: int = 0
    moved_bytes: int = 0
    uncounted: int = 0
    symbols: tuple[str, ...] = ()
    opsets: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model) -> Statistics:
        """Count a model whose facts have been inferred."""
        nodes = list(model.nodes())
        tensors = [v.tensor for graph in model.graphs() for v in graph.initializers if v.tensor is not None]
        constants = [n.constant_tensor() for n in nodes if n.op == "Constant"]
        tensors.extend(t for t in constants if t is not None)
        sizes = Remembering()
        cost = cost_of_model(model, sizes)
        dims = [dim for value in model.graph.inputs if value.tensor is None for dim in value.shape or ()]
        symbols = dict.fromkeys(name for dim in dims if not isinstance(dim, int) for name in sorted(symbols_in(dim)))
        unsized = _Unsized(symbols, sizes)
        called = {node for function in model.functions.values() for node in function}
        return cls(
            Counter(node.op for node in nodes if node.op != "Constant"),
            sum(t.size for t in tensors), sum(t.nbytes for t in tensors), cost.flops, cost.bytes,
            sum(unsized.holds_for(node) for node in nodes if node not in called),
            tuple(symbols), dict(model.opsets),
        )  # fmt: skip

    @property
    def nodes(self) -> int:
        return self.ops.total()


class _Unsized:
    """Finds nodes whose work is not known, because a shape depends on more than the sizes of the inputs."""

    def __init__(self, symbols: Iterable[str], sizes: Remembering) -> None:
        self._symbols, self._sizes = frozenset(symbols), sizes
        self._dims: dict[Dim, bool] = {}
        self._values: dict[Value, bool] = {}

    def holds_for(self, node: Node) -> bool:
        if node.op in FREE_OPS or node.op in MOVES or node.bodies:
            return False
        return any(self._of(value) for value in [*node.inputs[:2], *node.outputs] if value is not None)

    def _of(self, value: Value) -> bool:
        found = self._values.get(value)
        if found is None:
            found = self._values[value] = value.is_tensor and self._of_shape(value)
        return found

    def _of_shape(self, value: Value) -> bool:
        if value.shape is None:
            return True
        unknown = [dim for dim in value.shape if not isinstance(dim, int)]
        return bool(unknown) and (any(map(self._of_dim, unknown)) or not elements(value, self._sizes))

    def _of_dim(self, dim: Dim) -> bool:
        found = self._dims.get(dim)
        if found is None:
            found = self._dims[dim] = not symbols_in(dim) <= self._symbols
        return found
