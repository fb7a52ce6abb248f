"""Two products with constant matrices in a row: y = (x A + a) B + b, as one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...compiler.graph import Node, Value
from ...compiler.rewriter import Rewriter
from ..values.readers import refuse_other_readers
from .affine import constant_operand, elements
from .linear_layers import bias_of, rounded, weight_index, weight_of


@dataclass(frozen=True)
class Stage:
    """The first of two products. bias: a constant that an Add between them adds. right: where the matrices stand.

    size: elements of the product of the matrices. middle: how many terms each of them sums.
    """

    node: Node
    bias: Value | None
    right: bool
    size: int
    middle: int


def first_product(second: Node, rewriter: Rewriter) -> Stage | None:
    """The product with a constant matrix that the second one reads, None if it reads none; refuses a dearer one."""
    side = weight_index(second)
    value, bias = second.input(1 - side), None
    node = None if value is None else value.producer
    if node is not None and value is not None and node.op == "Add" and node.graph is second.graph:
        operands = constant_operand(node)
        below = None if operands is None else operands[0].producer
        if operands is None or below is None or below.op != "MatMul":
            return None
        refuse_other_readers(value, rewriter)
        rewriter.include([node])
        (value, bias), node = operands, below
    if value is None or node is None or node.op not in ("Gemm", "MatMul") or node.graph is not second.graph:
        return None
    lower, upper = _matrix_shape(node), _matrix_shape(second)
    if lower is None or upper is None:
        return None
    if weight_index(node) != side:
        rewriter.refuse("the matrices stand on different sides")
    if second.op == "Gemm" and second.int_attr("transA", 0):
        rewriter.refuse("the product is transposed between")
    refuse_other_readers(value, rewriter)
    rewriter.include([node])
    left, right = (lower, upper) if side == 1 else (upper, lower)
    if left[1] != right[0]:
        rewriter.refuse("what is added between broadcasts the first product")
    before, after = left[0] * left[1] + right[0] * right[1], left[0] * right[1]
    if after > before:
        rewriter.refuse(f"saves nothing: {before} -> {after} multiplications a row")
    return Stage(node, bias, side == 1, after, left[1])


def _matrix_shape(node: Node) -> tuple[int, int] | None:
    """The shape of the constant matrix as it is multiplied; None if it is none."""
    value = node.input(weight_index(node))
    shape = None if value is None or (value.constant is None and not value.overridable) else value.shape
    if shape is None or len(shape) != 2:
        return None
    rows, columns = shape
    if not isinstance(rows, int) or not isinstance(columns, int):
        return None
    return (columns, rows) if node.op == "Gemm" and node.int_attr("transB", 0) else (rows, columns)


def _matrix(node: Node, rewriter: Rewriter) -> np.ndarray:
    """The constant matrix as it is multiplied, alpha included."""
    weight = weight_of(node, rewriter)
    if node.op != "Gemm":
        return weight
    return node.float_attr("alpha", 1.0) * (weight.T if node.int_attr("transB", 0) else weight)


def compose_products(stage: Stage, second: Node, rewriter: Rewriter) -> None:
    """Plan the one product."""
    first = stage.node
    lower, upper = _matrix(first, rewriter), _matrix(second, rewriter)
    product = lower @ upper if stage.right else upper @ lower
    value = second.input(weight_index(second))
    assert value is not None
    weight = rewriter.constant(rounded(product, value.dtype, rewriter), value.name)
    x = first.inputs[1 - weight_index(first)]
    between = _lifted_bias(stage, upper, rewriter)
    outer = bias_of(second, rewriter)
    if second.op == "MatMul" and first.op == "MatMul":
        result = rewriter.op("MatMul", [x, weight] if stage.right else [weight, x], name=second.name)
        if between is not None:
            constant = rewriter.constant(rounded(between, value.dtype, rewriter), f"{second.label}.bias")
            result = rewriter.op("Add", [result, constant])
        rewriter.replace(second.output, result)
        return
    if stage.bias is not None and between is not None and between.size != between.shape[-1]:
        rewriter.refuse("what is added between is not one number per column")
    parts = [part for part in (between, outer) if part is not None]
    attributes = {"transA": first.int_attr("transA", 0) or None} if first.op == "Gemm" else {}
    if first.op == "MatMul" and (x is None or x.rank != 2):
        rewriter.refuse("the first product is not known to be of two matrices")
    inputs = [x, weight]
    if parts:
        total = rounded(np.asarray(sum(parts)), value.dtype, rewriter)
        inputs.append(rewriter.constant(total, f"{second.label}.bias"))
    rewriter.replace(second.output, rewriter.op("Gemm", inputs, attributes, name=second.name))


def _lifted_bias(stage: Stage, upper: np.ndarray, rewriter: Rewriter) -> np.ndarray | None:
    """What is added between the products, after the second one."""
    bias = bias_of(stage.node, rewriter) if stage.bias is None else elements(stage.bias, rewriter).astype(np.float64)
    if bias is None:
        return None
    if not stage.right:
        if bias.ndim < 2 or bias.shape[-2] != upper.shape[1]:
            rewriter.refuse("the bias between does not fit the second matrix")
        return np.asarray(upper @ bias)
    before, width = bias.size, upper.shape[0]
    if bias.ndim == 0 or bias.shape[-1] == 1:
        bias = np.broadcast_to(bias, (*bias.shape[:-1], width))
    lifted = bias @ upper
    if lifted.size > before + upper.shape[1]:
        rewriter.refuse("the bias would grow")
    return np.asarray(lifted)
