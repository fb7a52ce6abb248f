"""Fourier transforms and spectra."""

from __future__ import annotations

from collections.abc import Sequence

from .. import dtypes, symbolic
from ..graph import Node, Value
from ..symbolic import Dim
from .axes import axis_within, known, unknown_shape
from .facts import Facts, content_of, rule, unknown_dim


def _scalar(value: Value | None) -> Dim | None:
    content = content_of(value)
    return content[0] if content is not None and len(content) == 1 else None


@rule("DFT")
def fourier(node: Node) -> Sequence[Facts]:
    """The transformed axis has dft_length entries, or floor(dft_length / 2) + 1 if one-sided; the last axis has 2."""
    dtype, shape = known(node.input(0))
    if shape is None or len(shape) < 2:
        return (Facts(dtype),)
    rank = len(shape)
    axis = _dft_axis(node, rank)
    if axis is None:
        return (Facts(dtype, unknown_shape(node, 0, rank)),)
    onesided, inverse = node.int_attr("onesided", 0), node.int_attr("inverse", 0)
    length = shape[axis] if node.input(1) is None else _scalar(node.input(1))
    last: Dim = 2
    if onesided and inverse:  # its meaning was settled only after opset 20 had been published
        extent, last = unknown_dim(node, 0, axis), unknown_dim(node, 0, rank - 1)
    elif length is None:
        extent = unknown_dim(node, 0, axis)
    else:
        extent = symbolic.add(symbolic.floordiv(length, 2), 1) if onesided else length
    return (Facts(dtype, (*shape[:axis], extent, *shape[axis + 1 : -1], last)),)


def _dft_axis(node: Node, rank: int) -> int | None:
    if node.version < 20:
        axis: Dim | None = node.int_attr("axis", 1)
    else:
        axis = -2 if node.input(2) is None else _scalar(node.input(2))
    found = axis_within(axis, rank) if isinstance(axis, int) else None
    return None if found == rank - 1 else found


@rule("STFT")
def short_time_fourier(node: Node) -> Sequence[Facts]:
    """(batch, frames, bins, 2)."""
    dtype, signal = known(node.input(0))
    batch, samples = signal[:2] if signal is not None and len(signal) >= 2 else (unknown_dim(node, 0, 0), None)
    frame = _frame_length(node, samples)
    step = _scalar(node.input(1))
    frames: Dim = unknown_dim(node, 0, 1)
    bins: Dim = unknown_dim(node, 0, 2)
    if frame is not None:
        bins = symbolic.add(symbolic.floordiv(frame, 2), 1) if node.int_attr("onesided", 1) else frame
        if samples is not None and isinstance(step, int) and step > 0:
            frames = symbolic.add(symbolic.floordiv(symbolic.sub(samples, frame), step), 1)
    return (Facts(dtype, (batch, frames, bins, 2)),)


def _frame_length(node: Node, samples: Dim | None) -> Dim | None:
    window = node.input(2)
    if node.input(3) is not None:
        given = _scalar(node.input(3))
        if given is not None:
            return given
    elif window is None:
        return samples
    return window.shape[0] if window is not None and window.shape else None


@rule("MelWeightMatrix")
def mel_weights(node: Node) -> Sequence[Facts]:
    bands, length = _scalar(node.input(0)), _scalar(node.input(1))
    rows = unknown_dim(node, 0, 0) if length is None else symbolic.add(symbolic.floordiv(length, 2), 1)
    columns = unknown_dim(node, 0, 1) if bands is None else bands
    return (Facts(node.int_attr("output_datatype", dtypes.FLOAT), (rows, columns)),)
