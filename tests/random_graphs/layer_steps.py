"""Steps with weights and over axes: convolutions, products, norms, pools, reductions, softmax, siblings."""

from __future__ import annotations

import numpy as np

from .movement_steps import ONE
from .typed import BOOL, CHOICES, F16, F32, F64, I64, Extent, Shape, TypedGraph, Var, fixed, is_fixed, product


def _layer_input(g: TypedGraph, low: int, high: int, axis: int, dtypes: tuple[np.dtype, ...] = (F32,)) -> Var | None:
    """A value of such a rank, whose extent along the axis is known and which may have no elements at no size."""

    def fits(v: Var) -> bool:
        known = low <= v.rank <= high and is_fixed(v.shape[axis]) and v.shape[axis][0] > 0
        return known and v.dtype in dtypes and 0 not in product(v.shape) and not v.wild

    return g.pick(fits)


def _weight(g: TypedGraph, dtype: np.dtype, *extents: int) -> Var:
    return g.constant((g.array(dtype, extents) / 2).astype(dtype))


def matmul(g: TypedGraph) -> Var | None:
    """A product with a constant matrix, on either side."""
    x = _layer_input(g, 1, 4, -1, (F32, F32, F64, F16))
    if x is None:
        return None
    columns = g.number(1, 5)
    if g.chance(5) and x.rank > 1 and is_fixed(x.shape[-2]):
        weight = _weight(g, x.dtype, columns, x.shape[-2][0])
        return g.op("MatMul", [weight, x], (*x.shape[:-2], fixed(columns), x.shape[-1]))
    weight = _weight(g, x.dtype, x.shape[-1][0], columns)
    y = g.op("MatMul", [x, weight], (*x.shape[:-1], fixed(columns)))
    return g.op("Add", [y, g.constant(g.array(x.dtype, [columns]))], y.shape) if g.number(0, 1) else y


def attention(g: TypedGraph) -> None:
    """A product of two values: of one with its own transpose."""
    x = g.pick(lambda v: v.dtype == F32 and 2 <= v.rank <= 3 and not v.wild)
    if x is not None:
        order = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
        turned = g.op("Transpose", [x], tuple(x.shape[a] for a in order), perm=order)
        shape = (*x.shape[:-1], x.shape[-2])
        if g.fits(shape):
            g.op("MatMul", [x, turned], shape)


def gemm(g: TypedGraph) -> None:
    x = _layer_input(g, 2, 2, 1)
    if x is None:
        return
    columns, transposed = g.number(1, 4), g.number(0, 1)
    terms = x.shape[1][0]
    weight = _weight(g, x.dtype, *((columns, terms) if transposed else (terms, columns)))
    extents = g.choose([[columns], [1, columns], [], [1]])
    bias = g.constant(g.array(x.dtype, extents)) if g.number(0, 2) or g.opset < 11 else None
    factors = {"alpha": float(g.choose([1, 0.5])), "beta": float(g.choose([1, 2]))}
    g.op("Gemm", [x, weight, bias], (x.shape[0], fixed(columns)), transB=transposed, **factors)


