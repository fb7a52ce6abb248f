"""Branches that go on in step: the same operation on every part of one value, which could be one operation on all.

A bundle is a list of values that are parts, along one axis, of a value that exists (what a Split takes apart) or that
could exist (what a merged layer would produce). `follow` finds the steps that all parts take, and `Step.build` plans
each as one node on the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...compiler.attributes import Attribute
from ...compiler.graph import Node, Value
from ...compiler.inference import content_of
from ...compiler.inference.movement import slice_ranges
from ...compiler.rewriter import Rewriter
from ...compiler.segments import Link, links
from ..layers.axis_arrays import shortest

_COMMUTATIVE = frozenset({"Add", "Mul"})
_BROADCAST = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "PRelu", "Max", "Min", "Sum"})
_UPWARDS = 4  # steps from a changed node up to where its branch may start
_LARGEST_OPERAND = 1 << 22  # elements of a joined constant


@dataclass(frozen=True)
class Bundle:
    """Values that are parts of one along an axis, and the extents that they have there."""

    values: tuple[Value, ...]
    axis: int
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """The same operation on every value of `before`, giving those of `after`.

    nodes: one per part. data: which of their inputs the part is. joined: input -> axis along which its constants are
    put together; the other inputs are the same for all.
    """

    nodes: tuple[Node, ...]
    data: int
    joined: dict[int, int]
    before: Bundle
    after: Bundle

    @property
    def is_grouped(self) -> bool:
        """Whether layers become groups of one layer."""
        return self.nodes[0].op == "Conv"

    def build(self, whole: Value, order: Sequence[int], rewriter: Rewriter) -> Value:
        """The operation on the whole, whose parts stand in this order."""
        first = self.nodes[order[0]]
        inputs = list(first.inputs)
        inputs[self.data] = whole
        attributes: dict[str, Attribute] = dict(first.attributes)
        for index, axis in self.joined.items():
            arrays = [self._operand(i, index, axis) for i in order]
            joined = np.concatenate(arrays, axis)
            joined = shortest(joined) if first.op in _BROADCAST else joined
            value = first.input(index) or first.inputs[1]
            while len(inputs) <= index:
                inputs.append(None)
            inputs[index] = rewriter.constant(joined, value.name if value is not None else first.label)
        if first.op == "Reshape":
            inputs[1] = self._target(first, rewriter)
        if self.is_grouped:
            attributes["group"] = sum(node.int_attr("group", 1) for node in self.nodes)
        return rewriter.op(first.op_type, inputs, attributes, name=first.name, domain=first.domain)

    def _operand(self, part: int, index: int, axis: int) -> np.ndarray:
        node = self.nodes[part]
        value = _operands(node, self.before.values[part], self.data)[index] if index < len(node.inputs) else None
        if value is None:  # a bias that other parts have
            assert node.inputs[1] is not None and node.inputs[1].constant is not None
            weight = node.inputs[1].constant.numpy()
            return np.zeros(weight.shape[0], weight.dtype)
        assert value.constant is not None
        array = value.constant.numpy()
        if node.op not in _BROADCAST:
            return array
        rank = len(node.output.shape or ())
        array = array.reshape((1,) * (rank - array.ndim) + array.shape)
        others = [_operands(n, v, self.data)[index] for n, v in zip(self.nodes, self.before.values)]
        shape = list(np.broadcast_shapes(*(_without(v, rank, axis) for v in others)))
        shape[axis] = self.after.sizes[part]
        return np.broadcast_to(array, shape)

    def _target(self, first: Node, rewriter: Rewriter) -> Value:
        old = first.inputs[1]
        target = [d for d in content_of(old) or () if isinstance(d, int)]
        target[self.after.axis] = sum(self.after.sizes)
        return rewriter.ints(target, old.name if old is not None else first.label)


def _without(value: Value | None, rank: int, axis: int) -> tuple[int, ...]:
    """The shape of a constant beside a tensor of this rank, the axis left open."""
    assert value is not None and value.constant is not None
    shape = [1] * (rank - len(value.constant.shape)) + list(value.constant.shape)
    shape[axis] = 1
    return tuple(shape)


def follow(bundle: Bundle) -> list[Step]:
    """The steps that all parts take, as far as they go."""
    steps: list[Step] = []
    while True:
        step = _next_step(bundle)
        if step is None:
            return steps
        steps.append(step)
        bundle = step.after


def _next_step(bundle: Bundle) -> Step | None:
    nodes = [value.sole_reader for value in bundle.values]
    first = nodes[0]
    if first is None or len(set(nodes)) < len(nodes):
        return None
    whole = [node for node in nodes if node is not None]
    if len(whole) < len(nodes) or not all(_alike(node, first) for node in whole):
        return None
    data = [node.inputs.index(value) for node, value in zip(whole, bundle.values)]
    index = data[0]
    if any(i != index for i in data) and first.op not in _COMMUTATIVE:
        return None
    if first.op == "Conv":
        return _grouped(whole, bundle) if index == 0 and bundle.axis == 1 else None
    after = _moved_on(whole, bundle)
    joined = None if after is None else _joined_inputs(whole, index, bundle, after)
    if after is None or joined is None or _names_extent(first, index, bundle, after):
        return None
    return Step(tuple(whole), index, joined, bundle, after)


def _alike(node: Node, first: Node) -> bool:
    """Whether two nodes are the same operation, operands aside; the bias of a Conv may be there or not."""
    if node.op != first.op or node.graph is not first.graph or node.bodies:
        return False
    if node.op != "Conv" and len(node.inputs) != len(first.inputs):
        return False
    if any(v is not None and v.uses for v in node.outputs[1:]):
        return False
    return _attributes(node) == _attributes(first)


def _attributes(node: Node) -> dict[str, Attribute]:
    return {k: v for k, v in node.attributes.items() if not (k == "group" and node.op == "Conv")}


def _operands(node: Node, part: Value, data: int) -> list[Value | None]:
    """The inputs, those of a commutative operation turned so that the part is where it is for the first node."""
    inputs = list(node.inputs)
    return inputs if inputs[data] is part else inputs[::-1]


def _moved_on(nodes: Sequence[Node], bundle: Bundle) -> Bundle | None:
    """Axis and extents behind the nodes; None if they do not keep the positions of the axis apart."""
    sizes: list[int] = []
    seen: set[tuple[object, ...]] = set()
    for node, value, size in zip(nodes, bundle.values, bundle.sizes):
        ways = [k for k in links(node) if (k.input, k.in_axis) == (node.inputs.index(value), bundle.axis)]
        if len(ways) != 1 or not _is_whole(ways[0], size) or node.output.shape is None:
            return None
        way = ways[0]
        others = tuple(d for i, d in enumerate(node.output.shape) if i != way.out_axis)
        seen.add((way.out_axis, way.in_block, way.out_block, others))
        extent = node.output.shape[way.out_axis]
        if not isinstance(extent, int) or extent != way.out_length:
            return None
        sizes.append(extent)
    if len(seen) > 1:
        return None
    axis = next(iter(seen))[0]
    assert isinstance(axis, int)
    return Bundle(tuple(node.output for node in nodes), axis, tuple(sizes))


def _is_whole(way: Link, size: int) -> bool:
    apart = way.moved or (way.in_block == 1 and way.out_block == 1)
    return apart and way.in_start == 0 and way.out_start == 0 and way.in_length == size and way.output == 0


def _joined_inputs(nodes: Sequence[Node], data: int, before: Bundle, after: Bundle) -> dict[int, int] | None:
    """Inputs whose constants are joined, with the axis; None if some input is neither that nor the same for all."""
    joined: dict[int, int] = {}
    first = nodes[0]
    rows = [_operands(node, value, data) for node, value in zip(nodes, before.values)]
    for index in range(len(first.inputs)):
        if index == data or (first.op == "Reshape" and index == 1):
            continue
        values = [row[index] for row in rows]
        ways = [_way_of(node, value, after.axis) for node, value in zip(nodes, values)]
        linked = [way for way in ways if way is not None]
        if not linked and _same(values):
            continue
        if any(v is None or v.constant is None for v in values):
            return None
        if first.op in _BROADCAST and first.version >= 7:
            if not _can_expand(values, len(first.output.shape or ()), after):
                return None
            joined[index] = after.axis
        elif len(linked) == len(ways) and len({way.in_axis for way in linked}) == 1:
            if any(not _is_whole(way, size) for way, size in zip(linked, after.sizes)):
                return None
            joined[index] = linked[0].in_axis
        else:
            return None
    return joined


def _way_of(node: Node, value: Value | None, axis: int) -> Link | None:
    index = -1 if value is None else node.inputs.index(value)
    return next((k for k in links(node) if (k.input, k.output, k.out_axis) == (index, 0, axis)), None)


def _same(values: Sequence[Value | None]) -> bool:
    """Whether the operands are one value, or constants with equal bits, or all omitted."""
    first = values[0]
    if all(value is first for value in values):
        return True
    constants = [None if value is None else value.constant for value in values]
    known = [c for c in constants if c is not None]
    return len(known) == len(values) and len({c.digest() for c in known}) == 1


def _can_expand(values: Sequence[Value | None], rank: int, after: Bundle) -> bool:
    constants = [v.constant for v in values if v is not None and v.constant is not None]
    if len({c.dtype for c in constants}) > 1 or any(len(c.shape) > rank for c in constants):
        return False
    try:
        shape = np.broadcast_shapes(*(_without(v, rank, after.axis) for v in values))
    except ValueError:
        return False
    return int(np.prod(shape)) * sum(after.sizes) <= _LARGEST_OPERAND


def _names_extent(node: Node, data: int, bundle: Bundle, after: Bundle) -> bool:
    """Whether an operand states the extent of the axis, which the whole does not have; Reshape's is rewritten."""
    if node.op in ("Expand", "Upsample"):
        return True
    if node.op == "Resize":
        return node.input(3) is not None
    if node.op == "Slice":
        value = node.inputs[data]
        ranges = slice_ranges(node, len(value.shape or ())) if value is not None else None
        return ranges is None or bundle.axis in ranges
    if node.op != "Reshape":
        return False
    target = node.inputs[1]
    numbers = None if target is None or target.constant is None else content_of(target)
    if numbers is None or not all(isinstance(n, int) for n in numbers) or node.version < 5:
        return True
    copies = not node.int_attr("allowzero", 0) and bundle.axis < len(numbers) and numbers[bundle.axis] == 0
    return copies and after.axis != bundle.axis


