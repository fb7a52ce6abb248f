"""What the kernels of ONNX Runtime's CPU provider do for a node, in countable units of work.

Each unit ("multiply-adds of a pointwise convolution with three output blocks at a time") takes a fixed time on a
machine; a calibration finds these times, and a prediction adds them up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from math import prod

from .. import dtypes
from ..cost import FREE_OPS, elements, extents, window_elements
from ..graph import Node, Value
from .layout import Layouts
from .scenario import Scenario

Work = Counter[str]

_FUSED_ACTIVATIONS = frozenset({"Relu", "Sigmoid", "Tanh", "LeakyRelu", "Clip", "HardSigmoid"})
# Operators whose time per element was found to differ much from one another; others like the kind they are listed with.
_FUNCTIONS = {
    "Sigmoid": "sigmoids", "Swish": "sigmoids", "Tanh": "tanhs", "Exp": "exps", "Erf": "erfs", "Gelu": "erfs",
    "Sqrt": "roots", "Reciprocal": "roots", "Div": "quotients", "Pow": "powers", "Log": "powers", "Softplus": "powers",
    "Mish": "powers", "Elu": "powers", "Selu": "powers", "Celu": "powers", "Sin": "powers", "Cos": "powers",
}  # fmt: skip
_COPIES = frozenset({"Concat", "Split", "Slice", "Gather", "Pad", "Expand", "Tile", "Cast"})
_NORMS = frozenset({
    "LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization", "LpNormalization",
    "BatchNormalization", "LRN",
})  # fmt: skip


class Profile:
    """Counts the work of a scenario; `block`: channels in a block of the convolution kernels."""

    def __init__(self, scenario: Scenario, block: int, sizes: Mapping[str, int] | None = None) -> None:
        self.scenario = scenario
        self.sizes = sizes
        self.layouts = Layouts(block, sizes, scenario.inputs)
        self.block = block

    def work(self) -> Work:
        """The units of work of all nodes and of the changes of layout between them."""
        total: Work = Counter()
        for node in self.scenario.nodes:
            if node.op != "Constant":
                total.update(self._of_node(node))
        made = [v for node in self.scenario.nodes for v in node.outputs if v is not None]
        for value in [*self.scenario.boundary(), *made]:
            total["reorder bytes"] += self._reordering(value)
        return total

    def _reordering(self, value: Value) -> int:
        """Bytes of putting the elements in another order for readers that need it; once for all of them."""
        readers = self.scenario.readers(value)
        if not readers or value.rank != 4:
            return 0
        wanted = [isinstance(r, Node) and self.layouts.wants_blocks(r, value) for r in readers]
        mismatch = not all(wanted) if self.layouts.blocked(value) else any(wanted)
        return self._bytes(value) if mismatch else 0

    def _of_node(self, node: Node) -> Work:
        if self._is_absorbed(node):
            return Counter()
        if node.op in FREE_OPS:
            return Counter({"views": 1})
        count = _COUNTERS.get(node.op)
        work = count(self, node) if count is not None else self._elementwise(node)
        work["nodes"] += 1
        return work

    def _is_absorbed(self, node: Node) -> bool:
        """Whether ONNX Runtime fuses the node into the one in front of it."""
        inputs = self.scenario.inputs(node)
        value = inputs[0] if inputs else None
        if node.op in _FUSED_ACTIVATIONS and value is not None and value.producer is not None:
            before = value.producer.op
            return before in ("Conv", "Gemm") and self.scenario.sole_reader(value) is node
        if node.op in ("Add", "Sum") and len(inputs) == 2:
            return any(self._takes_addend(node, v, other) for v, other in zip(inputs, reversed(inputs)))
        return False

    def _takes_addend(self, node: Node, value: Value | None, other: Value | None) -> bool:
        if value is None or other is None or value.producer is None or self.scenario.sole_reader(value) is not node:
            return False
        if value.producer.op == "MatMul":
            return value.rank == 2 and other.constant is not None and other.rank == 1
        return value.producer.op == "Conv" and self.layouts.makes_blocks(node)

    def _bytes(self, value: Value | None) -> int:
        return 0 if value is None else dtypes.nbytes(value.dtype, elements(value, self.sizes))

    def _traffic(self, node: Node) -> int:
        return sum(self._bytes(v) for v in [*node.inputs, *node.outputs])

    def conv(self, node: Node) -> Work:
        weight, result = extents(node.input(1), self.sizes), extents(node.output, self.sizes)
        if len(weight) < 3 or len(result) < 3:
            return Counter()
        group, pixels = node.int_attr("group", 1), result[0] * prod(result[2:])
        outputs, each, kernel = weight[0], weight[1], prod(weight[2:])
        if not self.layouts.is_blocked_conv(node):
            macs = pixels * outputs * each * kernel
            work: Work = Counter({"plain convolution": macs, "groups": result[0] * group})
            work["columns"] = 0 if kernel == 1 else pixels * each * kernel * group
            work["plain bytes"] = self._traffic(node)
            return work
        work = Counter({"blocked bytes": self._padded_bytes(node.input(0)) + self._padded_bytes(node.output)})
        if group > 1 and each == 1:
            work["depthwise"] = pixels * self._whole(outputs) * kernel
            return work
        kind = "narrow" if each < self.block and group == 1 else "window" if kernel > 1 else "pointwise"
        taps = pixels * kernel * (each if kind == "narrow" else self._whole(each))
        work.update(_by_filter_sets(kind, taps * group, self._whole(outputs // group) // self.block, self.block))
        return work

    def _whole(self, channels: int) -> int:
        return -(-channels // self.block) * self.block

    def _padded_bytes(self, value: Value | None) -> int:
        shape = extents(value, self.sizes)
        if len(shape) < 2:
            return 0
        return 4 * shape[0] * self._whole(shape[1]) * prod(shape[2:])

    def conv_transpose(self, node: Node) -> Work:
        source, weight = extents(node.input(0), self.sizes), extents(node.input(1), self.sizes)
        if len(source) < 3 or len(weight) < 3:
            return Counter()
        spread = elements(node.input(0), self.sizes) * prod(weight[1:])
        columns = source[0] * prod(source[2:]) * prod(weight[1:]) * node.int_attr("group", 1)
        return Counter({"plain convolution": spread, "columns": columns, "plain bytes": self._traffic(node)})

    def product(self, node: Node) -> Work:
        left, right = extents(node.input(0), self.sizes), extents(node.input(1), self.sizes)
        result = extents(node.output, self.sizes)
        if not left or not right or not result:
            return Counter()
        turned = node.op == "Gemm" and bool(node.int_attr("transA", 0))
        inner = left[0 if turned else -1]
        columns = result[-1] if len(right) > 1 else 1
        rows = elements(node.output, self.sizes) // max(columns, 1)
        weights = node.input(1)
        constant = weights is not None and weights.constant is not None
        calls = 1 if len(right) <= 2 else prod(result[:-2])
        moved = self._bytes(node.input(0)) + self._bytes(node.output)
        work: Work = Counter({"products": calls, "product bytes": moved})
        if rows // max(calls, 1) <= 1:
            work["vector weights"] = self._bytes(weights)
        else:
            work["multiply-adds"] = rows * inner * -(-columns // 16) * 16
            work["product weights" if constant else "packed weights"] = self._bytes(weights)
        return work

    def copy(self, node: Node) -> Work:
        return Counter({"copied bytes": sum(self._bytes(v) for v in node.outputs), "copied runs": self._runs(node)})

    def _runs(self, node: Node) -> int:
        """Stretches of memory that are copied one by one."""
        axis = node.attributes.get("axis", 0)
        if node.op not in ("Concat", "Split") or not isinstance(axis, int):
            return 0
        parts = [v for v in (node.inputs if node.op == "Concat" else node.outputs) if v is not None]
        shape = extents(node.output, self.sizes)
        return prod(shape[:axis]) * len(parts) if axis >= 0 else prod(shape[: len(shape) + axis]) * len(parts)

    def transpose(self, node: Node) -> Work:
        order, shape = node.attributes.get("perm"), extents(node.output, self.sizes)
        if isinstance(order, tuple) and shape and order[-1] == len(order) - 1:
            return Counter({"copied bytes": self._bytes(node.output), "transposed runs": prod(shape[:-1])})
        return Counter({"transposed elements": elements(node.output, self.sizes)})

    def pool(self, node: Node) -> Work:
        taps = elements(node.output, self.sizes) * window_elements(node)
        if node.op.startswith("Global"):
            taps = elements(node.input(0), self.sizes)
        blocked = "blocked " if self.layouts.makes_blocks(node) else "global " if node.op.startswith("Global") else ""
        return Counter({f"{blocked}{'largest' if 'Max' in node.op else 'average'} taps": taps})

    def reduce(self, node: Node) -> Work:
        return Counter({"reduced elements": elements(node.input(0), self.sizes)})

    def softmax(self, node: Node) -> Work:
        return Counter({"softmax elements": elements(node.output, self.sizes)})

    def norm(self, node: Node) -> Work:
        return Counter({"normalized elements": elements(node.output, self.sizes)})

    def _elementwise(self, node: Node) -> Work:
        work: Work = Counter({"elementwise bytes": self._traffic(node)})
        if node.op in _FUNCTIONS:
            work[_FUNCTIONS[node.op]] = elements(node.output, self.sizes)
        return work


def _by_filter_sets(kind: str, taps: int, blocks: int, block: int) -> Work:
    """Multiply-adds by how many blocks of outputs a kernel call takes at once: four, and what is left."""
    fours, rest = divmod(blocks, 4)
    work: Work = Counter()
    if fours:
        work[f"{kind} 4"] = taps * 4 * fours * block
    if rest:
        work[f"{kind} {rest}"] = taps * rest * block
    return work


_COUNTERS: dict[str, Callable[[Profile, Node], Work]] = {
    "Conv": Profile.conv,
    "ConvTranspose": Profile.conv_transpose,
    "MatMul": Profile.product,
    "Gemm": Profile.product,
    "Transpose": Profile.transpose,
    "Softmax": Profile.softmax,
    "LogSoftmax": Profile.softmax,
    **dict.fromkeys(_COPIES, Profile.copy),
    **dict.fromkeys(_NORMS, Profile.norm),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "LpPool"), Profile.pool),
    **{f"Reduce{kind}": Profile.reduce for kind in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare")},
}

