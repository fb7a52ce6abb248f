"""Elementwise operators: numpy broadcasting, casts, comparisons, and arithmetic on shape contents."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import dtypes, symbolic
from ..graph import Node, Shape, Value
from ..symbolic import Dim, Expr
from .facts import CONTENT_LIMIT, Facts, content_of, rule, unknown_dim


def broadcast(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    """The shape that numpy's rules give; a pair of different unknown sizes gives an unknown size."""
    first = shapes[0] if shapes else None
    if first is None or any(s is None for s in shapes):
        return None
    if all(s == first for s in shapes):
        return first
    known = [s for s in shapes if s is not None]
    rank = max(len(s) for s in known)
    result: list[Dim] = []
    for axis in range(rank):
        dims = {s[axis - rank + len(s)] for s in known if axis - rank + len(s) >= 0}
        result.append(_join(node, axis, dims))
    return tuple(result)


def _join(node: Node, axis: int, dims: set[Dim]) -> Dim:
    dims.discard(1)
    if not dims:
        return 1
    if len(dims) == 1:
        return dims.pop()
    numbers = [d for d in dims if isinstance(d, int)]
    if len(numbers) == 1:
        return numbers[0]  # the others must be 1 or the same
    for one in dims:
        if all(other == one or _is_capped(other, one) for other in dims):
            return one
    return unknown_dim(node, 0, axis)


def _is_capped(dim: Dim, other: Dim) -> bool:
    """Whether `dim` is min(other, n) with n >= 1: the two only go together where both are `other`, or n is 1."""
    if not isinstance(dim, Expr) or len(dim.terms) != 1:
        return False
    ((monomial, coefficient),) = dim.terms.items()
    if coefficient != 1 or len(monomial) != 1 or monomial[0][1] != 1 or monomial[0][0].kind != "min":
        return False
    operands = monomial[0][0].operands
    return other in operands and any(isinstance(n, int) and n >= 1 for n in operands)


def _shape(value: Value | None) -> Shape | None:
    return None if value is None else value.shape


def _dtype(value: Value | None) -> int:
    return dtypes.UNKNOWN if value is None else value.dtype


@rule(
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Elu", "Erf",
    "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Hardmax", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization",
    "LRN", "MeanVarianceNormalization", "Mish", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign",
    "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Not",
    "BitwiseNot", "CumSum", "CumProd", "Trilu", "ReverseSequence", "InstanceNormalization", "GroupNormalization",
    "RMSNormalization", "ScatterElements", "ScatterND", "Scatter", "TensorScatter", "RotaryEmbedding", "PRelu",
    "com.microsoft::Gelu", "com.microsoft::FastGelu", "com.microsoft::QuickGelu",
)  # fmt: skip
def like_first(node: Node) -> Sequence[Facts]:
    """One output with the type and shape of the first input."""
    value = node.inputs[0]
    if value is None:
        return ()
    content = None
    if node.op in _UNARY_CONTENT and value.dtype in dtypes.SIGNED:
        known = content_of(value)
        if known is not None:
            content = _all([_UNARY_CONTENT[node.op](x) for x in known])
    return (Facts(value.dtype, value.shape, content),)


def _all(dims: Sequence[Dim | None]) -> Shape | None:
    return None if any(d is None for d in dims) else tuple(d for d in dims if d is not None)


def _absolute(x: Dim) -> Dim | None:
    if symbolic.provably_nonnegative(x):
        return x
    return abs(x) if isinstance(x, int) else None


_UNARY_CONTENT: dict[str, Callable[[Dim], Dim | None]] = {
    "Abs": _absolute,
    "Relu": lambda x: symbolic.maximum(x, 0),
    "Sign": lambda x: (x > 0) - (x < 0) if isinstance(x, int) else (1 if symbolic.provably_positive(x) else None),
}


