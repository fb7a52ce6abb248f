"""Random control flow: nested If, Loop and Scan with constant and given conditions, sequences, and repeated nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

_UNARY = ("Neg", "Abs", "Relu", "Sin", "Identity", "Floor", "Sign")
_BINARY = ("Add", "Sub", "Mul", "Max")
Entry = tuple[str, int, list[int]]  # name, element type, shape
_FLOAT, _BOOL, _INT = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64


@dataclass
class Scope:
    """Nodes of one body, and what they may read: values of shape [3] of this and the enclosing bodies."""

    values: list[str]
    conditions: list[str]
    counts: list[str]
    nodes: list[NodeProto] = field(default_factory=list)

    def inner(self) -> Scope:
        return Scope(list(self.values), list(self.conditions), list(self.counts))


class BranchingGraph:
    """Draws a model with inputs x, z (floats of shape [3]), c (a truth value) and n (a number of iterations)."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.names = 0

    def model(self) -> ModelProto:
        """A model whose outputs are some of its values."""
        weights = [numpy_helper.from_array(np.array(a, t), name) for name, a, t in (
            ("w", [1, -2, 0.5], np.float32), ("one", [1, 1, 1], np.float32), ("zero", 0, np.float32),
            ("yes", True, np.bool_), ("no", False, np.bool_), ("n0", 0, np.int64), ("n1", 1, np.int64),
            ("n2", 2, np.int64), ("n3", 3, np.int64),
        )]  # fmt: skip
        scope = Scope(["x", "z", "w", "one"], ["c", "yes", "no"], ["n", "n0", "n1", "n2", "n3"])
        self.fill(scope, 3)
        made = [name for node in scope.nodes for name in node.output if name in scope.values]
        shown = list(dict.fromkeys([made[-1], *self.random.choice(made, 2)]))
        inputs = [helper.make_tensor_value_info(n, t, s) for n, t, s in (
            ("x", _FLOAT, [3]), ("z", _FLOAT, [3]), ("c", _BOOL, []), ("n", _INT, []),
        )]  # fmt: skip
        outputs = [helper.make_tensor_value_info(str(name), _FLOAT, [3]) for name in shown]
        graph = helper.make_graph(scope.nodes, "g", inputs, outputs, weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    def name(self) -> str:
        self.names += 1
        return f"v{self.names}"

    def pick(self, names: Sequence[str]) -> str:
        """One of the names; late ones more often."""
        position = int(len(names) * self.random.random() ** 0.6)
        return str(names[min(position, len(names) - 1)])

    def fill(self, scope: Scope, depth: int) -> None:
        """Add some nodes."""
        steps = [self.unary, self.binary, self.again, self.condition, self.sequence, self.identity]
        if depth:
            steps += [self.branch, self.branch, self.loop, self.scan]
        for _ in range(int(self.random.integers(3, 9))):
            steps[int(self.random.integers(len(steps)))](scope, depth)
        self.binary(scope, depth)

    def add(self, scope: Scope, op: str, inputs: Sequence[str], outputs: int = 1, **attributes: object) -> list[str]:
        names = [self.name() for _ in range(outputs)]
        scope.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names

    def unary(self, scope: Scope, depth: int) -> None:
        scope.values += self.add(scope, str(self.random.choice(_UNARY)), [self.pick(scope.values)])

    def identity(self, scope: Scope, depth: int) -> None:
        scope.values += self.add(scope, "Identity", [self.pick(scope.values)])

    def binary(self, scope: Scope, depth: int) -> None:
        operands = [self.pick(scope.values), str(self.random.choice([self.pick(scope.values), "one", "zero", "w"]))]
        scope.values += self.add(scope, str(self.random.choice(_BINARY)), operands)

    def again(self, scope: Scope, depth: int) -> None:
        """A node like an earlier one of this body."""
        plain = [n for n in scope.nodes if len(n.output) == 1 and n.output[0] in scope.values and not n.attribute]
        if plain:
            node = plain[int(self.random.integers(len(plain)))]
            scope.values += self.add(scope, node.op_type, node.input)

    def condition(self, scope: Scope, depth: int) -> None:
        if self.random.random() < 0.5:
            scope.conditions += self.add(scope, "Not", [self.pick(scope.conditions)])
        else:
            scope.conditions += self.add(scope, "Greater", [self.pick(scope.counts), self.pick(scope.counts)])

    def sequence(self, scope: Scope, depth: int) -> None:
        elements = [self.pick(scope.values) for _ in range(int(self.random.integers(2, 4)))]
        (made,) = self.add(scope, "SequenceConstruct", elements)
        if self.random.random() < 0.5:
            (made,) = self.add(scope, "SequenceInsert", [made, self.pick(scope.values)])
        scope.values += self.add(scope, "SequenceAt", [made, str(self.random.choice(["n0", "n1"]))])

    def body(self, scope: Scope, inputs: Sequence[Entry], first: Sequence[str], count: int) -> GraphProto:
        """A graph of the scope's nodes that hands out `first` and so many of its values."""
        chosen = [self.add(scope, "Identity", [self.pick(scope.values)])[0] for _ in range(count)]
        infos = [helper.make_tensor_value_info(*entry) for entry in inputs]
        outputs = [helper.make_tensor_value_info(name, _BOOL, []) for name in first]
        outputs += [helper.make_tensor_value_info(name, _FLOAT, [3]) for name in chosen]
        return helper.make_graph(scope.nodes, self.name(), infos, outputs)

    def branch(self, scope: Scope, depth: int) -> None:
        count = int(self.random.integers(1, 4))
        bodies = {}
        for key in ("then_branch", "else_branch"):
            inner = scope.inner()
            self.fill(inner, depth - 1)
            bodies[key] = self.body(inner, [], [], count)
        scope.values += self.add(scope, "If", [self.pick(scope.conditions)], count, **bodies)

    def loop(self, scope: Scope, depth: int) -> None:
        carried = int(self.random.integers(1, 4))
        inner = scope.inner()
        number, goes_on, *states = [self.name() for _ in range(carried + 2)]
        inner.values += states * 2
        self.fill(inner, depth - 1)
        (keep,) = self.add(inner, "Identity", [str(self.random.choice([goes_on, "yes", goes_on, "no"]))])
        inputs = [(number, _INT, []), (goes_on, _BOOL, []), *((state, _FLOAT, [3]) for state in states)]
        entries = [self.pick(scope.values) for _ in range(carried)]
        start = str(self.random.choice(["yes", "", self.pick(scope.conditions)]))
        body = self.body(inner, inputs, [keep], carried)
        scope.values += self.add(scope, "Loop", [self.pick(scope.counts), start, *entries], carried, body=body)

    def scan(self, scope: Scope, depth: int) -> None:
        inner = scope.inner()
        state, element = self.name(), self.name()
        inner.values.append(state)
        (row,) = self.add(inner, "Mul", [element, self.pick(inner.values)])
        inner.values.append(row)
        self.fill(inner, 0)
        body = self.body(inner, [(state, _FLOAT, [3]), (element, _FLOAT, [])], [], 1)
        entries = [self.pick(scope.values), self.pick(scope.values)]
        scope.values += self.add(scope, "Scan", entries, 1, body=body, num_scan_inputs=1)
