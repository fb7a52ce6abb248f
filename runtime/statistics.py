"""The numbers of a model that are shown before and after: operators, parameters, bytes, work."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..compiler.cost import cost_of_model
from ..compiler.model import Model
from ..compiler.symbolic import symbols as symbols_in


@dataclass(frozen=True)
class Statistics:
    """ops: operator -> nodes, bodies and functions included, Constant left out. flops, moved_bytes: with the symbolic
    dimensions of the inputs, which `symbols` names, set to 1. opsets: domain -> version."""

    ops: Counter[str] = field(default_factory=Counter)
    parameters: int = 0
    weight_bytes: int = 0
    flops: int = 0
    moved_bytes: int = 0
    symbols: tuple[str, ...] = ()
    opsets: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model) -> Statistics:
        """Count a model whose facts have been inferred."""
        ops = Counter(node.op for node in model.nodes() if node.op != "Constant")
        tensors = [v.tensor for graph in model.graphs() for v in graph.initializers if v.tensor is not None]
        constants = [n.constant_tensor() for n in model.nodes() if n.op == "Constant"]
        tensors.extend(t for t in constants if t is not None)
        cost = cost_of_model(model)
        dims = [dim for value in model.graph.inputs if value.tensor is None for dim in value.shape or ()]
        symbols = dict.fromkeys(name for dim in dims if not isinstance(dim, int) for name in sorted(symbols_in(dim)))
        return cls(
            ops, sum(t.size for t in tensors), sum(t.nbytes for t in tensors), cost.flops, cost.bytes, tuple(symbols),
            dict(model.opsets),
        )  # fmt: skip

    @property
    def nodes(self) -> int:
        return self.ops.total()
