"""Layouts: the axes of a tensor in another order, with axes of extent 1 more or fewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...compiler.attributes import Attribute
from ...compiler.graph import Node, Shape, Value
from ...compiler.rewriter import Rewriter
from ..views.strided_views import View

SHARED_LIMIT = 1 << 16  # bytes of a constant with other readers that may be stored a second time, reordered


@dataclass(frozen=True)
class Order:
    """How to get from one layout to another: axis i of the new tensor is axis axes[i] of the old one.

    axes: None for a new axis of extent 1; an old axis that is not among them has extent 1 and goes. rank: of the old
    tensor.
    """

    axes: tuple[int | None, ...]
    rank: int

    @classmethod
    def permutation(cls, axes: Sequence[int]) -> Order:
        """A plain Transpose."""
        return cls(tuple(axes), len(axes))

    def __len__(self) -> int:
        return len(self.axes)

    @cached_property
    def kept(self) -> tuple[int, ...]:
        """The old axes that stay, in their new order."""
        return tuple(axis for axis in self.axes if axis is not None)

    @cached_property
    def dropped(self) -> tuple[int, ...]:
        """The old axes that go."""
        return tuple(axis for axis in range(self.rank) if axis not in self.axes)

    @property
    def is_identity(self) -> bool:
        return self.axes == tuple(range(self.rank))

    def fits(self, shape: Shape | None) -> bool:
        """Whether a tensor of this shape can be brought into the layout."""
        return shape is not None and len(shape) == self.rank and all(shape[axis] == 1 for axis in self.dropped)

    def position(self, axis: int) -> int | None:
        """Where an old axis stands now; None if it is gone."""
        return self.axes.index(axis) if axis in self.axes else None

    def positions(self, axes: Sequence[int]) -> list[int] | None:
        """Where old axes stand now; None if one is gone."""
        found = [self.axes.index(axis) for axis in axes if axis in self.axes]
        return found if len(found) == len(axes) else None

    @cached_property
    def inverse(self) -> Order:
        """The way back."""
        return Order(tuple(self.position(axis) for axis in range(self.rank)), len(self.axes))

    def shape(self, old: Shape) -> Shape:
        return tuple(1 if axis is None else old[axis] for axis in self.axes)

    def pick(self, old: Sequence[int], new: int) -> list[int]:
        """One number per new axis: that of the old axis, or `new`."""
        return [new if axis is None else old[axis] for axis in self.axes]

    def apply(self, array: np.ndarray) -> np.ndarray:
        """A constant in the new layout."""
        moved = array.transpose([*self.dropped, *self.kept])
        return moved.reshape(tuple(1 if axis is None else array.shape[axis] for axis in self.axes))

    def view(self, view: View) -> View:
        """A strided view in the new layout."""
        return View(view.base, tuple(() if axis is None else view.axes[axis] for axis in self.axes), view.starts)

    def meaning(self, shape: Shape) -> tuple[int | None, ...]:
        """The same for all orders that give the same view of a tensor of this shape."""
        return tuple(None if axis is None or shape[axis] == 1 else axis for axis in self.axes)

    def without(self, axes: Sequence[int]) -> Order:
        """What is left when these old axes are taken away on both sides."""
        kept = [axis for axis in range(self.rank) if axis not in axes]
        left = [axis for axis in self.axes if axis is None or axis not in axes]
        return Order(tuple(None if axis is None else kept.index(axis) for axis in left), len(kept))

    def extended(self, axes: Sequence[int]) -> Order:
        """An order of which `without(axes)` gives this one: the further axes stay where they were, if they can."""
        rank = self.rank + len(axes)
        kept = [axis for axis in range(rank) if axis not in axes]
        result: list[int | None] = [None if axis is None else kept[axis] for axis in self.axes]
        for axis in sorted(axes):
            result.insert(axis, axis)
        return Order(tuple(result), rank)


@dataclass
class Reordering:
    """How a node works on tensors in another layout.

    inputs, outputs: the order of each, None where a tensor stays as it is. constants: new elements of inputs that are
    constants, made when they are needed. attributes: those that change, None for those that go. op_type: the operator
    that does the same there, if it is another one.
    """

    inputs: list[Order | None]
    outputs: list[Order | None]
    attributes: dict[str, Attribute] = field(default_factory=dict)
    constants: dict[int, Callable[[], np.ndarray]] = field(default_factory=dict)
    op_type: str = ""

    @classmethod
    def of_first(cls, node: Node, order: Order) -> Reordering:
        """The first input and all outputs in the new layout, the other inputs as they are."""
        return cls([order] + [None] * (len(node.inputs) - 1), [order] * len(node.outputs))

    def normalized(self) -> Reordering:
        """The same with None in place of identities."""
        for orders in (self.inputs, self.outputs):
            orders[:] = [None if order is None or order.is_identity else order for order in orders]
        return self

    def with_vector(self, index: int, numbers: Sequence[int]) -> Reordering:
        """The same with other numbers in an int64 vector that the node reads."""
        self.constants[index] = lambda: np.array(numbers, np.int64)
        return self

    def build(self, node: Node, inputs: Sequence[Value | None], rewriter: Rewriter) -> list[Value]:
        """The node in the new layout; `inputs` are brought there already, those in `constants` do not matter."""
        operands = list(inputs)
        for index, make in self.constants.items():
            old = node.input(index)
            hint = old.name if old is not None else f"{node.label}_{index}"
            operands += [None] * (index + 1 - len(operands))
            operands[index] = rewriter.constant(make(), hint)
        attributes = {**node.attributes, **self.attributes}
        return rewriter.ops(
            self.op_type or node.op_type, operands, len(node.outputs), attributes, name=node.name, domain=node.domain
        )


def same_everywhere(node: Node, order: Order) -> Reordering | None:
    """All tensors alike, constants and operands that are broadcast included; None where one cannot follow."""
    found = Reordering([], [order] * len(node.outputs))
    ranks = [_add_operand(found, index, value, order) for index, value in enumerate(node.inputs)]
    known = [rank for rank in ranks if rank is not None]
    return found if len(known) == len(ranks) and max(known, default=0) == len(order) else None


def _add_operand(found: Reordering, index: int, value: Value | None, order: Order) -> int | None:
    """Add what becomes of an operand; returns its new rank, None if it cannot follow."""
    found.inputs.append(None)
    if value is None:
        return 0
    if value.shape is None or len(value.shape) > order.rank:
        return None
    missing = order.rank - len(value.shape)
    own = [None if axis is None or axis < missing else axis - missing for axis in order.axes]
    while missing and own and own[0] is None:
        del own[0]
    operand = Order(tuple(own), len(value.shape))
    if operand.is_identity or (len(value.shape) <= len(order) and all(extent == 1 for extent in value.shape)):
        return len(value.shape)
    if not operand.fits(value.shape):
        return None
    constant = value.constant
    if constant is None:
        found.inputs[index] = operand
    elif len(value.uses) > 1 and constant.nbytes > SHARED_LIMIT:
        return None
    else:
        found.constants[index] = lambda: operand.apply(constant.numpy())
    return len(operand)
