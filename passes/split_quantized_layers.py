"""split-quantized-layers: a layer on integers becomes a float layer between dequantizers and a quantizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from onnx import TensorProto

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter

_NARROW = {int(TensorProto.INT8), int(TensorProto.UINT8)}


@dataclass(frozen=True)
class SplitQuantizedLayers(RewritePass):
    """Replace QLinearConv and QLinearMatMul by the float operator between DequantizeLinear and QuantizeLinear.

    Before => After
        y = QLinearConv(x, sx, zx, w, sw, zw, sy, zy, b)
            =>   c = Conv(DequantizeLinear(x, sx, zx), DequantizeLinear(w, sw, zw), b * (sx * sw))
                 y = QuantizeLinear(c, sy, zy)

    TensorRT reads quantized models in this form only. It is part of the pipeline `tensorrt`.

    Legal when
        All scales are float32 constants, the operator set is 13 or later (10 where no scale is along an axis), and the
        bias is a constant. The weights of a convolution may have a scale per output channel; in a product every operand
        has one scale.

    Pays when
        Always: the model could not be built.

    Numerics
        The sums are float32 instead of int32 and rounded before they are quantized, so that a result halfway between
        two integers may become the other one.
    """

    name: ClassVar[str] = "split-quantized-layers"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("QLinearConv|QLinearMatMul"),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        (x, w, y) = (node.inputs[0:3], node.inputs[3:6], node.inputs[6:8])
        if any(value is None or value.constant is None for value in (x[1], w[1], y[0])):
            rewriter.refuse("a scale is not constant")
        if any(value is None or value.dtype not in _NARROW for value in (x[0], w[0])):
            rewriter.refuse("the integers do not have 8 bits")
        assert w[1] is not None and w[1].constant is not None
        per_channel = w[1].constant.size > 1
        needed = 13 if per_channel else 10
        if rewriter.opset() < needed:
            rewriter.refuse(f"it needs opset {needed}, the model has {rewriter.opset()}")
        if node.op == "QLinearMatMul" and (per_channel or any(v is None or v.constant is None or v.constant.size > 1
                                                              for v in (x[1], y[0]))):  # fmt: skip
            rewriter.refuse("a product has more than one scale for an operand")
        real = rewriter.op("DequantizeLinear", [x[0], *_scalars(x[1:], rewriter)])
        weight = rewriter.op("DequantizeLinear", w if per_channel else [w[0], *_scalars(w[1:], rewriter)],
                             axis=0 if per_channel else None)  # fmt: skip
        if node.op == "QLinearMatMul":
            result = rewriter.op("MatMul", [real, weight])
        else:
            bias = _bias(node, x[1], w[1], rewriter)
            result = rewriter.op("Conv", [real, weight, bias], node.attributes, name=node.name)
        quantized = rewriter.op("QuantizeLinear", [result, *_scalars(y, rewriter)])
        rewriter.replace(node.output, quantized)


def _scalars(values: Sequence[Value | None], rewriter: Rewriter) -> list[Value | None]:
    """Scales and zero points of one element as scalars."""
    made: list[Value | None] = []
    for value in values:
        constant = None if value is None else value.constant
        if value is None or constant is None or value.shape != (1,):
            made.append(value)
        else:
            made.append(rewriter.tensor(constant.reshaped(()), value.name))
    return made


def _bias(node: Node, x_scale: Value | None, w_scale: Value | None, rewriter: Rewriter) -> Value | None:
    bias = node.input(8)
    if bias is None:
        return None
    assert x_scale is not None and x_scale.constant is not None and w_scale is not None and w_scale.constant is not None
    if bias.constant is None:
        rewriter.refuse("the bias is not constant")
    scales = x_scale.constant.numpy().astype(np.float64).reshape(()) * w_scale.constant.numpy().reshape(-1)
    return rewriter.constant((bias.constant.numpy() * scales).astype(np.float32), bias.name)
