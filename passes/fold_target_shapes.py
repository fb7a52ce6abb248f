"""fold-target-shapes: a shape that is computed from other shapes becomes a constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import symbolic
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference import content_of
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .views.reshape_targets import reshaped


def _computes_its_target(node: Node) -> bool:
    if node.version < 5 and node.op == "Reshape":
        return False
    value = node.input(3 if node.op == "Resize" else 1)
    return value is not None and value.constant is None and not value.overridable


@dataclass(frozen=True)
class FoldTargetShapes(RewritePass):
    """Give Reshape, Expand and Resize a constant target where it follows from the shape of their input.

    Before => After
        s = Concat(Shape(x)[0], [-1]); y = Reshape(x[N,8,4], s)      =>   y = Reshape(x, [0, 32])
        y = Reshape(x[N,8,H,W], [N, 8, H*W])                         =>   y = Reshape(x, [0, 8, -1])
        y = Expand(x[N,1,4], [N, 3, 4])                              =>   y = Expand(x, [1, 3, 4])
        y = Resize(x[N,C,H,W], sizes = [N, C, 2*H, 2*W])             =>   y = Resize(x, scales = [1, 1, 2, 2])

    The arithmetic on shapes that led to the target is then dead unless others read it.

    Legal when
        The symbolic shapes prove it. Reshape: every extent of the result but one is a number or equals the input's
        extent at the same place; Flatten, Squeeze and Unsqueeze are used where they say the same. Expand: every extent
        is a number or the input's own. Resize: every size is a whole multiple of the input's extent, the aspect ratio
        need not be kept and nothing is cropped.

    Pays when
        Always: one input less to wait for.

    Numerics
        Unchanged. One case changes: where an extent that Reshape copies is 0 at run time, another cannot be inferred,
        and a run with an empty batch that worked before may fail. It is refused for extents that depend on data, such
        as the number of boxes found, and avoided wherever Flatten, Squeeze, Unsqueeze or numbers alone can spell it.
    """

    name: ClassVar[str] = "fold-target-shapes"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Reshape|Expand|Resize", where=_computes_its_target),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        source, result = node.inputs[0], node.output
        if source is None or result.shape is None:
            rewriter.refuse("the rank of the result is not known")
        if node.op == "Reshape":
            rewriter.replace(result, reshaped(source, result.shape, rewriter))
        elif node.op == "Expand":
            rewriter.replace(result, _expanded(node, source, rewriter))
        else:
            rewriter.replace(result, _rescaled(node, source, rewriter))


def _expanded(node: Node, source: Value, rewriter: Rewriter) -> Value:
    shape, wanted = source.shape, node.output.shape
    if shape is None or wanted is None:
        rewriter.refuse("the rank of the input is not known")
    own = (1,) * (len(wanted) - len(shape)) + shape
    target = [e if isinstance(e, int) else 1 if e == o else None for e, o in zip(wanted, own)]
    if None in target:
        rewriter.refuse("an extent to which it expands is not known")
    return rewriter.op("Expand", [source, rewriter.ints([t for t in target if t is not None], f"{source.name}_shape")])


def _rescaled(node: Node, source: Value, rewriter: Rewriter) -> Value:
    sizes, shape = content_of(node.input(3)), source.shape
    axes = node.ints_attr("axes") or tuple(range(len(shape or ())))
    if sizes is None or shape is None or len(sizes) != len(axes):
        rewriter.refuse("the sizes do not follow from the shapes")
    if node.str_attr("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        rewriter.refuse("Resize crops")
    if node.str_attr("keep_aspect_ratio_policy", "stretch") != "stretch":
        rewriter.refuse("Resize keeps the aspect ratio")
    scales = [symbolic.exact_div(size, shape[axis]) for axis, size in zip(axes, sizes)]
    if not all(isinstance(scale, int) and scale > 0 for scale in scales):
        rewriter.refuse("a size is not a whole multiple of the input's")
    factors = rewriter.constant(np.array(scales, np.float32), f"{source.name}_scales")
    return rewriter.op("Resize", [source, node.input(1), factors], node.attributes, name=node.name)
