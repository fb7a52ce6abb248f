"""compose-linear-layers: two linear layers in a row become one where that is cheaper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter
from .layers.composed_products import compose_products, first_product
from .layers.linear_layers import bias_of, pads_nothing, rounded, weight_of
from .values.readers import refuse_other_readers

_LONGEST_PRODUCT = 1 << 35  # multiplications while composing; a second or so


@dataclass(frozen=True)
class ComposeLinearLayers(RewritePass):
    """Multiply the weights of two linear layers with nothing between them, where one layer costs no more.

    Before => After
        y = Conv1x1(Conv(x, w, b), v, c)       =>   y = Conv(x, v * w, v * b + c)
        y = Conv(Conv1x1(x, w), v)             =>   y = Conv(x, v * w)
        y = MatMul(MatMul(x, w), v)            =>   y = MatMul(x, w @ v)
        y = MatMul(Add(MatMul(x, w), b), v)    =>   y = Add(MatMul(x, w @ v), b @ v)

    Covers convolutions of which one has a kernel of 1, grouped ones too (the result has the greatest common divisor of
    the groups), and Gemm and MatMul with constant matrices on the same side.

    Legal when
        Weights and biases are constants that the caller cannot override, the first layer's output has no other reader,
        the kernel of 1 moves in steps of 1 (as the second layer: any steps) and adds no border. A bias of the first
        layer needs a second one without a border, whose zeros it would not reach.

    Pays when
        Neither the multiplications nor the parameters become more. A bottleneck (wide, narrow, wide) is cheaper as it
        is and stays. Not for large weights that other layers share.

    Numerics
        Reassociation: the product of the weights is computed in float64 and rounded once.
    """

    name: ClassVar[str] = "compose-linear-layers"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op("Conv|Gemm|MatMul"),)

    @property
    def depth(self) -> int:
        return 3

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        second = match.root
        if second.op != "Conv":
            stage = first_product(second, rewriter)
            if stage is None:
                rewriter.refuse("")
            _refuse_longer(stage.size, stage.middle, rewriter)
            compose_products(stage, second, rewriter)
            return
        x = second.inputs[0]
        first = None if x is None else x.producer
        if x is None or first is None or first.op != "Conv" or first.graph is not second.graph:
            rewriter.refuse("")
        refuse_other_readers(x, rewriter)
        rewriter.include([first])
        self._compose_convolutions(first, second, rewriter)

    def _compose_convolutions(self, first: Node, second: Node, rewriter: Rewriter) -> None:
        lower, upper = weight_of(first, rewriter), weight_of(second, rewriter)
        groups = (first.int_attr("group", 1), second.int_attr("group", 1))
        if not lower.size or not upper.size or lower.shape[0] != upper.shape[1] * groups[1]:
            rewriter.refuse("")
        attributes = _window(first, second, lower, upper, rewriter)
        common = math.gcd(*groups)
        kernel = max(lower[0, 0].size, upper[0, 0].size)
        size = upper.shape[0] * lower.shape[1] * groups[0] // common * kernel
        _refuse_dearer(first, second, (lower.size, upper.size, size), rewriter)
        _refuse_longer(size, lower.shape[0] // common, rewriter)
        a, b = _in_groups(lower, groups[0], common), _in_groups(upper, groups[1], common)
        product = np.einsum("gomk,gmil->goikl", b, a, optimize=True)
        window = lower.shape[2:] if lower[0, 0].size > 1 else upper.shape[2:]
        weight = product.reshape(upper.shape[0], lower.shape[1] * groups[0] // common, *window)
        bias, under = bias_of(second, rewriter), bias_of(first, rewriter)
        if under is not None:
            if under.any() and not pads_nothing(second):
                rewriter.refuse("the second layer pads with zeros, which the bias of the first would not reach")
            lifted = (b.sum(axis=3) @ under.reshape(common, -1, 1)).ravel()
            bias = lifted if bias is None else bias + lifted
        value = second.inputs[1]
        assert value is not None
        inputs: list[Value | None] = [
            first.inputs[0], rewriter.constant(rounded(weight, value.dtype, rewriter), value.name),
        ]  # fmt: skip
        if bias is not None:
            inputs.append(rewriter.constant(rounded(bias, value.dtype, rewriter), f"{second.label}.bias"))
        composed = rewriter.op("Conv", inputs, attributes, name=second.name, group=common if common > 1 else None)
        rewriter.replace(second.output, composed)


def _refuse_longer(size: int, terms: int, rewriter: Rewriter) -> None:
    """Refuse where the product of the weights, `size` sums of `terms` terms, takes long to compute."""
    if size * terms > _LONGEST_PRODUCT:
        rewriter.refuse("the product of the weights would take too long to compute")


def _window(
    first: Node, second: Node, lower: np.ndarray, upper: np.ndarray, rewriter: Rewriter
) -> dict[str, str | Sequence[int] | None]:
    """The window of the composed convolution: that of the one whose kernel is not 1."""
    strides = [node.ints_attr("strides") or (1,) * (lower.ndim - 2) for node in (first, second)]
    if upper[0, 0].size == 1 and pads_nothing(second):
        auto = first.str_attr("auto_pad", "NOTSET")
        if auto.startswith("SAME") and max(strides[1], default=1) > 1:
            rewriter.refuse(f"auto_pad {auto} depends on the strides, which would change")
        steps = tuple(a * b for a, b in zip(*strides))
        return _attributes(first, lower.shape[2:], steps, auto)
    if lower[0, 0].size != 1 or not pads_nothing(first) or max(strides[0], default=1) != 1:
        rewriter.refuse("neither kernel is of extent 1 without border and steps")
    return _attributes(second, upper.shape[2:], strides[1], second.str_attr("auto_pad", "NOTSET"))


def _attributes(
    node: Node, kernel: Sequence[int], strides: Sequence[int], auto: str
) -> dict[str, str | Sequence[int] | None]:
    return {
        "kernel_shape": tuple(kernel),
        "strides": tuple(strides) if max(strides, default=1) > 1 else None,
        "pads": node.ints_attr("pads") if auto == "NOTSET" else None,
        "dilations": node.ints_attr("dilations"),
        "auto_pad": auto if auto != "NOTSET" else None,
    }


def _in_groups(weight: np.ndarray, groups: int, common: int) -> np.ndarray:
    """[common, outputs, inputs, window] of a weight with `groups` groups, zeros between groups of one common group."""
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    parts = weight.reshape(common, groups // common, outputs, inputs, -1)
    many = groups // common
    dense = np.zeros((common, many, outputs, many, inputs, parts.shape[-1]))
    for index in range(many):
        dense[:, index, :, index] = parts[:, index]
    return dense.reshape(common, many * outputs, many * inputs, -1)


def _refuse_dearer(first: Node, second: Node, sizes: tuple[int, int, int], rewriter: Rewriter) -> None:
    """Refuse if the composed convolution needs more multiplications or parameters. sizes: of both weights, and new."""
    lower, upper, product = sizes
    positions = [_positions(node) for node in (first, second)]
    if positions[0] is not None and positions[1] is not None:
        below, above, unit = positions[0], positions[1], ""
    else:  # a window of 1 sees every position; the other one no more than there are, unless its border adds some
        grows = upper > product or not _adds_positions(second)
        below, above, unit = int(grows), 1, " a position"
    before, after = 2 * (lower * below + upper * above), 2 * product * above
    if after > before:
        rewriter.refuse(f"saves nothing: {_flops_text(before, after)}{unit}")
    if product > lower + upper:
        rewriter.refuse(f"saves nothing: {lower + upper} -> {product} parameters")


def _positions(node: Node) -> int | None:
    """Positions of the window, all samples together; None if they are not known."""
    shape = node.output.shape
    dims = [] if shape is None else [shape[0], *shape[2:]]
    numbers = [d for d in dims if isinstance(d, int)]
    return math.prod(numbers) if dims and len(numbers) == len(dims) else None


def _adds_positions(node: Node) -> bool:
    """Whether there may be more positions after the node than before, because of a wide border."""
    weight = node.inputs[1]
    pads = node.ints_attr("pads") or ()
    if weight is None or weight.shape is None or not pads:
        return False
    half = len(pads) // 2
    kernel = weight.shape[2:]
    return any(not isinstance(k, int) or a + b > k - 1 for k, a, b in zip(kernel, pads[:half], pads[half:]))


def _flops_text(before: int, after: int) -> str:
    """Two numbers of operations in one unit, e.g. "1.2 -> 1.3 MFLOP"."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if max(before, after) >= size:
            return f"{before / size:.3g} -> {after / size:.3g} {unit}FLOP"
    return f"{before} -> {after} FLOP"
