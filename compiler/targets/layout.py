"""Which values ONNX Runtime's CPU kernels keep in blocks of channels instead of channel by channel.

Its convolution kernels work on channels in blocks of one vector register; operators in between stay in that layout if
they can, and everything else needs the elements put back in order first. What is described here was observed on the
models that ONNX Runtime writes with `optimized_model_filepath`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..cost import extents
from ..graph import Node, Value

_ALIGNMENT = 4  # channels of an input or of a grouped output, else the plain kernels run
_ELEMENTWISE = frozenset({"Relu", "Sigmoid", "Tanh", "LeakyRelu", "Clip", "HardSigmoid"})
_POOLS = frozenset({"MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"})
_TOGETHER = frozenset({"Add", "Sum", "Mul"})


class Layouts:
    """Answers for one state of the graph, remembering them.

    Args:
        block: channels in a block.
        inputs: what each node reads, where that is not what stands in the graph.
    """

    def __init__(
        self, block: int, sizes: Mapping[str, int] | None = None,
        inputs: Callable[[Node], Sequence[Value | None]] = lambda node: node.inputs,
    ) -> None:  # fmt: skip
        self.block = block
        self._inputs = inputs
        self._sizes = sizes
        self._blocked: dict[Value, bool] = {}

    def blocked(self, value: Value) -> bool:
        """Whether a value leaves its producer in blocks."""
        found = self._blocked.get(value)
        if found is None:
            node = value.producer
            self._blocked[value] = False  # what it would be if it depended on itself
            found = self._blocked[value] = node is not None and self.makes_blocks(node)
        return found

    def makes_blocks(self, node: Node) -> bool:
        """Whether a node's kernel works on blocks."""
        if node.op == "Conv":
            return self.is_blocked_conv(node)
        inputs = self._inputs(node)
        values = [v for v in inputs if v is not None and v.constant is None]
        if not values or not values[0].shape or len(values[0].shape) != 4:
            return False
        channels = extents(values[0], self._sizes)[1]
        if node.op in _POOLS:
            return channels % self.block == 0
        if node.op in _ELEMENTWISE:
            return self.blocked(values[0])
        if node.op in _TOGETHER:
            same = len({v.shape for v in values}) == 1 and len(values) == len(inputs)
            return same and all(self.blocked(v) for v in values)
        if node.op == "Concat":
            whole = all(extents(v, self._sizes)[1] % self.block == 0 for v in values)
            return node.int_attr("axis", 0) in (1, -3) and whole and all(self.blocked(v) for v in values)
        return False

    def wants_blocks(self, node: Node, value: Value) -> bool:
        """Whether a node would have this input put into blocks."""
        if node.op == "Conv":
            few = value.rank == 4 and extents(value, self._sizes)[1] < self.block
            as_it_comes = few and node.int_attr("group", 1) == 1
            return self.is_blocked_conv(node) and value is self._inputs(node)[0] and not as_it_comes
        return self.makes_blocks(node)

    def is_blocked_conv(self, node: Node) -> bool:
        """Whether a Conv runs on blocks: two spatial axes, constant weights, channels that fit."""
        weight = node.input(1)
        if weight is None or weight.constant is None or len(weight.constant.shape) != 4:
            return False
        outputs, each = weight.constant.shape[:2]
        group = node.int_attr("group", 1)
        if group == 1:
            return each < self.block or each % _ALIGNMENT == 0
        if outputs % _ALIGNMENT:
            return False
        if each == 1 and outputs == group:
            return True
        return each % self.block == 0 and (outputs // group) % self.block == 0
