"""Steps that write a standard operator out in small ones, as exporters do, with numbers that may be a little off."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .movement_steps import ONE
from .typed import F32, TypedGraph, Var, is_fixed, product


class Writing:
    """Arithmetic on a graph's values in the notation of Python; numbers become constants of rank 0 or 1."""

    def __init__(self, g: TypedGraph, var: Var) -> None:
        self.g, self.var = g, var

    def number(self, number: float) -> Var:
        off = number * self.g.choose([1, 1, 1, 1, 1.01])
        extents = [1] if self.var.rank and self.g.chance(4) else []
        return self.g.constant(np.full(extents, off, self.var.dtype))

    def apply(self, op: str, other: float | Writing | None = None) -> Writing:
        operands = [self.var]
        if other is not None:
            operands.append(other.var if isinstance(other, Writing) else self.number(other))
            if op in ("Add", "Mul") and self.g.chance(3):
                operands.reverse()
        return Writing(self.g, self.g.op(op, operands, self.var.shape))

    def over(self, op: str, axes: list[int]) -> Writing:
        """A reduction that keeps its axes."""
        shape = tuple(ONE if a in [i % self.var.rank for i in axes] else e for a, e in enumerate(self.var.shape))
        return Writing(self.g, self.g.with_axes(op, self.var, axes, shape, 13 if op == "ReduceSum" else 18, keepdims=1))


def gelu(x: Writing) -> None:
    inner = x.apply("Div", math.sqrt(2)) if x.g.number(0, 1) == 0 else x.apply("Mul", math.sqrt(0.5))
    whole = inner.apply("Erf").apply("Add", 1)
    if x.g.number(0, 1):
        x.apply("Mul", 0.5).apply("Mul", whole)
    else:
        x.apply("Mul", whole).apply("Mul", 0.5)


def tanh_gelu(x: Writing) -> None:
    cube = x.apply("Pow", 3)
    inner = x.apply("Add", cube.apply("Mul", 0.044715)).apply("Mul", math.sqrt(2 / math.pi))
    x.apply("Mul", 0.5).apply("Mul", inner.apply("Tanh").apply("Add", 1))


def swish(x: Writing) -> None:
    inner = x.apply("Mul", 1.702) if x.g.number(0, 2) == 2 else x
    x.apply("Mul", inner.apply("Sigmoid"))


def hard_swish(x: Writing) -> None:
    moved = x.apply("Add", 3)
    clipped = Writing(x.g, x.g.op("Clip", [moved.var, x.number(0), x.number(6)], x.var.shape))
    if x.g.number(0, 1):
        x.apply("Mul", clipped).apply("Div", 6)
    else:
        x.apply("Mul", clipped.apply("Div", 6))


def softplus(x: Writing) -> None:
    """Of numbers from -1 to 1: for smaller ones 1 + exp(x) keeps few digits of exp(x), and the operator all of them."""
    small = x.apply("Tanh")
    soft = small.apply("Exp").apply("Add", 1).apply("Log")
    if x.g.number(0, 1):
        small.apply("Mul", soft.apply("Tanh"))


def leaky_relu(x: Writing) -> None:
    x.apply("Max", x.apply("Mul", x.g.choose([0.1, 0.01, 1.5, -0.5])))


def softmax(wide: Writing) -> None:
    """Of small numbers: the exponentials of large ones overflow, and those of the operator do not."""
    x = wide.apply("Tanh")
    axis = x.g.choose([-1, x.var.rank - 1, 0])
    moved = x
    if x.g.number(0, 1):
        moved = x.apply("Sub", x.over("ReduceMax", [axis]))
    powers = moved.apply("Exp")
    quotient = powers.apply("Div", powers.over("ReduceSum", [axis]))
    if x.g.chance(4):
        quotient.apply("Log")


def _uneven(x: Writing) -> Writing | None:
    """x with unlike numbers along its last axis: all but equal ones leave nothing but rounding about their mean."""
    extent = x.var.shape[-1]
    if not is_fixed(extent) or extent[0] < 2 or x.var.wild:
        return None
    slope = x.g.constant(np.linspace(-3, 3, extent[0], dtype=np.float32))
    return Writing(x.g, x.g.op("Add", [x.var, slope], x.var.shape))


def layer_norm(even: Writing) -> None:
    x = _uneven(even)
    if x is None:
        return
    axes = x.g.choose([[-1], [x.var.rank - 1], [-2, -1] if x.var.rank > 1 else [-1]])
    centred = x.apply("Sub", x.over("ReduceMean", axes))
    square = centred.apply("Pow", 2) if x.g.number(0, 1) else centred.apply("Mul", centred)
    spread = square.over("ReduceMean", axes).apply("Add", x.g.choose([1e-5, 1e-3])).apply("Sqrt")
    result = centred.apply("Div", spread)
    _scaled(result)


