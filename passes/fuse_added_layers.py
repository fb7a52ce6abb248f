"""fuse-added-layers: layers of one value whose outputs are added are one layer; the value itself counts as a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.attributes import Attribute
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.inference.movement import normalize_axis
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.rewriter import Rewriter
from .layers.linear_layers import bias_of, rounded, weight_of


@dataclass(frozen=True)
class FuseAddedLayers(RewritePass):
    """Add the weights of layers that read the same value instead of their outputs.

    Before => After
        Add(Conv(x, w, b), Conv(x, v, c))           =>   Conv(x, w + v, b + c)
        Add(Conv(x, w), x)                          =>   Conv(x, w + the identity)
        Add(Conv1x1(Concat(x, z), w), x)            =>   Conv1x1(Concat(x, z), w + the identity on x)
        Add(MatMul(x, w), x)                        =>   MatMul(x, w + the identity)

    Covers Conv with any number of spatial axes, grouped and depthwise ones too, kernels of different extent if one
    holds the other (3x3 and 1x1, as RepVGG is trained), Gemm and MatMul, and sums of more than two.

    Legal when
        Weights and biases are constants that the caller cannot override, the layers' outputs have no other reader,
        strides, dilations and groups are equal, the smaller kernel lies inside the larger one with its padding, and all
        terms have the shape of the sum.

    Pays when
        Always: an addition goes, and all layers but the largest. Not for large weights that other layers share.

    Numerics
        Reassociation: the weights are added in float64 and rounded once.

    Source: the structural re-parameterization of RepVGG (Ding et al. 2021).
    """

    name: ClassVar[str] = "fuse-added-layers"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("Add|Sum"),)

    @property
    def depth(self) -> int:
        return 2

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        for layer in [v.producer for v in root.inputs if v is not None and v.producer is not None]:
            if layer.op not in ("Conv", "Gemm", "MatMul") or layer.graph is not root.graph:
                continue
            members = [i for i, v in enumerate(root.inputs) if _belongs(v, layer)]
            if len(members) > 1:
                self._fuse(root, layer, members, rewriter)
                return
        rewriter.refuse("")

    def _fuse(self, root: Node, layer: Node, members: Sequence[int], rewriter: Rewriter) -> None:
        if any(v is None or v.shape is None or v.shape != root.output.shape for v in root.inputs):
            rewriter.refuse("the terms are broadcast, or their shapes are not known")
        values = [root.inputs[i] for i in members]
        layers = [v.producer for v in values if v is not None and v.producer is not None and _reads(v.producer, layer)]
        for node in layers:
            if len(node.output.uses) > 1:
                rewriter.refuse(f"{node.op} output {node.output.name} has other readers")
        rewriter.include(layers)
        identities = [v for v in values if v is not None and (v.producer is None or v.producer not in layers)]
        added = (_convolution if layer.op == "Conv" else _product)(layers, identities, rewriter)
        others = [v for i, v in enumerate(root.inputs) if i not in members]
        rewriter.replace(root.output, rewriter.op("Sum", [added, *others], name=root.name) if others else added)


def _reads(node: Node, layer: Node) -> bool:
    """Whether a node is a layer of the same kind on the same value."""
    kinds = {layer.op} if layer.op == "Conv" else {"Gemm", "MatMul"}
    if node.op not in kinds or node.graph is not layer.graph:
        return False
    source = node.inputs[0]
    return source is layer.inputs[0] and source is not None and source.constant is None


def _belongs(value: Value | None, layer: Node) -> bool:
    """Whether a term is a layer of what `layer` reads, or that itself, or one part of it."""
    source = layer.inputs[0]
    if value is None or source is None or source.constant is not None:
        return False
    if value is source or _offset(value, layer) is not None:
        return True
    return value.producer is not None and _reads(value.producer, layer)


def _offset(value: Value, layer: Node) -> int | None:
    """Where a value stands along the channels of a Concat that the layer reads."""
    source = layer.inputs[0]
    concat = None if source is None else source.producer
    if source is None or concat is None or concat.op != "Concat" or source.rank is None:
        return None
    channels = 1 if layer.op == "Conv" else source.rank - 1
    if normalize_axis(concat.int_attr("axis", 1), source.rank) != channels:
        return None
    start = 0
    for part in concat.inputs:
        if part is value:
            return start
        extent = None if part is None or part.shape is None else part.shape[channels]
        if not isinstance(extent, int):
            return None
        start += extent
    return None


@dataclass(frozen=True)
class _Window:
    """A kernel over the spatial axes, and how far before its position it starts; the shapes tell where it ends."""

    kernel: tuple[int, ...]
    before: tuple[int, ...]
    dilations: tuple[int, ...]
    strides: tuple[int, ...]


def _window_of(node: Node, rewriter: Rewriter) -> _Window:
    weight = node.inputs[1]
    assert weight is not None and weight.constant is not None
    kernel = weight.constant.shape[2:]
    ones = (1,) * len(kernel)
    strides, dilations = node.ints_attr("strides") or ones, node.ints_attr("dilations") or ones
    pads = node.ints_attr("pads") or (0,) * (2 * len(kernel))
    auto = node.str_attr("auto_pad", "NOTSET")
    if auto == "VALID":
        pads = (0,) * (2 * len(kernel))
    elif auto != "NOTSET":
        around = tuple((k - 1) * d for k, d in zip(kernel, dilations))
        if any(a % 2 for a in around) or max(strides, default=1) > 1:
            rewriter.refuse(f"auto_pad {auto} does not pad both sides alike")
        pads = tuple(a // 2 for a in around) * 2
    return _Window(kernel, pads[: len(kernel)], dilations, strides)


def _convolution(layers: Sequence[Node], identities: Sequence[Value], rewriter: Rewriter) -> Value:
    weights = [weight_of(node, rewriter) for node in layers]
    windows = [_window_of(node, rewriter) for node in layers]
    largest = max(range(len(layers)), key=lambda i: weights[i][0, 0].size if weights[i].size else 0)
    first, window, group = layers[largest], windows[largest], layers[largest].int_attr("group", 1)
    if any(node.int_attr("group", 1) != group for node in layers):
        rewriter.refuse("the layers have different groups")
    total = np.zeros_like(weights[largest])
    for weight, other in zip(weights, windows):
        total[_place(other, window, rewriter)] += weight
    for value in identities:
        unit = _Window(*((n,) * len(window.kernel) for n in (1, 0, 1, 1)))
        total[_place(unit, window, rewriter)] += _identity(value, first, total.shape, group, rewriter)
    biases = [b for b in (bias_of(node, rewriter) for node in layers) if b is not None]
    bias = np.sum(biases, axis=0) if biases else None
    return _layer(first, total, bias, first.attributes, rewriter)


def _place(small: _Window, large: _Window, rewriter: Rewriter) -> tuple[slice, ...]:
    """Where the small kernel lies in the large one."""
    found = [slice(None), slice(None)]
    for axis, extent in enumerate(large.kernel):
        ahead = large.before[axis] - small.before[axis]
        step, inner = large.dilations[axis], small.kernel[axis]
        fits = (inner == 1 or small.dilations[axis] == step) and small.strides == large.strides
        if not fits or ahead % step or not 0 <= ahead // step <= extent - inner:
            rewriter.refuse("one kernel does not lie inside the other")
        found.append(slice(ahead // step, ahead // step + inner))
    return tuple(found)


def _identity(value: Value, layer: Node, shape: tuple[int, ...], group: int, rewriter: Rewriter) -> np.ndarray:
    """The kernel of extent 1 that gives the value from what the layer reads."""
    outputs, each = shape[:2]
    start = 0 if value is layer.inputs[0] else _offset(value, layer)
    if start is None or (group > 1 and (value is not layer.inputs[0] or outputs != each * group)):
        rewriter.refuse("the value added is no part of what the layer reads")
    kernel = np.zeros((outputs, each, *(1,) * (len(shape) - 2)))
    for output in range(outputs):
        kernel[output, (start + output) % each] = 1
    return kernel


def _product(layers: Sequence[Node], identities: Sequence[Value], rewriter: Rewriter) -> Value:
    if any(node.op == "Gemm" and node.int_attr("transA", 0) for node in layers):
        rewriter.refuse("a Gemm transposes what the other layers read as it is")
    matrices = [_matrix(node, rewriter) for node in layers]
    if any(m.ndim != 2 or m.shape != matrices[0].shape for m in matrices):
        rewriter.refuse("the weights have different shapes")
    total: np.ndarray = np.sum(matrices, axis=0)
    for value in identities:
        start = 0 if value is layers[0].inputs[0] else _offset(value, layers[0])
        if start is None:
            rewriter.refuse("the value added is no part of what the layer reads")
        rows = np.arange(total.shape[1])
        total[start + rows, rows] += 1
    biases = [b for b in (bias_of(node, rewriter) for node in layers) if b is not None]
    first = next((node for node in layers if node.op == "Gemm"), layers[0])
    bias = None
    for one in biases:  # of any shape that broadcasts
        bias = one if bias is None else bias + one
    attributes = {k: v for k, v in first.attributes.items() if k not in ("alpha", "beta", "transB")}
    return _layer(first, total, bias, attributes, rewriter)


def _matrix(node: Node, rewriter: Rewriter) -> np.ndarray:
    weight = weight_of(node, rewriter)
    if node.op != "Gemm":
        return weight
    return node.float_attr("alpha", 1.0) * (weight.T if node.int_attr("transB", 0) else weight)


def _layer(
    first: Node, weight: np.ndarray, bias: np.ndarray | None, attributes: Mapping[str, Attribute], rewriter: Rewriter
) -> Value:
    old = first.inputs[1]
    assert old is not None
    inputs = [first.inputs[0], rewriter.constant(rounded(weight, old.dtype, rewriter), old.name)]
    if bias is not None:
        inputs.append(rewriter.constant(rounded(np.asarray(bias), old.dtype, rewriter), f"{first.label}.bias"))
    return rewriter.op(first.op_type, inputs, attributes, name=first.name)