def _grouped(nodes: Sequence[Node], bundle: Bundle) -> Step | None:
    """Layers with groups of equal shape, as groups of one layer."""
    shapes = set()
    for node, channels in zip(nodes, bundle.sizes):
        weight = node.input(1)
        constant = None if weight is None else weight.constant
        if constant is None or len(constant.shape) < 3:
            return None
        group = node.int_attr("group", 1)
        if constant.shape[0] % group or constant.shape[1] * group != channels:
            return None
        shapes.add((constant.dtype, constant.shape[0] // group, *constant.shape[1:]))
        bias = node.input(2)
        if (bias is not None and bias.constant is None) or node.output.shape is None:
            return None
    if len(shapes) > 1:
        return None
    extents = [node.inputs[1].constant.shape[0] for node in nodes]  # type: ignore[union-attr]
    after = Bundle(tuple(node.output for node in nodes), 1, tuple(extents))
    joined = {1: 0}
    if any(node.input(2) is not None for node in nodes):
        joined[2] = 0
    return Step(tuple(nodes), 0, joined, bundle, after)


def upstream(nodes: Sequence[Node]) -> set[Node]:
    """These nodes and what they read from within a few steps: where a branch may start that they belong to."""
    found: set[Node] = set(nodes)
    frontier = list(found)
    for _ in range(_UPWARDS):
        above = {v.producer for node in frontier for v in node.inputs if v is not None and v.producer is not None}
        frontier = [node for node in above if node not in found]
        found.update(frontier)
    return found
