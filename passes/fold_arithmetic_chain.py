"""fold-arithmetic-chain: several constant additions and multiplications in a row become one or two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from .layers.affine import affine_of, constant_operand, elements
from .layers.axis_arrays import beside, collapsed, shortest
from .layers.linear_layers import rounded
from .recognition.written_gelu import refuse_factor_of_gelu
from .values.readers import refuse_other_readers
from .values.signed_zero import reader_of_signs

_OPS = ("Add", "Sub", "Mul", "Div", "Neg", "Reciprocal")
_WRAPPING = frozenset({dtypes.INT32, dtypes.INT64})
_LONGEST = 8
_GROWTH_LIMIT = 1024  # elements by which the constants may grow when they broadcast each other


@dataclass(frozen=True)
class FoldArithmeticChain(RewritePass):
    """Combine the constants of elementwise arithmetic that follows upon itself.

    Before => After
        y = Add(Add(x, a), b)                =>   y = Add(x, a + b)
        y = Div(c, Mul(x, a))                =>   y = Div(c / a, x)
        y = Mul(Add(Mul(x, a), b), c)        =>   y = Add(Mul(x, a * c), b * c)

    Covers Add, Sub, Mul, Div and Neg with one constant operand in either place, and Reciprocal. A chain that is the
    identity disappears.

    Legal when
        No constant broadcasts x, every value between has one reader, and the new constants neither overflow nor
        underflow. Integers wrap around, so their additions and multiplications combine exactly; their divisions do
        not. Large constants that are added and taken away again round x to an integer on purpose: that stays. So does
        a sum that may turn -0.0 into 0.0 where something may tell them apart.

    Pays when
        Fewer nodes are left: at most two, a scale and a shift. The constants must not grow by broadcasting each other
        (a row and a column would become a matrix).

    Numerics
        Reassociation: new constants are computed in float64 and rounded once. x / c becomes x * (1 / c).
    """

    name: ClassVar[str] = "fold-arithmetic-chain"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("|".join(_OPS)),)

    @property
    def depth(self) -> int:
        return _LONGEST

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        chain, reason = _chain(match.root, rewriter)
        if len(chain) > 1 and rewriter.opset() < 7:
            rewriter.refuse("broadcasting is explicit before opset 7")
        for length in range(len(chain), 1, -1):
            try:
                _shorten(chain[:length], rewriter)
            except Refusal as refusal:
                reason = reason or refusal.reason
                continue
            return
        rewriter.refuse(reason)


def _chain(root: Node, rewriter: Rewriter) -> tuple[list[Node], str]:
    """The arithmetic from the root down, and why it goes no further although there is more."""
    chain = [root]
    while len(chain) < _LONGEST:
        value = _operand(chain[-1])
        node = None if value is None or value.index else value.producer
        if value is None or node is None or node.graph is not root.graph or _operand(node) is None:
            return chain, ""
        try:
            refuse_other_readers(value, rewriter)
            refuse_factor_of_gelu(node, rewriter)
        except Refusal as refusal:
            return chain, refusal.reason
        chain.append(node)
    return chain, ""


def _operand(node: Node) -> Value | None:
    """The operand that is no constant, None if the node is not arithmetic with constants."""
    if node.op not in _OPS:
        return None
    if node.op in ("Neg", "Reciprocal"):
        return node.inputs[0]
    operands = constant_operand(node)
    return None if operands is None else operands[0]


class _Function:
    """scale * x + shift, or scale / x + shift if `inverse`; arrays beside x.

    summed: whether a sum has made -0.0 to 0.0, or a zero of what is none.
    """

    def __init__(self, x: Value, dtype: int) -> None:
        self.x, self.dtype = x, dtype
        self.scale, self.shift = (np.array(n, dtypes.to_numpy(dtype) if dtype in _WRAPPING else None) for n in (1, 0))
        self.inverse = self.summed = False

    def apply(self, scale: np.ndarray, shift: np.ndarray, rewriter: Rewriter) -> None:
        """Follow with y -> scale * y + shift."""
        with np.errstate(over="ignore", invalid="ignore"):
            self.scale, self.shift = self.scale * scale, self.shift * scale
            total = self.shift + shift
        if self.dtype in dtypes.FLOATING:
            self._refuse_cancellation(shift, total, rewriter)
        self.shift = total

    def _refuse_cancellation(self, shift: np.ndarray, total: np.ndarray, rewriter: Rewriter) -> None:
        """Adding a number larger than 1 / sqrt(epsilon) and taking it away rounds x visibly."""
        largest = np.maximum(np.abs(self.shift), np.abs(shift))
        steps = largest * np.sqrt(dtypes.epsilon(self.dtype)) > np.abs(self.scale)
        if (steps & (2 * np.abs(total) < largest)).any():
            rewriter.refuse("the constants cancel and round x while they do")

    def divide(self, dividend: np.ndarray, rewriter: Rewriter) -> None:
        """Follow with y -> dividend / y."""
        if self.shift.any() or self.summed:
            rewriter.refuse("a sum is divided by")
        if not self.scale.all():
            rewriter.refuse("a multiple by zero is divided by")
        with np.errstate(over="ignore"):
            self.scale = dividend / self.scale
        self.inverse = not self.inverse


def _shorten(chain: list[Node], rewriter: Rewriter) -> None:
    x = _operand(chain[-1])
    assert x is not None
    function = _Function(x, _dtype(chain, rewriter))
    old = 0
    for node in reversed(chain):
        old += sum(v.constant.size for v in node.inputs if v is not None and v.constant is not None)
        _follow(function, node, rewriter)
    scale, shift = collapsed(function.scale), collapsed(function.shift)
    scales, shifts = bool((scale != 1).any()), bool((shift != 0).any())
    count = int(scales or function.inverse) + int(shifts) - int(shifts and not function.inverse and _negates(scale))
    if count >= len(chain):
        rewriter.refuse("")
    if sum(a.size for a in (scale, shift)) > old + _GROWTH_LIMIT:
        rewriter.refuse("the constants would grow")
    if function.summed and not shift.all() and (reader := reader_of_signs(chain[0].output)):
        rewriter.refuse(f"{reader} may tell -0.0 from 0.0")
    rewriter.replace(chain[0].output, _emit(function, scale, shift, chain[0], rewriter))


def _negates(scale: np.ndarray) -> bool:
    return bool((scale == -1).all())


def _dtype(chain: list[Node], rewriter: Rewriter) -> int:
    """The type that the chain computes in: that of its constants, else of x."""
    x = _operand(chain[-1])
    operands = [constant_operand(n) for n in chain if n.op in ("Add", "Sub", "Mul", "Div")]
    found = next((pair[1].dtype for pair in operands if pair is not None), 0) or (x.dtype if x is not None else 0)
    if found not in dtypes.FLOATING | _WRAPPING:
        rewriter.refuse("" if found else "the element type is not known")
    return found


def _follow(function: _Function, node: Node, rewriter: Rewriter) -> None:
    """Let the function be followed by the node."""
    operands = constant_operand(node)
    if node.op == "Reciprocal":
        function.divide(np.array(1.0), rewriter)
    elif function.dtype in _WRAPPING:
        function.apply(*_integer_affine(node, rewriter), rewriter)
    elif node.op == "Div" and operands is not None and node.inputs[0] is operands[1]:
        function.divide(beside(elements(operands[1], rewriter), operands[0], rewriter), rewriter)
    else:
        _, scale, shift = affine_of(node, rewriter)
        function.apply(scale, shift, rewriter)
        function.summed |= node.op in ("Add", "Sub") and not (np.signbit(shift) & (shift == 0)).all()


def _integer_affine(node: Node, rewriter: Rewriter) -> tuple[np.ndarray, np.ndarray]:
    one, zero = np.array(1, np.int64), np.array(0, np.int64)
    if node.op == "Neg":
        return -one, zero
    operands = constant_operand(node)
    if operands is None or node.op not in ("Add", "Sub", "Mul"):
        rewriter.refuse("integers are divided")
    c = elements(operands[1], rewriter)
    c = beside(c, operands[0], rewriter)
    one, zero = one.astype(c.dtype), zero.astype(c.dtype)
    first = node.inputs[0] is operands[1]
    rules: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
        "Add": lambda: (one, c),
        "Mul": lambda: (c, zero),
        "Sub": lambda: (-one, c) if first else (one, -c),
    }
    return rules[node.op]()


def _emit(function: _Function, scale: np.ndarray, shift: np.ndarray, root: Node, rewriter: Rewriter) -> Value:
    """The fewest nodes that compute the function."""

    def constant(array: np.ndarray, what: str) -> Value:
        if function.dtype in dtypes.FLOATING:
            array = rounded(array, function.dtype, rewriter)
        return rewriter.constant(shortest(array), f"{root.label}.{what}")

    result = function.x
    if function.inverse:
        result = rewriter.op("Div", [constant(scale, "scale"), result])
    elif _negates(scale) and shift.any():
        return rewriter.op("Sub", [constant(shift, "shift"), result], name=root.name)
    elif _negates(scale):
        return rewriter.op("Neg", [result], name=root.name)
    elif (scale != 1).any():
        result = rewriter.op("Mul", [result, constant(scale, "scale")])
    return rewriter.op("Add", [result, constant(shift, "shift")], name=root.name) if shift.any() else result
