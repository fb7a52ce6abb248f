"""split-norm-statistics: the mean and the deviation that a norm gives out are computed beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.graph import Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter


@dataclass(frozen=True)
class SplitNormStatistics(RewritePass):
    """Compute the further outputs of a LayerNormalization by themselves.

    Before => After
        y, m, d = LayerNormalization(x, s, b)
            =>   y = LayerNormalization(x, s, b)
                 m = ReduceMean(x);  d = Reciprocal(Sqrt(ReduceMean((x - m) * (x - m)) + epsilon))

    TensorRT reads norms with one output. It is part of the pipeline `tensorrt`.

    Legal when
        The rank is known, and the statistics are float32, to which x of another type is cast.

    Pays when
        Always: the model could not be built.

    Numerics
        Unchanged but for the order in which elements are added.
    """

    name: ClassVar[str] = "split-norm-statistics"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("LayerNormalization", where=lambda node: node.has_output(1) or node.has_output(2)),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        x = node.inputs[0]
        if x is None or not x.rank:
            rewriter.refuse("the rank is not known")
        if node.int_attr("stash_type", 1) != dtypes.FLOAT:
            rewriter.refuse("the statistics are not float32")
        first = node.int_attr("axis", -1)
        axes = range(first + x.rank if first < 0 else first, x.rank)
        rewriter.replace(node.output, rewriter.op("LayerNormalization", node.inputs, node.attributes, name=node.name))
        wide = x if x.dtype == dtypes.FLOAT else rewriter.op("Cast", [x], to=dtypes.FLOAT)
        mean = _mean(wide, axes, rewriter)
        self._replace(match, 1, mean, rewriter)
        if node.has_output(2):
            away = rewriter.op("Sub", [wide, mean])
            variance = _mean(rewriter.op("Mul", [away, away]), axes, rewriter)
            epsilon = rewriter.constant(np.array(node.float_attr("epsilon", 1e-5), np.float32), "epsilon")
            root = rewriter.op("Sqrt", [rewriter.op("Add", [variance, epsilon])])
            self._replace(match, 2, rewriter.op("Reciprocal", [root]), rewriter)

    def _replace(self, match: Match, index: int, new: Value, rewriter: Rewriter) -> None:
        old = match.root.outputs[index] if match.root.has_output(index) else None
        if old is not None:
            rewriter.replace(old, new)


def _mean(value: Value, axes: Sequence[int], rewriter: Rewriter) -> Value:
    if rewriter.opset() < 18:
        return rewriter.op("ReduceMean", [value], axes=list(axes), keepdims=1)
    return rewriter.op("ReduceMean", [value, rewriter.ints(list(axes), "axes")], keepdims=1)
