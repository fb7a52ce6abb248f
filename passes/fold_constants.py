"""fold-constants: what depends on constants only is computed now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import Context, Pass
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from ..compiler.tensor import Tensor
from .folding.evaluation import RETAGS, Evaluation
from .folding.plan import Plan

_FREE_GROWTH = 4096  # bytes by which a folded value may always be larger than what it replaces
_LARGE, _MOST_MEMORY = 1 << 20, 1 << 30  # bytes; large results are counted and held in memory up to this sum
_LOCAL = 1024  # bytes up to which a constant is put into the body that reads it, so that others infer its shapes


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Compute every node whose inputs are constants, and shape arithmetic whose result follows from the shapes.

    Before => After
        w2 = Transpose(w); y = MatMul(x, w2)   =>   y = MatMul(x, w2')     w2' an initializer
        s = Shape(x[2,3]); y = Reshape(z, s)   =>   y = Reshape(z, [2, 3])

    Option growth: bytes by which one folded value may be larger than what it replaces. All of them together may be
    larger by the run's budget (`--fold-budget`).

    Legal when
        The node is deterministic (no random operator, no training Dropout, no custom domain), all of its inputs are
        constants that the caller cannot override, and it is neither QuantizeLinear nor DequantizeLinear, which say in
        which precision a weight is kept. What numpy computes bit for bit as a kernel does (movement, integers,
        correctly rounded operations) is computed at once, all else of a round in one run of the backend.

    Pays when
        The constants do not become larger than what they replace by more than 4 KiB, or growth and budget allow it: a
        node costs its time at every run, but 64 KiB is what one may cost in the file. What unpacks a weight that the
        file keeps in fewer bits stays, unless the result is no larger. No result is larger than 64 MiB or takes more
        than 2^30 operations, and large ones have 1 GiB in all. Reshapes of weights only change the shape that is noted:
        the elements are not even read.

    Numerics
        Bit-equal to running the node with the same kernel.
    """

    name: ClassVar[str] = "fold-constants"
    growth: int = 64 << 10

    def run(self, context: Context, since: int) -> None:
        nodes: Iterable[Node] = context.model.nodes() if since < 0 else context.changes.touched[since:]
        while found := list(nodes):
            known = len(context.changes.touched)
            self._fold(context, found)
            nodes = context.changes.touched[known:]

    def _fold(self, context: Context, nodes: Iterable[Node]) -> None:
        plan = Plan()
        plan.choose(nodes, context.unfoldable)
        self._say(context, plan.refused)
        judged: set[Node] = set()
        self._judge(context, plan, judged)
        evaluation = Evaluation(plan, context.evaluator)
        evaluation.run(plan.needed())
        for node in evaluation.failures:
            context.unfoldable.update(plan.classes[node])
        self._say(context, evaluation.failures)
        self._say(context, dict.fromkeys(evaluation.unsized, "the size of the result is not known beforehand"))
        plan.keep_what_is_missing()
        self._judge(context, plan, judged)  # what was not computed reads others, and more sizes are known
        made: dict[Tensor, Value] = {}
        for node in plan.chosen:
            if node not in plan.kept and node.alive:
                self._replace(context, plan, node, made)

    def _judge(self, context: Context, plan: Plan, judged: set[Node]) -> None:
        """Keep the classes of nodes that do not pay, as far as their sizes are known, from the last to the first."""
        for leader, members in reversed(plan.classes.items()):
            stored = [i for i in range(len(leader.outputs)) if any(_read(plan, node, i) for node in members)]
            sizes = [plan.nbytes(v) for i in stored if (v := leader.outputs[i]) is not None]
            if leader in judged or leader in plan.kept or not sizes or None in sizes:
                continue
            judged.add(leader)
            reason = self._objection(context, plan, leader, sum(size or 0 for size in sizes))
            if reason:
                context.remark("missed", self.name, leader, reason)
                plan.kept.update(members)

    def _say(self, context: Context, refused: Mapping[Node, str]) -> None:
        for node, reason in refused.items():
            context.remark("missed", self.name, node, reason)

    def _objection(self, context: Context, plan: Plan, leader: Node, size: int) -> str:
        """Why the results of equal nodes should not become constants, "" if they should."""
        if size > _LARGE and leader.op not in RETAGS:
            held = context.memory.get(self.name, 0)
            assert isinstance(held, int)
            if held + size > _MOST_MEMORY:
                return "the folded constants would take too much memory"
            context.memory[self.name] = held + size
        growth = size - plan.freed(plan.classes[leader])
        if growth <= _FREE_GROWTH:
            return ""
        narrow = plan.unpacked_type(leader)
        if narrow:
            return f"the file keeps the weight as {narrow}, in fewer bytes"
        return "" if self._spend(context, growth) else f"the file would grow by {growth} bytes"

    def _spend(self, context: Context, growth: int) -> bool:
        if growth > min(self.growth, context.fold_budget):
            return False
        context.fold_budget -= growth
        return True

    def _replace(self, context: Context, plan: Plan, node: Node, made: dict[Tensor, Value]) -> None:
        rewriter = self.rewriter(context, node, [node])
        planned: dict[Tensor, Value] = {}
        replaced = False
        try:
            for value, source in zip(node.outputs, plan.leaders[node].outputs):
                tensor = None if source is None else plan.results.get(source)
                if value is not None and tensor is not None and plan.read_outside(value):
                    if value.dtype and tensor.dtype != value.dtype:
                        rewriter.refuse(f"{value.name} is declared as {dtypes.name_of(value.dtype)}")
                    rewriter.replace(value, self._constant(rewriter, value, tensor, made, planned))
                    replaced = True
        except Refusal as refusal:
            context.unfoldable.add(node)
            context.remark("missed", self.name, node, refusal.reason)
            return
        if replaced and rewriter.commit():
            made.update(planned)

    def _constant(
        self, rewriter: Rewriter, value: Value, tensor: Tensor, made: dict[Tensor, Value], planned: dict[Tensor, Value]
    ) -> Value:
        graph = value.graph
        if value.is_graph_output:
            return rewriter.stand_in(value, tensor)
        shared = made.get(tensor)
        if shared is not None and shared.graph.encloses(graph):
            return shared
        home = graph if tensor.nbytes <= _LOCAL or graph.in_function else graph.root
        planned[tensor] = rewriter.tensor(tensor, value.name, home)
        return planned[tensor]


def _read(plan: Plan, node: Node, index: int) -> bool:
    value = node.outputs[index]
    return value is not None and plan.read_outside(value)
