"""The names that nodes get, which the text of golden files does not show."""

from __future__ import annotations

import onnx.parser

import planish


def names_after(text: str) -> list[str]:
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 17]> {text}')
    result = planish.optimize(model, passes="name-nodes", verify="off")
    return [node.name for node in result.model.nodes()]


def test_names_are_given_where_there_are_none() -> None:
    assert names_after("g (float[3] x) => (float[3] y) { a = Relu (x)  [kept] b = Neg (a)  y = Exp (b) }") == [
        "Relu_a", "kept", "Exp_y",
    ]


def test_the_first_of_equal_names_is_kept() -> None:
    assert names_after("g (float[3] x) => (float[3] y) { [n] a = Relu (x)  [n] b = Neg (a)  [n] y = Exp (b) }") == [
        "n", "n_1", "n_2",
    ]


def test_nodes_in_bodies_have_names_of_their_own_too() -> None:
    names = names_after("""
        g (bool c, float[3] x) => (float[3] y) {
            [n] y = If (c) <then_branch = t () => (float[3] a) { [n] a = Relu (x) },
                            else_branch = e () => (float[3] b) { b = Neg (x) }>
        }""")
    assert sorted(names) == ["Neg_b", "n", "n_1"]
