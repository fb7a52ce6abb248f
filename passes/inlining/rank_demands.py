"""What rank the readers of a value ask for: a model in which they got another one could not run."""

from __future__ import annotations

from collections.abc import Callable

from ...compiler.graph import Node, Value
from ...compiler.inference import content_of

_STEPS = 8  # readers of readers that are followed
_KEEPS_RANK = frozenset({
    "Identity", "Relu", "LeakyRelu", "Sigmoid", "Tanh", "Cast", "Neg", "Abs", "Exp", "Log", "Sqrt", "Erf", "Clip",
    "Softmax", "LogSoftmax", "Dropout", "BatchNormalization", "InstanceNormalization", "Elu", "Selu", "HardSigmoid",
    "HardSwish", "Softplus", "Floor", "Ceil", "Not",
})  # fmt: skip


def demanded_rank(value: Value, steps: int = _STEPS) -> int | None:
    """The rank that a reader of the same graph needs, directly or behind operators that fix the difference.

    Readers in bodies do not count, for they may never run.
    """
    for (reader, index), _ in value.uses.items():
        if isinstance(reader, Node) and reader.graph is value.graph:
            rank = _demand(reader, index, steps)
            if rank is not None:
                return rank
    return None


def _demand(node: Node, index: int, steps: int) -> int | None:
    table = _DEMANDS.get(node.op)
    if table is not None:
        return table(node, index)
    if index or not steps or not node.outputs or node.outputs[0] is None:
        return None
    if node.op in _KEEPS_RANK:
        return demanded_rank(node.output, steps - 1)
    if node.op in ("Squeeze", "Unsqueeze"):
        axes = node.ints_attr("axes") if node.version < 13 else content_of(node.input(1))
        rank = None if axes is None else demanded_rank(node.output, steps - 1)
        if axes is not None and rank is not None:
            return rank + len(axes) if node.op == "Squeeze" else rank - len(axes)
    return None


def _like_weight(node: Node, index: int) -> int | None:
    weight = node.input(1)
    return None if index or weight is None else weight.rank


def _like_kernel(node: Node, index: int) -> int | None:
    kernel = node.ints_attr("kernel_shape")
    return None if index or kernel is None else len(kernel) + 2


def _like_permutation(node: Node, index: int) -> int | None:
    order = node.ints_attr("perm")
    return None if order is None else len(order)


def _recurrent(node: Node, index: int) -> int | None:
    return {0: 3, 1: 3, 2: 3, 3: 2, 4: 1, 5: 3, 6: 3, 7: 2}.get(index)


def _matrix(node: Node, index: int) -> int | None:
    return 2 if index < 2 else None


_DEMANDS: dict[str, Callable[[Node, int], int | None]] = {
    "Conv": _like_weight,
    "ConvTranspose": _like_weight,
    "MaxPool": _like_kernel,
    "AveragePool": _like_kernel,
    "LpPool": _like_kernel,
    "Transpose": _like_permutation,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "Gemm": _matrix,
}
