"""fold-gelu-scale: the scale in a written-out Gelu disappears into the layer before it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.arithmetic_pattern import plus, product
from ..compiler.graph import Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, any_, op
from ..compiler.rewriter import Rewriter
from .layers.layer_below import layer_below
from .layers.linear_layers import LINEAR_OPS, SHARED_LIMIT, fold_output_affine
from .recognition.standard_operators import first_version, require_elementwise
from .values.readers import refuse_readers_elsewhere

_X = any_("x")
_ROOT = math.sqrt(0.5)
_ERF = op("Erf", product(_ROOT, _X), node="erf")
_LAYERS = frozenset(LINEAR_OPS.split("|"))


@dataclass(frozen=True)
class FoldGeluScale(RewritePass):
    """Let the layers around a written-out Gelu compute its scales, once the next layer has taken in the factor 0.5.

    Before => After
        x = Conv(z, w, b)                           u = Conv(z, w / sqrt(2), b / sqrt(2))
        y = x * (1 + Erf(x / sqrt(2)))         =>   y = u * (1 + Erf(u)) * sqrt(2)
        Conv(y, v)                                  Conv(y, v)

    The factor sqrt(2) is then taken in by the next layer too (fuse-affine-into-next-layer). Between the first layer
    and the Gelu there may be Transpose, Reshape, Squeeze, Unsqueeze and Flatten.

    Legal when
        Weight and bias of the first layer are constants that the caller cannot override, and nothing but the Gelu
        reads its output or the values in between.

    Pays when
        The next layer's weight is a constant that may be stored anew, so that a node is saved. A Gelu with its factor
        0.5 is left as it is written, which runtimes recognize as a whole; from opset 20 on recognize-gelu does. Only
        for TensorRT the next layer takes the factor 0.5 in.

    Numerics
        Computed in float64 and rounded once.
    """

    name: ClassVar[str] = "fold-gelu-scale"
    patterns: ClassVar[tuple[RootPattern, ...]] = (product(1.0, plus(_ERF, 1), _X),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        x, root = match["x"], match.root
        place = layer_below(x, root)
        if place is None or rewriter.opset() >= first_version("Gelu"):
            rewriter.refuse("")
        if not _layer_above(root.output):
            rewriter.refuse("no layer follows that would take in the factor")
        require_elementwise(match, x, rewriter)
        refuse_readers_elsewhere([*match.nodes, *place.views, place.layer], root, rewriter)
        layer = fold_output_affine(place.layer, np.array(_ROOT), np.array(0.0), rewriter)
        if place.views:
            rewriter.replace(place.layer.output, layer)
        rewriter.include([place.layer])
        scaled = x if place.views else layer
        kind = dtypes.to_numpy(x.dtype or root.output.dtype)
        factor = rewriter.constant(np.array(1 / _ROOT).astype(kind), f"{root.label}.factor")
        gelu = rewriter.op("Mul", [scaled, _gate(match, scaled, rewriter)])
        rewriter.replace(root.output, rewriter.op("Mul", [gelu, factor], name=root.name))


def _gate(match: Match, scaled: Value, rewriter: Rewriter) -> Value:
    """1 + Erf(scaled), spelled as it was."""
    erf = match.node("erf")
    addition = erf.output.readers[0]
    new = rewriter.clone(erf, [scaled])
    return rewriter.clone(addition, [new if value is erf.output else value for value in addition.inputs])


def _layer_above(value: Value) -> bool:
    """Whether the result goes into a layer whose weight can take in a factor."""
    reader = value.sole_reader
    weight = None if reader is None or reader.op not in _LAYERS or reader.inputs[0] is not value else reader.inputs[1]
    constant = None if weight is None else weight.constant
    return constant is not None and weight is not None and (len(weight.uses) == 1 or constant.nbytes <= SHARED_LIMIT)
