"""fuse-affine-into-next-layer: a scale, shift or norm before a layer disappears into its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph import Graph, Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .layers.affine import ARITHMETIC_OPS, affine_of
from .layers.axis_arrays import VIEW_OPS, above
from .layers.linear_layers import LINEAR_OPS, fold_input_affine, pads_nothing, weight_index
from .recognition.written_gelu import refuse_factor_of_gelu

_AFFINE = frozenset({*ARITHMETIC_OPS.split("|"), "BatchNormalization"})
_LINEAR = frozenset(LINEAR_OPS.split("|"))
_RECTIFIERS = frozenset({"Relu", "LeakyRelu", "PRelu"})
_POOLS = frozenset({"MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"})
_TRANSPARENT = VIEW_OPS | _RECTIFIERS | _POOLS
_LONGEST = 8  # nodes between the affine node and a layer

_Path = tuple[Node, list[Node]]  # a layer, and the nodes between it and the affine node from the bottom up


@dataclass(frozen=True)
class FuseAffineIntoNextLayer(RewritePass):
    """Fold a constant scale or shift per input channel, or an inference BatchNormalization, into the layers above it.

    Before => After
        y = Conv(x * s + t, w, b)       =>   y = Conv(x, w * s, b + sum(w * t))
        y = Conv(LeakyRelu(x / 3), w)   =>   y = Conv(LeakyRelu(x), w / 3)

    Conv, ConvTranspose, Gemm and MatMul take it in. Between them and the affine node there may be Transpose, Reshape,
    Squeeze, Unsqueeze and Flatten; a positive scale also passes Relu, LeakyRelu, PRelu and MaxPool, any scale
    AveragePool. All readers must be such layers; each takes it in.

    Legal when
        The constants are finite, one number or one per input channel, and do not broadcast x; weights and biases are
        constants that the caller cannot override; no folded number overflows. A shift needs a layer without
        padding: the border of zeros is added after the shift, so it would not be shifted. No shift passes a rectifier.

    Pays when
        A node goes and the layers cost the same; but the factor 0.5 of a written-out Gelu stays where runtimes
        recognize the Gelu as a whole.

    Numerics
        Computed in float64 and rounded once.
    """

    name: ClassVar[str] = "fuse-affine-into-next-layer"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op(LINEAR_OPS),)

    @property
    def depth(self) -> int:
        return _LONGEST

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = _affine_below(match.root)
        if node is None:
            rewriter.refuse("")
        affine = affine_of(node, rewriter)
        refuse_factor_of_gelu(node, rewriter)
        paths = _layers_above(node, rewriter)
        for layer, between in paths:
            scale, shift = affine.scale, affine.shift
            for step in between:
                scale, shift = _passed(step, scale, shift, rewriter)
            x = between[-1].output if between else affine.x
            rewriter.replace(layer.output, fold_input_affine(layer, x, scale, shift, rewriter))
        rewriter.replace(node.output, affine.x)
        rewriter.include([node])


def _data_input(layer: Node) -> Value | None:
    return layer.input(1 - weight_index(layer))


def _affine_below(layer: Node) -> Node | None:
    """The affine node that the layer's data comes from, through transparent nodes only."""
    value = _data_input(layer)
    for _ in range(_LONGEST):
        node = None if value is None or value.index else value.producer
        if node is None or node.graph is not layer.graph:
            return None
        if node.op in _AFFINE:
            return node
        if node.op not in _TRANSPARENT:
            return None
        value = node.inputs[0]
    return None


def _layers_above(node: Node, rewriter: Rewriter) -> list[_Path]:
    """Every layer that reads the affine node, with what stands between; refuses if anything else reads it."""
    found: list[_Path] = []
    pending: list[_Path] = [(node, [])]
    while pending:
        below, between = pending.pop()
        for reader, index in below.output.uses:
            if isinstance(reader, Graph):
                rewriter.refuse(f"{below.op} output {below.output.name} is a graph output")
            if reader.graph is node.graph and reader.op in _LINEAR and index == 1 - weight_index(reader):
                found.append((reader, between))
            elif reader.graph is node.graph and reader.op in _TRANSPARENT and index == 0:
                pending.append((reader, [*between, reader]))
            else:
                rewriter.refuse(f"{below.op} output {below.output.name} is also read by {reader.op} {reader.label}")
    return found


def _passed(
    step: Node, scale: np.ndarray, shift: np.ndarray, rewriter: Rewriter
) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift on the other side of a node that they commute with; refuses if they do not."""
    if step.op in VIEW_OPS:
        moved_scale, moved_shift = above(step, scale), above(step, shift)
        if moved_scale is None or moved_shift is None:
            rewriter.refuse(f"the channels cannot be followed through {step.op} {step.label}")
        return moved_scale, moved_shift
    if step.op != "AveragePool" and step.op != "GlobalAveragePool" and not (scale > 0).all():
        rewriter.refuse(f"a scale that is not positive does not pass {step.op}")
    if step.op in _RECTIFIERS:
        if shift.any():
            rewriter.refuse(f"a shift does not pass {step.op}")
        return scale, shift
    if any(v is not None and v.uses for v in step.outputs[1:]):
        rewriter.refuse(f"the indices of {step.op} are read")
    if any(extent != 1 for array in (scale, shift) for extent in array.shape[2:]):
        rewriter.refuse(f"the constant varies along the axes that {step.op} pools")
    counts_border = step.op == "AveragePool" and step.int_attr("count_include_pad", 0)
    if shift.any() and counts_border and not (pads_nothing(step) and not step.int_attr("ceil_mode", 0)):
        rewriter.refuse("the pooling averages over a border of zeros, which the shift would not reach")
    return scale, shift
