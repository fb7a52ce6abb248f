"""name-nodes: every node gets a name of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import Context, Pass


@dataclass(frozen=True)
class NameNodes(Pass):
    """Give a name to each node that has none, or that has the name of another.

    Before => After
        y = Relu(x)        =>   "Relu_y": y = Relu(x)

    Reports of TensorRT speak of nodes by name; without names, or with equal ones, nobody knows which node became which
    kernel. It is part of the pipeline `tensorrt`.

    Legal when
        Always: nothing reads the names of nodes.

    Pays when
        Always.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "name-nodes"

    def run(self, context: Context, since: int) -> None:
        taken: set[str] = set()
        for node in list(context.model.nodes()):
            if not node.name or node.name in taken:
                rewriter = self.rewriter(context, node, [node])
                rewriter.rename(node, node.name or f"{node.op_type}_{node.label}")
                rewriter.commit()
            taken.add(node.name)
