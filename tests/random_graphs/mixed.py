"""Graphs of everything: all kinds of steps, in bodies of If and Loop and in local functions too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from onnx import ModelProto, helper

from . import elementwise_steps, idiom_steps, layer_steps, movement_steps
from .typed import BOOL, F16, F32, F64, I32, I64, OPSETS, SYMBOLS, Extent, Shape, TypedGraph, Var, fixed

Step = Callable[[TypedGraph], object]
_MOST_STEPS, _MOST_INSIDE = 14, 4
_SHAPES = ((2, 4, 3), ("N", 4), (2, 4, 4, 4), ("N", 3, 4), (4,), (), ("N", "M"), (1, 4, 6, 5), (1, 6), ("N", 2, "M"),
           ("N", 4, 6, 6), (3, 1, 4), (0, 3))  # fmt: skip
_TYPES = (F32, F32, F32, F32, F32, I64, F16, BOOL, F64, I32)


def branch(g: TypedGraph) -> None:
    """An If whose branches hand out values of the same types."""
    condition = g.pick(lambda v: v.dtype == BOOL and v.rank == 0)
    if condition is None or g.chance(4):
        condition = g.constant(np.array(g.number(0, 1) == 0))
    with g.body() as nodes:
        fill(g, _MOST_INSIDE)
        chosen = g.pick(lambda v: v.static) or g.constant(g.array(F32, [4]))
        result = g.op("Identity", [chosen], chosen.shape)
        then = helper.make_graph(nodes, g.name("then"), [], [result.info()])
    with g.body() as nodes:
        fill(g, _MOST_INSIDE)
        other = g.pick(lambda v: v.dtype == chosen.dtype and v.shape == chosen.shape)
        if other is None:
            other = g.constant(g.array(chosen.dtype, [e[0] for e in chosen.shape]))
        result = g.op("Identity", [other], chosen.shape)
        otherwise = helper.make_graph(nodes, g.name("else"), [], [result.info()])
    g.op("If", [condition], chosen.shape, chosen.dtype, then_branch=then, else_branch=otherwise)


def loop(g: TypedGraph) -> None:
    """A Loop of a known number of rounds that carries a value, and perhaps collects one."""
    x = g.pick(lambda v: v.dtype in (F32, I64))
    if x is None:
        return
    trips = g.number(1, 3)
    number, goes_on = Var(g.name(), I64, ()), Var(g.name(), BOOL, ())
    carried = Var(g.name(), x.dtype, x.shape)
    with g.body([number, carried]) as nodes:
        fill(g, _MOST_INSIDE)
        kept = g.op("Identity", [goes_on], (), BOOL)
        state = g.pick(lambda v: v.dtype == x.dtype and v.shape == x.shape) or carried
        state = g.op("Identity", [state], x.shape)
        outputs = [kept.info(), state.info()]
        collected = g.pick(lambda v: v.rank < 4 and v.dtype in (F32, I64)) if g.number(0, 1) else None
        if collected is not None:
            collected = g.op("Identity", [collected], collected.shape)
            outputs.append(collected.info())
        infos = [number.info(), goes_on.info(), carried.info()]
        body = helper.make_graph(nodes, g.name("body"), infos, outputs)
    results: list[tuple[np.dtype, Shape]] = [(x.dtype, x.shape)]
    if collected is not None:
        results.append((collected.dtype, (fixed(trips), *collected.shape)))
    g.ops("Loop", [g.ints(trips), None, x], results, body=body)


def call(g: TypedGraph) -> None:
    """A call of a local function, of an earlier one too where its shapes fit again."""
    arguments = [g.pick() for _ in range(g.number(1, 2))]
    given = [Var(g.name("a"), v.dtype, v.shape) for v in arguments if v is not None]
    if not given or g.opset < 13:
        return
    with g.body(given, closed=True) as nodes:
        fill(g, _MOST_INSIDE)
        result = g.op("Identity", [g.values[-1]], g.values[-1].shape)
        wild = any(v.wild for v in g.values)
    name = g.name("Function")
    imports = [helper.make_opsetid("", g.opset), helper.make_opsetid("test.local", 1)]
    function = helper.make_function("test.local", name, [v.name for v in given], [result.name], nodes, imports)
    g.functions.append(function)
    for _ in range(g.number(1, 2)):
        returned = g.op(name, arguments, result.shape, result.dtype, domain="test.local")
        g.values[-1] = replace(returned, wild=wild)


def again(g: TypedGraph) -> None:
    """A node like an earlier one, reading the same."""
    made = [n for n in g.nodes if len(n.output) == 1 and n.op_type not in ("Constant", "If", "Loop")]
    known = {v.name: v for v in g.values}
    made = [n for n in made if n.output[0] in known]
    if made:
        node = type(made[0])()
        node.CopyFrom(g.choose(made[::-1]))
        old = known[node.output[0]]
        fresh = replace(old, name=g.name())
        node.output[0], node.name = fresh.name, f"again_{g.names}"
        g.nodes.append(node)
        g.values.append(fresh)


FLAT: tuple[Step, ...] = (
    *elementwise_steps.STEPS, *movement_steps.STEPS, *layer_steps.STEPS, *idiom_steps.STEPS, again,
)  # fmt: skip
NESTING: tuple[Step, ...] = (branch, loop, call)


JOINING: tuple[Step, ...] = (
    movement_steps.concat, movement_steps.split, movement_steps.slice_, movement_steps.gather, layer_steps.siblings,
    elementwise_steps.unary, elementwise_steps.arithmetic, movement_steps.concat, movement_steps.slice_,
    movement_steps.transpose, movement_steps.reshape, movement_steps.unsqueeze, elementwise_steps.cast,
)  # fmt: skip


def _kinds(g: TypedGraph) -> tuple[Step, ...]:
    """All kinds of steps, or so few that each meets itself and the others often."""
    return FLAT if g.number(0, 2) == 0 else tuple(g.choose(FLAT) for _ in range(g.number(2, 7)))


@st.composite
def _step(draw: Callable, g: TypedGraph, last: bool) -> bool:
    """One step; False if it is time to stop. A draw of its own, so that a shrinking graph can lose it whole."""
    g.draw = draw
    number = g.number(0, 47)
    if number == 0 and not last:
        return False
    nested = number > 44 and g.depth < 2
    g.choose(NESTING if nested else g.kinds)(g)
    return True


def fill(g: TypedGraph, most: int) -> None:
    """Some steps, at most so many."""
    outer = g.draw
    for _ in range(most):
        going_on = outer(_step(g, False))
        g.draw = outer
        if not going_on:
            break


def _extents(shape: Sequence[int | str]) -> tuple[Extent, ...]:
    return tuple(SYMBOLS[e] if isinstance(e, str) else fixed(e) for e in shape)


@st.composite
def mixed_graphs(draw: Callable, steps: int = _MOST_STEPS) -> ModelProto:
    """A model of one to three inputs."""
    g = TypedGraph(draw)
    g.opset, g.kinds = g.choose(OPSETS), _kinds(g)
    return _model(g, steps)


@st.composite
def joined_graphs(draw: Callable, steps: int = 8) -> ModelProto:
    """A model in which values part and come together: Concat, Split, Slice and Gather along all axes."""
    g = TypedGraph(draw)
    g.opset, g.kinds = g.choose(OPSETS), JOINING
    return _model(g, steps)


def _model(g: TypedGraph, steps: int) -> ModelProto:
    for index in range(g.number(1, 3)):
        g.add_input(f"x{index}", g.choose(_TYPES), _extents(g.choose(_SHAPES)))
    if g.chance(4):
        g.add_input("decides", BOOL, ())
    fill(g, steps)
    return g.model()
