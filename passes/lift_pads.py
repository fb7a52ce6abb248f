"""lift-pads: a border stands in front of a pooling where the layer behind it would be slow with one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ..compiler import dtypes
from ..compiler.cost import EverySymbol, elements
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference.movement_extent import pad_amounts
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .values.readers import refuse_other_readers
from .values.uniform_values import fill_of

_CHANNELS = 16  # of the input, from which on the kernel works on blocks whatever the machine
_FILTERS = 32  # up to which few sums are under way at once
_WORK = 1 << 20  # multiply-adds, above which a Pad costs little beside them


@dataclass(frozen=True)
class LiftPads(RewritePass):
    """Move a border of zeros in front of a MaxPool, away from a convolution over a row or a column.

    Before => After
        Conv(Pad(MaxPool(x) {strides=[2,1]}, [31, 32]), w[16,128,64,1])
            =>   Conv(MaxPool(Pad(x, [62, 64])) {strides=[2,1]}, w)

    Legal when
        The pooling's windows stand next to each other without overlap, border or remainder, so that each window holds
        elements of x only, or zeros only. Nothing else reads the pooling or the border, nor the pooling's indices.

    Pays when
        The layer works along one axis (the other extent and that of the kernel are 1) on at least 16 channels, has at
        most 32 filters, and more than a million multiply-adds. ONNX Runtime's CPU provider is slow where such a layer
        has a border: for 128 to 16 channels, 128 positions and a kernel of 64 it takes 835 us on a column and 422 us on
        a row instead of 101 us. It takes in a Pad that stands in front of a Conv, so that leaving the Pad alone would
        not help. TensorRT is not known to do so.

    Numerics
        Unchanged.
    """

    name: ClassVar[str] = "lift-pads"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Conv", where=lambda node: _pad_of(node) is not None),)

    @property
    def depth(self) -> int:
        return 3

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        layer, pad = match.root, _pad_of(match.root)
        pool = None if pad is None or pad.inputs[0] is None else pad.inputs[0].producer
        if pad is None or pool is None or pool.op != "MaxPool" or {pad.graph, pool.graph} != {layer.graph}:
            rewriter.refuse("")
        if rewriter.target == "tensorrt" or not _is_along_one_axis(layer):
            rewriter.refuse("")
        refuse_other_readers(pad.output, rewriter)
        refuse_other_readers(pool.output, rewriter)
        windows = _windows(pool, rewriter)
        before, after = _border(pad, rewriter)
        if any((*before[:2], *after[:2])):
            rewriter.refuse("the border is not along spatial axes only")
        if _work(layer) < _WORK:
            rewriter.refuse("the layer is too small for a Pad of its own")
        scale = (1, 1, *windows)
        amounts = [n * s for side in (before, after) for n, s in zip(side, scale)]
        wide = _pad(pad, pool, amounts, rewriter)
        rewriter.include([pool])
        rewriter.replace(pad.output, rewriter.op("MaxPool", [wide], pool.attributes, name=pool.name))


def _pad_of(layer: Node) -> Node | None:
    """The Pad in front of a layer."""
    source = layer.input(0)
    pad = None if source is None else source.producer
    return pad if pad is not None and pad.op == "Pad" else None


def _is_along_one_axis(layer: Node) -> bool:
    weight, source = layer.input(1), layer.input(0)
    if weight is None or weight.constant is None or weight.dtype != dtypes.FLOAT or len(weight.constant.shape) != 4:
        return False
    outputs, each = weight.constant.shape[:2]
    shape = () if source is None or source.shape is None else source.shape
    thin = len(shape) == 4 and any(shape[axis] == weight.constant.shape[axis] == 1 for axis in (2, 3))
    alone = layer.int_attr("group", 1) == 1 and not any(layer.ints_attr("pads") or ())
    return thin and alone and each >= _CHANNELS and each % 4 == 0 and outputs <= _FILTERS


def _windows(pool: Node, rewriter: Rewriter) -> tuple[int, ...]:
    """The pooling's windows along the spatial axes; refuses if elements of two of them could meet."""
    kernel = pool.ints_attr("kernel_shape") or ()
    strides = pool.ints_attr("strides") or (1,) * len(kernel)
    shape = pool.inputs[0].shape if pool.inputs[0] is not None else None
    if kernel != strides or any(pool.ints_attr("pads") or ()) or pool.str_attr("auto_pad", "NOTSET") != "NOTSET":
        rewriter.refuse("the windows of the pooling overlap or have a border")
    if any(d != 1 for d in pool.ints_attr("dilations") or ()) or any(v is not None for v in pool.outputs[1:]):
        rewriter.refuse("the pooling is dilated, or its indices are an output")
    extents = () if shape is None else shape[2:]
    if len(extents) != len(kernel) or any(not isinstance(n, int) or n % k for n, k in zip(extents, kernel)):
        rewriter.refuse("the windows may leave a remainder")
    return kernel


def _border(pad: Node, rewriter: Rewriter) -> tuple[list[int], list[int]]:
    amounts = pad_amounts(pad, 4)
    sides = [[n for n in side if isinstance(n, int)] for side in amounts or ()]
    if pad.str_attr("mode", "constant") != "constant" or len(sides) != 2 or any(len(side) != 4 for side in sides):
        rewriter.refuse("the border is not of zeros, or not known")
    fill = pad.input(2)
    zero = pad.float_attr("value", 0.0) == 0 if fill is None else _is_zero(fill)
    if not zero or min(*sides[0], *sides[1]) < 0:
        rewriter.refuse("the border is not of zeros, or crops")
    return sides[0], sides[1]


def _is_zero(value: Value) -> bool:
    fill = fill_of(value)
    return fill is not None and float(fill) == 0


def _work(layer: Node) -> int:
    """Multiply-adds of one sample, or of one for each symbol."""
    weight = layer.inputs[1]
    assert weight is not None and weight.constant is not None
    return elements(layer.output, EverySymbol(1)) * prod(weight.constant.shape[1:])


def _pad(pad: Node, pool: Node, amounts: Sequence[int], rewriter: Rewriter) -> Value:
    """The border of these widths around what the pooling reads."""
    if pad.version < 11:
        kept = {key: value for key, value in pad.attributes.items() if key != "paddings"}
        return rewriter.op("Pad", [pool.inputs[0]], {**kept, "pads": tuple(amounts)}, name=pad.name)
    widths = rewriter.ints(amounts, f"{pad.label}_pads")
    return rewriter.op("Pad", [pool.inputs[0], widths, pad.input(2)], pad.attributes, name=pad.name)
