"""Elementwise affine nodes with constants, seen alike: y = scale * x + shift.

Add, Sub, Mul and Div with one constant operand, Neg, and BatchNormalization at inference.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...compiler import dtypes
from ...compiler.graph import Node, Value
from ...compiler.rewriter import Rewriter
from .axis_arrays import beside

ARITHMETIC_OPS = "Add|Sub|Mul|Div|Neg"


class Affine(NamedTuple):
    """y = scale * x + shift; arrays beside x, in the form of `axis_arrays`."""

    x: Value
    scale: np.ndarray
    shift: np.ndarray


def constant_operand(node: Node) -> tuple[Value, Value] | None:
    """(x, c) of an Add, Mul, Sub or Div of which one operand is a constant, or a default that a caller may override."""
    if len(node.inputs) != 2:
        return None
    left, right = node.inputs
    if left is None or right is None:
        return None
    for x, c in ((left, right), (right, left)):
        if c.constant is not None or c.overridable:
            return None if x.constant is not None else (x, c)
    return None


def affine_of(node: Node, rewriter: Rewriter) -> Affine:
    """The function that the node computes; refuses if it is not affine in one value that is no constant."""
    if node.op == "BatchNormalization":
        return _batch_norm(node, rewriter)
    if node.op == "Neg":
        x = node.inputs[0]
        if x is None or x.dtype not in dtypes.FLOATING:
            rewriter.refuse("")
        return Affine(x, np.array(-1.0), np.array(0.0))
    operands = constant_operand(node)
    if operands is None or operands[1].dtype not in dtypes.FLOATING:
        rewriter.refuse("")
    x, c = operands
    first = node.inputs[0] is c
    if node.op == "Div" and first:
        rewriter.refuse("")
    constant = elements(c, rewriter)
    if node.version < 7 and constant.ndim:
        rewriter.refuse("broadcasting is explicit before opset 7")
    return Affine(x, *_arithmetic(node.op, beside(constant, x, rewriter), first))


def elements(value: Value, rewriter: Rewriter) -> np.ndarray:
    """The elements of a constant; refuses if the caller may override them."""
    constant = value.constant
    if constant is None:
        what = f"{value.name} is also a graph input, so the caller may override it" if value.overridable else ""
        rewriter.refuse(what or f"{value.name} is not a constant")
    return constant.numpy()


def _arithmetic(op: str, c: np.ndarray, constant_first: bool) -> tuple[np.ndarray, np.ndarray]:
    one, zero = np.array(1.0), np.array(0.0)
    match op:
        case "Add":
            return one, c
        case "Mul":
            return c, zero
        case "Div":
            with np.errstate(divide="ignore", over="ignore"):
                return 1 / c, zero
    return (-one, c) if constant_first else (one, -c)


def _batch_norm(node: Node, rewriter: Rewriter) -> Affine:
    """scale / sqrt(variance + epsilon) and the shift that belongs to it (Ioffe and Szegedy 2015, section 3.1)."""
    trains = node.int_attr("training_mode", 0) or (node.version < 7 and not node.int_attr("is_test", 0))
    if trains or any(v is not None for v in node.outputs[1:]):  # before opset 14 nothing else tells
        rewriter.refuse("BatchNormalization is in training mode")
    if not node.int_attr("spatial", 1):
        rewriter.refuse("BatchNormalization normalizes each element (spatial=0)")
    x = node.inputs[0]
    parameters = [v for v in node.inputs[1:] if v is not None]
    if x is None or len(parameters) != 4:
        rewriter.refuse("")
    scale, bias, mean, variance = (elements(v, rewriter).astype(np.float64) for v in parameters)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = scale / np.sqrt(variance + node.float_attr("epsilon", 1e-5))
    if not np.isfinite(factor).all():
        rewriter.refuse("a variance is negative or not finite")
    if x.rank is None or x.rank < 2:
        rewriter.refuse("the rank of the normalized tensor is not known")
    shape = (1, len(factor), *(1,) * (x.rank - 2))
    shift = bias - mean * factor
    return Affine(x, *(a.reshape(shape if a.size > 1 else ()) for a in (factor, shift)))
