"""recognize-dequantize-linear: a weight unpacked by hand is a DequantizeLinear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from onnx import TensorProto

from ..compiler import dtypes
from ..compiler.graph import Node, Value
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, known, op
from ..compiler.rewriter import Rewriter
from .layers.linear_layers import LINEAR_OPS

_PACKED = frozenset({TensorProto.INT8, TensorProto.UINT8})
_TAKERS = frozenset({*LINEAR_OPS.split("|"), "Transpose", "Reshape", "Identity"})
_CAST = op("Cast", known("weight"), node="cast")


@dataclass(frozen=True)
class RecognizeDequantizeLinear(RewritePass):
    """Replace a weight that is cast, shifted and scaled by the operator that does that.

    Before => After
        w = Cast(q, float) * s                =>   w = DequantizeLinear(q, s)
        w = (Cast(q, float) - z) * s          =>   w = DequantizeLinear(q, s, z)

    Legal when
        q is a constant of 8 bits that the caller cannot override, s a constant of float numbers, one in all (opset 10)
        or one along one axis (opset 13), and z an integer of q's type for each of them. Nothing between has other
        readers, and nothing broadcasts q.

    Pays when
        Linear layers read it: one node instead of two or three, and runtimes know what it is. For any other reader, as
        the Gather of an embedding, they would unpack all of it in every run, and as it is written once at load. Folding
        would store the weight in four times the bytes. What is no constant is left alone: runtimes look for Cast and
        Mul behind integer products. For the target tensorrt always: it takes constants of 8 bits before a
        DequantizeLinear only.

    Numerics
        Unchanged: the integers are exact in float, and each is multiplied once.
    """

    name: ClassVar[str] = "recognize-dequantize-linear"
    patterns: ClassVar[tuple[RootPattern, ...]] = (
        op("Mul", op("Sub", _CAST, known("zero")), known("scale"), commutative=True),
        op("Mul", _CAST, known("scale"), commutative=True),
    )

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root, weight, scale = match.root, match["weight"], match["scale"]
        if match.node("cast").int_attr("to", 0) != dtypes.FLOAT or weight.dtype not in _PACKED:
            rewriter.refuse("")
        if scale.shape is None or root.output.shape != weight.shape or weight.shape is None:
            rewriter.refuse("something broadcasts the weight")
        if rewriter.target != "tensorrt":
            _check_readers(root.output, rewriter)
        axis = _axis(match.array("scale").shape, len(weight.shape), rewriter)
        needed = 10 if axis is None else 13
        if rewriter.opset() < needed:
            rewriter.refuse(f"it needs opset {needed}, the model has {rewriter.opset()}")
        scales = match.array("scale").reshape(() if axis is None else -1)
        inputs = [weight, rewriter.constant(scales, scale.name)]
        if "zero" in match.values:
            inputs.append(rewriter.constant(_zero_points(match, axis, scales, rewriter), match["zero"].name))
        rewriter.replace(root.output, rewriter.op("DequantizeLinear", inputs, axis=axis, name=root.name))


def _check_readers(weight: Value, rewriter: Rewriter) -> None:
    """Refuse what runtimes do not unpack while they multiply."""
    for reader in weight.readers:
        if isinstance(reader, Node) and reader.op not in _TAKERS:
            rewriter.refuse(f"{reader.op} reads it, for which all of it would be unpacked in every run")


def _axis(shape: tuple[int, ...], rank: int, rewriter: Rewriter) -> int | None:
    """The axis of the weight along which numbers of this shape differ, None if there is but one."""
    long = [rank - len(shape) + i for i, extent in enumerate(shape) if extent != 1]
    if len(long) > 1:
        rewriter.refuse("the scales differ along more than one axis")
    return long[0] if long else None


def _zero_points(match: Match, axis: int | None, scales: np.ndarray, rewriter: Rewriter) -> np.ndarray:
    zeros = match.array("zero")
    rank = match["weight"].rank or 0
    if zeros.size != 1 and _axis(zeros.shape, rank, rewriter) != axis:
        rewriter.refuse("the zero points do not go with the scales")
    kind = dtypes.to_numpy(match["weight"].dtype)
    limits = np.iinfo(kind)  # type: ignore[type-var]
    if not np.all((zeros == np.rint(zeros)) & (zeros >= limits.min) & (zeros <= limits.max)):
        rewriter.refuse("a zero point is no number of the weight's type")
    return np.broadcast_to(zeros.reshape(-1) if axis is not None else zeros.reshape(()), scales.shape).astype(kind)
