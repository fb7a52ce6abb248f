"""fuse-activation-into-conv: an activation becomes part of the convolution before it, as ONNX Runtime has one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.graph import Node
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, any_, maybe, op
from ..compiler.rewriter import Rewriter
from ..compiler.target_operators import CONTRIB

_LARGEST = float(np.finfo(np.float32).max)


def _clip_bounds(node: Node, rewriter: Rewriter) -> tuple[float, ...]:
    if node.version < 11:
        return node.float_attr("min", -_LARGEST), node.float_attr("max", _LARGEST)
    bounds = []
    for index, default in ((1, -_LARGEST), (2, _LARGEST)):
        value = node.input(index)
        if value is None:
            bounds.append(default)
        elif value.constant is None or value.constant.size != 1:
            rewriter.refuse("a bound of Clip is not a constant number")
        else:
            bounds.append(float(value.constant.numpy().reshape(())))
    if not bounds[0] <= bounds[1]:
        rewriter.refuse("the bounds of Clip are no interval")
    return tuple(bounds)


_PARAMETERS: dict[str, Callable[[Node, Rewriter], tuple[float, ...]]] = {
    "Relu": lambda node, rewriter: (),
    "Sigmoid": lambda node, rewriter: (),
    "Tanh": lambda node, rewriter: (),
    "LeakyRelu": lambda node, rewriter: (node.float_attr("alpha", 0.01),),
    "HardSigmoid": lambda node, rewriter: (node.float_attr("alpha", 0.2), node.float_attr("beta", 0.5)),
    "Clip": _clip_bounds,
}


@dataclass(frozen=True)
class FuseActivationIntoConv(RewritePass):
    """Let ONNX Runtime's FusedConv do a convolution and the activation after it; only for the target ort.

    Before => After
        y = Relu(Conv(x, w, b))            =>   y = com.microsoft::FusedConv(x, w, b, activation="Relu")
        y = Clip(Conv(x, w), 0, 6)         =>   y = com.microsoft::FusedConv(x, w, activation="Clip", ... [0, 6])

    Covers Relu, Sigmoid, Tanh, LeakyRelu, HardSigmoid, and Clip between constants.

    Legal when
        The run's target is ort, the type is float32, which is what the kernel on the CPU takes, and nobody else reads
        the output of the convolution.

    Pays when
        Always: one node and one pass over memory less.

    Numerics
        Unchanged: the kernel applies the same activation to the same sums.

    Source: ONNX Runtime, docs/ContribOperators.md.
    """

    name: ClassVar[str] = "fuse-activation-into-conv"
    patterns: ClassVar[tuple[OpPattern, ...]] = (
        op("|".join(_PARAMETERS), op("Conv", node="conv"), maybe(any_("low")), maybe(any_("high")), node="activation"),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        conv, activation = match.node("conv"), match.node("activation")
        if conv.output.dtype != dtypes.FLOAT:
            rewriter.refuse("ONNX Runtime fuses activations into convolutions of float32 only")
        parameters = _PARAMETERS[activation.op](activation, rewriter)
        kept = {name: conv.attr(name) for name in conv.attributes}
        fused = rewriter.op(
            "FusedConv", conv.inputs, kept, domain=CONTRIB, name=conv.name,
            activation=activation.op_type, activation_params=parameters or None,
        )  # fmt: skip
        rewriter.replace(activation.output, fused)
