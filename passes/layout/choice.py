"""Which operators of a region should change their layout, so that the fewest and smallest views are left.

Each tensor that some reader wants in another layout than its producer makes costs one view. Operators that cannot
change stand where they are. The cheapest choice is a minimum cut between what must stay in layout 0 and what must stay
in layout 1 (labelling by graph cuts: Boykov, Veksler and Zabih 2001), with two auxiliary vertices per tensor, so that
readers share a view. Other views at the border (Reshape, a Transpose by another permutation) that can take either
layout with one node cost nothing and bind nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass, field

from ...compiler import dtypes, symbolic
from ...compiler.cost import elements
from ...compiler.graph import Node, Value
from ...compiler.min_cut import FlowNetwork
from ..views.view_plans import Plan
from .regions import Region

Cost = tuple[int, int]  # views between the layouts, and the bytes that they move
_LAYOUTS: tuple[str, str] = ("layout 0", "layout 1")  # vertices: the source and the sink
_TYPICAL_EXTENT = 16  # of a symbolic dimension, only to compare costs


@dataclass
class Choice:
    """before, after: the cost with the layouts as they are, and as chosen. flipped: operators that change.
    views: border views that read a tensor in its new layout. made: tensors that a view makes in another layout."""

    before: Cost
    after: Cost
    flipped: list[Node]
    views: dict[Node, Plan] = field(default_factory=dict)
    made: dict[Value, Plan] = field(default_factory=dict)


class _Tensor:
    """A tensor of the region with the vertices of who makes it and who reads it."""

    def __init__(self, region: Region, value: Value, settled: set[Node]) -> None:
        self.value = value
        self.label = region.held[value].label
        self.views: dict[Node, Plan] = {}
        self.made: Plan | None = None
        self.producer: Hashable = self._producer(region, settled)
        self.readers: dict[Hashable, None] = {}
        self.matched = sum(held is value for held in region.matched.values())
        for reader, index, label in region.uses(value):
            vertex = self._reader(region, reader, index, label, settled)
            if vertex is not None:
                self.readers[vertex] = None
        self.nodes, self.bytes = _cost(region, value)

    def _producer(self, region: Region, settled: set[Node]) -> Hashable:
        node = self.value.producer
        if node in region.members:
            return node
        if node is not None and node.graph is region.graph and _may_settle(node, settled):
            self.made = region.view(node, after=None, before=self.value)
            if self.made is not None:
                settled.add(node)
                return self.value
        return _LAYOUTS[self.label]

    def _reader(
        self, region: Region, reader: object, index: int, label: int, settled: set[Node]
    ) -> Hashable | None:
        if not isinstance(reader, Node):
            return _LAYOUTS[label]
        member = region.members.get(reader)
        if member is not None:
            return reader if index < len(member.change.inputs) and member.change.inputs[index] else _LAYOUTS[label]
        if reader.graph is region.graph and label == self.label and _may_settle(reader, settled):
            plan = region.view(reader, after=self.value, before=None)
            if plan is not None:
                settled.add(reader)
                self.views[reader] = plan
                return None
        return _LAYOUTS[label]


def _may_settle(node: Node, settled: set[Node]) -> bool:
    """A view may be rewritten at one of its ends; a Transpose at both."""
    return node.op == "Transpose" or node not in settled


def _cost(region: Region, value: Value) -> tuple[int, int]:
    """(nodes, bytes moved) of bringing a tensor into its other layout, where that takes any."""
    order, shape = region.way_out(value), value.shape
    if order is None or shape is None:
        return 1, 0
    real = [axis for axis in order.kept if shape[axis] != 1]
    if real == sorted(real):
        return 1, 0  # a reshape
    names = set().union(*(symbolic.symbols(extent) for extent in shape if not isinstance(extent, int)))
    size = dtypes.nbytes(value.dtype, elements(value, dict.fromkeys(names, _TYPICAL_EXTENT)))
    return (1 if len(order) == order.rank and not order.dropped else 2), size


def choose(region: Region, better_changed: Collection[Node] = ()) -> Choice:
    """The cheapest layouts; of several equally cheap choices one that changes few operators.

    better_changed: operators that are worth changing unless that takes a view more.
    """
    settled: set[Node] = set()
    tensors = [_Tensor(region, value, settled) for value in region.held if value.constant is None]
    if not region.members or (not better_changed and _at_its_least(tensors)):
        cost = _cost_now(tensors)
        return Choice(cost, cost, [])
    network = FlowNetwork()
    count = len(region.members) + 1
    gain = 1 + count * sum(tensor.bytes + 1 for tensor in tensors)
    each = gain * (len(better_changed) + 1)  # a node outweighs all bytes, and all that changes are worth
    never = each * (sum(tensor.nodes for tensor in tensors) + 1)
    for tensor in tensors:
        _connect(network, tensor, each * tensor.nodes + count * tensor.bytes, never)
    for node, member in region.members.items():  # a change for nothing is worth less than none
        tail, head = (node, _LAYOUTS[1]) if member.label else (_LAYOUTS[0], node)
        network.connect(tail, head, 1)
        if node in better_changed:
            tail, head = (_LAYOUTS[0], node) if member.label else (node, _LAYOUTS[1])
            network.connect(tail, head, gain)
    _, zero = network.minimum_cut(*_LAYOUTS)
    return _outcome(region, tensors, zero)


def _at_its_least(tensors: list[_Tensor]) -> bool:
    """Whether no choice can be cheaper: one view that moves nothing, between ends that need different layouts."""
    if _cost_now(tensors) != (1, 0):
        return False
    ends = {vertex for tensor in tensors for vertex in (tensor.producer, *tensor.readers)}
    return ends >= set(_LAYOUTS)


def _cost_now(tensors: list[_Tensor]) -> Cost:
    return sum(t.matched for t in tensors), sum(t.matched * t.bytes for t in tensors)


def _connect(network: FlowNetwork, tensor: _Tensor, weight: int, never: int) -> None:
    readers = [reader for reader in tensor.readers if reader != tensor.producer]
    if len(readers) == 1:
        network.connect(tensor.producer, readers[0], weight, back=weight)
    elif readers:
        outward, inward = ("outward", tensor.value), ("inward", tensor.value)
        network.connect(tensor.producer, outward, weight)
        network.connect(inward, tensor.producer, weight)
        for reader in readers:
            network.connect(outward, reader, never)
            network.connect(reader, inward, never)


def _outcome(region: Region, tensors: list[_Tensor], zero: set[Hashable]) -> Choice:
    flipped = [node for node, member in region.members.items() if (node not in zero) != bool(member.label)]
    nodes = size = 0
    choice = Choice(_cost_now(tensors), (0, 0), flipped)
    for tensor in tensors:
        chosen = int(tensor.producer not in zero)
        if any(int(reader not in zero) != chosen for reader in tensor.readers):
            nodes, size = nodes + tensor.nodes, size + tensor.bytes
        if chosen != tensor.label:
            choice.views.update(tensor.views)
            if tensor.made is not None:
                choice.made[tensor.value] = tensor.made
    choice.after = (nodes, size)
    return choice
