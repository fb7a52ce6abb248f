"""Steps that work on each element: arithmetic with broadcasting, comparison, logic, casts, integers."""

from __future__ import annotations

import numpy as np

from .typed import (
    BF16,
    BOOL,
    F16,
    F32,
    F64,
    FLOATS,
    I8,
    I32,
    I64,
    INTEGERS,
    U8,
    Shape,
    TypedGraph,
    Var,
    broadcast,
    is_fixed,
)

_UNARY = ("Relu", "Neg", "Sigmoid", "Tanh", "Abs", "Identity", "Floor", "Erf", "LeakyRelu", "Softplus", "HardSigmoid",
          "Elu", "Ceil", "Sign", "Round", "Sqrt", "Exp", "Reciprocal", "Log", "HardSwish", "Softsign",
          "IsNaN")  # fmt: skip
_HALF = frozenset({"Relu", "Neg", "Sigmoid", "Tanh", "Abs", "Identity", "Sqrt", "Exp", "LeakyRelu"})


def is_float(var: Var) -> bool:
    return var.dtype in FLOATS


def is_number(var: Var) -> bool:
    return var.dtype in FLOATS | INTEGERS


def is_bool(var: Var) -> bool:
    return var.dtype == BOOL


def unary(g: TypedGraph) -> None:
    """One of the functions of one operand."""
    x = g.pick(is_float)
    if x is None:
        return
    op = g.choose(_UNARY if x.dtype == F32 else [op for op in _UNARY if op in _HALF])
    if (op == "HardSwish" and g.opset < 14) or (op == "Round" and g.opset < 11):
        return
    if op == "IsNaN":
        g.op("IsNaN", [x], x.shape, BOOL)
    elif op == "HardSigmoid":
        g.op(op, [x], x.shape, alpha=g.choose([0.2, 1 / 6, 0.5]), beta=0.5)
    elif op == "LeakyRelu":
        g.op(op, [x], x.shape, alpha=g.choose([0.01, 0.25, 1.0, 0.0]))
    else:
        g.op(op, [x], x.shape)


def constant_beside(g: TypedGraph, shape: Shape, dtype: np.dtype, positive: bool = False) -> Var:
    """A constant that a value of the shape can be combined with: one number, or numbers along some fixed axes."""
    kind = g.number(0, 3)
    extents = [e[0] if is_fixed(e) else 1 for e in shape]
    if kind == 0 or not shape:
        extents = []
    elif kind == 1:
        axis = min(1, len(extents) - 1)
        extents = [n if i == axis else 1 for i, n in enumerate(extents)]
    elif kind == 2:
        extents = extents[-1:]
    if g.chance(10):
        extents = [1] * g.number(0, len(shape) + 1)
    return g.constant(g.array(dtype, extents, positive))


def beside(g: TypedGraph, x: Var, positive: bool = False) -> Var:
    """A second operand for x: a constant, or another value whose shape fits."""
    if g.number(0, 1) == 0 or positive:
        return constant_beside(g, x.shape, x.dtype, positive)
    other = g.pick(lambda v: v.dtype == x.dtype and broadcast(v.shape, x.shape) is not None)
    return other if other is not None else x


def _combined(g: TypedGraph, op: str, a: Var, b: Var, dtype: np.dtype | None = None) -> Var | None:
    shape = broadcast(a.shape, b.shape)
    if shape is None or not g.fits(shape):
        return None
    return g.op(op, [a, b], shape, dtype)


def arithmetic(g: TypedGraph) -> None:
    """The four operations, in either order."""
    x = g.pick(is_float)
    if x is None:
        return
    y = beside(g, x)
    a, b = (y, x) if g.chance(3) else (x, y)
    _combined(g, g.choose(["Add", "Mul", "Sub", "Div"]), a, b)


