"""fuse-activation-chain: Relu, Clip, Min and Max in a row become one, or none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from onnx import TensorProto

from ..compiler import dtypes
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, OpPattern, op
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from .layers.affine import constant_operand, elements
from .values.readers import refuse_other_readers
from .values.value_range import range_of

_OPS = ("Relu", "Clip", "Min", "Max")
_LONGEST = 8
_NO_CLIP = frozenset({TensorProto.INT16, TensorProto.UINT16})  # types that ONNX Runtime does not clip

_CLIP_SINCE: dict[int, int] = {dtypes.FLOAT: 6, dtypes.FLOAT16: 6, dtypes.BFLOAT16: 13}

Bound = float | int


@dataclass(frozen=True)
class _Clamp:
    """min(max(x, low), high)."""

    x: Value
    low: Bound
    high: Bound


@dataclass(frozen=True)
class FuseActivationChain(RewritePass):
    """Combine Relu, Clip, and Min or Max with one number, that follow upon each other; remove those that never act.

    Before => After
        y = Clip(Relu(x), -1, 6)     =>   y = Clip(x, 0, 6)
        y = Min(Max(x, 0), 6)        =>   y = Clip(x, 0, 6)
        y = Relu(Sigmoid(x))         =>   y = Sigmoid(x)
        y = Clip(x)                  =>   y = x

    Legal when
        The bounds are constant numbers that the caller cannot override, no NaN, and do not broadcast x; values between
        have one reader. One that never acts is removed where the range of its input is proven (after Relu, Sigmoid,
        Softmax, Exp, Abs, Clip, ..., also through Reshape, Concat, pooling and sums). Clip takes integers since opset
        12, and ONNX Runtime clips double since then.

    Pays when
        Always: at least one node goes.

    Numerics
        Unchanged; NaN stays NaN. A bound that Clip omits is the largest finite number, and stays so, except that a
        Clip without any bound hands on its input, as it does in ONNX's reference implementation.
    """

    name: ClassVar[str] = "fuse-activation-chain"
    patterns: ClassVar[tuple[OpPattern, ...]] = (op("|".join(_OPS)),)

    @property
    def depth(self) -> int:
        return _LONGEST

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        try:
            outer = _clamp_of(root, rewriter)
        except Refusal as refusal:
            stacked = any(v is not None and v.producer is not None and v.producer.op in _OPS for v in root.inputs)
            rewriter.refuse(refusal.reason if stacked else "")
        if _boundless(root) or _never_acts(outer):
            rewriter.replace(root.output, outer.x)
            return
        nodes, reason = [root], ""
        while not _never_acts(outer) and len(nodes) < _LONGEST:
            node = outer.x.producer
            if node is None or node.op not in _OPS or node.graph is not root.graph:
                break
            try:
                inner = _clamp_of(node, rewriter)
                refuse_other_readers(outer.x, rewriter)
            except Refusal as refusal:
                reason = refusal.reason
                break
            outer = _composed(inner, outer)
            nodes.append(node)
        if len(nodes) == 1:
            rewriter.refuse(reason)
        result = outer.x if _never_acts(outer) else _emit(outer, nodes, rewriter)
        rewriter.replace(root.output, result)


def _boundless(node: Node) -> bool:
    return node.op == "Clip" and all(v is None for v in node.inputs[1:]) and not node.attributes


def _never_acts(clamp: _Clamp) -> bool:
    """Whether every element of the input is known to lie within the bounds."""
    low, high = range_of(clamp.x)
    return clamp.low <= low and high <= clamp.high


def _clamp_of(node: Node, rewriter: Rewriter) -> _Clamp:
    x = node.input(0)
    if x is None:
        rewriter.refuse("")
    if node.op == "Relu":
        return _Clamp(x, 0, math.inf)
    if node.op == "Clip":
        low, high = _clip_bounds(node, rewriter)
        return _Clamp(x, min(low, high), high)
    operands = constant_operand(node)
    if operands is None:
        rewriter.refuse("")
    x, c = operands
    bound = _number(c, rewriter)
    if c.rank and (x.rank is None or c.rank > x.rank):
        rewriter.refuse("the bound may have more axes than the input")
    return _Clamp(x, bound, math.inf) if node.op == "Max" else _Clamp(x, -math.inf, bound)


def _clip_bounds(node: Node, rewriter: Rewriter) -> tuple[Bound, Bound]:
    if node.version < 6:
        rewriter.refuse("")
    dtype = node.output.dtype or next((v.dtype for v in node.inputs[1:] if v is not None), 0)
    low, high = omitted = _omitted_bounds(dtype, node.version)
    if node.version < 11:
        low, high = node.float_attr("min", low), node.float_attr("max", high)
        lowest, largest = dtypes.finite_limits(dtype) if dtype in dtypes.FLOATING else omitted
        return (low if low >= lowest else -math.inf), (high if high <= largest else math.inf)
    first, second = node.input(1), node.input(2)
    return (low if first is None else _number(first, rewriter)), (high if second is None else _number(second, rewriter))


def _omitted_bounds(dtype: int, version: int) -> tuple[Bound, Bound]:
    """What Clip takes for a bound that is not given; beyond every number where the type is not known."""
    if dtype not in dtypes.FLOATING | dtypes.INTEGER:
        return -math.inf, math.inf
    return dtypes.finite_limits(dtypes.FLOAT if version < 11 else dtype)


def _number(value: Value, rewriter: Rewriter) -> Bound:
    array = elements(value, rewriter)
    if array.size != 1:
        rewriter.refuse("")
    number = array.reshape(()).item() if array.dtype.kind in "iu" else float(array.reshape(()).astype(np.float64))
    if number != number:
        rewriter.refuse("the bound is NaN")
    return number


def _composed(inner: _Clamp, outer: _Clamp) -> _Clamp:
    """The outer clamp after the inner one: clamps are monotone, so their ends follow."""
    low, high = (min(max(end, outer.low), outer.high) for end in (inner.low, inner.high))
    return _Clamp(inner.x, low, high)


def _emit(clamp: _Clamp, nodes: list[Node], rewriter: Rewriter) -> Value:
    """One node for the clamp."""
    root = nodes[0]
    dtype = root.output.dtype or next((v.dtype for n in nodes for v in n.inputs if v is not None and v.dtype), 0)
    ops = {node.op for node in nodes}
    if (clamp.low, clamp.high) == (0, math.inf) and (ops == {"Relu"} or dtype in dtypes.FLOATING):
        return rewriter.op("Relu", [clamp.x], name=root.name)
    if dtype not in dtypes.FLOATING | dtypes.INTEGER:
        rewriter.refuse("the element type is not known")
    kind = dtypes.to_numpy(dtype)
    for one_sided, bound, open_end in (("Max", clamp.low, clamp.high), ("Min", clamp.high, -clamp.low)):
        if one_sided in ops and open_end == math.inf and rewriter.opset() >= 8:
            constant = rewriter.constant(np.array(bound).astype(kind), f"{root.label}.bound")
            return rewriter.op(one_sided, [clamp.x, constant], name=root.name)
    return _clip(clamp, dtype, root, rewriter)


def _clip(clamp: _Clamp, dtype: int, root: Node, rewriter: Rewriter) -> Value:
    opset, kind = rewriter.opset(), dtypes.to_numpy(dtype)
    lowest, largest = _omitted_bounds(dtype, opset)
    low, high = clamp.low, clamp.high
    if dtype in dtypes.INTEGER:
        low, high = max(low, lowest), min(high, largest)
    _check_clip(dtype, opset, rewriter)
    if opset < 11:
        bounds = {"min": None if low == lowest else float(low), "max": None if high == largest else float(high)}
        return rewriter.op("Clip", [clamp.x], bounds, name=root.name)
    inputs = [
        None if bound == omitted else rewriter.constant(np.array(bound).astype(kind), f"{root.label}.{what}")
        for bound, omitted, what in ((low, lowest, "min"), (high, largest, "max"))
    ]
    return rewriter.op("Clip", [clamp.x, *inputs], name=root.name)


def _check_clip(dtype: int, opset: int, rewriter: Rewriter) -> None:
    """Refuse a type that Clip does not take, or that ONNX Runtime does not clip."""
    if dtype in _NO_CLIP or opset < _CLIP_SINCE.get(dtype, 12):
        rewriter.refuse(f"{dtypes.name_of(dtype)} cannot be clipped in this opset")
