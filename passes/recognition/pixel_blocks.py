"""Blocks of pixels turned into channels: from which place of a block each group of channels comes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...compiler.graph import Node, Value
from ...compiler.inference.movement import slice_ranges

_END = 2**31 - 1  # exporters write "to the end" as this or more
_LARGEST = 8  # rows and columns of a block


class Blocks(NamedTuple):
    """x of [N, C, H, W] as [N, C * b * b, H / b, W / b].

    channels: for each channel of SpaceToDepth (row of the block, then column, then channel of x) the channel in which
    it stands. nodes: what computes it, the last one first.
    """

    x: Value
    block: int
    channels: np.ndarray
    nodes: list[Node]

    @property
    def in_order(self) -> bool:
        """Whether this is SpaceToDepth as it stands."""
        return bool((np.diff(self.channels) == 1).all())


def blocks_from_reshape(last: Node) -> Blocks | None:
    """Blocks made by Reshape, Transpose and Reshape, with `last` the second Reshape."""
    transpose = _producer(last, "Transpose", last)
    first = None if transpose is None else _producer(transpose, "Reshape", last)
    if transpose is None or first is None:
        return None
    x, split, result = first.inputs[0], first.output.shape, last.output.shape
    order = transpose.ints_attr("perm")
    if order not in (_BLOCKS_FIRST, _CHANNELS_FIRST) or x is None or x.shape is None or split is None:
        return None
    if len(x.shape) != 4 or len(split) != 6 or result is None:
        return None
    (n, channels, height, width), block = x.shape, split[3]
    if not isinstance(block, int) or not 2 <= block <= _LARGEST or not isinstance(channels, int):
        return None
    if split[:2] != (n, channels) or (split[2] * block, split[4] * block, split[5]) != (height, width, block):
        return None
    if result != (n, channels * block * block, split[2], split[4]):
        return None
    places = np.arange(block * block * channels)
    if order == _CHANNELS_FIRST:
        places = places.reshape(channels, block * block).T.ravel()
    return Blocks(x, block, places, [last, transpose, first])


_BLOCKS_FIRST, _CHANNELS_FIRST = (0, 3, 5, 1, 2, 4), (0, 1, 3, 5, 2, 4)


def blocks_from_slices(concat: Node) -> Blocks | None:
    """Blocks made by joining strided slices along the channels."""
    count = len(concat.inputs)
    block = round(count**0.5)
    if not 2 <= block <= _LARGEST or block * block != count:
        return None
    nodes, source = [concat], None
    places: dict[tuple[int, int], int] = {}
    for index, value in enumerate(concat.inputs):
        found = None if value is None else _sliced(value, concat)
        if found is None:
            return None
        x, starts, steps, slices = found
        if (source is not None and x is not source) or steps != {2: block, 3: block}:
            return None
        source = x
        places[starts[2], starts[3]] = index
        nodes += slices
    if source is None or source.shape is None or concat.int_attr("axis", 1) not in (1, -3) or len(places) != count:
        return None
    channels = source.shape[1]
    if not isinstance(channels, int) or channels == 0:
        return None
    order = [places[row, column] for row in range(block) for column in range(block)]
    channel = np.concatenate([np.arange(channels) + index * channels for index in order])
    return Blocks(source, block, channel, list(dict.fromkeys(nodes)))


_Slices = tuple[Value, dict[int, int], dict[int, int], list[Node]]


def _sliced(value: Value, reader: Node) -> _Slices | None:
    """(x, axis -> start, axis -> step, nodes) of one or two Slices in a row of an image, all to the end."""
    starts: dict[int, int] = {}
    steps: dict[int, int] = {}
    nodes: list[Node] = []
    while value.producer is not None and value.producer.op == "Slice" and value.producer.graph is reader.graph:
        node = value.producer
        source = node.inputs[0]
        ranges = None if source is None or source.rank != 4 else slice_ranges(node, 4)
        if source is None or source.shape is None or ranges is None:
            return None
        for axis, (start, end, step) in ranges.items():
            extent = source.shape[axis]
            to_end = isinstance(end, int) and (end >= _END or (isinstance(extent, int) and end >= extent))
            if not to_end or not isinstance(start, int) or not 0 <= start < max(step, 1) or axis in steps:
                return None
            if step > 1:
                starts[axis], steps[axis] = start, step
        nodes.append(node)
        value = source
    return (value, starts, steps, nodes) if nodes else None


def _producer(node: Node, op_type: str, reader: Node) -> Node | None:
    value = node.inputs[0]
    producer = None if value is None else value.producer
    return producer if producer is not None and producer.op == op_type and producer.graph is reader.graph else None
