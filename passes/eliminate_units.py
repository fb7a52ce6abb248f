"""eliminate-units: arithmetic with the number that changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from ..compiler.symbolic import product
from ..compiler.tensor import Tensor
from .values.signed_zero import reader_of_signs
from .values.uniform_values import fill_of

# op -> (the number, whether it may stand first)
_UNITS: dict[str, tuple[int, bool]] = {
    "Add": (0, True),
    "Sub": (0, False),
    "Mul": (1, True),
    "Div": (1, False),
    "PRelu": (1, False),
    "BitShift": (0, False),
    "BitwiseOr": (0, True),
    "BitwiseXor": (0, True),
}
_LARGEST = 1024  # elements of a constant zero


@dataclass(frozen=True)
class EliminateUnits(RewritePass):
    """Remove arithmetic with a constant that changes nothing.

    Before => After
        x * 1, 1 * x, x / 1, x - 0, x + (-0.0)   =>   x
        x + 0                                    =>   x     if the sign of a zero shows nowhere
        PRelu(x, 1), LeakyRelu(x, alpha=1)       =>   x
        n * 0                                    =>   0     of integers
        n | 0, n ^ 0, n << 0                     =>   n

    Legal when
        Every element of the constant, which the caller cannot override, is the number, and it does not broadcast x:
        the result has the shape of x. In floating point x + 0.0 turns -0.0 into 0.0. That is the same number, but not
        the same divisor: the sum stays if x may reach a division, a Pow or an unknown operator as a zero. x * 0 stays,
        for it is NaN where x is infinite; of integers it is zero.

    Pays when
        Always. A constant zero is made only up to 1,024 elements.

    Numerics
        Unchanged; a result that is a zero may be -0.0 instead of 0.0.
    """

    name: ClassVar[str] = "eliminate-units"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("|".join((*_UNITS, "LeakyRelu"))),)

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        node = match.root
        if node.op == "LeakyRelu":
            if node.float_attr("alpha", 0.01) != 1 or node.inputs[0] is None:
                rewriter.refuse("")
            rewriter.replace(node.output, node.inputs[0])
            return
        x, number = _operands(node)
        if node.op == "Mul" and not number.any():
            self._zero(node, number.dtype, rewriter)
            return
        if not _keeps_shape(node, x):
            rewriter.refuse("the constant may broadcast the other operand")
        if node.op in ("Add", "Sub") and number.dtype.kind not in "iu" and np.signbit(number) == (node.op == "Sub"):
            reader = reader_of_signs(node.output)
            if reader:
                rewriter.refuse(f"{reader} may tell -0.0 from 0.0")
        rewriter.replace(node.output, x)

    def _zero(self, node: Node, dtype: np.dtype[np.generic], rewriter: Rewriter) -> None:
        shape = node.output.shape
        count = None if shape is None else product(shape)
        if shape is None or not isinstance(count, int):
            rewriter.refuse("the product is zero, but of unknown shape")
        if count > _LARGEST:
            rewriter.refuse("the product is zero, but too large for a constant")
        zeros = np.zeros([extent for extent in shape if isinstance(extent, int)], dtype)
        rewriter.replace(node.output, rewriter.stand_in(node.output, Tensor.from_array(zeros)))


def _operands(node: Node) -> tuple[Value, np.ndarray]:
    """(the operand that may be kept, the number that every element of the other one is)."""
    unit, commutes = _UNITS[node.op]
    first, second = node.inputs[0], node.inputs[1]
    for kept, other in ((first, second), (second, first))[: 1 + commutes]:
        number = fill_of(other)
        if kept is None or number is None or number.dtype.kind in "OSUb":
            continue
        if number == unit or (node.op == "Mul" and number == 0 and number.dtype.kind in "iu"):
            return kept, number
    raise Refusal("")


def _keeps_shape(node: Node, x: Value) -> bool:
    if node.version < 7 and node.op in ("Add", "Sub", "Mul", "Div"):
        return x is node.inputs[0]  # the second operand is fitted to the first
    if x.shape is not None and x.shape == node.output.shape:
        return True
    other = next((v for v in node.inputs if v is not None and v is not x), None)
    if x.rank is None or other is None or other.shape is None or len(other.shape) > x.rank:
        return False
    return all(extent == 1 for extent in other.shape)
