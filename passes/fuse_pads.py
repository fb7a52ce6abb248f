"""fuse-pads: a border around a border is one border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.graph import Node
from ..compiler.graph_pass import RewritePass
from ..compiler.inference.movement_extent import pad_amounts
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .values.readers import refuse_other_readers

_Sides = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True)
class FusePads(RewritePass):
    """Add up the borders of two Pads in a row.

    Before => After
        Pad(Pad(x, [1, 1]), [0, 2])   =>   Pad(x, [1, 3])

    Legal when
        Both fill with the same constant, or both repeat the edge; the amounts are known; and no side is first widened
        and then cropped or the other way around. The inner result has no other reader.

    Pays when
        Always.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "fuse-pads"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Pad", node="outer"),)

    @property
    def depth(self) -> int:
        return 2

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        outer = match.root
        padded = outer.inputs[0]
        inner = None if padded is None else padded.producer
        if padded is None or inner is None or inner.op != "Pad" or inner.graph is not outer.graph or not padded.dtype:
            rewriter.refuse("")
        refuse_other_readers(padded, rewriter)
        mode = outer.str_attr("mode", "constant")
        if mode != inner.str_attr("mode", "constant") or mode not in ("constant", "edge"):
            rewriter.refuse("only borders of one constant, or of the edge, add up")
        if mode == "constant" and _fill(inner, rewriter) != _fill(outer, rewriter):
            rewriter.refuse("the borders are filled with different numbers")
        first, second = _amounts(inner, rewriter), _amounts(outer, rewriter)
        total = [[a + b for a, b in zip(*sides)] for sides in zip(first, second)]
        if any(a * b < 0 for sides in zip(first, second) for a, b in zip(*sides)):
            rewriter.refuse("a side is widened and cropped")
        numbers = total[0] + total[1]
        if rewriter.opset() < 11:
            kept = {key: value for key, value in outer.attributes.items() if key != "paddings"}
            result = rewriter.op("Pad", [inner.inputs[0]], {**kept, "pads": tuple(numbers)}, name=outer.name)
        else:
            amounts = rewriter.ints(numbers, f"{outer.label}_pads")
            result = rewriter.op("Pad", [inner.inputs[0], amounts, outer.input(2)], outer.attributes, name=outer.name)
        rewriter.include([inner])
        rewriter.replace(outer.output, result)


def _fill(node: Node, rewriter: Rewriter) -> bytes:
    """The bits of the number that a Pad fills with."""
    if node.version < 11:
        return np.float64(node.float_attr("value", 0.0)).tobytes()
    value = node.input(2)
    if value is None:
        return np.zeros((), dtypes.to_numpy(node.output.dtype)).tobytes()
    if value.constant is None:
        rewriter.refuse("the number that fills the border is not a constant")
    return value.constant.numpy().tobytes()


def _amounts(node: Node, rewriter: Rewriter) -> _Sides:
    source = node.inputs[0]
    found = None if source is None or source.rank is None else pad_amounts(node, source.rank)
    known = [] if found is None else [[n for n in side if isinstance(n, int)] for side in found]
    if found is None or source is None or any(len(side) != source.rank for side in known):
        rewriter.refuse("the widths of the borders are not known")
    return known[0], known[1]
