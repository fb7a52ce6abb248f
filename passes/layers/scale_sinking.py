"""Where a factor goes when it is moved down to the producers: through what is linear in it, into constants.

Nothing changes while the way is looked for: a way is a list of inputs that get scaled constants once all is known.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...compiler import dtypes
from ...compiler.graph import Node, Value
from ...compiler.refusal import Refusal
from ...compiler.rewriter import Rewriter
from ..values.readers import refuse_other_readers
from ..values.value_range import interpolates
from ..views.parts import part_of, taken_apart
from .axis_arrays import VIEW_OPS, below, collapsed
from .linear_layers import LINEAR_OPS, SHARED_LIMIT, rounded, scale_outputs, weight_index

_LINEAR = frozenset(LINEAR_OPS.split("|"))
_ELEMENTWISE = frozenset({"Relu", "LeakyRelu", "PRelu", "Neg", "Identity"})
_UNIFORM = frozenset({
    "Slice", "Gather", "GatherElements", "GatherND", "Expand", "Tile", "CumSum", "ReduceSum", "ReduceMean", "ReduceMax",
    "ReduceMin", "AveragePool", "GlobalAveragePool", "MaxPool", "GlobalMaxPool", "DepthToSpace", "SpaceToDepth",
})  # fmt: skip
_PARTS = frozenset({"Gather", "Slice", "Split"})
_ONLY_POSITIVE = frozenset({"Relu", "LeakyRelu", "PRelu", "MaxPool", "GlobalMaxPool", "ReduceMax", "ReduceMin"})
_NORMS = frozenset({
    "LayerNormalization", "RMSNormalization", "InstanceNormalization", "BatchNormalization", "GroupNormalization",
})  # fmt: skip
LONGEST_WAY = 24
_NO_WAY = "the way down ends at a value that is no constant"


class ScaleSinking:
    """Finds the inputs that have to be scaled so that a value is; `apply` plans their replacement.

    Factors are arrays beside the value that they belong to, in the form of `axis_arrays`.
    """

    def __init__(self, root: Node, rewriter: Rewriter) -> None:
        self._root, self._rewriter = root, rewriter
        self._edits: list[tuple[Node, int, Callable[[], np.ndarray]]] = []

    def apply(self) -> None:
        for node, index, make in self._edits:
            old = node.inputs[index]
            assert old is not None
            array = rounded(make(), old.dtype, self._rewriter)
            self._rewriter.set_input(node, index, self._rewriter.constant(array, old.name))

    def sink(
        self, value: Value | None, factor: np.ndarray, depth: int = LONGEST_WAY, *, apart: bool = False
    ) -> None:
        """Plan that `value`, which one node of the root's graph reads, becomes factor * value; or refuse.

        apart: the factor is 1 for all that other nodes read of the value.
        """
        node = None if value is None else value.producer
        if value is None or node is None or node.graph is not self._root.graph or depth == 0:
            overridable = value is not None and value.overridable
            self._rewriter.refuse(f"{value.name} can be overridden by the caller" if value and overridable else _NO_WAY)
        if not apart:
            refuse_other_readers(value, self._rewriter, keeps_shape=True)
        if node.op in _PARTS and self._sink_part(node, value.index, factor, depth):
            return
        if value.index:
            self._rewriter.refuse(f"{node.op} {node.label} does not hand on a scale")
        if node.op in _ONLY_POSITIVE and not (factor > 0).all():
            self._rewriter.refuse(f"a scale that is not positive does not pass {node.op}")
        if node.op in VIEW_OPS:
            moved = below(node, factor)
            if moved is None:
                self._rewriter.refuse(f"the channels cannot be followed through {node.op} {node.label}")
            self.sink(node.inputs[0], moved, depth - 1)
        elif node.op in _LINEAR:
            self._into_layer(node, factor, depth)
        elif node.op in _NORMS:
            self._into_norm(node, factor)
        elif node.op in ("Mul", "Div"):
            self._into_factor(node, factor, depth)
        elif node.op in ("Add", "Sub", "Concat", "Sum"):
            self._into_terms(node, factor, depth)
        elif node.op in _ELEMENTWISE:
            self.sink(node.inputs[0], factor, depth - 1)
        else:
            self._into_uniform(node, factor, depth)

    def _scale_constant(self, node: Node, index: int, factor: np.ndarray) -> bool:
        """Plan that a constant input is multiplied; False if it is no constant. It keeps its shape."""
        value = node.inputs[index]
        constant = None if value is None else value.constant
        if value is None or constant is None:
            return False
        if constant.dtype not in dtypes.FLOATING:
            self._rewriter.refuse(f"the constant is of type {dtypes.name_of(constant.dtype)}")
        if len(value.uses) > 1 and constant.nbytes > SHARED_LIMIT:
            self._rewriter.refuse("the constant is shared and would be stored twice")
        extra = max(factor.ndim - len(constant.shape), 0)
        aligned = factor.reshape(factor.shape[extra:]) if factor.size == np.prod(factor.shape[extra:]) else None
        if aligned is None or np.broadcast_shapes(aligned.shape, constant.shape) != constant.shape:
            self._rewriter.refuse("the constant would have to grow")
        self._edits.append((node, index, lambda: constant.numpy().astype(np.float64) * aligned))
        return True

    def _one_of(self, attempts: list[Callable[[], None]]) -> None:
        """The first attempt that is not refused; else the first refusal."""
        reason = ""
        for attempt in attempts:
            before = len(self._edits)
            try:
                attempt()
                return
            except Refusal as refusal:
                del self._edits[before:]
                reason = reason or refusal.reason
        self._rewriter.refuse(reason)

    def _into_layer(self, node: Node, factor: np.ndarray, depth: int) -> None:
        index = weight_index(node)
        weight = node.inputs[index]
        assert weight is not None
        constant = weight.constant
        if constant is None:
            if weight.overridable:
                self._rewriter.refuse(f"{weight.name} can be overridden by the caller")
            if factor.ndim or node.op != "MatMul":
                self._rewriter.refuse("the weight is not a constant")
            left, right = node.inputs[:2]
            self._one_of([lambda: self.sink(left, factor, depth - 1), lambda: self.sink(right, factor, depth - 1)])
            return
        if constant.dtype not in dtypes.FLOATING:
            self._rewriter.refuse(f"the weight is of type {dtypes.name_of(constant.dtype)}")
        if len(weight.uses) > 1 and constant.nbytes > SHARED_LIMIT:
            self._rewriter.refuse("the weight is shared with another layer and would be stored twice")
        self._edits.append((
            node, index,
            lambda: scale_outputs(node, constant.numpy().astype(np.float64), factor, self._rewriter),
        ))  # fmt: skip
        if node.op == "MatMul" or node.input(2) is None:
            return
        axis = 1 if node.op in ("Conv", "ConvTranspose") else factor.ndim - 1
        along = factor.reshape(-1) if factor.ndim and factor.size == factor.shape[axis] else factor
        if along.ndim > 1 or not self._scale_constant(node, 2, along):
            self._rewriter.refuse("the bias is not a constant")

    def _into_norm(self, node: Node, factor: np.ndarray) -> None:
        """Scale and shift of the norm, which are its last steps."""
        if factor.ndim:
            if node.op == "GroupNormalization":
                self._rewriter.refuse("a scale that varies does not pass GroupNormalization")
            channels_first = node.op in ("InstanceNormalization", "BatchNormalization")
            if channels_first and factor.size != factor.shape[1]:
                self._rewriter.refuse("the constant is not one number per channel")
            factor = factor.reshape(-1) if channels_first else factor
        for index in (1, 2):
            if node.input(index) is not None and not self._scale_constant(node, index, factor):
                self._rewriter.refuse(f"the parameters of {node.op} are not constants")

    def _into_factor(self, node: Node, factor: np.ndarray, depth: int) -> None:
        """Either factor of a product; the dividend, or a constant divisor."""
        left, right = node.inputs[0], node.inputs[1]
        if self._scale_constant(node, 0, factor):
            return
        if node.op == "Mul" and self._scale_constant(node, 1, factor):
            return
        if node.op == "Div" and (factor != 0).all() and self._scale_constant(node, 1, 1 / factor):
            return
        attempts = [lambda: self._same_shape(node, left, factor, depth)]
        if node.op == "Mul":
            attempts.append(lambda: self._same_shape(node, right, factor, depth))
        self._one_of(attempts)

    def _into_terms(self, node: Node, factor: np.ndarray, depth: int) -> None:
        """Every term of a sum, every part of a Concat."""
        if factor.ndim and node.op == "Concat":
            self._rewriter.refuse("a scale that varies does not pass Concat")
        for index, value in enumerate(node.inputs):
            if not self._scale_constant(node, index, factor):
                self._same_shape(node, value, factor, depth)

    def _same_shape(self, node: Node, value: Value | None, factor: np.ndarray, depth: int) -> None:
        """Go on with an operand; a factor that varies needs one that is not broadcast."""
        if factor.ndim and (value is None or value.shape is None or value.shape != node.output.shape):
            self._rewriter.refuse(f"an operand of {node.op} {node.label} is broadcast")
        self.sink(value, factor, depth - 1)

    def _sink_part(self, node: Node, output: int, factor: np.ndarray, depth: int) -> bool:
        """Scale a part of what a Gather, Slice or Split reads; False if it should scale the whole."""
        source = node.inputs[0]
        if source is None or (node.op != "Split" and len(source.uses) == 1 and not factor.ndim):
            return False
        part = part_of(node, output)
        if part is None:
            return False
        if not taken_apart(source, node, part):
            self._rewriter.refuse(f"{source.name} has other readers of the same part")
        whole = part.spread(factor)
        if whole is None:
            self._rewriter.refuse(f"{node.op} {node.label} takes a position twice")
        if whole.ndim == 1 and source.rank is not None:
            whole = whole.reshape([part.extent if axis == part.axis else 1 for axis in range(source.rank)])
        self.sink(source, collapsed(whole), depth - 1, apart=True)
        return True

    def _into_uniform(self, node: Node, factor: np.ndarray, depth: int) -> None:
        """What is linear in its first input as long as all elements are scaled alike."""
        if node.op not in _UNIFORM and not _pads_with_zeros(node) and not (node.op == "Resize" and interpolates(node)):
            self._rewriter.refuse("" if depth == LONGEST_WAY else f"{node.op} {node.label} does not hand on a scale")
        if factor.ndim:
            self._rewriter.refuse(f"a scale that varies does not pass {node.op}")
        if any(v is not None and v.uses for v in node.outputs[1:]):
            self._rewriter.refuse(f"the indices of {node.op} are read")
        if not self._scale_constant(node, 0, factor):
            self.sink(node.inputs[0], factor, depth - 1)


def _pads_with_zeros(node: Node) -> bool:
    if node.op != "Pad":
        return False
    if node.str_attr("mode", "constant") != "constant":
        return True
    if node.version < 11:
        return node.float_attr("value", 0.0) == 0
    value = node.input(2)
    return value is None or (value.constant is not None and not value.constant.numpy().any())
