"""Loops and conditions become Loop and If: nested, dynamic, run backwards, and with untaken branches left alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from onnx import GraphProto, ModelProto

from .networks import differences, drawn, lifted, model_of

RECURRENT = {
    "lstm": "(float[4,2,3] x, float[2,20,3] w, float[2,20,5] r, float[2,40] b) => (float[4,2,2,5] y, float[2,2,5] h, "
    "float[2,2,5] c) { y, h, c = LSTM<hidden_size = 5, direction = \"bidirectional\">(x, w, r, b) }",
    "gru": "(float[4,2,3] x, float[1,15,3] w, float[1,15,5] r) => (float[4,1,2,5] y, float[1,2,5] h) "
    "{ y, h = GRU<hidden_size = 5, direction = \"reverse\">(x, w, r) }",
    "rnn_with_lengths": "(float[4,2,3] x, float[1,5,3] w, float[1,5,5] r) => (float[4,1,2,5] y, float[1,2,5] h) "
    "<int32[2] l = {4, 2}> { y, h = RNN<hidden_size = 5>(x, w, r, , l) }",
}
SCAN = """(float[2] s, float[5,2] x) => (float[2] f, float[5,2] y) {
  f, y = Scan<num_scan_inputs = 1, body = b (float[2] a, float[2] e) => (float[2] n, float[2] o)
    { n = Add(a, e) o = Mul(n, e) }>(s, x) }"""
COUNTED = """(float[2] x) => (float[2] y, float[3,2] z) {
  n = Constant<value = int64 {3}>() t = Constant<value = bool {1}>()
  y, z = Loop<body = b (int64 i, bool c, float[2] v) => (bool d, float[2] w, float[2] o)
    { d = Identity(c) f = Cast<to = 1>(i) w = Add(v, f) o = Mul(w, v) }>(n, t, x) }"""
WHILE = """(float x) => (float y) {
  n = Constant<value = int64 {20}>() t = Constant<value = bool {1}>()
  y = Loop<body = b (int64 i, bool c, float v) => (bool d, float w)
    { l = Constant<value_float = 10.0>() k = Constant<value_float = 2.5>() w = Add(v, k) d = Less(w, l) }>(n, t, x) }"""
NESTED_LOOPS = """(float[2] x) => (float[2] y) {
  n = Constant<value = int64 {3}>() t = Constant<value = bool {1}>()
  y = Loop<body = b (int64 i, bool c, float[2] v) => (bool d, float[2] w) {
    d = Identity(c) m = Constant<value = int64 {2}>()
    w = Loop<body = e (int64 j, bool p, float[2] u) => (bool q, float[2] r)
      { q = Identity(p) f = Cast<to = 1>(i) g = Add(u, f) r = Mul(g, x) }>(m, c, v) }>(n, t, x) }"""
CONDITION = """(bool c, float[2,3] x) => (float[2,3] y) {
  a = Mul(x, x)
  y = If<then_branch = t () => (float[2,3] p) { p = Add(a, x) },
    else_branch = e () => (float[2,3] q) { b = Exp(x) q = Sub(b, a) }>(c) }"""
NESTED_CONDITIONS = """(bool c, bool d, float[3] x) => (float[3] y) {
  y = If<then_branch = t () => (float[3] p) {
      p = If<then_branch = tt () => (float[3] r) { r = Neg(x) }, else_branch = te () => (float[3] s)
        { k = Exp(x) s = Add(k, x) }>(d) },
    else_branch = e () => (float[3] q) { q = Abs(x) }>(c) }"""
LOOP_IN_A_BRANCH = """(bool c, float[2] x) => (float[2] y) {
  y = If<then_branch = t () => (float[2] p) {
      n = Constant<value = int64 {3}>() u = Constant<value = bool {1}>()
      p = Loop<body = b (int64 i, bool g, float[2] v) => (bool h, float[2] w)
        { h = Identity(g) w = Add(v, x) }>(n, u, x) },
    else_branch = e () => (float[2] q) { q = Neg(x) }>(c) }"""
CONDITION_IN_A_LOOP = """(float[2] x) => (float[2] y) {
  n = Constant<value = int64 {4}>() t = Constant<value = bool {1}>()
  y = Loop<body = b (int64 i, bool c, float[2] v) => (bool d, float[2] w) {
    d = Identity(c) k = Constant<value = int64 {2}>() l = Less(i, k)
    w = If<then_branch = f () => (float[2] p) { p = Add(v, x) },
      else_branch = g () => (float[2] q) { q = Mul(v, x) }>(l) }>(n, t, x) }"""


def ops(graph: GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            yield from ops(attribute.g)


def both_ways(model: ModelProto) -> list[str]:
    """Differences for each choice of the conditions, and for several inputs."""
    again = lifted(model).model
    flags = [info.name for info in model.graph.input if info.type.tensor_type.elem_type == 9]
    found = []
    for choice in range(1 << len(flags)):
        feeds = drawn(model) | {name: np.array(bool(choice >> k & 1)) for k, name in enumerate(flags)}
        found += differences(model, feeds, again)
    return found


@pytest.mark.parametrize("text", RECURRENT.values(), ids=RECURRENT)
def test_recurrent_layers(text: str) -> None:
    model = model_of(text)
    assert not differences(model, drawn(model))
    assert "Loop" in set(ops(lifted(model).model.graph))


@pytest.mark.parametrize(
    "text", [SCAN, COUNTED, NESTED_LOOPS, CONDITION, NESTED_CONDITIONS, LOOP_IN_A_BRANCH, CONDITION_IN_A_LOOP],
    ids=["scan", "counted", "nested loops", "condition", "nested conditions", "loop in branch", "condition in loop"],
)  # fmt: skip
def test_bodies(text: str) -> None:
    assert not both_ways(model_of(text))


@pytest.mark.parametrize("start", [-3.0, 7.4, 7.6, 100.0])
def test_a_loop_goes_on_while_its_condition_holds(start: float) -> None:
    model = model_of(WHILE)
    assert not differences(model, {"x": np.array(start, np.float32)})


def test_what_only_one_branch_needs_is_computed_in_it() -> None:
    graph = lifted(model_of(CONDITION)).model.graph
    assert "Exp" not in {node.op_type for node in graph.node} and "Exp" in set(ops(graph))
    assert "Mul" in {node.op_type for node in graph.node}, "both branches need it"
