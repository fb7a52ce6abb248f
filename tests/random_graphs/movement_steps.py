"""Steps that move elements about: views, slices, joins, pads, repetitions, and the arithmetic of shapes."""

from __future__ import annotations

import numpy as np

from .typed import CHOICES, F32, FLOATS, I64, Extent, Shape, TypedGraph, Var, fixed, is_fixed, product

ONE: Extent = fixed(1)


def _with(shape: Shape, axis: int, extent: Extent) -> Shape:
    return (*shape[:axis], extent, *shape[axis + 1 :])


def _signed(g: TypedGraph, axis: int, rank: int) -> int:
    return axis - rank if g.chance(3) and g.opset >= 11 else axis


def transpose(g: TypedGraph) -> None:
    """A permutation: the reverse, two axes swapped, or any."""
    x = g.pick(lambda v: v.rank > 1)
    if x is None:
        return
    order = list(range(x.rank))
    match g.number(0, 3):
        case 0:
            order = order[::-1]
        case 1:
            order[-2:] = order[:-3:-1]
        case 2:
            order = [0, *order[2:], 1]
        case _:
            order = [order.pop(g.number(0, len(order) - 1)) for _ in range(x.rank)]
    g.op("Transpose", [x], tuple(x.shape[a] for a in order), perm=order)


def _merged(g: TypedGraph, shape: Shape) -> Shape:
    axis = g.number(0, len(shape) - 2)
    return (*shape[:axis], product(shape[axis : axis + 2]), *shape[axis + 2 :])


