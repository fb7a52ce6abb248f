"""form-pointwise-conv: a Gemm over channels that were transposed to the end is a convolution where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes, symbolic
from ..compiler.graph import Node, Shape, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .layers.linear_layers import bias_of, output_channels, rounded, weight_of
from .values.readers import dying
from .views.reshape_targets import RESHAPES
from .views.strided_views import View
from .views.view_ops import view_along, view_chain
from .views.view_plans import Plan, plan_of

_LONGEST = 4  # values of the chain of views that leads to the Gemm
_CONVOLVED = frozenset({dtypes.FLOAT, dtypes.FLOAT16})  # what runtimes convolve


@dataclass(frozen=True)
class FormPointwiseConv(RewritePass):
    """Let a convolution of extent 1 do what a Gemm does to pixels that are brought into rows for it.

    Before => After
        Reshape(Gemm(Reshape(Transpose(x[N,C,H,W], [0,2,3,1]), [-1,C]), w, b), [N,H,W,M])
            =>   Transpose(Conv(x, w', b), [0,2,3,1])

    Legal when
        The rows are the pixels in their order and the columns are axis 1 of x (as strided views, see fuse-views);
        weight and bias are constants that the caller cannot override, of a type that runtimes convolve; Gemm does not
        transpose the rows; the values between have no other reader.

    Pays when
        Nodes fall: the views behind the convolution are fewer than those before and behind the Gemm.

    Numerics
        The same products and sums; only the rounding may differ. Gemm's factors go into the constants.
    """

    name: ClassVar[str] = "form-pointwise-conv"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Gemm"),)

    @property
    def depth(self) -> int:
        return 4

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        gemm = match.root
        rows = gemm.inputs[0]
        chain = [] if rows is None else view_chain(rows, _LONGEST)
        if len(chain) < 3 or not any(v.producer is not None and v.producer.op == "Transpose" for v in chain[:-1]):
            rewriter.refuse("")
        x = chain[-1]
        if not _are_pixels(chain) or x.shape is None:
            rewriter.refuse("the rows are not the pixels of an image in their order")
        if gemm.int_attr("transA", 0):
            rewriter.refuse("Gemm transposes the rows")
        restoring, channels = _restoring(gemm), output_channels(gemm)
        weight, bias = weight_of(gemm, rewriter), bias_of(gemm, rewriter)
        matrix = gemm.inputs[1]
        if matrix is None or matrix.dtype not in _CONVOLVED or channels is None:
            rewriter.refuse("no runtime convolves numbers of this type")
        if bias is not None and (bias.size not in (1, channels) or bias.size != (bias.shape or (1,))[-1]):
            rewriter.refuse("the bias is not one number per column")
        plan = _plan((x.shape[0], channels, *x.shape[2:]), gemm, restoring)
        nodes = [v.producer for v in chain[:-1] if v.producer is not None]
        last = gemm if restoring is None else restoring
        dead = dying(last, [gemm, *nodes])
        if plan is None or plan.nodes + 1 >= len(dead):
            rewriter.refuse("it would not take fewer nodes")
        rewriter.include([node for node in [gemm, *nodes] if node in dead])
        convolved = _convolution(gemm, x, weight, bias, rewriter)
        plan.check(convolved.shape, rewriter)
        rewriter.replace(last.output, plan.build(convolved, rewriter))


def _are_pixels(chain: list[Value]) -> bool:
    """Whether the first value views the last, an image, as rows of its channels."""
    image, view = chain[-1].shape, view_along(chain)
    if image is None or view is None or not 3 <= len(image) <= 5:
        return False
    return view == _rows(image)


def _rows(image: Shape) -> View | None:
    whole = View.whole(image)
    pixels = symbolic.product((image[0], *image[2:]))
    return None if whole is None else whole.transposed((0, *range(2, len(image)), 1)).reshaped((pixels, image[1]))


def _restoring(gemm: Node) -> Node | None:
    """The reshape that alone reads the result."""
    reader = gemm.output.sole_reader
    return reader if reader is not None and reader.op in RESHAPES and reader.graph is gemm.graph else None


def _plan(image: Shape, gemm: Node, restoring: Node | None) -> Plan | None:
    """How what the Gemm gave, or the reshape behind it, is a view of the convolution's result."""
    view = _rows(image)
    wanted = gemm.output.shape
    if view is None or wanted is None or view.shape != wanted:
        return None
    if restoring is not None:
        wanted = restoring.output.shape
        view = None if wanted is None else view.reshaped(wanted)
    return None if view is None or wanted is None else plan_of(view, wanted)


def _convolution(
    gemm: Node, x: Value, weight: np.ndarray, bias: np.ndarray | None, rewriter: Rewriter
) -> Value:
    matrix = gemm.inputs[1]
    assert matrix is not None and x.rank is not None
    kernel = gemm.float_attr("alpha", 1.0) * (weight if gemm.int_attr("transB", 0) else weight.T)
    kernel = rounded(kernel.reshape((*kernel.shape, *(1,) * (x.rank - 2))), matrix.dtype, rewriter)
    inputs: list[Value | None] = [x, rewriter.constant(kernel, matrix.name)]
    if bias is not None:
        per_channel = rounded(np.broadcast_to(bias.ravel(), kernel.shape[:1]), matrix.dtype, rewriter)
        inputs.append(rewriter.constant(per_channel, f"{gemm.label}.bias"))
    return rewriter.op("Conv", inputs, name=gemm.name)
