"""Layers that move elements and leave them as they are."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .emitter import Frame


def shuffle(frame: Frame) -> str:
    """A transpose, a reshape and another transpose, each of which may be missing."""
    layer, raw = frame.layer, frame.raw
    result, rank = frame.x[0], frame.rank()
    first = [int(raw.first_transpose[axis]) for axis in range(rank)]
    if first != sorted(first):
        result = frame.op("Transpose", result, perm=first)
    target = frame.vector(1) if frame.has(1) else None
    if target is None and (dims := layer.dims("reshape_dims")) is not None:
        target = frame.ints(dims)
    if target is not None:
        rank = len(layer.outputs[0].shape or ())
        result = frame.op("Reshape", result, target, allowzero=int(not raw.zero_is_placeholder))
    second = [int(raw.second_transpose[axis]) for axis in range(rank)]
    if second != sorted(second):
        result = frame.op("Transpose", result, perm=second)
    return result if result != frame.x[0] else frame.op("Identity", result)


def concatenation(frame: Frame) -> str:
    """Tensors one after the other."""
    return frame.op("Concat", *frame.x, axis=frame.raw.axis)


def shape(frame: Frame) -> str:
    """The shape of a tensor."""
    found = frame.shape(frame.emitter.name_of(frame.tensor(0)))
    to = frame.result_type()
    return found if to == TensorProto.INT64 else frame.cast(found, to)


def squeeze(frame: Frame) -> str:
    """Without axes of one element. Where no axes are named, those that are known to be of one element go."""
    if frame.has(1):
        return frame.op("Squeeze", frame.x[0], frame.vector(1))
    known = [axis for axis, extent in enumerate(frame.tensor(0).shape or ()) if extent == 1]
    if frame.rank() - len(known) != frame.layer.outputs[0].rank:
        frame.refuse("it does not say which axes go")
    return frame.op("Squeeze", frame.x[0], frame.ints(known)) if known else frame.op("Identity", frame.x[0])


def unsqueeze(frame: Frame) -> str:
    """With axes of one element."""
    return frame.op("Unsqueeze", frame.x[0], frame.vector(1))


def gather(frame: Frame) -> str:
    """Elements by their indices, along one axis, element by element, or by tuples."""
    mode, batched, axis = frame.layer.choice("mode"), frame.raw.num_elementwise_dims, frame.raw.axis
    data, indices = frame.x[0], frame.int64(1)
    if mode == "ELEMENT":
        return frame.op("GatherElements", data, indices, axis=axis)
    if mode == "ND":
        return frame.op("GatherND", data, indices, batch_dims=batched)
    if not batched:
        return frame.op("Gather", data, indices, axis=axis)
    if batched != 1 or axis != 1:
        frame.refuse(f"gathering along axis {axis} with {batched} batch axes")
    return frame.op("GatherND", data, frame.op("Unsqueeze", indices, frame.ints([-1])), batch_dims=1)


def scatter(frame: Frame) -> str:
    """Elements put where indices say."""
    data, updates = frame.x[0], frame.x[2]
    if frame.layer.choice("mode") == "ELEMENT":
        return frame.op("ScatterElements", data, frame.int64(1), updates, axis=frame.raw.axis)
    return frame.op("ScatterND", data, frame.int64(1), updates)


def reverse_sequence(frame: Frame) -> str:
    """The first elements of each sequence turned round."""
    raw = frame.raw
    return frame.op(
        "ReverseSequence", frame.x[0], frame.int64(1), batch_axis=raw.batch_axis, time_axis=raw.sequence_axis
    )


def one_hot(frame: Frame) -> str:
    """One of two values for each class: an index that names no class gives none."""
    axis, rank = frame.raw.axis, frame.rank() + 1
    axis %= rank
    along = [1] * rank
    along[axis] = -1
    depth = frame.op("Squeeze", frame.int64(2))
    classes = frame.op("Reshape", frame.count(depth), frame.ints(along))
    indices = frame.op("Unsqueeze", frame.int64(0), frame.ints([axis]))
    off, on = (frame.op("Gather", frame.x[1], frame.ints(index)) for index in (0, 1))
    hit = frame.op("Equal", indices, classes)
    if frame.type(1) == TensorProto.BOOL:
        return frame.op("Or", frame.op("And", hit, on), frame.op("And", frame.op("Not", hit), off))
    return frame.op("Where", hit, on, off)


def non_zero(frame: Frame) -> list[str]:
    """Where the elements are that are not zero, and in some versions how many."""
    found = frame.op("NonZero", frame.x[0])
    count = frame.op("Squeeze", frame.op("Shape", found, start=1, end=2))
    return [frame.cast(name, tensor.type) for name, tensor in zip((found, count), frame.layer.outputs, strict=False)]


def slice_(frame: Frame) -> str:
    """Elements at regular distances along each axis; what lies outside depends on the mode."""
    layer, mode = frame.layer, frame.layer.choice("mode")
    parts = [
        frame.vector(index) if frame.has(index) else layer.dims(attribute)
        for index, attribute in ((1, "start"), (2, "shape"), (3, "stride"))
    ]
    axes = layer.dims("axes") if not frame.has(5) else None
    if frame.has(5):
        parts = _of_all_axes(frame, parts)
    axes = [axis % frame.rank() for axis in (range(frame.rank()) if axes is None else axes)]
    lists = [part for part in parts if isinstance(part, list)]
    if mode == "STRICT_BOUNDS" and len(lists) == len(parts) and (plain := _plain_slice(frame, lists, axes)):
        return plain
    names = [part if isinstance(part, str) else frame.ints(part or []) for part in parts]
    result = frame.x[0]
    for position, axis in enumerate(axes):
        first, number, step = (frame.op("Gather", name, frame.ints(position)) for name in names)
        wanted = frame.op("Add", first, frame.op("Mul", frame.count(number), step))
        result = _taken(frame, mode, result, axis, wanted)
    return result if axes else frame.op("Identity", result)


def _of_all_axes(frame: Frame, parts: list[str | list[int] | None]) -> list[str | list[int] | None]:
    """Start, size and stride of every axis, where they are given for some that are known at run time only."""
    axes, rank = frame.vector(5), frame.ints([frame.rank()])
    axes = frame.op("Mod", axes, rank)
    one = frame.ints([1])
    whole = [frame.op("Expand", frame.ints([0]), rank), frame.shape(frame.x[0]), frame.op("Expand", one, rank)]
    given = [part if isinstance(part, str) else frame.ints(part or []) for part in parts]
    return [frame.op("ScatterElements", w, axes, g, axis=0) for w, g in zip(whole, given, strict=True)]


def _plain_slice(frame: Frame, parts: list[list[int]], axes: list[int]) -> str:
    """As a Slice; "" where elements are repeated or the size is not known."""
    start, size, stride = parts
    if any(step == 0 or number < 0 for step, number in zip(stride, size, strict=True)):
        return ""
    ends = [first + number * step for first, number, step in zip(start, size, stride, strict=True)]
    # Backwards as far as the first element: an end of -1 would mean the last one.
    ends = [end if end >= 0 else int(np.iinfo(np.int64).min) for end in ends]
    return frame.op("Slice", frame.x[0], *(frame.ints(part) for part in (start, ends, axes, stride)))


def _taken(frame: Frame, mode: str, data: str, axis: int, wanted: str) -> str:
    """The elements at these places of an axis."""
    extent = frame.extent(data, axis)
    zero, one = frame.ints(0), frame.ints(1)
    last = frame.op("Sub", extent, one)
    match mode:
        case "STRICT_BOUNDS":
            return frame.op("Gather", data, wanted, axis=axis)
        case "WRAP":
            return frame.op("Gather", data, frame.op("Mod", wanted, extent), axis=axis)
        case "CLAMP":
            inside = frame.op("Min", frame.op("Max", wanted, zero), last)
            return frame.op("Gather", data, inside, axis=axis)
        case "REFLECT":
            period = frame.op("Max", frame.op("Mul", last, frame.ints(2)), one)
            there = frame.op("Mod", wanted, period)
            return frame.op("Gather", data, frame.op("Min", there, frame.op("Sub", period, there)), axis=axis)
        case "FILL":
            # One more element holds what stands outside, and every place outside means that one.
            pads = frame.ints([0] * frame.rank() + [int(a == axis) for a in range(frame.rank())])
            value = (frame.op("Reshape", frame.x[4], frame.ints([])),) if frame.has(4) else ()
            extended = frame.op("Pad", data, pads, *value)
            outside = frame.op("Or", frame.op("Less", wanted, zero), frame.op("Greater", wanted, last))
            return frame.op("Gather", extended, frame.op("Where", outside, extent, wanted), axis=axis)
    return str(frame.refuse(f"slicing in mode {mode}"))
