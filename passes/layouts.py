"""Permutations of axes, and what an operator needs to work on permuted tensors.

A permutation `order` says that axis i of the reordered tensor is axis order[i] of the old one, as in Transpose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..compiler.attributes import Attribute
from ..compiler.graph import Node, Value
from ..compiler.rewriter import Rewriter

Order = tuple[int, ...]
_SHARED_LIMIT = 1 << 16  # bytes of a constant with other readers that may be stored a second time, reordered


def inverse(order: Order) -> Order:
    """The permutation that undoes another."""
    result = [0] * len(order)
    for position, axis in enumerate(order):
        result[axis] = position
    return tuple(result)


def is_identity(order: Order) -> bool:
    return order == tuple(range(len(order)))


def without(order: Order, axes: Sequence[int]) -> Order:
    """What is left of a permutation when these axes (of the old order) are dropped."""
    kept = [axis for axis in range(len(order)) if axis not in axes]
    return tuple(kept.index(axis) for axis in order if axis not in axes)


def extended(order: Order, axes: Sequence[int]) -> Order:
    """A permutation of which `without(.., axes)` gives `order`: the further axes stay where they are."""
    rank = len(order) + len(axes)
    kept = [axis for axis in range(rank) if axis not in axes]
    rest = iter([kept[axis] for axis in order])
    return tuple(axis if axis in axes else next(rest) for axis in range(rank))


@dataclass
class Reordering:
    """How a node works on permuted tensors.

    inputs, outputs: the permutation of each, None where a tensor stays as it is. constants: new elements of inputs that
    are constants, made when they are needed. attributes: those that change, None for those that go.
    """

    inputs: list[Order | None]
    outputs: list[Order | None]
    attributes: dict[str, Attribute] = field(default_factory=dict)
    constants: dict[int, Callable[[], np.ndarray]] = field(default_factory=dict)

    def normalized(self) -> Reordering:
        """The same with None in place of identities."""
        for orders in (self.inputs, self.outputs):
            orders[:] = [None if order is None or is_identity(order) else order for order in orders]
        return self

    def with_constant(self, index: int, numbers: Sequence[int] | Sequence[float], kind: type) -> Reordering:
        """The same with other numbers in a constant vector that the node reads."""
        self.constants[index] = lambda: np.array(numbers, kind)
        return self

    def build(self, node: Node, inputs: Sequence[Value | None], rewriter: Rewriter) -> list[Value]:
        """The reordered node; `inputs` are permuted already, those in `constants` do not matter."""
        operands = list(inputs)
        for index, make in self.constants.items():
            old = node.input(index)
            hint = old.name if old is not None else f"{node.label}_{index}"
            operands += [None] * (index + 1 - len(operands))
            operands[index] = rewriter.constant(make(), hint)
        attributes = {**node.attributes, **self.attributes}
        return rewriter.ops(
            node.op_type, operands, len(node.outputs), attributes, name=node.name, domain=node.domain
        )  # fmt: skip


def same_everywhere(node: Node, order: Order) -> Reordering | None:
    """All tensors permuted alike, constants and operands that are broadcast included; None where one cannot follow."""
    found = Reordering([], [order] * len(node.outputs))
    for index, value in enumerate(node.inputs):
        if not _add_operand(found, index, value, order):
            return None
    return found


def _add_operand(found: Reordering, index: int, value: Value | None, order: Order) -> bool:
    found.inputs.append(None)
    if value is None:
        return True
    if value.shape is None or len(value.shape) > len(order):
        return False
    if all(extent == 1 for extent in value.shape):
        return True
    missing = len(order) - len(value.shape)
    own = tuple(axis - missing for axis in order[missing:])
    if all(axis >= 0 for axis in own):
        if is_identity(own):
            return True
        if value.constant is None:
            found.inputs[index] = own
            return True
    constant = value.constant
    if constant is None or (len(value.uses) > 1 and constant.nbytes > _SHARED_LIMIT):
        return False
    found.constants[index] = lambda: constant.numpy().reshape((1,) * missing + constant.shape).transpose(order)
    return True
