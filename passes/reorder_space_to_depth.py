"""reorder-space-to-depth: blocks of pixels whose order TensorRT misreads are put in order by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter


@dataclass(frozen=True)
class ReorderSpaceToDepth(RewritePass):
    """Write SpaceToDepth in CRD order as one in DCR order and a Gather of its channels.

    Before => After
        y = SpaceToDepth(x, mode="CRD")     =>   y = Gather(SpaceToDepth(x), order, axis=1)

    TensorRT reads the first as DCR, without a message. It is part of the pipeline `tensorrt`.

    Legal when
        The number of channels is known.

    Pays when
        Always: the engine would compute something else.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "reorder-space-to-depth"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("SpaceToDepth", where=lambda node: node.attributes.get("mode") in (b"CRD", "CRD")),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        x, size = node.inputs[0], node.int_attr("blocksize", 1)
        channels = None if x is None or x.shape is None or len(x.shape) != 4 else x.shape[1]
        if not isinstance(channels, int):
            rewriter.refuse("the number of channels is not known")
        blocks = size * size
        order = [block * channels + channel for channel in range(channels) for block in range(blocks)]
        attributes = {key: value for key, value in node.attributes.items() if key != "mode"}
        straight = rewriter.op("SpaceToDepth", [x], attributes, name=node.name)
        rewriter.replace(node.output, rewriter.op("Gather", [straight, rewriter.ints(order, "order")], axis=1))
