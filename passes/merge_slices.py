"""merge-slices: slices that take a tensor apart along one axis are one Split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference.movement import slice_ranges
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter


@dataclass(frozen=True)
class MergeSlices(RewritePass):
    """Take a tensor apart with one Split instead of several Slices.

    Before => After
        a = Slice(x[N,8], 0:3); b = Slice(x, 3:8)   =>   a, b = Split(x, [3, 5])

    Legal when
        The slices are along one axis of known extent, without steps, and follow upon each other from its start to its
        end without gap or overlap, in the same graph.

    Pays when
        Always: as many elements are copied, in one node.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "merge-slices"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Slice"),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        first = _part(root)
        source = root.inputs[0]
        if first is None or source is None or source.shape is None or first[1] != 0:
            rewriter.refuse("")
        axis, _, end = first
        extent = source.shape[axis]
        slices = [root]
        following = {(found[0], found[1]): (node, found[2]) for node in _others(root, source) if (found := _part(node))}
        while end != extent and (axis, end) in following:
            node, end = following[axis, end]
            slices.append(node)
        if len(slices) < 2:
            rewriter.refuse("")
        if end != extent:
            rewriter.refuse("the slices leave the end of the axis out")
        sizes = [node.output.shape[axis] for node in slices if node.output.shape is not None]
        known = [size for size in sizes if isinstance(size, int)]
        if rewriter.opset() < 2:
            rewriter.refuse("Split takes its sizes otherwise in opset 1")
        rewriter.include(slices[1:])
        if rewriter.opset() >= 13:
            lengths = rewriter.ints(known, f"{source.name}_sizes")
            parts = rewriter.ops("Split", [source, lengths], len(slices), axis=axis)
        else:
            parts = rewriter.ops("Split", [source], len(slices), axis=axis, split=known)
        for node, part in zip(slices, parts, strict=True):
            rewriter.replace(node.output, part)


def _others(root: Node, source: Value) -> list[Node]:
    return [n for n in source.readers if n.op == "Slice" and n is not root and n.graph is root.graph]


def _part(node: Node) -> tuple[int, int, int] | None:
    """(axis, start, end) of a Slice that takes an interval of one axis of known extent; None for others."""
    source, result = node.inputs[0], node.output.shape
    if source is None or source.shape is None or result is None:
        return None
    ranges = slice_ranges(node, len(source.shape))
    if ranges is None:
        return None
    cut = [axis for axis, (_, _, step) in ranges.items() if step != 1 or result[axis] != source.shape[axis]]
    if len(cut) != 1:
        return None
    (axis,) = cut
    (start, _, step), extent, length = ranges[axis], source.shape[axis], result[axis]
    if step != 1 or not isinstance(start, int) or not isinstance(extent, int) or not isinstance(length, int):
        return None
    first = max(start + extent, 0) if start < 0 else start
    return (axis, first, first + length) if length > 0 else None
