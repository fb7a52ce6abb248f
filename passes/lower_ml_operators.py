"""lower-ml-operators: operators of classical machine learning become arithmetic of the standard ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from onnx import TensorProto

from ..compiler import dtypes
from ..compiler.graph import Node
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter


@dataclass(frozen=True)
class LowerMlOperators(RewritePass):
    """Replace Scaler and ArrayFeatureExtractor of the domain ai.onnx.ml, which TensorRT does not read.

    Before => After
        y = ai.onnx.ml.Scaler(x, offset, scale)           =>   y = (x - offset) * scale
        y = ai.onnx.ml.ArrayFeatureExtractor(x, i)        =>   y = Gather(x, Reshape(i, (-1,)), axis=last)

    It is part of the pipeline `tensorrt`.

    Legal when
        The operator set is 7 or later. Scaler: x is float32, offset and scale have one number, or one for each column.
        ArrayFeatureExtractor: the indices are int64, and it is known how many axes x has; of a single one comes a row.

    Pays when
        Always: the model could not be built.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "lower-ml-operators"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("ai.onnx.ml::Scaler|ai.onnx.ml::ArrayFeatureExtractor"),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        if rewriter.opset() < 7:
            rewriter.refuse(f"it needs opset 7, the model has {rewriter.opset()}")
        if node.op_type == "Scaler":
            self._scaler(node, rewriter)
        else:
            self._extractor(node, rewriter)

    def _scaler(self, node: Node, rewriter: Rewriter) -> None:
        x = node.inputs[0]
        if x is None or x.dtype != dtypes.FLOAT:
            rewriter.refuse("the input is not float32")
        offset, scale = (_numbers(node, name, rewriter) for name in ("offset", "scale"))
        columns = None if not x.shape else x.shape[-1]
        if any(array.size not in (1, columns) for array in (offset, scale)):
            rewriter.refuse("the number of columns is not the number of scales")
        shifted = rewriter.op("Sub", [x, rewriter.constant(offset, "offset")])
        scaled = rewriter.op("Mul", [shifted, rewriter.constant(scale, "scale")], name=node.name)
        rewriter.replace(node.output, scaled)

    def _extractor(self, node: Node, rewriter: Rewriter) -> None:
        x, indices = node.inputs[0], node.inputs[1]
        if x is None or indices is None or indices.dtype != int(TensorProto.INT64):
            rewriter.refuse("the indices are not int64")
        if not x.rank:
            rewriter.refuse("it is not known how many axes the input has")
        form = [1, -1] if x.rank == 1 else [-1]  # of a vector comes a row
        fits = indices.rank == len(form) and (x.rank > 1 or (indices.shape or (0,))[0] == 1)
        flat = indices if fits else rewriter.op("Reshape", [indices, rewriter.ints(form, "flat")])
        rewriter.replace(node.output, rewriter.op("Gather", [x, flat], axis=x.rank - 1, name=node.name))


def _numbers(node: Node, name: str, rewriter: Rewriter) -> np.ndarray:
    given = node.attr(name)
    if not isinstance(given, tuple | list) or not given:
        rewriter.refuse(f"attribute {name} is no list of numbers")
    return np.array(given, np.float32)
