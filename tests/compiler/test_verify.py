"""Every invariant notices what it is there for, and a sound model breaks none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from survival import parsed

from planish.compiler.errors import PassError
from planish.compiler.graph import Graph, Node, Value
from planish.compiler.inference import infer_model
from planish.compiler.model import Model
from planish.compiler.reading import load
from planish.compiler.tensor import Tensor
from planish.compiler.verify import INVARIANTS, verify

TEXT = """<ir_version: 10, opset_import: ["" : 21, "f" : 1]>
g (float[2] x, bool c, float[2] v) => (float[2] y, float[2] z) <float[2] w = {1, 2}, float[2] v = {3, 4}> {
    a = Add(x, w)
    b = Mul(a, v)
    y = If (c) <then_branch = t () => (float[2] p) { q = Neg(b)  p = Abs(q) },
                else_branch = e () => (float[2] r) { r = Relu(a) }>
    z = f.twice(b)
}
<domain: "f", opset_import: ["" : 21]>
twice (i) => (o) { o = Add(i, i) }
"""
Damage = Callable[[Model], None]
DAMAGES: list[tuple[str, str, Damage]] = []


def damage(invariant: str, complaint: str) -> Callable[[Damage], Damage]:
    def register(function: Damage) -> Damage:
        DAMAGES.append((invariant, complaint, function))
        return function

    return register


@pytest.fixture
def model() -> Model:
    model = load(parsed(TEXT))
    infer_model(model)
    verify(model)
    return model


def node(model: Model, op: str) -> Node:
    return next(n for n in model.nodes() if n.op == op)


def value(model: Model, name: str) -> Value:
    found = model.value_named(name)
    assert found is not None
    return found


def branch(model: Model) -> Graph:
    return node(model, "If").bodies["then_branch"]


@damage("one-producer", "does not know its producer")
def producer_forgotten(model: Model) -> None:
    value(model, "a").producer = None


@damage("one-producer", "does not know its producer")
def producer_at_another_output(model: Model) -> None:
    value(model, "a").index = 1


@damage("one-producer", "produces it")
def initializer_with_a_producer(model: Model) -> None:
    value(model, "w").producer = node(model, "Add")


@damage("at-home", "a believes to be in another graph")
def value_in_another_graph(model: Model) -> None:
    value(model, "a").graph = branch(model)


@damage("at-home", "believes to be in another graph or removed")
def node_in_another_graph(model: Model) -> None:
    node(model, "Add").graph = branch(model)


@damage("at-home", "believes to be in another graph or removed")
def removed_node_in_the_order(model: Model) -> None:
    node(model, "Add").alive = False


@damage("at-home", "another node's")
def body_of_another_node(model: Model) -> None:
    branch(model).owner = node(model, "Add")


@damage("constants", "has no tensor")
def initializer_without_a_tensor(model: Model) -> None:
    value(model, "w").tensor = None


@damage("constants", "which can have none")
def initializer_of_a_function(model: Model) -> None:
    function = next(iter(model.functions.values()))
    function.add_initializer("k", Tensor.from_array(np.zeros(2, np.float32)))


@damage("constants", "is no initializer")
def input_with_a_tensor(model: Model) -> None:
    value(model, "x").tensor = Tensor.from_array(np.zeros(2, np.float32))


@damage("uses-complete", "does not know its reader")
def reader_forgotten(model: Model) -> None:
    value(model, "w").uses.clear()


@damage("uses-complete", "does not know that it is output 1")
def output_forgotten(model: Model) -> None:
    value(model, "z").uses.clear()


@damage("uses-complete", "as a reader, which it is not")
def reader_that_is_none(model: Model) -> None:
    value(model, "x").uses[node(model, "Mul"), 0] = None


@damage("uses-complete", "as a reader, which it is not")
def reader_that_was_removed(model: Model) -> None:
    removed = Node("Neg", "", model.graph)
    removed.inputs, removed.alive = [value(model, "w")], False
    value(model, "w").uses[removed, 0] = None


@damage("uses-complete", "is listed as output 5")
def output_that_is_none(model: Model) -> None:
    value(model, "x").uses[model.graph, 5] = None


@damage("visible-inputs", "out of its scope")
def reading_from_inside_a_body(model: Model) -> None:
    node(model, "f::twice").set_input(0, next(iter(branch(model))).output)


@damage("visible-inputs", "is an output of e, but out of its scope")
def output_from_the_other_branch(model: Model) -> None:
    node(model, "If").bodies["else_branch"].set_output(0, next(iter(branch(model))).output)


@damage("topological-order", "before it is produced")
def reading_what_comes_later(model: Model) -> None:
    node(model, "Add").set_input(0, value(model, "b"))


@damage("topological-order", "before it is produced")
def capturing_what_comes_later(model: Model) -> None:
    node(model, "Neg").set_input(0, value(model, "z"))


@damage("topological-order", "output y is not produced")
def output_of_a_removed_node(model: Model) -> None:
    model.graph.unlink(node(model, "If"))


@damage("linked-order", "are counted")
def miscounted(model: Model) -> None:
    model.graph.count += 1


@damage("linked-order", "are out of order")
def equal_positions(model: Model) -> None:
    node(model, "Mul").order = node(model, "Add").order


@damage("linked-order", "are out of order")
def broken_link(model: Model) -> None:
    node(model, "Mul").previous = None


@damage("output-names", "became")
def renamed_output(model: Model) -> None:
    value(model, "y").name = "other"


@damage("output-names", "became")
def renamed_output_of_a_function(model: Model) -> None:
    next(iter(model.functions.values())).outputs[0].name = "other"


@damage("output-types", "output y of type float became int64")
def output_of_another_type(model: Model) -> None:
    value(model, "y").dtype = 7


@damage("unique-names", "used twice")
def two_values_of_one_name(model: Model) -> None:
    value(model, "a").name = "w"


@damage("unique-names", "used twice or empty")
def nameless(model: Model) -> None:
    value(model, "a").name = ""


@damage("unique-names", "in a graph around it")
def body_that_hides_a_name(model: Model) -> None:
    next(iter(branch(model))).output.name = "x"


@pytest.mark.parametrize(("invariant", "complaint", "breaks"), DAMAGES, ids=[entry[2].__name__ for entry in DAMAGES])
def test_damage_is_noticed(model: Model, invariant: str, complaint: str, breaks: Damage) -> None:
    breaks(model)
    noticed = [text for graph in model.graphs() for text in INVARIANTS[invariant](graph)]
    assert any(complaint in text for text in noticed), noticed
    with pytest.raises(PassError, match="broken invariants") as raised:
        verify(model, "the-pass")
    assert raised.value.where == "the-pass"


def test_no_invariant_is_untested() -> None:
    assert {entry[0] for entry in DAMAGES} == set(INVARIANTS)
