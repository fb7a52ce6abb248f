"""eliminate-dead-nodes: what nobody reads goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.dead_code import drop_unused_initializer, is_read, remove_if_dead
from ..compiler.graph import Graph, Node
from ..compiler.graph_pass import Context, Pass
from ..compiler.journal import Rewrite, key_of


@dataclass(frozen=True)
class EliminateDeadNodes(Pass):
    """Remove nodes, initializers, functions and opset imports that nobody uses.

    Before => After
        a = Relu(x); b = Exp(x); return a   =>   a = Relu(x); return a

    Legal when
        No output of the node is read by a node, a subgraph or as a graph output. ONNX operators have no effect but
        their outputs. Initializers that a caller may override stay, because they are part of the interface.

    Pays when
        Always.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "eliminate-dead-nodes"

    def run(self, context: Context, since: int) -> None:
        for graph in list(context.model.graphs()):
            self._sweep(context, graph)
        self._functions(context)
        self._opsets(context)

    def _sweep(self, context: Context, graph: Graph) -> None:
        node = graph.last
        touched: dict[Node, None] = {}
        while node is not None:
            previous = node.previous
            if node.alive and not is_read(node) and context.fuel.allows(key_of(self.name, node), context.journal.count):
                label, path = node.label, graph.path
                removed = remove_if_dead(node, touched)
                self._record(context, label, path, tuple((n.op, n.label) for n in removed))
                while previous is not None and not previous.alive:
                    previous = previous.previous
            node = previous
        context.changes.touched.extend(n for n in touched if n.alive)
        for value in [v for v in graph.initializers if not v.uses]:
            drop_unused_initializer(value)
        for value in [v for v in graph.sparse_initializers if not v.uses]:
            del graph.sparse_initializers[value]

    def _record(self, context: Context, label: str, path: str, removed: tuple[tuple[str, str], ...]) -> None:
        rewrite = Rewrite(context.journal.count, self.name, label, path, removed, (), note="nobody reads it")
        context.journal.add_rewrite(rewrite)

    def _functions(self, context: Context) -> None:
        model = context.model
        while model.functions:
            called = {(n.domain, n.op_type, n.overload) for n in model.nodes()}
            labels = {key: "::".join(filter(None, key)) for key in model.functions if key not in called}
            unused = [
                key for key, label in labels.items()
                if context.fuel.allows(f"{self.name}@/{label}", context.journal.count)
            ]  # fmt: skip
            if not unused:
                return
            for key in unused:
                del model.functions[key]
                self._record(context, labels[key], "", (("function", key[1]),))

    def _opsets(self, context: Context) -> None:
        model = context.model
        used = {node.domain for graph in model.graph.nested_graphs() for node in graph}
        used.update(key[0] for key in model.functions)
        unused = [domain for domain in model.opsets if domain and domain not in used]
        if len(unused) < len(model.opsets):  # runtimes want at least one
            for domain in unused:
                del model.opsets[domain]