def extremes(g: TypedGraph) -> None:
    """Max, Min, Clip, Pow, and the variadic Sum and Mean."""
    x = g.pick(lambda v: v.dtype in (F32, F64) or (v.dtype in INTEGERS and g.opset >= 12))
    if x is None:
        return
    op = g.choose(["Max", "Min", "Clip", "Sum", "Mean", "Pow", "PRelu"])
    if op == "Clip":
        limits = g.number(-2, 0), g.number(0, 6)
        bounds = [g.constant(np.array(n, x.dtype)) if g.number(0, 3) else None for n in limits]
        if g.opset < 11:
            if x.dtype == F32:
                g.op("Clip", [x], x.shape, min=float(limits[0]), max=float(limits[1]))
        elif g.opset >= 12 or x.dtype == F32:
            g.op("Clip", [x, *bounds], x.shape)
    elif x.dtype != F32 and op not in ("Max", "Min"):
        return
    elif op == "Pow":
        exponents = [2, 1, 0.5, -1, 3, 0, -0.5]
        g.op("Pow", [x, g.constant(np.array(g.choose(exponents), x.dtype))], x.shape)
    elif op == "PRelu":
        slope = constant_beside(g, x.shape, x.dtype)
        if slope.rank <= x.rank and broadcast(slope.shape, x.shape) == x.shape:
            g.op("PRelu", [x, slope], x.shape)
    else:
        others = [beside(g, x) for _ in range(g.number(1, 2))]
        shape = broadcast(x.shape, *(o.shape for o in others))
        if shape is not None and g.fits(shape):
            g.op(op, [x, *others], shape)


def integers(g: TypedGraph) -> None:
    """Integer arithmetic, in which a division cuts off."""
    x = g.pick(lambda v: v.dtype in INTEGERS)
    if x is None:
        return
    op = g.choose(["Add", "Mul", "Sub", "Div", "Mod", "Neg", "Abs"])
    if op == "Mod" and g.opset < 10:
        return
    if op in ("Neg", "Abs"):
        g.op(op, [x], x.shape)
    elif op in ("Div", "Mod"):
        _combined(g, op, x, beside(g, x, positive=True))
    else:
        y = beside(g, x)
        a, b = (y, x) if g.chance(3) else (x, y)
        _combined(g, op, a, b)


def compare(g: TypedGraph) -> None:
    """A comparison."""
    ops = ["Less", "Greater", "Equal", *(["GreaterOrEqual", "LessOrEqual"] if g.opset >= 12 else [])]
    x = g.pick(lambda v: v.dtype in (F32, I64, I32))
    if x is not None and g.opset >= 11:
        _combined(g, g.choose(ops), x, beside(g, x), BOOL)


def logic(g: TypedGraph) -> None:
    """Not, And, Or, Xor, with constants too."""
    x = g.pick(is_bool)
    if x is None:
        return
    op = g.choose(["Not", "And", "Or", "Xor"])
    if op == "Not":
        g.op(op, [x], x.shape)
    else:
        _combined(g, op, x, beside(g, x))


def where(g: TypedGraph) -> None:
    """A choice between two values, or a value and a constant."""
    condition, x = g.pick(is_bool), g.pick(lambda v: v.dtype in (F32, I64))
    if x is None:
        return
    if condition is None or g.chance(5):
        condition = constant_beside(g, x.shape, BOOL)
    y = beside(g, x)
    shape = broadcast(condition.shape, x.shape, y.shape)
    if shape is not None and g.fits(shape):
        g.op("Where", [condition, *((y, x) if g.chance(3) else (x, y))], shape, x.dtype)


def cast(g: TypedGraph) -> None:
    """A Cast, or two in a row; what becomes an integer is in its range."""
    x = g.pick()
    if x is None:
        return
    for _ in range(g.number(1, 2)):
        target = g.choose([F32, F16, I64, I32, BOOL, F64, *([BF16, U8, I8] if g.opset >= 13 else [])])
        if x.dtype in FLOATS and target in INTEGERS | {U8, I8}:
            if x.dtype != F32 or g.opset < 11 or x.wild:
                return
            least = 0 if target == U8 else -50
            bounds = [g.constant(np.array(n, x.dtype), plain=True) for n in (least, 50)]
            x = g.op("Clip", [x, *bounds], x.shape)
        if x.dtype == BF16 and target not in FLOATS:
            return
        if target == BF16 and x.dtype not in FLOATS:
            return
        x = g.op("Cast", [x], x.shape, target, to=Var("", target, ()).type)


STEPS = (unary, unary, arithmetic, arithmetic, arithmetic, extremes, integers, compare, logic, where, cast)
