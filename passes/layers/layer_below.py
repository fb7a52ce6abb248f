"""From an affine node down through views to the linear layer that feeds it, and into its weights."""

from __future__ import annotations

from typing import NamedTuple

from ...compiler.graph import Node, Value
from ...compiler.rewriter import Rewriter
from ..values.readers import refuse_other_readers
from .affine import Affine
from .axis_arrays import VIEW_OPS, below
from .linear_layers import LINEAR_OPS, fold_output_affine

_LINEAR = frozenset(LINEAR_OPS.split("|"))
LONGEST_PATH = 8  # nodes from the affine node down to the layer


class LayerBelow(NamedTuple):
    """layer: a linear layer. views: what stands between it and the affine node, from the top down."""

    layer: Node
    views: list[Node]


def layer_below(value: Value | None, reader: Node) -> LayerBelow | None:
    """The linear layer of the same graph that `value` comes from through views only."""
    views: list[Node] = []
    while value is not None and value.producer is not None and len(views) < LONGEST_PATH:
        node = value.producer
        if node.graph is not reader.graph:
            return None
        if node.op in _LINEAR:
            return LayerBelow(node, views)
        if node.op not in VIEW_OPS:
            return None
        views.append(node)
        value = node.inputs[0]
    return None


def fuse_into_layer_below(root: Node, place: LayerBelow, affine: Affine, rewriter: Rewriter) -> None:
    """Plan: the layer computes what `root` computes, and `root` goes."""
    for node in (*place.views, place.layer):
        refuse_other_readers(node.output, rewriter, keeps_shape=True)
    scale, shift = affine.scale, affine.shift
    for view in place.views:
        moved_scale, moved_shift = below(view, scale), below(view, shift)
        if moved_scale is None or moved_shift is None:
            rewriter.refuse(f"the channels cannot be followed through {view.op} {view.label}")
        scale, shift = moved_scale, moved_shift
    layer = fold_output_affine(place.layer, scale, shift, rewriter)
    rewriter.include([place.layer])
    if place.views or len(place.layer.output.uses) > 1:
        rewriter.replace(place.layer.output, layer)
    rewriter.replace(root.output, affine.x if place.views else layer)