@rule("Neg")
def negate(node: Node) -> Sequence[Facts]:
    value = node.inputs[0]
    if value is None:
        return ()
    known = content_of(value) if value.dtype in dtypes.SIGNED else None
    return (Facts(value.dtype, value.shape, None if known is None else tuple(symbolic.neg(x) for x in known)),)


@rule("Add", "Sub", "Mul", "Div", "Pow", "Mod", "Sum", "Mean", "Max", "Min", "BitShift", "BitwiseAnd", "BitwiseOr",
      "BitwiseXor")  # fmt: skip
def arithmetic(node: Node) -> Sequence[Facts]:
    inputs = node.inputs
    shape = broadcast(node, [_shape(v) for v in inputs])
    dtype = _dtype(inputs[0])
    content = None
    countable = dtype in dtypes.SIGNED and node.op in _BINARY_CONTENT and len(inputs) >= 2
    if countable and not (node.op == "Mod" and node.attr("fmod", 0)):
        content = combine(inputs, shape, _BINARY_CONTENT[node.op])
    return (Facts(dtype, shape, content),)


def combine(
    inputs: Sequence[Value | None], shape: Shape | None, operation: Callable[[Dim, Dim], Dim | None]
) -> Shape | None:
    """Elementwise contents of vectors and scalars (rank 0 or 1, or one element)."""
    if shape is None or len(shape) > 1:
        return None
    contents = [content_of(v) for v in inputs]
    if any(c is None for c in contents):
        return None
    known = [c for c in contents if c is not None]
    size = max(len(c) for c in known)
    if any(len(c) not in (1, size) for c in known) or any(len(c) == 0 for c in known) or size > CONTENT_LIMIT:
        return None
    result = []
    for i in range(size):
        element: Dim | None = known[0][i if len(known[0]) > 1 else 0]
        for other in known[1:]:
            if element is not None:
                element = operation(element, other[i if len(other) > 1 else 0])
        result.append(element)
    return _all(result)


def _floor_mod(a: Dim, b: Dim) -> Dim | None:
    if isinstance(b, int) and b == 0:
        return None
    if isinstance(a, int) and isinstance(b, int):
        return a % b
    return symbolic.mod(a, b) if symbolic.provably_positive(b) else None


_BINARY_CONTENT: dict[str, Callable[[Dim, Dim], Dim | None]] = {
    "Add": symbolic.add,
    "Sum": symbolic.add,
    "Sub": symbolic.sub,
    "Mul": symbolic.mul,
    "Div": symbolic.truncdiv,
    "Mod": _floor_mod,
    "Max": symbolic.maximum,
    "Min": symbolic.minimum,
}


@rule("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor")
def comparison(node: Node) -> Sequence[Facts]:
    inputs = node.inputs
    shape = broadcast(node, [_shape(v) for v in inputs])
    content = None
    if node.op in _COMPARISONS and _dtype(inputs[0]) in dtypes.INTEGER | {dtypes.BOOL}:
        content = combine(inputs, shape, _COMPARISONS[node.op])
    return (Facts(dtypes.BOOL, shape, content),)


def _equal(a: Dim, b: Dim) -> Dim | None:
    if a == b:
        return 1
    difference = symbolic.sub(a, b)
    if isinstance(difference, int):
        return 0
    if symbolic.provably_positive(difference) or symbolic.provably_positive(symbolic.neg(difference)):
        return 0
    return None


def _greater(a: Dim, b: Dim) -> Dim | None:
    difference = symbolic.sub(a, b)
    if isinstance(difference, int):
        return int(difference > 0)
    if symbolic.provably_positive(difference):
        return 1
    return 0 if symbolic.provably_nonnegative(symbolic.neg(difference)) else None


def _not(a: Dim | None) -> Dim | None:
    return None if a is None else 1 - int(a != 0) if isinstance(a, int) else None


def _logical(combined: Callable[[bool, bool], bool]) -> Callable[[Dim, Dim], Dim | None]:
    def decide(a: Dim, b: Dim) -> Dim | None:
        return int(combined(bool(a), bool(b))) if isinstance(a, int) and isinstance(b, int) else None

    return decide


