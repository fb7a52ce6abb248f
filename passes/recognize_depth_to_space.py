"""recognize-depth-to-space: reshape, transpose and reshape that turn channels into blocks are DepthToSpace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, op
from ..compiler.rewriter import Rewriter
from .recognition.standard_operators import require_operator

_SPLIT = op("Reshape", any_("x"), any_("split shape"), value="split")
_MOVED = op("Transpose", _SPLIT, node="transpose")
_MODES: dict[tuple[int, ...], str] = {(0, 3, 4, 1, 5, 2): "DCR", (0, 1, 4, 2, 5, 3): "CRD"}


@dataclass(frozen=True)
class RecognizeDepthToSpace(RewritePass):
    """Replace the reshape, transpose and reshape of a pixel shuffle by DepthToSpace (Shi et al. 2016).

    Before => After
        s = Reshape(x, [N, b, b, C, H, W])
        y = Reshape(Transpose(s, [0, 3, 4, 1, 5, 2]), [N, C, H*b, W*b])   =>   y = DepthToSpace(x) {blocksize=b}
        s = Reshape(x, [N, C, b, b, H, W])
        y = Reshape(Transpose(s, [0, 1, 4, 2, 5, 3]), [N, C, H*b, W*b])   =>   y = DepthToSpace(x) {mode=CRD}

    Legal when
        The shapes are proven to be these (dimensions may be symbolic, except the block size, which is at least 2), and
        the inner values have no other reader. The second form needs opset 11.

    Pays when
        Always.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "recognize-depth-to-space"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("Reshape", _MOVED, any_("shape")),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        x, split, result = match["x"], match["split"].shape, match.root.output.shape
        order = match.node("transpose").ints_attr("perm")
        mode = None if order is None else _MODES.get(order)
        if mode is None:
            rewriter.refuse("")
        if x.shape is None or split is None or result is None or (len(x.shape), len(result)) != (4, 4):
            rewriter.refuse("the shapes are not known to be those of images")
        first, block, channels = (1, split[1], split[3]) if mode == "DCR" else (2, split[2], split[1])
        n, _, height, width = x.shape
        if not isinstance(block, int) or block < 2 or split[first + 1] != block:
            rewriter.refuse("the block size is not known, or blocks are not square")
        if (split[0], split[4], split[5]) != (n, height, width):
            rewriter.refuse("the first reshape splits other axes than the channels")
        if result != (n, channels, height * block, width * block):
            rewriter.refuse("the last reshape does not merge the blocks into height and width")
        require_operator("DepthToSpace", x.dtype, rewriter, since=1 if mode == "DCR" else 11)
        attributes = {"blocksize": block, "mode": None if mode == "DCR" else mode}
        rewriter.replace(match.root.output, rewriter.op("DepthToSpace", [x], attributes))
