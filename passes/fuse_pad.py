"""fuse-pad: an explicit Pad becomes the border that a convolution or pooling adds itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..compiler import symbolic
from ..compiler.graph import Node, Shape
from ..compiler.graph_pass import RewritePass
from ..compiler.inference.movement_extent import pad_amounts
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .values.readers import refuse_other_readers
from .values.value_range import range_of

_CONVOLUTIONS = ("Conv", "ConvInteger", "QLinearConv")


@dataclass(frozen=True)
class FusePad(RewritePass):
    """Let the convolution or pooling that reads a Pad add the border itself.

    Before => After
        y = Conv(Pad(x, [0,0,1,1, 0,0,1,1]), w)        =>   y = Conv(x, w) {pads=[1,1,1,1]}
        y = MaxPool(Pad(Relu(x), [...])) {pads=[...]}  =>   y = MaxPool(Relu(x)) {pads=[...]}

    Covers Conv, ConvInteger, QLinearConv, AveragePool and MaxPool; pads that the node has already are added, an
    auto_pad of known extents is written out.

    Legal when
        The Pad is of mode constant, along spatial axes only, crops nothing, has no other reader, and its value is what
        the operator's own border holds: 0 for Conv; the input's zero point for the integer convolutions; for MaxPool
        a number that no element of x is below (minus infinity, or 0 after Relu). AveragePool counted the border that
        was explicit, so it gets count_include_pad=1 and must have none that it does not count. A pooling must
        not have windows that lie in the border only or, with ceil_mode, hang over it. ConvTranspose's pads crop.

    Pays when
        Always: nothing is copied.

    Numerics
        Unchanged; where all elements in a window of MaxPool are NaN, the border's value is not there to replace them.
    """

    name: ClassVar[str] = "fuse-pad"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("|".join((*_CONVOLUTIONS, "AveragePool", "MaxPool"))),)

    @property
    def depth(self) -> int:
        return 3  # what is below the Pad decides whether its value can win in MaxPool

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        padded = node.input(0)
        pad = None if padded is None else padded.producer
        if padded is None or pad is None or pad.op != "Pad" or pad.graph is not node.graph:
            rewriter.refuse("")
        refuse_other_readers(padded, rewriter)
        kernel = _kernel(node, rewriter)
        added = _added(pad, len(kernel), rewriter)
        own = _own_pads(node, kernel, padded.shape, rewriter)
        total = [a + b for a, b in zip(added, own)]
        value = _pad_value(pad, rewriter)
        if node.op == "MaxPool":
            _check_max(node, pad, value, rewriter)
        elif value != _border_value(node, rewriter):
            rewriter.refuse(f"the pad's value {value:g} is not what the border of {node.op} holds")
        if node.op == "AveragePool":
            _check_average(node, own, rewriter)
            rewriter.set_attribute(node, "count_include_pad", 1)
        if node.op not in _CONVOLUTIONS:
            _check_windows(node, kernel, total, pad, rewriter)
        rewriter.set_input(node, 0, pad.inputs[0])
        rewriter.set_attribute(node, "pads", tuple(total))
        rewriter.set_attribute(node, "auto_pad", None)


def _kernel(node: Node, rewriter: Rewriter) -> tuple[int, ...]:
    given = node.ints_attr("kernel_shape")
    weight = node.input(3 if node.op == "QLinearConv" else 1)
    if not given and weight is not None and weight.shape is not None:
        given = tuple(d for d in weight.shape[2:] if isinstance(d, int))
        given = given if len(given) == len(weight.shape) - 2 else None
    if not given:
        rewriter.refuse("the extents of the kernel are not known")
    return given


def _added(pad: Node, spatial: int, rewriter: Rewriter) -> list[int]:
    """The pads of the spatial axes, starts before ends."""
    if pad.str_attr("mode", "constant") != "constant":
        rewriter.refuse(f"the pad is of mode {pad.str_attr('mode', '')}")
    amounts = pad_amounts(pad, spatial + 2)
    numbers = [] if amounts is None else [a for side in amounts for a in side if isinstance(a, int)]
    if len(numbers) != 2 * (spatial + 2):
        rewriter.refuse("the pads are not known")
    if min(numbers) < 0:
        rewriter.refuse("the pad crops")
    before, after = numbers[: spatial + 2], numbers[spatial + 2 :]
    if any((*before[:2], *after[:2])):
        rewriter.refuse("the pad is not along spatial axes only")
    return [*before[2:], *after[2:]]


def _own_pads(node: Node, kernel: Sequence[int], shape: Shape | None, rewriter: Rewriter) -> Sequence[int]:
    """The pads that the node adds already; an auto_pad is worked out from the extents of its input."""
    auto = node.str_attr("auto_pad", "NOTSET")
    if auto == "VALID":
        return (0,) * (2 * len(kernel))
    if auto == "NOTSET":
        return node.ints_attr("pads") or (0,) * (2 * len(kernel))
    strides = node.ints_attr("strides") or (1,) * len(kernel)
    starts, ends = [], []
    for axis, (stride, reach) in enumerate(zip(strides, _reaches(node, kernel))):
        extent = None if shape is None else shape[axis + 2]
        if not isinstance(extent, int):
            rewriter.refuse(f"auto_pad is {auto} and the extents are not known")
        missing = max((-(-extent // stride) - 1) * stride + reach - extent, 0)
        small, large = missing // 2, missing - missing // 2
        starts.append(small if auto == "SAME_UPPER" else large)
        ends.append(large if auto == "SAME_UPPER" else small)
    return (*starts, *ends)


def _reaches(node: Node, kernel: Sequence[int]) -> list[int]:
    dilations = node.ints_attr("dilations") or (1,) * len(kernel)
    return [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]


def _pad_value(pad: Node, rewriter: Rewriter) -> float:
    if pad.version < 11:
        return pad.float_attr("value", 0.0)
    value = pad.input(2)
    if value is None:
        return 0.0
    if value.constant is None:
        rewriter.refuse("the pad's value is not a constant")
    return float(value.constant.numpy().astype("float64").item())


def _border_value(node: Node, rewriter: Rewriter) -> float:
    """What the node's own border holds."""
    zero_point = node.input(2) if node.op in ("ConvInteger", "QLinearConv") else None
    if zero_point is None:
        return 0.0
    if zero_point.constant is None or zero_point.constant.size != 1:
        rewriter.refuse("the zero point of the input is not a constant")
    return float(zero_point.constant.numpy().item())


