"""The numbers of a model that are shown before and after: operators, parameters, bytes, work."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..compiler.cost import cost_of_model
from ..compiler.model import Model


@dataclass(frozen=True)
class Statistics:
    """ops: operator -> nodes, bodies and functions included, Constant left out. flops: with symbols set to 1."""

    ops: Counter[str] = field(default_factory=Counter)
    parameters: int = 0
    weight_bytes: int = 0
    flops: int = 0
    moved_bytes: int = 0

    @classmethod
    def of(cls, model: Model) -> Statistics:
        """Count a model whose facts have been inferred."""
        ops = Counter(node.op for node in model.nodes() if node.op != "Constant")
        tensors = [v.tensor for graph in model.graphs() for v in graph.initializers if v.tensor is not None]
        constants = [n.constant_tensor() for n in model.nodes() if n.op == "Constant"]
        tensors.extend(t for t in constants if t is not None)
        cost = cost_of_model(model)
        return cls(ops, sum(t.size for t in tensors), sum(t.nbytes for t in tensors), cost.flops, cost.bytes)

    @property
    def nodes(self) -> int:
        return self.ops.total()
