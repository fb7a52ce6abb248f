"""fuse-scale-shift-into-norm: constant arithmetic after a norm disappears into its scale and bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler.graph import Node
from ..compiler.graph_pass import RewritePass
from ..compiler.pattern import Match, RootPattern, op
from ..compiler.rewriter import Rewriter
from .layers.affine import ARITHMETIC_OPS, affine_of, constant_operand, elements
from .layers.linear_layers import rounded
from .values.readers import refuse_other_readers

_TRAILING = frozenset({"LayerNormalization", "RMSNormalization"})  # a scale for each element of the last axes
_PER_CHANNEL = frozenset({"InstanceNormalization", "GroupNormalization"})


@dataclass(frozen=True)
class FuseScaleShiftIntoNorm(RewritePass):
    """Fold a constant scale or shift into the scale and bias of the norm before it.

    Before => After
        y = LayerNormalization(x, s, b) * c       =>   y = LayerNormalization(x, s * c, b * c)
        y = InstanceNormalization(x, s, b) + c    =>   y = InstanceNormalization(x, s, b + c)

    Covers Mul, Div, Add, Sub and Neg after LayerNormalization, RMSNormalization, InstanceNormalization and
    GroupNormalization.

    Legal when
        The constant is finite, does not broadcast the norm's output, and varies as the norm's scale does: along the
        normalized axes, or along the channels; the norm's parameters are constants that the caller cannot override;
        its output has no other reader, its statistics none at all; nothing overflows. RMSNormalization has no bias.

    Pays when
        Always.

    Numerics
        Computed in float64 and rounded once; x / c becomes x * (1 / c).
    """

    name: ClassVar[str] = "fuse-scale-shift-into-norm"
    patterns: ClassVar[tuple[RootPattern, ...]] = (op(ARITHMETIC_OPS),)

    @property
    def depth(self) -> int:
        return 2

    def rewrite(self, match: Match, rewriter: Rewriter) -> None:
        root = match.root
        operands = constant_operand(root)
        x = root.inputs[0] if root.op == "Neg" else operands[0] if operands is not None else None
        norm = None if x is None else x.producer
        if x is None or norm is None or norm.op not in _TRAILING | _PER_CHANNEL or norm.graph is not root.graph:
            rewriter.refuse("")
        if x.index != 0 or any(v is not None and v.uses for v in norm.outputs[1:]):
            rewriter.refuse("the statistics of the norm are read")
        refuse_other_readers(x, rewriter)
        rewriter.include([norm])
        affine = affine_of(root, rewriter)
        shape = _parameter_shape(norm, rewriter)
        scale, bias = _parameters(norm, shape, rewriter)
        factor, addend = (_along_parameters(norm, array, shape, rewriter) for array in (affine.scale, affine.shift))
        if not (np.isfinite(factor).all() and np.isfinite(addend).all()):
            rewriter.refuse("scale or shift are not finite")
        dtype = norm.inputs[1].dtype if norm.inputs[1] is not None else x.dtype
        inputs = [norm.inputs[0], rewriter.constant(rounded(scale * factor, dtype, rewriter), f"{norm.label}.scale")]
        shifted = bias * factor + addend
        if norm.input(2) is not None or shifted.any():
            if norm.op == "RMSNormalization":
                rewriter.refuse("RMSNormalization has no bias to take the shift")
            inputs.append(rewriter.constant(rounded(shifted, dtype, rewriter), f"{norm.label}.bias"))
        rewriter.replace(root.output, rewriter.clone(norm, inputs))


def _parameter_shape(norm: Node, rewriter: Rewriter) -> tuple[int, ...]:
    """The shape of scale and bias."""
    x = norm.inputs[0]
    if x is None or x.shape is None:
        rewriter.refuse("the shape of the norm's input is not known")
    if norm.op == "GroupNormalization" and norm.version < 21:
        rewriter.refuse("before opset 21 GroupNormalization has a scale per group")
    axis = norm.int_attr("axis", -1)
    dims = x.shape[1:2] if norm.op in _PER_CHANNEL else x.shape[axis:]
    shape = tuple(d for d in dims if isinstance(d, int))
    if len(shape) != len(dims):
        rewriter.refuse("the size of the norm's scale is not known")
    return shape


def _parameters(norm: Node, shape: tuple[int, ...], rewriter: Rewriter) -> tuple[np.ndarray, np.ndarray]:
    """(scale, bias) in float64; no bias is zeros."""
    scale, bias = norm.inputs[1], norm.input(2)
    if scale is None:
        rewriter.refuse("")
    arrays = [elements(scale, rewriter), np.zeros(()) if bias is None else elements(bias, rewriter)]
    if any(array.ndim > len(shape) for array in arrays):
        rewriter.refuse("the norm's scale has another rank than what it scales")
    first, second = (np.broadcast_to(array.astype(np.float64), shape) for array in arrays)
    return first, second


def _along_parameters(norm: Node, array: np.ndarray, shape: tuple[int, ...], rewriter: Rewriter) -> np.ndarray:
    """A constant beside the norm's output as one beside its parameters."""
    if array.ndim == 0:
        return array
    first = 1 if norm.op in _PER_CHANNEL else array.ndim - len(shape)
    mine = range(first, first + len(shape))
    if any(extent != 1 for axis, extent in enumerate(array.shape) if axis not in mine):
        rewriter.refuse("the constant varies along other axes than the norm's scale")
    return np.broadcast_to(array.reshape([array.shape[axis] for axis in mine]), shape)
