"""recognize-space-to-depth: blocks of pixels that become channels are SpaceToDepth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter
from .layers.linear_layers import SHARED_LIMIT
from .recognition.pixel_blocks import Blocks, blocks_from_reshape, blocks_from_slices
from .recognition.standard_operators import require_operator
from .values.readers import refuse_other_readers, refuse_readers_elsewhere


@dataclass(frozen=True)
class RecognizeSpaceToDepth(RewritePass):
    """Replace what turns blocks of pixels into channels by SpaceToDepth.

    Before => After
        s = Reshape(x, [N, C, H, b, W, b])
        y = Reshape(Transpose(s, [0, 3, 5, 1, 2, 4]), [N, C*b*b, H, W])     =>   y = SpaceToDepth(x) {blocksize=b}
        y = Concat(x[0::2, 0::2], x[0::2, 1::2], x[1::2, 0::2], x[1::2, 1::2])
                                                                            =>   y = SpaceToDepth(x) {blocksize=2}
        y = Conv(blocks of x in another order, w)                           =>   y = Conv(SpaceToDepth(x), w')

    The slices are of height and width and joined along the channels (the "Focus" layer); the other orders are those of
    YOLOv5's Focus and of a pixel unshuffle, whose transpose is [0, 1, 3, 5, 2, 4].

    Legal when
        The shapes are proven to be these, the block size is a number of at least 2, the slices run to the end and
        cover every place of a block once, and the inner values have no other reader. Another order of the channels
        must be taken in by the constant weight of a Conv in one group that reads nothing else.

    Pays when
        Always: two to eight nodes are saved.

    Numerics
        The sum over the channels of a reordered Conv is associated differently.
    """

    name: ClassVar[str] = "recognize-space-to-depth"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("Conv|Concat|Reshape"),)

    @property
    def depth(self) -> int:
        return 5

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        value = root.inputs[0] if root.op == "Conv" else root.output
        maker = None if value is None else value.producer
        if value is None or maker is None or maker.graph is not root.graph or maker.op not in ("Concat", "Reshape"):
            rewriter.refuse("")
        blocks = blocks_from_slices(maker) if maker.op == "Concat" else blocks_from_reshape(maker)
        if blocks is None or (root.op == "Conv") == blocks.in_order:
            rewriter.refuse("")
        rewriter.include(blocks.nodes)
        refuse_readers_elsewhere(blocks.nodes, maker, rewriter)
        require_operator("SpaceToDepth", blocks.x.dtype, rewriter)
        if root.op == "Conv":
            self._reordered(root, value, blocks, rewriter)
        else:
            rewriter.replace(root.output, _space_to_depth(blocks, rewriter))

    def _reordered(self, conv: Node, value: Value, blocks: Blocks, rewriter: Rewriter) -> None:
        """Plan: the Conv reads SpaceToDepth, and its weight is in that order."""
        weight = conv.inputs[1]
        if weight is None or weight.constant is None or conv.int_attr("group", 1) != 1:
            rewriter.refuse("the blocks are in another order, which only a constant weight in one group can take in")
        refuse_other_readers(value, rewriter)
        if len(weight.uses) > 1 and weight.constant.nbytes > SHARED_LIMIT:
            rewriter.refuse("the weight is shared with another layer and would be stored twice")
        permuted = rewriter.constant(np.take(weight.constant.numpy(), blocks.channels, axis=1), weight.name)
        inputs = [_space_to_depth(blocks, rewriter), permuted, *conv.inputs[2:]]
        rewriter.replace(conv.output, rewriter.clone(conv, inputs))


def _space_to_depth(blocks: Blocks, rewriter: Rewriter) -> Value:
    return rewriter.op("SpaceToDepth", [blocks.x], blocksize=blocks.block)
