"""Regions: values that must keep the same positions along an axis."""

from __future__ import annotations

import onnx.parser

from planish.compiler.graph import Node, Value
from planish.compiler.inference import infer_model
from planish.compiler.model import Model
from planish.compiler.reading import load
from planish.compiler.segments import Region, region_of


def model_of(body: str, weights: str = "", inputs: str = "float[N,16,4,4] x") -> Model:
    head = '<ir_version: 8, opset_import: ["" : 17]>'
    model = load(onnx.parser.parse_model(f"{head} g ({inputs}) => (float[] y) <{weights}> {{ {body} }}"))
    infer_model(model)
    return model


def region(model: Model, name: str, axis: int = 1) -> Region:
    value = model.value_named(name)
    assert value is not None
    found = region_of(value, axis)
    assert found is not None
    return found


def names(items: dict[Value, object] | dict[Node, object]) -> set[str]:
    return {item.name if isinstance(item, Value) else item.op for item in items}


RESIDUAL = """p = Conv (x, u)  q = Relu (p)  r = Conv <group = 4> (q, d)  s = Conv (r, v)
              t = Add (q, s)  z = MaxPool <kernel_shape = [2,2]> (t)  y = Conv (z, w)"""
WEIGHTS = "float[4,16,1,1] u, float[4,1,1,1] d, float[4,4,1,1] v, float[2,4,1,1] w"


def constants(text: str) -> str:
    """Declarations with elements, which the parser needs to make initializers of them."""
    found = []
    for declaration in text.split(", "):
        extents = [int(n) for n in declaration[declaration.index("[") + 1 : declaration.index("]")].split(",")]
        count = 1
        for extent in extents:
            count *= extent
        found.append(f"{declaration} = {{{', '.join('1' for _ in range(count))}}}")
    return ", ".join(found)


def test_a_residual_block_is_one_region() -> None:
    found = region(model_of(RESIDUAL, constants(WEIGHTS)), "q")
    assert names(found.axes) == {"p", "q", "r", "s", "t", "z"}
    assert [n.output.name for n in found.makers] != [] and names(found.makers) == {"Conv"}
    assert {n.op for n in found.through} == {"Relu", "Conv", "Add", "MaxPool"}
    assert {(r.output.name if isinstance(r, Node) else "", i) for r, i in found.uses} == {("s", 0), ("y", 0)}


def test_it_is_the_same_from_wherever_one_looks() -> None:
    model = model_of(RESIDUAL, constants(WEIGHTS))
    assert {frozenset(names(region(model, name).axes)) for name in "pqrstz"} == {frozenset("pqrstz")}


def test_parameters_with_an_entry_for_each_position() -> None:
    body = "p = BatchNormalization (x, a, a, a, a)  q = Mul (p, b)  y = Add (q, c)"
    found = region(model_of(body, constants("float[16] a, float[16,1,1] b, float[1] c")), "x")
    by_op = {node.op: places for node, places in found.parameters.items()}
    assert by_op == {"BatchNormalization": {1: 0, 2: 0, 3: 0, 4: 0}, "Mul": {1: 0}, "Add": {}}
    assert names(found.open) == {"x"}


def test_a_concat_and_a_split_end_it() -> None:
    body = "a, b = Split <axis = 1> (x)  c = Relu (a)  d = Concat <axis = 1> (c, b)  y = Relu (d)"
    found = region(model_of(body), "c")
    assert names(found.axes) == {"a", "c"} and names(found.makers) == {"Split"}
    assert [r.op for r, _ in found.uses if isinstance(r, Node)] == ["Concat"]


def test_an_operand_that_may_vary_ends_it() -> None:
    model = model_of("p = Relu (x)  y = Add (p, z)", inputs="float[N,16,4,4] x, float[A,B,C,D] z")
    assert names(region(model, "x").axes) == {"x", "p"}
    model = model_of("p = Relu (x)  y = Add (p, z)", inputs="float[N,16,4,4] x, float[A,1,C,D] z")
    assert names(region(model, "x").axes) == {"x", "p", "y"}


def test_a_value_along_two_axes_is_none() -> None:
    model = model_of("t = Transpose (x)  y = Add (x, t)", inputs="float[4,4] x")
    value = model.value_named("x")
    assert value is not None and region_of(value, 0) is None


def test_unknown_extents_and_single_positions_are_none() -> None:
    value = model_of("y = Relu (x)").value_named("x")
    assert value is not None and region_of(value, 0) is None
    value = model_of("y = Relu (x)", inputs="float[N,1] x").value_named("x")
    assert value is not None and region_of(value, 1) is None