_COMPARISONS: dict[str, Callable[[Dim, Dim], Dim | None]] = {
    "Equal": _equal,
    "Greater": _greater,
    "Less": lambda a, b: _greater(b, a),
    "GreaterOrEqual": lambda a, b: _not(_greater(b, a)),
    "LessOrEqual": lambda a, b: _not(_greater(a, b)),
    "And": _logical(lambda a, b: a and b),
    "Or": _logical(lambda a, b: a or b),
    "Xor": _logical(lambda a, b: a != b),
}


@rule("IsNaN", "IsInf")
def predicate(node: Node) -> Sequence[Facts]:
    return (Facts(dtypes.BOOL, _shape(node.inputs[0])),)


@rule("Cast")
def cast(node: Node) -> Sequence[Facts]:
    value = node.inputs[0]
    if value is None:
        return ()
    target = node.int_attr("to", 0)
    content = None
    if target in _WIDE_ENOUGH and value.dtype in _WIDE_ENOUGH | {dtypes.BOOL}:
        content = content_of(value)
    elif target == dtypes.BOOL:
        known = content_of(value)
        if known is not None:
            content = _all([int(x != 0) if isinstance(x, int) else None for x in known])
    return (Facts(target, value.shape, content),)


_WIDE_ENOUGH = frozenset({dtypes.INT32, dtypes.INT64})


@rule("CastLike")
def cast_like(node: Node) -> Sequence[Facts]:
    return (Facts(_dtype(node.input(1)), _shape(node.inputs[0])),)


@rule("BitCast")
def bit_cast(node: Node) -> Sequence[Facts]:
    return (Facts(node.int_attr("to", 0), _shape(node.inputs[0])),)


@rule("Where")
def where(node: Node) -> Sequence[Facts]:
    condition, yes, no = node.inputs
    shape = broadcast(node, [_shape(condition), _shape(yes), _shape(no)])
    dtype = _dtype(yes) or _dtype(no)
    content = None
    if dtype in dtypes.SIGNED and shape is not None and len(shape) <= 1:
        content = _choose(content_of(condition), content_of(yes), content_of(no))
    return (Facts(dtype, shape, content),)


def _choose(condition: Shape | None, yes: Shape | None, no: Shape | None) -> Shape | None:
    if condition is None or yes is None or no is None or not condition or not yes or not no:
        return None
    size = max(len(condition), len(yes), len(no))
    pick = [c[i if len(c) > 1 else 0] for i in range(size) for c in (condition, yes, no)]
    triples = zip(pick[::3], pick[1::3], pick[2::3], strict=True)
    return _all([None if isinstance(c, Expr) else (y if c else n) for c, y, n in triples])


@rule("QuantizeLinear")
def quantize(node: Node) -> Sequence[Facts]:
    zero_point = node.input(2)
    dtype = _dtype(zero_point) if zero_point is not None else node.int_attr("output_dtype", 0) or 2
    return (Facts(dtype, _shape(node.inputs[0])),)


@rule("DequantizeLinear")
def dequantize(node: Node) -> Sequence[Facts]:
    return (Facts(node.int_attr("output_dtype", 0) or _dtype(node.input(1)), _shape(node.inputs[0])),)


@rule("DynamicQuantizeLinear")
def dynamic_quantize(node: Node) -> Sequence[Facts]:
    return (Facts(2, _shape(node.inputs[0])), Facts(dtypes.FLOAT, ()), Facts(2, ()))


@rule("Dropout")
def dropout(node: Node) -> Sequence[Facts]:
    value = node.inputs[0]
    mask = dtypes.BOOL if node.version >= 10 else _dtype(value)
    return (Facts(_dtype(value), _shape(value)), Facts(mask, _shape(value)))


@rule("Identity")
def identity(node: Node) -> Sequence[Facts]:
    value = node.inputs[0]
    return () if value is None else (Facts(value.dtype, value.shape, content_of(value)),)