def _check_max(node: Node, pad: Node, value: float, rewriter: Rewriter) -> None:
    """MaxPool's own border never wins; nor may the pad's."""
    if any(v is not None and v.uses for v in node.outputs[1:]):
        rewriter.refuse("the indices of MaxPool are read")
    if value > range_of(pad.inputs[0])[0]:
        rewriter.refuse(f"the pad's value {value:g} may be a maximum")


def _check_average(node: Node, own: Sequence[int], rewriter: Rewriter) -> None:
    if node.version < 7:
        rewriter.refuse("AveragePool cannot count its border before opset 7")
    if any(own) and not node.int_attr("count_include_pad", 0):
        rewriter.refuse("AveragePool counts the pad, but not the border that it adds itself")


def _check_windows(node: Node, kernel: Sequence[int], total: Sequence[int], pad: Node, rewriter: Rewriter) -> None:
    """Every window must hold an element of the input, and none may hang over the border."""
    count, source = len(kernel), pad.inputs[0]
    strides = node.ints_attr("strides") or (1,) * count
    shape = None if source is None else source.shape
    for axis, (reach, stride) in enumerate(zip(_reaches(node, kernel), strides)):
        low, high = total[axis], total[axis + count]
        extent = None if shape is None else shape[axis + 2]
        if max(low, high) >= kernel[axis] or (reach != kernel[axis] and low + high):
            rewriter.refuse("windows would lie in the border only")
        positive = extent is not None and symbolic.provably_positive(extent)
        if low + high >= reach and not positive:
            rewriter.refuse("windows would lie in the border only if the input were empty")
        if node.int_attr("ceil_mode", 0) and stride > 1:
            left = None if extent is None else symbolic.mod(symbolic.add(extent, low + high - reach), stride)
            if left != 0:
                rewriter.refuse("with ceil_mode the last window may hang over the border")