def rms_norm(x: Writing) -> None:
    mean = x.apply("Pow", 2).over("ReduceMean", [-1]).apply("Add", 1e-6)
    if x.g.number(0, 1):
        result = x.apply("Div", mean.apply("Sqrt"))
    else:
        result = x.apply("Mul", mean.apply("Sqrt").apply("Reciprocal"))
    _scaled(result)


def _scaled(result: Writing) -> None:
    extent = result.var.shape[-1]
    if is_fixed(extent):
        for op in ("Mul", "Add"):
            weight = result.g.constant(result.g.array(F32, [extent[0]]))
            result = Writing(result.g, result.g.op(op, [result.var, weight], result.var.shape))


def lp_norm(x: Writing) -> None:
    """Of what is never 0 all along the axis: there the quotient is NaN and the operator 0, as its page says."""
    apart = Writing(x.g, x.g.op("Abs", [x.var], x.var.shape)).apply("Add", 1)
    apart.apply("Div", apart.over(x.g.choose(["ReduceL2", "ReduceL1"]), [-1]))


def mish(x: Writing) -> None:
    small = x.apply("Tanh")
    soft = small.apply("Softplus") if x.g.number(0, 1) else small.apply("Exp").apply("Add", 1).apply("Log")
    small.apply("Mul", soft.apply("Tanh"))


def hard_sigmoid(x: Writing) -> None:
    moved = x.apply("Add", 3)
    clipped = Writing(x.g, x.g.op("Clip", [moved.var, x.number(0), x.number(6)], x.var.shape))
    clipped.apply("Div", 6)


def log_softmax(x: Writing) -> None:
    """Of numbers from -1 to 1, whose quotients do not vanish."""
    axis = x.g.choose([-1, x.var.rank - 1, 0])
    small = x.apply("Tanh")
    if x.g.number(0, 1):
        Writing(x.g, x.g.op("Softmax", [small.var], small.var.shape, axis=axis)).apply("Log")
    else:
        small.apply("Sub", small.apply("Exp").over("ReduceSum", [axis]).apply("Log"))


def reduction(x: Writing) -> None:
    """A norm, or the logarithm of a sum, written out; away from where the square of a number vanishes."""
    axis = x.g.choose([-1, 0])
    match x.g.number(0, 3):
        case 0:
            x.apply("Mul", x).over("ReduceSum", [axis])
        case 1:
            x.apply("Tanh").apply("Exp").over("ReduceSum", [axis]).apply("Log")
        case 2:
            x.apply("Abs").over("ReduceSum", [axis])
        case _:
            apart = x.apply("Abs").apply("Add", 1)
            apart.apply("Mul", apart).over("ReduceSum", [axis]).apply("Sqrt")


def powers(x: Writing) -> None:
    """Powers of powers, roots, reciprocals, of numbers away from zero."""
    apart = x.apply("Tanh").apply("Abs").apply("Add", 1)
    for _ in range(x.g.number(2, 3)):
        match x.g.number(0, 4):
            case 0:
                apart = apart.apply("Pow", x.g.choose([2, 0.5, -1, 3, 1]))
            case 1:
                apart = apart.apply("Sqrt")
            case 2:
                apart = apart.apply("Reciprocal")
            case 3:
                apart = apart.apply("Mul", apart)
            case _:
                x.apply("Div", apart)


def chain(x: Writing) -> None:
    """Constant arithmetic one after the other."""
    for _ in range(x.g.number(2, 4)):
        op = x.g.choose(["Add", "Mul", "Sub", "Div", "Neg"])
        x = x.apply(op) if op == "Neg" else x.apply(op, x.g.choose([2, 0, 1, -1, 0.5, 3]) or (0 if op != "Div" else 1))


def activations(x: Writing) -> None:
    """Bounds and rectifiers one after the other."""
    for _ in range(x.g.number(2, 3)):
        match x.g.number(0, 3):
            case 0:
                x = x.apply("Relu")
            case 1:
                x = x.apply(x.g.choose(["Max", "Min"]), x.g.choose([0, -1, 1, 6]))
            case 2:
                limits = x.g.choose([0, -1, 1]), x.g.choose([6, 1])
                bounds = [x.number(n) if x.g.number(0, 3) else None for n in limits]
                x = Writing(x.g, x.g.op("Clip", [x.var, *bounds], x.var.shape))
            case _:
                x = x.apply(x.g.choose(["Sigmoid", "Abs", "Neg", "Tanh"]))


IDIOMS: tuple[Callable[[Writing], None], ...] = (
    gelu, tanh_gelu, swish, hard_swish, softplus, leaky_relu, softmax, layer_norm, rms_norm, lp_norm,
    mish, hard_sigmoid, log_softmax, reduction, powers, chain, activations,
)  # fmt: skip


def _step(write: Callable[[Writing], None]) -> Callable[[TypedGraph], None]:
    def step(g: TypedGraph) -> None:
        x = g.pick(lambda v: v.dtype == F32 and v.rank > 0 and 0 not in product(v.shape))
        if x is not None and g.opset >= 12:
            write(Writing(g, x))

    return step


STEPS = tuple(_step(write) for write in IDIOMS)