def _parted(g: TypedGraph, shape: Shape) -> Shape:
    axis = g.number(0, len(shape) - 1)
    extent = shape[axis]
    if not is_fixed(extent) or len(shape) > 4 or extent[0] == 0:
        return shape
    parts = [n for n in range(1, extent[0] + 1) if extent[0] % n == 0]
    part = g.choose(parts)
    return (*shape[:axis], fixed(part), fixed(extent[0] // part), *shape[axis + 1 :])


def reshape(g: TypedGraph) -> None:
    """Some axes merged or parted; the target is written with 0 and -1 where that is possible."""
    x = g.pick(lambda v: 0 < v.rank < 5)
    if x is None:
        return
    shape = x.shape
    for _ in range(g.number(1, 2)):
        shape = _merged(g, shape) if len(shape) > 1 and g.number(0, 1) == 0 else _parted(g, shape)
    target = [e[0] if is_fixed(e) else -1 for e in shape]
    for axis, extent in enumerate(shape):
        same = axis < x.rank and x.shape[axis] == extent
        if same and (target[axis] == -1 or g.chance(4)):
            target[axis] = 0
    copied = [axis < x.rank and x.shape[axis] == extent for axis, extent in enumerate(shape)]
    if any(number == 0 and not same for number, same in zip(target, copied)):
        return
    if target.count(-1) > 1 or (-1 in target and 0 in product(shape)):
        return
    if -1 not in target and g.chance(4) and 0 not in target:
        target[g.number(0, len(target) - 1)] = -1
    g.op("Reshape", [x, g.ints(target)], shape)


def flatten(g: TypedGraph) -> None:
    x = g.pick()
    if x is not None:
        axis = g.number(0, x.rank)
        given = _signed(g, axis, x.rank) if axis < x.rank else axis
        g.op("Flatten", [x], (product(x.shape[:axis]), product(x.shape[axis:])), axis=given)


def squeeze(g: TypedGraph) -> None:
    x = g.pick(lambda v: ONE in v.shape)
    if x is not None:
        ones = [a for a, e in enumerate(x.shape) if e == ONE]
        axes = ones if g.chance(3) else [g.choose(ones)]
        shape = tuple(e for a, e in enumerate(x.shape) if a not in axes)
        g.with_axes("Squeeze", x, [_signed(g, a, x.rank) for a in axes], shape, 13)


def unsqueeze(g: TypedGraph) -> None:
    x = g.pick(lambda v: v.rank < 4)
    if x is not None:
        axis = g.number(0, x.rank)
        shape = (*x.shape[:axis], ONE, *x.shape[axis:])
        g.with_axes("Unsqueeze", x, [_signed(g, axis, x.rank + 1)], shape, 13)


def _kept(extent: Extent, start: int, end: int, step: int) -> Extent:
    return tuple(len(range(n)[start:end:step]) for n in extent)


def slice_(g: TypedGraph) -> None:
    """A slice of one or two axes, forwards or backwards, often of what an earlier slice left."""
    x = g.pick(lambda v: v.rank > 0)
    if x is None:
        return
    shape, bounds = x.shape, []
    axes = list(range(x.rank))
    for _ in range(min(x.rank, g.choose([1, 1, 2]))):
        axis = axes.pop(g.number(0, len(axes) - 1))
        largest = max(shape[axis]) + 1
        start, end = g.number(-largest, largest), g.choose([2**31 - 1, g.number(-largest, largest)])
        step = g.choose([1, 1, 1, 2, -1])
        if step < 0:
            start, end = -1, -(2**31)
        bounds.append((start, end, _signed(g, axis, x.rank), step))
        shape = _with(shape, axis, _kept(shape[axis], start, None if step < 0 else end, step))  # type: ignore[arg-type]
    if 0 in product(shape) and not g.chance(6):
        return
    if g.opset >= 10:
        g.op("Slice", [x, *(g.ints(column) for column in zip(*bounds))], shape)
    elif all(step == 1 for *_, step in bounds):
        starts, ends, given, _ = zip(*bounds)
        g.op("Slice", [x], shape, starts=starts, ends=ends, axes=given)


def gather(g: TypedGraph) -> None:
    """Constant indices along an axis, mostly one after the other."""
    x = g.pick(lambda v: any(min(e) > 0 for e in v.shape))
    if x is None:
        return
    axis = g.choose([a for a, e in enumerate(x.shape) if min(e) > 0])
    least = min(x.shape[axis])
    if g.chance(3):
        index = g.number(-least, least - 1)
        g.op("Gather", [x, g.ints(index)], (*x.shape[:axis], *x.shape[axis + 1 :]), axis=_signed(g, axis, x.rank))
        return
    count = g.number(1, 4)
    first = g.number(0, least - 1)
    picks = [(first + i) % least for i in range(count)] if g.number(0, 1) == 0 else [
        g.number(-least, least - 1) for _ in range(count)
    ]  # fmt: skip
    g.op("Gather", [x, g.ints(picks)], _with(x.shape, axis, fixed(count)), axis=_signed(g, axis, x.rank))


def concat(g: TypedGraph) -> None:
    """Values that agree on all other axes, the same one twice too."""
    x = g.pick(lambda v: v.rank > 0)
    if x is None:
        return
    axis = g.number(0, x.rank - 1)

    def fits(v: Var) -> bool:
        return v.rank == x.rank and v.dtype == x.dtype and _with(v.shape, axis, ONE) == _with(x.shape, axis, ONE)

    parts = [x, *(g.pick(fits) or x for _ in range(g.number(0, 2)))]
    if g.chance(4) and x.static:
        parts.append(g.constant(g.array(x.dtype, [e[0] for e in x.shape])))
    total = tuple(sum(p.shape[axis][i] for p in parts) for i in range(CHOICES))
    if g.fits(_with(x.shape, axis, total)):
        g.op("Concat", parts, _with(x.shape, axis, total), axis=_signed(g, axis, x.rank))


def split(g: TypedGraph) -> list[Var]:
    """Two or three parts of a fixed axis, some of them perhaps empty or unread."""
    x = g.pick(lambda v: any(is_fixed(e) and e[0] > 0 for e in v.shape))
    if x is None:
        return []
    axis = g.choose([a for a, e in enumerate(x.shape) if is_fixed(e) and e[0] > 0])
    extent, sizes = x.shape[axis][0], []
    for _ in range(g.number(1, 2)):
        sizes.append(g.number(1 if extent > 1 else 0, extent))
        extent -= sizes[-1]
    sizes.append(extent)
    if 0 in sizes and not g.chance(4):
        sizes = [size for size in sizes if size]
    results = [(x.dtype, _with(x.shape, axis, fixed(size))) for size in sizes]
    given = _signed(g, axis, x.rank)
    if g.opset >= 13:
        return g.ops("Split", [x, g.ints(sizes)], results, axis=given)
    return g.ops("Split", [x], results, axis=given, split=sizes)


def pad(g: TypedGraph) -> None:
    """Pads of one or two axes, mostly with zeros."""
    x = g.pick(lambda v: v.dtype == F32 and v.rank > 0)
    if x is None or g.opset < 11:
        return
    mode = g.choose(["constant", "constant", "edge", "reflect"])
    amounts = np.zeros((2, x.rank), np.int64)
    for _ in range(g.number(1, 2)):
        axis = g.number(0, x.rank - 1)
        most = 2 if mode == "constant" else min(2, min(x.shape[axis]) - 1)
        if most >= 0:
            amounts[:, axis] = g.number(0, most), g.number(0, most)
    pads = amounts.sum(0)
    shape = tuple(tuple(n + int(pads[a]) for n in e) for a, e in enumerate(x.shape))
    value = g.constant(np.array(g.choose([0, 0, 1, -0.5]), x.dtype)) if g.number(0, 1) else None
    if g.fits(shape) and (mode == "constant" or 0 not in product(x.shape)):
        g.op("Pad", [x, g.ints(amounts.ravel().tolist()), value if mode == "constant" else None], shape, mode=mode)


def expand(g: TypedGraph) -> None:
    """A broadcast to a longer shape, or to the shape of another value."""
    x = g.pick()
    if x is None:
        return
    shape = tuple(fixed(g.number(1, 3)) if e == ONE else e for e in x.shape)
    target = [1 if e == old or not is_fixed(e) else e[0] for e, old in zip(shape, x.shape)]
    if g.chance(3):
        shape, target = (fixed(2), *shape), [2, *target]
    if g.fits(shape):
        g.op("Expand", [x, g.ints(target)], shape)


def tile(g: TypedGraph) -> None:
    x = g.pick(lambda v: v.rank > 0 and v.dtype in FLOATS | {I64})
    if x is None:
        return
    repeats = [g.choose([1, 1, 2, 3]) for _ in x.shape]
    shape = tuple(tuple(n * times for n in e) for e, times in zip(x.shape, repeats))
    if g.fits(shape):
        g.op("Tile", [x, g.ints(repeats)], shape)


def depth_and_space(g: TypedGraph) -> None:
    """SpaceToDepth and DepthToSpace."""
    x = g.pick(lambda v: v.rank == 4 and v.dtype == F32 and 0 not in product(v.shape))
    if x is None:
        return
    n, c, h, w = x.shape
    if is_fixed(c) and c[0] % 4 == 0:
        shape = (n, fixed(c[0] // 4), tuple(2 * i for i in h), tuple(2 * i for i in w))
        mode = {"mode": g.choose(["DCR", "CRD"])} if g.opset >= 11 else {}
        g.op("DepthToSpace", [x], shape, blocksize=2, **mode)
    elif all(i % 2 == 0 for i in (*h, *w)):
        g.op("SpaceToDepth", [x], (n, tuple(4 * i for i in c), tuple(i // 2 for i in h), tuple(i // 2 for i in w)),
             blocksize=2)  # fmt: skip


def _extent_of(g: TypedGraph, x: Var, axis: int, scalar: bool) -> Var:
    """One extent of a shape, by Gather or by Slice."""
    shape = g.op("Shape", [x], (fixed(x.rank),), I64)
    if scalar or g.number(0, 1) == 0:
        return g.op("Gather", [shape, g.ints(axis if scalar else [axis])], () if scalar else (ONE,), axis=0)
    if g.opset < 10:
        return g.op("Slice", [shape], (ONE,), starts=[axis], ends=[axis + 1], axes=[0])
    return g.op("Slice", [shape, g.ints([axis]), g.ints([axis + 1]), g.ints([0])], (ONE,))


def written_reshape(g: TypedGraph) -> None:
    """A Reshape whose target is put together from extents: kept, multiplied, or left to -1."""
    x = g.pick(lambda v: 1 < v.rank < 5 and 0 not in product(v.shape))
    if x is None:
        return
    axis = g.number(0, x.rank - 2)
    shape = (*x.shape[:axis], product(x.shape[axis : axis + 2]), *x.shape[axis + 2 :])
    parts = []
    for place in range(len(shape)):
        if place == axis:
            if g.number(0, 1) == 0:
                parts.append(g.ints([-1]))
                continue
            scalars = [_extent_of(g, x, a, scalar=True) for a in (axis, axis + 1)]
            whole = g.op("Mul", scalars, ())
            parts.append(_vector(g, whole))
        elif g.number(0, 2) == 0 and is_fixed(shape[place]):
            parts.append(g.ints([shape[place][0]]))
        else:
            parts.append(_extent_of(g, x, place + (place > axis), scalar=False))
    target = g.op("Concat", parts, (fixed(len(parts)),), axis=0) if len(parts) > 1 else parts[0]
    back = g.op("Reshape", [x, target], shape)
    if g.number(0, 1):
        g.op("Reshape", [back, g.op("Shape", [x], (fixed(x.rank),), I64)], x.shape)


def _vector(g: TypedGraph, scalar: Var) -> Var:
    return g.with_axes("Unsqueeze", scalar, [0], (ONE,), 13)


def made_to_measure(g: TypedGraph) -> None:
    """Constants as long as an extent, Expand to another's shape, a slice up to half of an extent, sizes as data."""
    x = g.pick(lambda v: v.rank > 0)
    if x is None:
        return
    axis = g.number(0, x.rank - 1)
    extent = x.shape[axis]
    match g.number(0, 4):
        case 1 | 2 if g.opset < 11:
            return
        case 0:
            shape = g.op("Shape", [x], (fixed(x.rank),), I64)
            fill = g.pick(lambda v: v.rank == 0) or g.constant(np.array(1, np.float32))
            g.op("Expand", [fill, shape], x.shape)
        case 1:
            length = _extent_of(g, x, axis, scalar=True)
            g.op("Range", [g.ints(0), length, g.ints(1)], (extent,), I64)
        case 2:
            length = _extent_of(g, x, axis, scalar=False)
            half = g.op("Div", [length, g.ints([2])], (ONE,))
            g.op("Slice", [x, g.ints([0]), half, g.ints([axis])], _with(x.shape, axis, tuple(n // 2 for n in extent)))
        case 3:
            shape = g.op("Shape", [x], (fixed(x.rank),), I64)
            g.op("ConstantOfShape", [shape], x.shape, F32)
        case _:
            g.op("Size", [x], (), I64)


STEPS = (
    transpose, transpose, reshape, reshape, flatten, squeeze, unsqueeze, slice_, slice_, gather, concat, concat, split,
    pad, expand, tile, depth_and_space, written_reshape, made_to_measure,
)  # fmt: skip