def _positions(extent: Extent, kernel: int, stride: int, pads: int, dilation: int = 1) -> Extent:
    return tuple((n + pads - dilation * (kernel - 1) - 1) // stride + 1 for n in extent)


def convolution(g: TypedGraph) -> None:
    """One to three spatial axes, groups, strides, dilations and pads."""
    x = _layer_input(g, 3, 5, 1)
    if x is None:
        return
    channels, count = x.shape[1][0], x.rank - 2
    groups = g.choose([n for n in (1, channels, 2) if channels % n == 0])
    outputs = groups * g.number(1, 3)
    kernel, stride, dilation = g.choose([1, 2, 3]), g.number(1, 2), g.choose([1, 1, 2])
    pads = [g.number(0, 1) for _ in range(2 * count)] if g.number(0, 1) else [0] * (2 * count)
    sums = [pads[i] + pads[i + count] for i in range(count)]
    spatial = tuple(_positions(e, kernel, stride, both, dilation) for e, both in zip(x.shape[2:], sums))
    if min(min(e) for e in spatial) < 1:
        return
    weight = _weight(g, F32, outputs, channels // groups, *[kernel] * count)
    bias = g.constant(g.array(F32, [outputs])) if g.number(0, 1) else None
    g.op("Conv", [x, weight, bias], (x.shape[0], fixed(outputs), *spatial), group=groups, strides=[stride] * count,
         pads=pads, dilations=[dilation] * count)  # fmt: skip


def transposed_convolution(g: TypedGraph) -> None:
    x = _layer_input(g, 3, 4, 1)
    if x is None:
        return
    channels, count = x.shape[1][0], x.rank - 2
    groups = g.choose([n for n in (1, channels) if channels % n == 0])
    outputs, kernel, stride = groups * g.number(1, 2), g.number(1, 3), g.number(1, 2)
    weight = _weight(g, F32, channels, outputs // groups, *[kernel] * count)
    bias = g.constant(g.array(F32, [outputs])) if g.number(0, 1) else None
    spatial = tuple(tuple((n - 1) * stride + kernel for n in e) for e in x.shape[2:])
    shape = (x.shape[0], fixed(outputs), *spatial)
    if g.fits(shape):
        g.op("ConvTranspose", [x, weight, bias], shape, group=groups, strides=[stride] * count)


def batch_norm(g: TypedGraph) -> None:
    x = _layer_input(g, 2, 4, 1)
    if x is not None:
        channels = x.shape[1][0]
        parameters = [g.constant(g.array(F32, [channels])) for _ in range(3)]
        parameters.append(g.constant(np.abs(g.array(F32, [channels], positive=True))))
        g.op("BatchNormalization", [x, *parameters], x.shape, epsilon=g.choose([1e-5, 1e-3]))


def norm(g: TypedGraph) -> None:
    """Instance, layer, and Lp normalization, Softmax and LogSoftmax."""
    kind = g.choose(["Softmax", "LogSoftmax", "LayerNormalization", "InstanceNormalization", "LpNormalization"])
    least = {"InstanceNormalization": 3}.get(kind, 1)
    axis = {"InstanceNormalization": 1}.get(kind, -1)
    x = _layer_input(g, least, 4, axis)
    if x is None:
        return
    if kind in ("Softmax", "LogSoftmax", "LpNormalization"):
        g.op(kind, [x], x.shape, axis=g.choose([x.rank - 1, 0, *([-1] if g.opset >= 11 else [])]))
        return
    extent = x.shape[axis][0]
    scale, shift = (g.constant(g.array(F32, [extent])) for _ in range(2))
    if kind == "InstanceNormalization":
        g.op(kind, [x, scale, shift], x.shape)
    elif g.opset >= 17:
        g.op(kind, [x, scale, shift if g.number(0, 1) else None], x.shape, axis=-1)


def pool(g: TypedGraph) -> None:
    """Local and global pools; the indices of a MaxPool may be there and unread."""
    x = g.pick(lambda v: v.dtype == F32 and 3 <= v.rank <= 4 and 0 not in product(v.shape))
    if x is None:
        return
    count = x.rank - 2
    op = g.choose(["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"])
    if op.startswith("Global"):
        g.op(op, [x], (*x.shape[:2], *[ONE] * count))
        return
    kernel, stride, pad = g.number(1, 3), g.number(1, 2), g.number(0, 1)
    spatial = tuple(_positions(e, kernel, stride, 2 * pad) for e in x.shape[2:])
    if min(min(e) for e in spatial) < 1 or pad >= kernel:
        return
    shape = (*x.shape[:2], *spatial)
    given = dict(kernel_shape=[kernel] * count, strides=[stride] * count, pads=[pad] * 2 * count)
    if op == "AveragePool":
        g.op(op, [x], shape, count_include_pad=g.number(0, 1), **given)
    else:
        g.ops(op, [x], [(F32, shape), (I64, shape)] if g.chance(4) else [(F32, shape)], **given)


def reduce(g: TypedGraph) -> None:
    """A reduction over some axes or all, also of integers."""
    x = g.pick(lambda v: v.dtype in (F32, I64) and 0 not in product(v.shape) and not v.wild)
    if x is None:
        return
    ops = ["ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"]
    ops += ["ReduceMean", "ReduceL2", "ReduceSumSquare", "ReduceL1", "ReduceLogSumExp"] if x.dtype == F32 else []
    op = g.choose(ops)
    axes = [a for a in range(x.rank) if g.number(0, 1)] or list(range(x.rank))[-1:]
    keep = 1 - g.number(0, 1)
    shape = tuple(ONE if a in axes else e for a, e in enumerate(x.shape) if keep or a not in axes)
    if g.chance(6) or not axes:
        g.op(op, [x], (ONE,) * x.rank if keep else (), keepdims=keep)
    else:
        signed = [a - x.rank if g.chance(3) and g.opset >= 11 else a for a in axes]
        g.with_axes(op, x, signed, shape, 13 if op == "ReduceSum" else 18, keepdims=keep)


def arg_max(g: TypedGraph) -> None:
    """ArgMax of a value or of a function of it."""
    x = g.pick(lambda v: v.dtype == F32 and v.rank > 0 and 0 not in product(v.shape))
    if x is not None:
        axis, keep = g.number(0, x.rank - 1), g.number(0, 1)
        shape = tuple(ONE if a == axis else e for a, e in enumerate(x.shape) if keep or a != axis)
        g.op(g.choose(["ArgMax", "ArgMin"]), [x], shape, I64, axis=axis, keepdims=keep)


def dropout(g: TypedGraph) -> None:
    x = g.pick(lambda v: v.dtype == F32)
    if x is not None:
        masked = [(F32, x.shape), (BOOL, x.shape)] if g.chance(4) and g.opset >= 10 else [(F32, x.shape)]
        if g.opset >= 12:
            ratio = g.constant(np.array(0.5, np.float32), plain=True) if g.number(0, 1) else None
            g.ops("Dropout", [x, ratio], masked)
        else:
            g.ops("Dropout", [x], masked, ratio=0.5)


def cumulative_sum(g: TypedGraph) -> None:
    x = g.pick(lambda v: v.dtype in (F32, I64) and v.rank > 0 and not v.wild)
    if x is not None and g.opset >= 11:
        g.op("CumSum", [x, g.ints(g.number(0, x.rank - 1))], x.shape)


def einsum(g: TypedGraph) -> None:
    x = _layer_input(g, 2, 3, -1)
    if x is not None and g.opset >= 12:
        columns = g.number(1, 4)
        letters = "abc"[: x.rank]
        weight = _weight(g, F32, x.shape[-1][0], columns)
        equation = f"{letters},{letters[-1]}z->{letters[:-1]}z"
        g.op("Einsum", [x, weight], (*x.shape[:-1], fixed(columns)), equation=equation)


def stack(g: TypedGraph) -> None:
    """Two or three layers with little between them, of which some weights may be zero."""
    x = _layer_input(g, 2, 4, 1)
    if x is None:
        return
    for _ in range(g.number(2, 3)):
        width, channels = g.number(1, 5), x.shape[1][0]
        extents = (width, channels, *[1] * (x.rank - 2)) if x.rank > 2 else (channels, width)
        weight = g.array(F32, extents)
        weight = np.where(g.array(BOOL, extents) | (np.arange(weight.size).reshape(extents) % 3 > 0), weight, 0)
        bias = g.constant(g.array(F32, [width])) if g.number(0, 1) or g.opset < 11 else None
        parameters = [g.constant(weight.astype(np.float32) / 2), bias]
        x = g.op("Conv" if x.rank > 2 else "Gemm", [x, *parameters], (x.shape[0], fixed(width), *x.shape[2:]))
        match g.number(0, 3):
            case 1:
                x = g.op("Relu", [x], x.shape)
            case 2:
                scale = g.constant(g.array(F32, [width, *[1] * (x.rank - 2)]))
                x = g.op(g.choose(["Mul", "Add"]), [x, scale], x.shape)


def added_layers(g: TypedGraph) -> None:
    """The sum of two layers, of one input or of two."""
    x = _layer_input(g, 2, 4, -1)
    if x is None:
        return
    z = g.pick(lambda v: v.dtype == F32 and v.shape[:-1] == x.shape[:-1] and v.rank == x.rank and is_fixed(v.shape[-1])
               and not v.wild)  # fmt: skip
    width, parts = g.number(1, 4), []
    for one in (x, z if z is not None and 0 not in product(z.shape) else x):
        parts.append(g.op("MatMul", [one, _weight(g, F32, one.shape[-1][0], width)], (*one.shape[:-1], fixed(width))))
        if g.number(0, 1):
            parts[-1] = g.op("Add", [parts[-1], g.constant(g.array(F32, [width]))], parts[-1].shape)
    g.op("Add", parts, parts[0].shape)


def recurrent(g: TypedGraph) -> None:
    """An LSTM or GRU of which not all outputs are read."""
    x = _layer_input(g, 3, 3, -1)
    if x is None or x.static is False:
        return
    op, hidden = g.choose(["GRU", "LSTM"]), g.number(1, 2)
    gates = 3 if op == "GRU" else 4
    weights = [_weight(g, F32, 1, gates * hidden, n) for n in (x.shape[-1][0], hidden)]
    shapes: list[Shape] = [(x.shape[0], ONE, x.shape[1], fixed(hidden)), (ONE, x.shape[1], fixed(hidden))]
    g.ops(op, [x, *weights], [(F32, s) for s in shapes[: g.number(1, 2)]], hidden_size=hidden)


def siblings(g: TypedGraph) -> None:
    """Layers that share an input, activated alike or not, and joined again or not."""
    x = _layer_input(g, 2, 4, -1)
    channels_first = x is not None and x.rank > 2 and is_fixed(x.shape[1]) and g.number(0, 1) == 0
    if x is None:
        return
    made = []
    for _ in range(g.number(2, 3)):
        width = g.number(1, 4)
        shape: Shape
        if channels_first:
            shape = (x.shape[0], fixed(width), *x.shape[2:])
            weight = _weight(g, F32, width, x.shape[1][0], *[1] * (x.rank - 2))
            y = g.op("Conv", [x, weight, g.constant(g.array(F32, [width])) if g.number(0, 1) else None], shape)
        else:
            shape = (*x.shape[:-1], fixed(width))
            y = g.op("MatMul", [x, _weight(g, F32, x.shape[-1][0], width)], shape)
            y = g.op("Add", [y, g.constant(g.array(F32, [width]))], shape) if g.number(0, 1) else y
        made.append(y)
    if g.number(0, 1):
        made = [g.op("Relu", [y], y.shape) for y in made]
    if g.number(0, 1):
        axis = 1 if channels_first else x.rank - 1
        total = tuple(sum(y.shape[axis][i] for y in made) for i in range(CHOICES))
        g.op("Concat", made, tuple(total if a == axis else e for a, e in enumerate(made[0].shape)), axis=axis)


STEPS = (
    matmul, matmul, gemm, convolution, convolution, transposed_convolution, batch_norm, norm, pool, reduce, reduce,
    dropout, siblings, siblings, stack, stack, added_layers, recurrent, attention, einsum, arg_max, cumulative_sum,
)  # fmt: skip
