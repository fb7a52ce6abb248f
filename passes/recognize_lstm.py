"""recognize-lstm: an LSTM that was unrolled step by step becomes the LSTM operator."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..compiler import dtypes
from ..compiler.graph import Value
from ..compiler.graph_pass import Context, Pass
from ..compiler.inference import content_of
from ..compiler.inference.movement import normalize_axis
from ..compiler.refusal import Refusal
from ..compiler.rewriter import Rewriter
from .recognition.recurrent_cells import Cell, Product, lstm_cells
from .values.uniform_values import fill_of


@dataclass(frozen=True)
class RecognizeLstm(Pass):
    """Replace the written-out steps of an LSTM over the elements of one sequence by one LSTM node.

    Before => After
        for each t:  g = Gemm(h, r, rb) + Gemm(Gather(x, t), w, wb); i, f, c, o = Split(g)
                     c = Sigmoid(f) * c + Sigmoid(i) * Tanh(c); h = Sigmoid(o) * Tanh(c)
        =>   y = LSTM(x, w', r', b', , h0, c0); each h is Gather(y, t)

    Legal when
        At least two steps share the same constant weights, each reads the state of the one before, and their inputs
        are consecutive elements, in either direction, of one axis of a tensor of rank 3. The gates may lie in any
        order in the four parts. The cell state is read by nobody else, but for the last one. A first step whose state
        is zero may have had the product with it folded away. float32 only, which ONNX Runtime's LSTM computes.

    Pays when
        Always: each step is about 13 nodes.

    Numerics
        The same sums in another order of addition.

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; ONNX operator LSTM.
    """

    name: ClassVar[str] = "recognize-lstm"

    def run(self, context: Context, since: int) -> None:
        tanhs = context.nodes_of({"Tanh"})
        cells = {cell.h: cell for cell in lstm_cells(tanhs)}
        for chain in _chains(cells):
            self._replace(context, chain)

    def _replace(self, context: Context, chain: list[Cell]) -> None:
        anchor = chain[0].h.producer
        assert anchor is not None
        rewriter = self.rewriter(context, anchor, [node for cell in chain for node in cell.nodes])
        try:
            _plan(chain, rewriter)
        except Refusal as refusal:
            context.remark("missed", self.name, anchor, refusal.reason)
            return
        rewriter.note(f"{len(chain)} steps")
        rewriter.commit()


def _chains(cells: dict[Value, Cell]) -> list[list[Cell]]:
    """Cells that follow each other, first step first."""
    following: dict[Value, Cell] = {}
    for cell in cells.values():
        for product in cell.linear.products:
            before = cells.get(product.input)
            if before is not None and before.c is cell.previous_c and _same_weights(before, cell):
                following[product.input] = cell
    later = {id(cell) for cell in following.values()}
    chains = []
    for cell in cells.values():
        if id(cell) in later:
            continue
        chain = [cell]
        while chain[-1].h in following:
            chain.append(following[chain[-1].h])
        if len(chain) > 1:
            chains.append(chain)
    return chains


def _same_weights(before: Cell, cell: Cell) -> bool:
    """Whether two steps use the same arrays; the first may lack the product with a state of zeros."""
    if len(cell.linear.products) != 2 or (cell.gates, cell.hidden) != (before.gates, before.hidden):
        return False
    mine, theirs = ({(p.weight, p.transposed) for p in one.linear.products} for one in (cell, before))
    return bool(theirs) and theirs <= mine and _equal(before.linear.bias, cell.linear.bias)


def _equal(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))


def _plan(chain: list[Cell], rewriter: Rewriter) -> None:
    first = chain[0]
    recurrent = next(p for p in chain[1].linear.products if p.input is first.h)
    given = next(p for p in chain[1].linear.products if p is not recurrent)
    _check(chain, given.matrix(), recurrent.matrix(), rewriter)
    sequence, forward = _sequence([_reads(cell, given, rewriter) for cell in chain], rewriter)
    initial_h = _reads(first, recurrent, rewriter) if len(first.linear.products) == 2 else None
    hidden = first.hidden
    w = rewriter.constant(_as_operand(first, given.matrix()), "lstm.W")
    r = rewriter.constant(_as_operand(first, recurrent.matrix()), "lstm.R")
    bias = None
    if first.linear.bias is not None:
        rows = first.rows(first.linear.bias)
        both = np.concatenate([rows, np.zeros_like(rows)])[None].astype(np.float32)
        bias = rewriter.constant(both, "lstm.B")
    states = [_initial(value, first.h, rewriter) for value in (initial_h, first.previous_c)]
    y, _, last_c = rewriter.ops(
        "LSTM", [sequence, w, r, bias, None, *states], 3, name="lstm",
        hidden_size=hidden, direction=None if forward else "reverse",
    )  # fmt: skip
    steps = _unsqueezed(y, "Squeeze", 1, rewriter)
    for position, cell in enumerate(chain):
        time = position if forward else len(chain) - 1 - position
        index = rewriter.constant(np.array(time, np.int64), "step")
        rewriter.replace(cell.h, rewriter.op("Gather", [steps, index], axis=0))
    if _read_outside(chain[-1].c, chain[-1]):
        rewriter.replace(chain[-1].c, _unsqueezed(last_c, "Squeeze", 0, rewriter))


def _check(chain: list[Cell], weight: np.ndarray, recurrent: np.ndarray, rewriter: Rewriter) -> None:
    first = chain[0]
    if first.h.dtype != dtypes.FLOAT or weight.dtype != np.float32 or recurrent.dtype != np.float32:
        rewriter.refuse("the steps are not of type float")
    if rewriter.opset() < 7:
        rewriter.refuse("LSTM has another form before opset 7")
    if recurrent.shape != (first.hidden, 4 * first.hidden) or weight.shape[1] != 4 * first.hidden:
        rewriter.refuse("the weights do not have four gates")
    if any(cell.h.graph is not rewriter.graph for cell in chain):
        rewriter.refuse("the steps lie in different graphs")
    for cell, after in itertools.pairwise(chain):
        if _read_outside(cell.c, cell, after):
            rewriter.refuse(f"the cell state {cell.c.name} of an inner step is read")


def _read_outside(value: Value, *cells: Cell) -> bool:
    inside = {node for cell in cells for node in cell.nodes}
    return any(reader not in inside for reader, _ in value.uses)


def _reads(cell: Cell, like: Product, rewriter: Rewriter) -> Value:
    """What the weight of `like` multiplies in this step."""
    found = [p.input for p in cell.linear.products if p.weight is like.weight]
    if len(found) != 1:
        rewriter.refuse("input and state are multiplied by the same weight")
    return found[0]


def _sequence(inputs: list[Value], rewriter: Rewriter) -> tuple[Value, bool]:
    """The inputs as one tensor [steps, batch, features], and whether the steps go forward in it."""
    picks = [_pick(value) for value in inputs]
    if any(pick is None for pick in picks):
        rewriter.refuse("the inputs of the steps are not elements of one sequence")
    found = [pick for pick in picks if pick is not None]
    source, axis, _ = found[0]
    if any(pick[0] is not source or pick[1] != axis for pick in found):
        rewriter.refuse("the inputs of the steps are not elements of one sequence")
    times = [time for _, _, time in found]
    forward = times[1] > times[0]
    first, count = min(times), len(times)
    if sorted(times) != list(range(first, first + count)) or times != sorted(times, reverse=not forward):
        rewriter.refuse("the steps do not follow each other in the sequence")
    assert source.shape is not None
    sequence = source
    if first or source.shape[axis] != count:
        if rewriter.opset() < 10:
            rewriter.refuse("only a part of the sequence is read")
        bounds = [rewriter.ints([n], hint) for n, hint in ((first, "first"), (first + count, "end"), (axis, "axis"))]
        sequence = rewriter.op("Slice", [sequence, *bounds])
    if axis:
        order = [axis, *(i for i in range(3) if i != axis)]
        sequence = rewriter.op("Transpose", [sequence], perm=order)
    return sequence, forward


def _pick(value: Value) -> tuple[Value, int, int] | None:
    """(tensor of rank 3, axis, position) of a value that is one element of an axis."""
    node = value.producer
    if node is None or node.op != "Gather":
        return None
    source, indices = node.inputs[0], node.inputs[1]
    position = None if indices is None or indices.rank != 0 else content_of(indices)
    if source is None or source.shape is None or len(source.shape) != 3 or not position:
        return None
    axis = normalize_axis(node.int_attr("axis", 0), 3)
    extent = source.shape[axis]
    if not isinstance(extent, int) or not isinstance(position[0], int):
        return None
    return source, axis, position[0] % extent


def _as_operand(cell: Cell, weight: np.ndarray) -> np.ndarray:
    """A weight [inputs, 4 * hidden] as LSTM takes it: [1, 4 * hidden, inputs], gates in the order i, o, f, c."""
    return np.ascontiguousarray(cell.rows(weight).T[None])


def _initial(value: Value | None, like: Value, rewriter: Rewriter) -> Value | None:
    """An initial state [batch, hidden] with its axis of directions; None for zeros."""
    fill = fill_of(value)
    if value is None or (fill is not None and not any(fill.tobytes())):
        return None
    if value.shape != like.shape:
        rewriter.refuse(f"the initial state {value.name} is broadcast over the batch")
    return _unsqueezed(value, "Unsqueeze", 0, rewriter)


def _unsqueezed(value: Value, op: str, axis: int, rewriter: Rewriter) -> Value:
    if rewriter.opset() < 13:
        return rewriter.op(op, [value], axes=(axis,))
    return rewriter.op(op, [value, rewriter.ints([axis], "axes")])


