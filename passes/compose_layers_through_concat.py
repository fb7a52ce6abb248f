"""compose-layers-through-concat: a pointwise layer in front of a Concat goes into the layer behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference.movement import normalize_axis
from ..compiler.pattern import Match, OpPattern, any_, maybe, op, other_readers
from ..compiler.rewriter import Rewriter
from .layers.linear_layers import bias_of, pads_nothing, rebuilt, rounded, weight_of


@dataclass(frozen=True)
class _Part:
    """A piece of what a Concat puts together: a value, and where it starts along the channels."""

    value: Value
    start: int
    channels: int


@dataclass(frozen=True)
class ComposeLayersThroughConcat(RewritePass):
    """Multiply the weights of a pointwise layer into those of the layer that reads it through a Concat.

    Before => After
        y = Conv(Concat(a, Conv1x1(Concat(a, b), w)), [u v])
            =>   y = Conv(Concat(a, b), [u + v * w on a, v * w on b])
        y = MatMul(Concat(a, MatMul(a, w)), [u; v])   =>   y = MatMul(a, u + w @ v)

    Legal when
        All weights and biases are constants that the caller cannot override, neither layer is grouped, the first is
        pointwise (a kernel of 1 without steps or border), it and the Concat have no other reader, and either it has no
        bias or the second layer adds no border of zeros.

    Pays when
        What the second layer reads gets no wider than it was, so that all multiplications of the first one are saved:
        the inputs of the first layer are among the other parts of the Concat, or few enough.

    Numerics
        Reassociation: the product of the weights is computed in float64 and rounded once.
    """

    name: ClassVar[str] = "compose-layers-through-concat"
    patterns: ClassVar[tuple[OpPattern, ...]] = (
        op("Conv|Gemm|MatMul", op("Concat", shared=True), any_("w"), maybe(any_("b")), node="second"),
    )

    @property
    def depth(self) -> int:
        return 4

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        second = match.node("second")
        concat = second.inputs[0].producer if second.inputs[0] is not None else None
        channels = _channel_axis(second)
        if concat is None or channels is None:
            rewriter.refuse("")
        parts = _parts_of(concat, channels)
        found = [p for p in parts or () if p.value.producer is not None and _is_pointwise(p.value.producer, second)]
        if not found or concat.graph is not second.graph:
            rewriter.refuse("")
        part = min(found, key=lambda p: len(p.value.uses))
        for value in (part.value, concat.output):
            if len(value.uses) > 1:
                rewriter.refuse(other_readers(value))
        first = part.value.producer
        assert first is not None
        rewriter.include([first])
        self._compose(first, second, part, parts or [], rewriter)

    def _compose(
        self, first: Node, second: Node, middle: _Part, parts: Sequence[_Part], rewriter: Rewriter
    ) -> None:
        channels = _channel_axis(second)
        source = first.inputs[0]
        assert source is not None and channels is not None
        upper, lower = _rows(second, rewriter), _rows(first, rewriter)[:, :, 0] * _factor(first)
        below = _parts_of(source.producer, channels) or [_Part(source, 0, lower.shape[1])]
        places, width = _union([p for p in parts if p is not middle], below)
        old_width = sum(part.channels for part in parts)
        if width > old_width:
            rewriter.refuse(f"the second layer would read {width} channels instead of {old_width}")
        weight = np.zeros((upper.shape[0], width, upper.shape[2]))
        for part in parts:
            columns = upper[:, part.start : part.start + part.channels]
            if part is middle:
                product = np.einsum("omk,mi->oik", columns, lower)
                for piece in below:
                    at = places[piece.value]
                    weight[:, at : at + piece.channels] += product[:, piece.start : piece.start + piece.channels]
            else:
                at = places[part.value]
                weight[:, at : at + part.channels] += columns
        bias = self._bias(first, second, upper[:, middle.start : middle.start + middle.channels], rewriter)
        old = second.inputs[1]
        assert old is not None
        array = rounded(_from_rows(second, weight), old.dtype, rewriter)
        x = _joined(source, below, list(places), channels, rewriter)
        bias = None if bias is None else rounded(bias, old.dtype, rewriter)
        rewriter.replace(second.output, rebuilt(second, x, rewriter.constant(array, old.name), bias, rewriter))

    def _bias(self, first: Node, second: Node, columns: np.ndarray, rewriter: Rewriter) -> np.ndarray | None:
        bias, under = bias_of(second, rewriter), bias_of(first, rewriter)
        if under is None or not under.any():
            return bias
        if not pads_nothing(second):
            rewriter.refuse("the second layer pads with zeros, which the bias of the first would not reach")
        if under.ndim > 1 and any(extent != 1 for extent in under.shape[:-1]):
            rewriter.refuse("the bias of the first layer is a matrix")
        under = np.broadcast_to(under.reshape(-1), (columns.shape[1],))
        lifted: np.ndarray = columns.sum(axis=2) @ under * _factor(second)
        return lifted if bias is None else bias + lifted


def _channel_axis(node: Node) -> int | None:
    """The axis of the input channels of a layer that sums over them with a constant weight; None for any other."""
    x, weight = node.inputs[0], node.input(1)
    if x is None or weight is None or (weight.constant is None and not weight.overridable) or x.rank is None:
        return None
    if node.op == "Conv":
        return 1 if node.int_attr("group", 1) == 1 else None
    flat = weight.rank == 2 and not (node.op == "Gemm" and node.int_attr("transA", 0))
    return x.rank - 1 if flat and x.rank >= 2 else None


def _is_pointwise(first: Node, second: Node) -> bool:
    """Whether a node is a layer of the same kind that computes each position from that position alone."""
    kinds = ("Conv",) if second.op == "Conv" else ("Gemm", "MatMul")
    if first.op not in kinds or first.graph is not second.graph or _channel_axis(first) is None:
        return False
    if first.op != "Conv":
        return True
    weight = first.inputs[1]
    window = ((weight.shape if weight is not None else None) or ())[2:]
    return all(d == 1 for d in window) and max(first.ints_attr("strides") or (1,)) == 1 and pads_nothing(first)


def _parts_of(concat: Node | None, axis: int) -> list[_Part] | None:
    """What a Concat along this axis puts together; None if the node is none, or some extent is not known."""
    if concat is None or concat.op != "Concat" or concat.output.rank is None:
        return None
    if normalize_axis(concat.int_attr("axis", 1), concat.output.rank) != axis:
        return None
    found: list[_Part] = []
    start = 0
    for value in concat.inputs:
        extent = None if value is None or value.shape is None else value.shape[axis]
        if value is None or not isinstance(extent, int):
            return None
        found.append(_Part(value, start, extent))
        start += extent
    return found


def _union(others: Sequence[_Part], below: Sequence[_Part]) -> tuple[dict[Value, int], int]:
    """Where each value starts in the new input, and its width; the order is that of `below` if it holds all."""
    inside = {part.value for part in below}
    order = [*below, *others] if all(part.value in inside for part in others) else [*others, *below]
    places: dict[Value, int] = {}
    width = 0
    for part in order:
        if part.value not in places:
            places[part.value] = width
            width += part.channels
    return places, width


def _joined(
    source: Value, below: Sequence[_Part], values: Sequence[Value], axis: int, rewriter: Rewriter
) -> Value:
    """The new input: what the first layer read if that is all in its order, else a new Concat."""
    if list(values) == [part.value for part in below]:
        return source
    return values[0] if len(values) == 1 else rewriter.op("Concat", list(values), axis=axis)


def _rows(node: Node, rewriter: Rewriter) -> np.ndarray:
    """The weight as [outputs, inputs, window]."""
    weight = weight_of(node, rewriter)
    if node.op == "Conv":
        return weight.reshape(*weight.shape[:2], -1)
    return (weight if node.op == "Gemm" and node.int_attr("transB", 0) else weight.T)[:, :, None]


def _from_rows(node: Node, rows: np.ndarray) -> np.ndarray:
    if node.op == "Conv":
        weight = node.inputs[1]
        assert weight is not None and weight.constant is not None
        return rows.reshape(*rows.shape[:2], *weight.constant.shape[2:])
    matrix: np.ndarray = rows[:, :, 0]
    return matrix if node.op == "Gemm" and node.int_attr("transB", 0) else matrix.T


def _factor(node: Node) -> float:
    return node.float_attr("alpha", 1.0) if node.op == "Gemm" else 1.0
