"""fold-sequences: sequences and optionals whose elements are known need not be made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference import content_of
from ..compiler.inference.axes import axis_within
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from ..compiler.tensor import Tensor
from .inlining.handing_over import hand_over_one
from .views.view_plans import unsqueezed

_LONGEST = 1024  # elements that are followed


@dataclass(frozen=True)
class FoldSequences(RewritePass):
    """Read tensors directly where they are put into a sequence or an optional and taken out again.

    Before => After
        s = SequenceConstruct(a, b); y = SequenceAt(s, 1)              =>   y = b
        s = SequenceInsert(SequenceEmpty(), a); n = SequenceLength(s)  =>   n = 1
        s = SequenceConstruct(a, b); y = ConcatFromSequence(s)         =>   y = Concat(a, b)
        s = SplitToSequence(x); a = SequenceAt(s, 0); b = SequenceAt(s, 1)   =>   a, b = Split(x)
        o = Optional(x); y = OptionalGetElement(o); h = OptionalHasElement(o)   =>   y = x; h = true

    Legal when
        The sequence is built by SequenceConstruct, SequenceEmpty, SequenceInsert and SequenceErase at positions that
        are constants within range. What SplitToSequence makes must have a known number of parts of known sizes; what
        reads it may only be SequenceAt at constant positions, in the same graph.

    Pays when
        Always, for the nodes that make the sequence go when nobody else reads it. Stacking several elements along a new
        axis stays, because every element would take an Unsqueeze.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "fold-sequences"
    patterns: ClassVar[tuple[OpPattern, ...]] = (
        op("SequenceAt|SequenceLength|ConcatFromSequence|OptionalGetElement|OptionalHasElement"),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        _ROOTS[node.op](node, rewriter)


def _at(node: Node, rewriter: Rewriter) -> None:
    sequence = node.inputs[0]
    position = content_of(node.input(1))
    if sequence is None or position is None or not isinstance(position[0], int):
        rewriter.refuse("the position is not a constant")
    source = _source(sequence)
    if source is not None and source.op == "SplitToSequence":
        _split_instead(source, rewriter)
        return
    elements = _elements(sequence, rewriter)
    index = axis_within(position[0], len(elements))
    if index is None:
        rewriter.refuse(f"the sequence has no element {position[0]}")
    hand_over_one(node.output, elements[index], rewriter)


def _length(node: Node, rewriter: Rewriter) -> None:
    sequence = node.inputs[0]
    if sequence is None:
        rewriter.refuse("")
    source = _source(sequence)
    if source is not None and source.op == "SplitToSequence":
        count = len(_sizes(source, rewriter))
    else:
        count = len(_elements(sequence, rewriter))
    _give(node, np.array(count, np.int64), rewriter)


def _concat(node: Node, rewriter: Rewriter) -> None:
    sequence = node.inputs[0]
    if sequence is None:
        rewriter.refuse("")
    axis, stacks = node.int_attr("axis", 0), bool(node.int_attr("new_axis", 0))
    source = _source(sequence)
    if source is not None and source.op == "SplitToSequence":
        whole = source.inputs[0]
        squeezes = source.input(1) is None and not source.int_attr("keepdims", 1)
        if whole is None or whole.rank is None or squeezes != stacks:
            rewriter.refuse("the parts are put together in another way than they were taken apart")
        if axis_within(axis, whole.rank) != axis_within(source.int_attr("axis", 0), whole.rank):
            rewriter.refuse("the parts are put together along another axis")
        hand_over_one(node.output, whole, rewriter)
        return
    elements = _elements(sequence, rewriter)
    if not elements:
        rewriter.refuse("the sequence is empty")
    if len(elements) == 1 and not stacks:
        hand_over_one(node.output, elements[0], rewriter)
    elif stacks and len(elements) > 1:
        rewriter.refuse("every element would need an Unsqueeze")
    elif stacks:
        rewriter.replace(node.output, unsqueezed(elements[0], axis, rewriter))
    else:
        rewriter.replace(node.output, rewriter.op("Concat", elements, axis=axis))


def _get(node: Node, rewriter: Rewriter) -> None:
    value = node.input(0)
    source = None if value is None else _source(value)
    if source is not None and source.op == "Optional" and source.input(0) is not None:
        value = source.inputs[0]
    elif value is None or not _is_no_optional(value):
        rewriter.refuse("it is not known what the optional holds")
    if value is not None:
        hand_over_one(node.output, value, rewriter)


def _has(node: Node, rewriter: Rewriter) -> None:
    value = node.input(0)
    source = None if value is None else _source(value)
    if value is None:
        present = False
    elif source is not None and source.op == "Optional":
        present = source.input(0) is not None
    elif _is_no_optional(value):
        present = True
    else:
        rewriter.refuse("it is not known whether the optional holds anything")
    _give(node, np.array(present), rewriter)


_ROOTS: dict[str, Callable[[Node, Rewriter], None]] = {
    "SequenceAt": _at,
    "SequenceLength": _length,
    "ConcatFromSequence": _concat,
    "OptionalGetElement": _get,
    "OptionalHasElement": _has,
}


def _give(node: Node, array: np.ndarray, rewriter: Rewriter) -> None:
    rewriter.replace(node.output, rewriter.stand_in(node.output, Tensor.from_array(array)))


def _source(value: Value) -> Node | None:
    while value.producer is not None and value.producer.op == "Identity" and value.producer.inputs[0] is not None:
        value = value.producer.inputs[0]
    return value.producer


def _is_no_optional(value: Value) -> bool:
    """True for a value that is certainly a tensor or sequence, which OptionalGetElement takes too since opset 18."""
    if value.declared is not None:
        return value.declared.WhichOneof("value") in ("tensor_type", "sequence_type")
    return bool(value.dtype)


def _elements(sequence: Value, rewriter: Rewriter) -> list[Value]:
    """What the sequence holds, in order."""
    edits: list[Node] = []
    source = _source(sequence)
    while source is not None and source.op in ("SequenceInsert", "SequenceErase") and source.inputs[0] is not None:
        edits.append(source)
        source = _source(source.inputs[0])
        if len(edits) > _LONGEST:
            rewriter.refuse("the sequence is too long to follow")
    if source is None or source.op not in ("SequenceConstruct", "SequenceEmpty"):
        rewriter.refuse("it is not known what the sequence holds")
    elements = [value for value in source.inputs if value is not None]
    for edit in reversed(edits):
        inserts = edit.op == "SequenceInsert"
        position = _position(edit, 2 if inserts else 1, len(elements), rewriter)
        if inserts:
            value = edit.inputs[1]
            assert value is not None
            elements.insert(position, value)
        else:
            del elements[position]
    return elements


def _position(edit: Node, index: int, length: int, rewriter: Rewriter) -> int:
    inserts = edit.op == "SequenceInsert"
    if edit.input(index) is None:
        position = length if inserts else length - 1
    else:
        known = content_of(edit.input(index))
        if known is None or not isinstance(known[0], int):
            rewriter.refuse("a position in the sequence is not a constant")
        position = known[0] + length if known[0] < 0 else known[0]
    if not 0 <= position < length + inserts:
        rewriter.refuse(f"the sequence has no position {position}")
    return position


def _sizes(source: Node, rewriter: Rewriter) -> Sequence[int]:
    """Extents of the parts that SplitToSequence makes."""
    value = source.inputs[0]
    axis = None if value is None or value.rank is None else axis_within(source.int_attr("axis", 0), value.rank)
    extent = None if value is None or value.shape is None or axis is None else value.shape[axis]
    if not isinstance(extent, int):
        rewriter.refuse("the extent that is split is not known")
    split = source.input(1)
    if split is None:
        return [1] * extent
    sizes = content_of(split)
    if sizes is None or not all(isinstance(size, int) for size in sizes) or split.rank is None:
        rewriter.refuse("the sizes of the parts are not known")
    numbers = [size for size in sizes if isinstance(size, int)]
    if split.rank == 0 and numbers[0] > 0:
        whole, rest = divmod(extent, numbers[0])
        numbers = [numbers[0]] * whole + [rest] * (rest > 0)
    if sum(numbers) != extent or not numbers or min(numbers) < 0:
        rewriter.refuse("the sizes of the parts do not fit")
    return numbers


def _split_instead(source: Node, rewriter: Rewriter) -> None:
    """Read all parts of a SplitToSequence from one Split, or, where they lose their axis, each by a Gather."""
    readers = source.output.readers
    positions = [content_of(reader.input(1)) if reader.op == "SequenceAt" else None for reader in readers]
    indices = [p[0] for p in positions if p is not None and isinstance(p[0], int)]
    if len(indices) != len(source.output.uses) or any(r.graph is not source.graph for r in readers):
        rewriter.refuse("the sequence is read by more than SequenceAt at constant positions")
    sizes = _sizes(source, rewriter)
    value, axis = source.inputs[0], source.int_attr("axis", 0)
    if not all(-len(sizes) <= index < len(sizes) for index in indices):
        rewriter.refuse(f"the sequence has {len(sizes)} elements")
    if source.input(1) is None and not source.int_attr("keepdims", 1):
        for reader, index in zip(readers, indices):
            position = rewriter.constant(np.array(index, np.int64), f"{reader.label}.position")
            rewriter.replace(reader.output, rewriter.op("Gather", [value, position], axis=axis))
        return
    if source.version < 13:
        parts = rewriter.ops("Split", [value], len(sizes), axis=axis, split=list(sizes))
    else:
        parts = rewriter.ops("Split", [value, rewriter.ints(sizes, f"{source.label}.sizes")], len(sizes), axis=axis)
    given: set[int] = set()
    for reader, index in zip(readers, indices):
        place = index % len(sizes)
        hand_over_one(reader.output, parts[place], rewriter, twice=place in given)
        given.add(place)
