"""One step of an LSTM that is written out in small operators, as exporters of unrolled recurrences leave it.

    gates = x W^T + h R^T + b      split into four parts of H columns
    c' = sigmoid(f) * c + sigmoid(i) * tanh(g)      h' = sigmoid(o) * tanh(c')

(Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000: the form of ONNX's LSTM without peepholes.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ...compiler.graph import Node, Value
from ...compiler.inference.movement import split_sizes
from ...compiler.tensor import Tensor


@dataclass(frozen=True)
class Product:
    """input @ weight, or its transpose, with a constant weight."""

    input: Value
    weight: Tensor
    transposed: bool

    def matrix(self) -> np.ndarray:
        """The weight as [inputs, outputs]."""
        array = self.weight.numpy()
        return array.T if self.transposed else array


@dataclass
class LinearSum:
    """A sum of products with constant matrices and constants. nodes: what computes the sum."""

    products: list[Product] = field(default_factory=list)
    bias: np.ndarray | None = None
    nodes: list[Node] = field(default_factory=list)

    def add_bias(self, bias: np.ndarray) -> None:
        self.bias = bias if self.bias is None else self.bias + bias


@dataclass
class Cell:
    """One step. gates: columns of the sum that are input, output, forget and cell gate, in ONNX's order i, o, f, c."""

    h: Value
    c: Value
    previous_c: Value
    hidden: int
    gates: tuple[int, int, int, int]
    linear: LinearSum
    nodes: list[Node]

    def rows(self, array: np.ndarray) -> np.ndarray:
        """Columns of a [..., 4 * hidden] array as ONNX orders the gates."""
        parts = [array[..., g * self.hidden : (g + 1) * self.hidden] for g in self.gates]
        return np.concatenate(parts, axis=-1)


def linear_sum(value: Value) -> LinearSum | None:
    """The value as a sum of MatMul and Gemm with constant weights and of constant vectors; None if it is none."""
    total = LinearSum()
    return total if _collect(value, total, alone=True) else None


def _collect(value: Value, total: LinearSum, alone: bool = False) -> bool:
    constant = value.constant
    if constant is not None:
        array = constant.numpy()
        if array.ndim == 0 or array.size != array.shape[-1]:
            return False
        total.add_bias(array.reshape(-1).astype(np.float64))
        return True
    node = value.producer
    if node is None or (not alone and len(value.uses) > 1):
        return False
    total.nodes.append(node)
    if node.op == "Add" and node.version >= 7:
        return all(v is not None and _collect(v, total) for v in node.inputs)
    return node.op in ("MatMul", "Gemm") and _product(node, total)


def _product(node: Node, total: LinearSum) -> bool:
    data, weight = node.inputs[0], node.inputs[1]
    constant = None if weight is None else weight.constant
    if data is None or data.constant is not None or constant is None or len(constant.shape) != 2 or data.rank != 2:
        return False
    transposed = False
    if node.op == "Gemm":
        if node.int_attr("transA", 0) or node.float_attr("alpha", 1.0) != 1 or node.version < 7:
            return False
        transposed = bool(node.int_attr("transB", 0))
        addend = node.input(2)
        if addend is not None and (node.float_attr("beta", 1.0) != 1 or not _collect(addend, total)):
            return False
    total.products.append(Product(data, constant, transposed))
    return True


def lstm_cells(tanhs: list[Node]) -> Iterator[Cell]:
    """Every LSTM step whose tanh of the cell state is among these nodes."""
    for node in tanhs:
        cell = _cell(node)
        if cell is not None:
            yield cell


def _cell(tanh: Node) -> Cell | None:
    state = tanh.inputs[0]
    if state is None or state.producer is None or state.producer.op != "Add":
        return None
    output = _sole_product(tanh.output)
    out_gate = None if output is None else _other(output, tanh.output, "Sigmoid")
    new = _cell_state(state.producer)
    if output is None or out_gate is None or new is None:
        return None
    forget, previous, keep, candidate = new
    parts = [_part_of(gate) for gate in (keep, out_gate, forget, candidate)]
    if any(part is None for part in parts):
        return None
    found = [part for part in parts if part is not None]
    source, hidden = found[0][0], found[0][2]
    if any(part[0] is not source or part[2] != hidden for part in found):
        return None
    places = tuple(part[1] for part in found)
    linear = linear_sum(source)
    if sorted(places) != [0, 1, 2, 3] or linear is None:
        return None
    nodes = [tanh, output, out_gate, forget, keep, candidate, state.producer, *linear.nodes]
    nodes += [v.producer for v in state.producer.inputs if v is not None and v.producer is not None]
    nodes += [gate.inputs[0].producer for gate in (keep, out_gate, forget, candidate)]  # type: ignore[union-attr,misc]
    return Cell(output.output, state, previous, hidden, places, linear, list(dict.fromkeys(nodes)))  # type: ignore[arg-type]


def _sole_product(value: Value) -> Node | None:
    node = value.sole_reader
    return node if node is not None and node.op == "Mul" and node.version >= 7 else None


def _other(product: Node, known: Value, op: str) -> Node | None:
    """The producer of the other factor, if it is this operator and nobody else reads it."""
    other = product.inputs[1] if product.inputs[0] is known else product.inputs[0]
    node = None if other is None else other.producer
    return node if node is not None and node.op == op and other is not None and len(other.uses) == 1 else None


def _cell_state(add: Node) -> tuple[Node, Value, Node, Node] | None:
    """(forget gate, previous state, input gate, candidate) of sigmoid(f) * c + sigmoid(i) * tanh(g)."""
    for first, second in ((0, 1), (1, 0)):
        kept, added = add.inputs[first], add.inputs[second]
        if kept is None or added is None or kept.sole_reader is not add or added.sole_reader is not add:
            return None
        forgetting, adding = kept.producer, added.producer
        if forgetting is None or adding is None or forgetting.op != "Mul" or adding.op != "Mul":
            return None
        candidate = _operand(adding, "Tanh")
        keep = None if candidate is None else _other(adding, candidate.output, "Sigmoid")
        forget = _operand(forgetting, "Sigmoid")
        if candidate is None or keep is None or forget is None:
            continue
        previous = forgetting.inputs[1] if forgetting.inputs[0] is forget.output else forgetting.inputs[0]
        if previous is not None:
            return forget, previous, keep, candidate
    return None


def _operand(product: Node, op: str) -> Node | None:
    """The factor that is the output of this operator and read by nobody else."""
    for value in product.inputs:
        node = None if value is None else value.producer
        if node is not None and value is not None and node.op == op and len(value.uses) == 1:
            return node
    return None


def _part_of(gate: Node) -> tuple[Value, int, int] | None:
    """(what is split, which of four parts, their width) of what a gate reads; None if it is no fourth of a matrix."""
    value = gate.inputs[0]
    node = None if value is None else value.producer
    if node is None or value is None or node.op != "Split" or len(value.uses) > 1:
        return None
    source = node.inputs[0]
    if source is None or source.shape is None or len(source.shape) != 2 or node.int_attr("axis", 0) not in (1, -1):
        return None
    sizes = split_sizes(node, source.shape[1])
    if sizes is None or len(sizes) != 4 or len(set(sizes)) != 1 or not isinstance(sizes[0], int):
        return None
    return source, value.index, sizes[0]
