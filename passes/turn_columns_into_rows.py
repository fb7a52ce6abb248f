"""turn-columns-into-rows: what runs along one column of elements runs along a row instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Node
from ..compiler.graph_pass import Context, Pass
from ..compiler.order import sort_nodes
from ..compiler.refusal import Refusal
from ..compiler.targets import target_named
from .layout.choice import choose
from .layout.layouts import Order
from .layout.regions import Region
from .layout.relayout import Relayout

_COLUMN_TO_ROW = Order.permutation((0, 1, 3, 2))


@dataclass(frozen=True)
class TurnColumnsIntoRows(Pass):
    """Turn convolutions over tensors of width 1, and everything between them, by a quarter.

    Before => After
        y[N,C,L,1] = Conv(Reshape(x, [N,B,L,1]), w[C,B,9,1])  =>  y[N,C,1,L] = Conv(Reshape(x, [N,B,1,L]), w[C,B,1,9])

    Exporters write convolutions in one dimension like that. All operators around the convolution turn with it, up to
    views that can make or read the row as well as the column.

    Legal when
        Every operator that turns works on its axes in any order (see push-transposes), with constant weights.

    Pays when
        The convolution has a border and no more nodes are needed than before. ONNX Runtime's CPU provider computes the
        outputs of a column that has a border one at a time; a row takes 0.37 to 0.67 of that time, and the same where
        there is no border (20 shapes with 1 to 512 channels and 3 to 512 taps). For TensorRT that was not measured.

    Numerics
        Unchanged but for the order of sums.
    """

    name: ClassVar[str] = "turn-columns-into-rows"

    def run(self, context: Context, since: int) -> None:
        nodes = context.nodes_of(["Conv"]) if since < 0 else context.affected(["Conv"], since, 0)
        for node in nodes:
            if node.alive and _is_over_column(node):
                self._turn(context, node)

    def _turn(self, context: Context, node: Node) -> None:
        """Turn the region of one convolution, if that is legal and pays."""
        sort_nodes(node.graph)  # members are built in order, and an earlier turn may have disturbed it
        rewriter = self.rewriter(context, node, [node])
        try:
            if not target_named(context.target).measured:
                rewriter.refuse("what rows cost instead of columns was not measured on this target")
            region = Region(node.graph, rewriter)
            region.explore(node.output, _COLUMN_TO_ROW)
            columns = [member for member in region.members if _is_over_column(member)]
            choice = choose(region, columns)
            if node not in choice.flipped:
                rewriter.refuse("what is around it needs the column, so that a row would take more views")
            matched = [*choice.flipped, *region.matched]
            rewriter = self.rewriter(context, max(matched, key=lambda one: one.order), matched)
            Relayout(region, choice, rewriter).plan()
        except Refusal as refusal:
            if refusal.reason:
                context.remark("missed", self.name, node, refusal.reason)
            return
        rewriter.commit()


def _is_over_column(node: Node) -> bool:
    """Whether a Conv with a border has kernel and input of width 1."""
    source, weight = node.input(0), node.input(1)
    if node.op != "Conv" or source is None or weight is None or source.shape is None or weight.shape is None:
        return False
    if len(source.shape) != 4 or len(weight.shape) != 4 or source.shape[3] != 1 or weight.shape[3] != 1:
        return False
    try:
        pads, auto_pad = node.ints_attr("pads") or (), node.str_attr("auto_pad", "NOTSET")
    except Refusal:  # bound by the function's caller, or of another type
        return False
    has_border = auto_pad.startswith("SAME") or (len(pads) == 4 and (pads[0] or pads[2]))
    return bool(has_border) and weight.shape[2] != 1 and source.shape[2] != 1
