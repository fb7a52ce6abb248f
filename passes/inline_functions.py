"""inline-functions: a local function that is called once becomes part of its caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.call_order import callees_first
from ..compiler.graph import Graph, Node
from ..compiler.graph_pass import Context, Pass
from ..compiler.model import Model
from ..compiler.refusal import Refusal
from .inlining.bodies import bindings, foreign_domains
from .inlining.handing_over import hand_over


@dataclass(frozen=True)
class InlineFunctions(Pass):
    """Replace a call of a local function by the nodes of its body, so that constants and patterns meet across it.

    Before => After
        y = local::F(x, alpha=0.1)      =>   y = LeakyRelu(x, alpha=0.1)
        function F(p) { LeakyRelu(p, alpha=@alpha) }

    Option all: inline every call, also of functions with several calls and nodes.

    Legal when
        The operators that the body uses mean the same in the operator set versions of the caller, and the call binds no
        graph to a parameter. Attributes that the call does not give take the function's default, or none.

    Pays when
        The function is called once, or its body has at most one node besides constants: the call goes and no node
        comes. A function of several nodes that is called several times stays one, unless all is asked for.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "inline-functions"
    all: bool = False

    def run(self, context: Context, since: int) -> None:
        if not context.model.functions:
            return
        keys = {function: key for key, function in context.model.functions.items()}
        calls = _calls(context.model)
        for function in callees_first(context.model):  # so that what is inlined holds no calls that are yet to be
            if function in calls and self._pays(context, function, calls[function]):
                done = [self._inline(context, call, function) for call in calls[function]]
                if all(done):
                    del context.model.functions[keys[function]]

    def _pays(self, context: Context, function: Graph, calls: list[Node]) -> bool:
        small = sum(node.op != "Constant" for node in function) <= 1
        if self.all or small or len(calls) == 1:
            return True
        context.remark("missed", self.name, calls[0], f"the function has {len(calls)} calls and several nodes")
        return False

    def _inline(self, context: Context, call: Node, function: Graph) -> bool:
        rewriter = self.rewriter(context, call, [call])
        imported: dict[str, int] = {}
        committed = False
        try:
            attributes = bindings(call, function)
            imported = foreign_domains(call.graph, function)
            context.model.opsets.update(imported)  # before the new nodes are made, whose versions these are
            if len(call.inputs) > len(function.inputs) or len(call.outputs) > len(function.outputs):
                rewriter.refuse("the call does not fit the function")
            given = [*call.inputs, *[None] * (len(function.inputs) - len(call.inputs))]
            hand_over(call, rewriter.inline(function, dict(zip(function.inputs, given)), attributes), rewriter)
            committed = rewriter.commit()
        except Refusal as refusal:
            context.remark("missed", self.name, call, refusal.reason)
        if not committed:
            for domain in imported:
                del context.model.opsets[domain]
        return committed


def _calls(model: Model) -> dict[Graph, list[Node]]:
    found: dict[Graph, list[Node]] = {}
    for node in model.nodes():
        function = model.function_of(node)
        if function is not None:
            found.setdefault(function, []).append(node)
    return found
