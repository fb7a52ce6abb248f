"""How positions along the axes of a node's inputs and outputs belong together.

A `Link` says that blocks of consecutive positions of an input's axis give blocks of consecutive positions of an
output's axis. Where nothing links an input's axis, the node takes in all of it at every position (a product sums over
it, a softmax normalizes it), or the relation is not known: whoever follows links stops there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .. import symbolic
from ..graph import Node, Shape
from ..refusal import Refusal
from ..symbolic import Dim


@dataclass(frozen=True, slots=True)
class Link:
    """`count` blocks along an axis of an input give as many blocks along an axis of an output, in order.

    A block is `in_block` positions of the input and `out_block` of the output; an output block depends on its input
    block and on inputs that have no such axis, on nothing else along the axis. moved: the output block holds just the
    elements of the input block, rearranged at most along other axes or within the block.
    """

    input: int
    in_axis: int
    output: int
    out_axis: int
    count: Dim
    in_start: Dim = 0
    out_start: Dim = 0
    in_block: Dim = 1
    out_block: Dim = 1
    moved: bool = False

    @property
    def in_length(self) -> Dim:
        return symbolic.mul(self.count, self.in_block)

    @property
    def out_length(self) -> Dim:
        return symbolic.mul(self.count, self.out_block)


LinkRule = Callable[[Node], Sequence[Link]]
_RULES: dict[str, LinkRule] = {}
_SEVERAL_OUTPUTS = frozenset({"Split", "TopK"})


def link_rule(*ops: str) -> Callable[[LinkRule], LinkRule]:
    """Register a function that gives the links of these ops."""

    def register(function: LinkRule) -> LinkRule:
        for op in ops:
            _RULES[op] = function
        return function

    return register


def links(node: Node) -> Sequence[Link]:
    """All links of a node that are known.

    None of a node whose further outputs are read, unless they are parts of the same: they could depend on an input in
    ways that the links of the first output do not tell.
    """
    rule = _RULES.get(node.op)
    if rule is None or not node.has_output(0):
        return ()
    if node.op not in _SEVERAL_OUTPUTS and any(v is not None and v.uses for v in node.outputs[1:]):
        return ()
    try:
        return rule(node)
    except Refusal:  # an attribute that the caller of a function binds
        return ()


def shape_of(node: Node, index: int) -> Shape | None:
    """The shape of an input, None if it is omitted or its rank is unknown."""
    value = node.input(index)
    return None if value is None else value.shape


def kept_axes(node: Node, axes: Sequence[int], *, moved: bool = False, index: int = 0) -> list[Link]:
    """Links for axes of an input that stand in every output at the same place with the same extent."""
    shape = shape_of(node, index)
    found = []
    for output, value in enumerate(node.outputs):
        if shape is None or value is None or value.shape is None:
            continue
        for axis in axes:
            if axis < len(shape) and axis < len(value.shape) and shape[axis] == value.shape[axis]:
                found.append(Link(index, axis, output, axis, shape[axis], moved=moved))
    return found


def broadcast_links(node: Node, *, moved: bool = False) -> list[Link]:
    """Links of inputs aligned from the last axis on, as numpy broadcasts; extents of 1 take part as a whole."""
    shape = node.output.shape
    found: list[Link] = []
    if shape is None:
        return found
    for index, value in enumerate(node.inputs):
        if value is None or value.shape is None:
            continue
        ahead = len(shape) - len(value.shape)
        for axis, extent in enumerate(value.shape):
            if ahead >= 0 and extent != 1 and extent == shape[axis + ahead]:
                found.append(Link(index, axis, 0, axis + ahead, extent, moved=moved))
    return found
