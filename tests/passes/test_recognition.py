"""Operations written out in any association and order become the one operator; with another constant they do not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from planish.runtime.optimize import Result, optimize

PASSES = "(recognize-hard-sigmoid,recognize-hard-swish,recognize-gelu)*"


class Spelling:
    """Writes arithmetic on `x` down in a random way."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def op(self, kind: str, *inputs: str) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name]))
        return name

    def constant(self, number: float, shape: tuple[int, ...] | None = None) -> str:
        name = f"c{len(self.constants)}"
        shape = self.random.choice([(), (1,), (1, 1, 1)]) if shape is None else shape
        self.constants.append(numpy_helper.from_array(np.full(shape, number, np.float32), name))
        return name

    def either_order(self, kind: str, a: str, b: str) -> str:
        return self.op(kind, a, b) if self.random.random() < 0.5 else self.op(kind, b, a)

    def plus(self, value: str, number: float) -> str:
        if self.random.random() < 0.3:
            return self.op("Sub", value, self.constant(-number))
        return self.either_order("Add", value, self.constant(number))

    def times(self, value: str, number: float) -> str:
        if self.random.random() < 0.5:
            return self.op("Div", value, self.constant(1 / number))
        return self.either_order("Mul", value, self.constant(number))

    def product(self, number: float, *factors: str) -> str:
        """number * factors in any association and order; the number may be split in two."""
        values, numbers = list(factors), [number] if number != 1.0 else []
        if numbers and self.random.random() < 0.3:
            numbers = [2.0, number / 2]
        while len(values) > 1 or numbers:
            self.random.shuffle(values)
            if numbers and (len(values) == 1 or self.random.random() < 0.5):
                values.append(self.times(values.pop(), numbers.pop()))
            else:
                values.append(self.either_order("Mul", values.pop(), values.pop()))
        return values[0]

    def model(self, opset: int) -> ModelProto:
        """The model whose output is what was written last."""
        self.nodes[-1].output[0] = "y"
        inputs, outputs = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4, 8])] for name in ("x", "y")
        )
        graph = helper.make_graph(self.nodes, "g", inputs, outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def gelu(s: Spelling, root: float) -> None:
    erf = s.op("Erf", s.product(root, "x"))
    if s.random.random() < 0.3:
        s.product(1.0, s.plus(s.product(0.5, erf), 0.5), "x")
    else:
        s.product(0.5, s.plus(erf, 1.0), "x")


def tanh_gelu(s: Spelling, cubic: float) -> None:
    slope = math.sqrt(2 / math.pi)
    if s.random.random() < 0.5:
        cube = s.op("Pow", "x", s.constant(3.0)) if s.random.random() < 0.5 else s.product(1.0, "x", "x", "x")
        inner = s.product(slope, s.either_order("Add", "x", s.product(cubic, cube)))
    else:
        inner = s.product(slope, "x", s.plus(s.product(cubic, "x", "x"), 1.0))
    s.product(0.5, s.plus(s.op("Tanh", inner), 1.0), "x")


def hard_swish(s: Spelling, sixth: float) -> None:
    clipped = s.op("Clip", s.plus("x", 3.0), s.constant(0.0, ()), s.constant(6.0, ()))
    s.product(sixth, clipped, "x")


Writer = Callable[[Spelling, float], None]
FORMS: list[tuple[str, int, Writer, float, float]] = [
    ("Gelu", 20, gelu, math.sqrt(0.5), 0.7071),
    ("Gelu", 20, tanh_gelu, 0.044715, 0.0447),
    ("HardSwish", 14, hard_swish, 1 / 6, 0.1667),
]


def run(writer: Writer, number: float, seed: int, opset: int) -> Result:
    spelling = Spelling(seed)
    writer(spelling, number)
    result = optimize(spelling.model(opset), passes=PASSES, verify="each")
    assert result.parity is not None and result.parity.status == "proven"
    assert not result.held_back
    return result


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize(("op_type", "opset", "writer", "number", "_"), FORMS, ids=lambda v: getattr(v, "__name__", ""))
def test_recognized(op_type: str, opset: int, writer: Writer, number: float, _: float, seed: int) -> None:
    result = run(writer, number, seed, opset)
    assert [node.op for node in result.model.nodes()] == [op_type]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("op_type", "opset", "writer", "_", "number"), FORMS, ids=lambda v: getattr(v, "__name__", ""))
def test_another_constant(op_type: str, opset: int, writer: Writer, _: float, number: float, seed: int) -> None:
    result = run(writer, number, seed, opset)
    assert op_type not in [node.op for node in result.model.nodes()]
