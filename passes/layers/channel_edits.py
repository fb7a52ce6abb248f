"""Other positions along an axis for everything that shares it: layers are narrowed, or widened by channels of zeros.

An edit lists, for the new positions, which old ones they are, or ZERO. The nodes of a region (see segments.regions)
are planned anew: makers with other rows of weights, nodes in between with other parameters, readers with other columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...compiler.attributes import Attribute
from ...compiler.graph import Graph, Node, Value
from ...compiler.inference import content_of
from ...compiler.inference.movement import slice_ranges
from ...compiler.order import sort_nodes
from ...compiler.rewriter import Rewriter
from ...compiler.segments import Region, region_of
from .linear_layers import SHARED_LIMIT, joins_along, rounded, weight_index

ZERO = -1
_ZERO_STAYS = frozenset({
    "Abs", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "Conv", "Div", "Elu", "Erf", "Floor",
    "Gelu", "GlobalAveragePool", "GlobalMaxPool", "HardSwish", "Identity", "InstanceNormalization", "LeakyRelu",
    "MaxPool", "Mish", "Mul", "Neg", "PRelu", "Relu", "Round", "Selu", "Sign", "Sin", "Sinh", "Softsign", "Sqrt",
    "Squeeze", "Swish", "Tan", "Tanh", "Transpose", "Unsqueeze", "Add", "Sub", "Sum", "Max", "Min", "Resize",
})  # fmt: skip
_ADDING = frozenset({"Add", "Sub", "Sum", "Max", "Min"})  # operands that are the same for all channels must be zero
_FILLERS = {
    "BatchNormalization": {1: 1.0, 2: 0.0, 3: 0.0, 4: 1.0},
    "InstanceNormalization": {1: 1.0, 2: 0.0},
    "Mul": {0: 1.0, 1: 1.0},
    "Div": {0: 0.0, 1: 1.0},
}
Special = Callable[[Node, int], bool]
_REGION = "region of channels"


def region_at(value: Value, axis: int, notes: dict[object, object]) -> Region | None:
    """The region of an axis of a value, explored once for all of its members; `notes` as in `Changes.notes`."""
    sort_nodes(value.graph)  # regions are edited in order, and an earlier edit may have disturbed it
    if (_REGION, value, axis) not in notes:
        members: dict[Value, int] = {}
        region = region_of(value, axis, members)
        notes[_REGION, value, axis] = region
        for member, own in members.items():
            notes[_REGION, member, own] = region
    found = notes[_REGION, value, axis]
    assert found is None or isinstance(found, Region)
    return found


class ChannelEdit:
    """Plans new nodes for a region.

    Args:
        region: what is edited.
        picks: for each new position the old one, or ZERO.
        special: readers that the caller deals with itself: called with a reader and its input, says whether it does.
    """

    def __init__(
        self, region: Region, picks: Sequence[int], rewriter: Rewriter, special: Special = lambda node, index: False
    ) -> None:
        self.region, self.picks, self.rewriter = region, list(picks), rewriter
        self.edited: dict[Value, Value] = {}
        self.biases: dict[Node, np.ndarray] = {}  # what is added to the bias of layers that read the region, in float64
        self._special = special
        self._widens = ZERO in self.picks

    def plan(self) -> None:
        """Plan everything; refuses where some node cannot take part."""
        region = self.region
        if region.open:
            value = next(iter(region.open))
            self.rewriter.refuse(f"{value.name} is an input, and has the channels that it has")
        read = {reader: index for reader, index in region.uses if isinstance(reader, Node)}
        for node in region.nodes:
            if node.graph is not self.rewriter.graph:
                self.rewriter.refuse("the channels are read in a subgraph")
            if not node.has_output(0):
                self.rewriter.refuse(f"{node.op} {node.label} omits its first output")
            if node in region.makers:
                self.edited[node.output] = self._maker(node, read.get(node))
            elif node in region.through:
                self.edited[node.output] = self._between(node)
            elif not self._special(node, read[node]):
                self.rewriter.replace(node.output, self._layer(node, {}, read[node]))
        for reader, index in region.uses:
            if isinstance(reader, Graph):
                self.rewriter.refuse(f"graph output {reader.outputs[index].name} has these channels")

    def _take(self, node: Node, index: int, axes: Sequence[int], filler: float = 0.0) -> Value:
        """A constant input with the new positions along these axes."""
        value = node.inputs[index]
        if value is None or value.constant is None:
            self.rewriter.refuse(f"an operand of {node.op} {node.label} is not a constant")
        if len(value.uses) > 1 and value.constant.nbytes > SHARED_LIMIT:
            self.rewriter.refuse(f"{value.name} is shared with another layer and would be stored twice")
        array = value.constant.numpy()
        for axis in axes:
            array = array.take([max(p, 0) for p in self.picks], axis)
            if self._widens:
                np.moveaxis(array, axis, 0)[[p == ZERO for p in self.picks]] = filler
        return self.rewriter.constant(array, value.name)

    def _maker(self, node: Node, read: int | None) -> Value:
        """A node that makes the channels; it may read channels of the region too (at input `read`)."""
        axis = self.region.axes.get(node.output)
        if axis is None:
            self.rewriter.refuse(f"{node.op} {node.label} makes the channels with a further output")
        if node.op == "Concat":
            if read is not None or not joins_along(node, axis):
                what = "reads what it makes" if read is not None else "joins along another axis"
                self.rewriter.refuse(f"Concat {node.label} {what}")
            return self._concat(node, axis)
        parameters = self.region.parameters[node]
        weight = 0 if node.op == "Gather" else weight_index(node)
        dense = node.op in ("Conv", "ConvTranspose", "Gemm", "MatMul", "Gather") and node.int_attr("group", 1) == 1
        if not dense or weight not in parameters:
            self.rewriter.refuse(f"{node.op} {node.label} cannot make other channels")
        if self._widens and node.input(2) is not None and 2 not in parameters:
            self.rewriter.refuse(f"the bias of {node.label} is the same for all channels")
        return self._layer(node, parameters, read)

    def _layer(self, node: Node, parameters: dict[int, int], read: int | None) -> Value:
        """A layer with other outputs (its parameters' axes), other inputs, or both."""
        inputs = list(node.inputs)
        taken = {index: [axis] for index, axis in parameters.items()}
        if read is not None:
            value = inputs[read]
            assert value is not None
            place = summed_axis(node, read, self.region.axes[value], value.rank)
            if place is None:
                self.rewriter.refuse(f"{node.op} {node.label} reads all channels")
            inputs[read] = self.edited[value]
            taken.setdefault(1 - read, []).append(place)
        for index, axes in taken.items():
            inputs[index] = self._take(node, index, axes)
        if node in self.biases:
            inputs[2:] = [self._bias(node, inputs)]
        return self.rewriter.op(node.op_type, inputs, node.attributes, name=node.name)

    def _bias(self, node: Node, inputs: Sequence[Value | None]) -> Value:
        """The bias with what is added to it; `inputs` has the new weight and, if there is one, the bias."""
        old = inputs[2] if len(inputs) > 2 else None
        total = self.biases[node]
        if node in self.region.makers:
            total = total[self.picks]
        if old is not None and old.tensor is not None:
            total = total + old.tensor.numpy().astype(np.float64)
        dtype = node.inputs[1].dtype if node.inputs[1] is not None else node.output.dtype
        return self.rewriter.constant(rounded(total, dtype, self.rewriter), f"{node.label}_bias")

    def _concat(self, node: Node, axis: int) -> Value:
        """Parts that stay whole stay, constants are cut or get more, and zeros come in as constants."""
        inputs: list[Value | None] = []
        owners = [(part, i) for part in node.inputs for i in range(_extent(part, axis))]
        position = 0
        while position < len(self.picks):
            pick = self.picks[position]
            part, first = owners[pick] if pick != ZERO else (None, 0)
            if part is not None and part.constant is None:
                extent = _extent(part, axis)
                if first or self.picks[position : position + extent] != list(range(pick, pick + extent)):
                    self.rewriter.refuse(f"Concat {node.label} would take a part of {part.name}")
                inputs.append(part)
                position += extent
                continue
            start = position
            while position < len(self.picks) and self._is_constant(owners, position):
                position += 1
            inputs.append(self._constant_part(node, axis, owners, self.picks[start:position]))
        alone = inputs[0] if len(inputs) == 1 else None
        if alone is not None and alone.tensor is None:
            return alone
        return self.rewriter.op("Concat", inputs, node.attributes, name=node.name)

    def _is_constant(self, owners: Sequence[tuple[Value | None, int]], position: int) -> bool:
        pick = self.picks[position]
        part = None if pick == ZERO else owners[pick][0]
        return part is None or part.constant is not None

    def _constant_part(
        self, node: Node, axis: int, owners: Sequence[tuple[Value | None, int]], picks: Sequence[int]
    ) -> Value:
        pattern = next((v for v in node.inputs if v is not None and v.constant is not None), None)
        if pattern is None or pattern.constant is None:
            self.rewriter.refuse(f"Concat {node.label} has no constant part to grow")
        rows = []
        for pick in picks:
            source = pattern if pick == ZERO else owners[pick][0]
            assert source is not None and source.constant is not None
            row = source.constant.numpy().take([0 if pick == ZERO else owners[pick][1]], axis)
            rows.append(np.zeros_like(row) if pick == ZERO else row)
        return self.rewriter.constant(np.concatenate(rows, axis), pattern.name)

    def _between(self, node: Node) -> Value:
        """A node that computes each channel from the same channel."""
        parameters = self.region.parameters.get(node, {})
        if self._widens:
            self._check_zero(node, parameters)
        inputs = [self.edited.get(v, v) if v is not None else None for v in node.inputs]
        for index, axis in parameters.items():
            inputs[index] = self._take(node, index, [axis], _FILLERS.get(node.op, {}).get(index, 0.0))
        attributes: dict[str, Attribute] = dict(node.attributes)
        if node.op == "Conv":
            attributes["group"] = len(self.picks)
        self._check_extents(node)
        if node.op == "Reshape":
            inputs[1] = self._target(node)
        return self.rewriter.op(node.op_type, inputs, attributes, name=node.name, domain=node.domain)

    def _check_zero(self, node: Node, parameters: dict[int, int]) -> None:
        """Refuse a node that makes something else of zero."""
        if node.op not in _ZERO_STAYS:
            self.rewriter.refuse(f"{node.op} {node.label} does not leave zeros alone")
        if node.op in _ADDING or node.op == "Clip":
            for index, value in enumerate(node.inputs):
                if index in parameters or value is None or value in self.region.axes:
                    continue
                number = None if value.constant is None else value.constant.numpy()
                bad = number is None or (number > 0 if (node.op, index) == ("Clip", 1) else number < 0).any()
                if bad or (node.op in _ADDING and number.any()):  # type: ignore[union-attr]
                    self.rewriter.refuse(f"{node.op} {node.label} does not leave zeros alone")
        if node.op == "Clip" and (node.float_attr("min", 0.0) > 0 or node.float_attr("max", 0.0) < 0):
            self.rewriter.refuse(f"Clip {node.label} does not leave zeros alone")

    def _check_extents(self, node: Node) -> None:
        """Refuse a node with an operand that states the extent of the axis."""
        source = node.inputs[0]
        axis = None if source is None else self.region.axes.get(source)
        if node.op in ("Expand", "Upsample") or (node.op == "Resize" and node.input(3) is not None):
            self.rewriter.refuse(f"{node.op} {node.label} states the number of channels")
        if node.op == "Slice":
            ranges = slice_ranges(node, len((source.shape if source is not None else None) or ()))
            if ranges is None or axis in ranges:
                self.rewriter.refuse(f"Slice {node.label} states the number of channels")

    def _target(self, node: Node) -> Value:
        axis = self.region.axes[node.output]
        numbers = content_of(node.inputs[1]) if node.version >= 5 else None
        before = self.region.axes.get(node.inputs[0]) if node.inputs[0] is not None else None
        if numbers is None or not all(isinstance(n, int) for n in numbers):
            self.rewriter.refuse(f"the shape that Reshape {node.label} gives is not known")
        target = [n for n in numbers if isinstance(n, int)]
        copied = before is not None and before < len(target) and target[before] == 0 and before != axis
        if copied and not node.int_attr("allowzero", 0):
            self.rewriter.refuse(f"Reshape {node.label} copies the number of channels to another place")
        target[axis] = len(self.picks)
        return self.rewriter.ints(target, f"{node.label}_shape")


def _extent(value: Value | None, axis: int) -> int:
    extent = None if value is None or value.shape is None else value.shape[axis]
    return extent if isinstance(extent, int) else 0


def summed_axis(node: Node, index: int, axis: int, rank: int | None) -> int | None:
    """The axis of a layer's constant weight that goes with the channels which it sums over."""
    if index > 1 or rank is None or node.op not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return None
    weight = node.inputs[1 - index]
    if weight is None or weight.constant is None:
        return None
    if node.op in ("Conv", "ConvTranspose"):
        dense = index == 0 and axis == 1 and node.int_attr("group", 1) == 1
        return (1 if node.op == "Conv" else 0) if dense else None
    if node.op == "Gemm":
        turned = [node.int_attr("transA", 0), node.int_attr("transB", 0)]
        summed = (0 if turned[0] else 1, 1 if turned[1] else 0)
        return summed[1 - index] if axis == summed[index] else None
    if len(weight.constant.shape) != 2:
        return None
    return (0 if index == 0 else 1) if axis == (rank - 1 if index == 0 else rank - 2) else None
