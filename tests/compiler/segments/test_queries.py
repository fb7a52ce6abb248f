"""Sources and readers of intervals, on worked examples and against the numbers of random graphs."""

from __future__ import annotations

import numpy as np
import onnx.parser
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs.moving import MAPPINGS, MOVES, MovingGraph, moving_graphs, outputs_of

from planish.compiler import symbolic
from planish.compiler.graph import Node, Value
from planish.compiler.inference import infer_model
from planish.compiler.model import Model
from planish.compiler.reading import load
from planish.compiler.segments import Reach, Segment, covered, readers, sources

_RANDOM = settings(
    max_examples=100, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)  # fmt: skip


def model_of(body: str, inputs: str = "float[N,16,4,4] x") -> Model:
    head = '<ir_version: 8, opset_import: ["" : 17]>'
    model = load(onnx.parser.parse_model(f"{head} g ({inputs}) => (float[] y) {{ {body} }}"))
    infer_model(model)
    return model


def value(model: Model, name: str) -> Value:
    found = model.value_named(name)
    assert found is not None
    return found


def origins(model: Model, name: str, axis: int = 1) -> list[str]:
    return [str(s.segment) for s in sources(Segment.whole(value(model, name), axis))]


def reading(model: Model, name: str, axis: int = 1, reach: Reach = Reach.MOVES) -> list[str]:
    """'op input: stretch of the query <- segment' of each use."""
    found = []
    for use in readers(Segment.whole(value(model, name), axis), reach):
        op = use.reader.op if isinstance(use.reader, Node) else "output"
        stretch = f"{symbolic.text(use.offset)}+{symbolic.text(use.length)}"
        found.append(f"{op} {use.index}: {stretch} <- {use.segment}")
    return sorted(found)


def test_split_and_concat_in_another_order() -> None:
    model = model_of("a, b = Split <axis = 1> (x)  y = Concat <axis = 1> (b, a)")
    assert origins(model, "y") == ["x[8:16 of axis 1]", "x[0:8 of axis 1]"]


def test_parts_in_their_order_are_the_whole() -> None:
    model = model_of("a, b, c, d = Split <axis = 1> (x)  ab = Concat <axis = 1> (a, b)  y = Concat <axis = 1> (ab, c)")
    assert origins(model, "y") == ["x[0:12 of axis 1]"]


def test_symbolic_parts() -> None:
    model = model_of("c = Concat <axis = 0> (x, z)  y = Relu (c)", "float[N,4] x, float[M,4] z")
    whole = value(model, "c")
    n = symbolic.symbol("N")
    assert [str(s.segment) for s in sources(Segment(whole, 0, n, symbolic.symbol("M")))] == ["z[0:M of axis 0]"]
    assert [str(s.segment) for s in sources(Segment(whole, 0, 0, n))] == ["x[0:N of axis 0]"]


def test_an_undecided_interval_stays_where_it_is() -> None:
    model = model_of("c = Concat <axis = 0> (x, z)  y = Relu (c)", "float[N,4] x, float[M,4] z")
    assert [str(s.segment) for s in sources(Segment(value(model, "c"), 0, 0, 3))] == ["c[0:3 of axis 0]"]


def test_padding_is_made_here() -> None:
    model = model_of("p = Constant <value_ints = [0,2,0,0,0,1,0,0]> ()  q = Pad (x, p)  y = Relu (q)")
    assert origins(model, "q") == ["q[0:2 of axis 1]", "x[0:16 of axis 1]", "q[18:19 of axis 1]"]


def test_heads_are_blocks() -> None:
    body = "s = Constant <value_ints = [0,4,4,4,4]> ()  h = Reshape (x, s)  y = Transpose <perm = [1,0,2,3,4]> (h)"
    model = model_of(body)
    assert [str(s.segment) for s in sources(Segment(value(model, "y"), 0, 1, 2))] == ["x[4:12 of axis 1]"]


def test_readers_through_split_and_slice() -> None:
    body = """a, b = Split <axis = 1> (x)
              s = Constant <value_ints = [2]> ()  e = Constant <value_ints = [6]> ()  i = Constant <value_ints = [1]> ()
              c = Slice (b, s, e, i)  d = Sqrt (c)  f = Neg (a)  y = Concat <axis = 1> (d, f)"""
    model = model_of(body)
    assert reading(model, "x") == ["Neg 0: 0+8 <- a[0:8 of axis 1]", "Sqrt 0: 10+4 <- c[0:4 of axis 1]"]
    assert reading(model, "x", reach=Reach.POSITIONS) == [
        "output 0: 0+8 <- y[4:12 of axis 1]", "output 0: 10+4 <- y[0:4 of axis 1]",
    ]  # fmt: skip


def test_what_mixes_channels_ends_the_query() -> None:
    model = model_of("r = Relu (x)  p = GlobalAveragePool (r)  y = Softmax <axis = 1> (p)")
    assert reading(model, "x", reach=Reach.POSITIONS) == ["Softmax 0: 0+16 <- p[0:16 of axis 1]"]
    assert reading(model, "x", 0, Reach.POSITIONS) == ["output 0: 0+N <- y[0:N of axis 0]"]


def test_readers_in_blocks() -> None:
    body = """s = Constant <value_ints = [0,4,4,4,4]> ()  h = Reshape (x, s)
              a, b = Split <axis = 1> (h)  c = Neg (b)  y = Sqrt (c)"""
    assert reading(model_of(body), "x") == ["Neg 0: 8+8 <- b[0:2 of axis 1]"]


def test_copies_of_blocks() -> None:
    body = "c = Concat <axis = 0> (x, x)  s = Constant <value_ints = [-1,4]> ()  y = Reshape (c, s)"
    model = model_of(body, "float[3,2,4] x")
    found = sources(Segment.whole(value(model, "y"), 0))
    assert [(s.offset, s.length, str(s.segment)) for s in found] == [
        (0, 6, "x[0:3 of axis 0]"), (6, 6, "x[0:3 of axis 0]"),
    ]  # fmt: skip


def test_a_second_output_that_is_read_ends_the_query() -> None:
    model = model_of("p, i = MaxPool <kernel_shape = [2,2]> (x)  j = Cast <to = 1> (i)  y = Add (p, j)")
    assert reading(model, "x", reach=Reach.POSITIONS) == ["MaxPool 0: 0+16 <- x[0:16 of axis 1]"]


def test_covered_joins_stretches() -> None:
    model = model_of("a, b, c, d = Split <axis = 1> (x)  e = Add (a, c)  f = Neg (b)  y = Sub (e, f)")
    assert covered(readers(Segment.whole(value(model, "x"), 1)), 16) == [(0, 12)]


def _planes(array: np.ndarray, segment: Segment, sizes: dict[str, int]) -> list[float]:
    start, length = (d if isinstance(d, int) else symbolic.evaluate(d, sizes) for d in (segment.start, segment.length))
    assert start >= 0 and start + length <= array.shape[segment.axis]
    return sorted(np.take(array, range(start, start + length), segment.axis).ravel().tolist())


def _loaded(g: MovingGraph, symbols: bool) -> tuple[Model, dict[str, int]]:
    model = load(g.model(symbols))
    infer_model(model)
    return model, {f"s{size}": size for array in g.inputs.values() for size in array.shape}


def _number(dim: symbolic.Dim, sizes: dict[str, int]) -> int:
    return dim if isinstance(dim, int) else symbolic.evaluate(dim, sizes)


@pytest.mark.parametrize("symbols", [False, True], ids=["numbers", "symbols"])
@_RANDOM
@given(g=moving_graphs(), position=st.integers(0, 10), ends=st.tuples(st.integers(0, 6), st.integers(0, 6)))
def test_sources_hold_the_same_elements(
    symbols: bool, g: MovingGraph, position: int, ends: tuple[int, int]
) -> None:
    model, sizes = _loaded(g, symbols)
    for node in model.graph:
        for one in node.outputs:
            if one is None or one.shape is None or not one.shape:
                continue
            axis = position % len(one.shape)
            extent = g.arrays[one.name].shape[axis]
            start, end = sorted(min(e, extent) for e in ends)
            for asked in (Segment.whole(one, axis), Segment(one, axis, start, end - start)):
                _check_sources(g, asked, sizes)


def _check_sources(g: MovingGraph, asked: Segment, sizes: dict[str, int]) -> None:
    """Each stretch holds what its source holds, and together they are what was asked for."""
    found = sources(asked)
    begin = _number(asked.start, sizes)
    at = 0
    for source in found:
        assert _number(source.offset, sizes) == at
        length = _number(source.length, sizes)
        stretch = Segment(asked.value, asked.axis, begin + at, length)
        there = _planes(g.arrays[source.segment.value.name], source.segment, sizes)
        assert _planes(g.arrays[asked.value.name], stretch, sizes) == there
        at += length
    assert at == _number(asked.length, sizes)


@pytest.mark.parametrize("symbols", [False, True], ids=["numbers", "symbols"])
@_RANDOM
@given(g=moving_graphs((*MOVES, *MAPPINGS)), position=st.integers(0, 10))
def test_what_nobody_reads_changes_nothing(symbols: bool, g: MovingGraph, position: int) -> None:
    model, sizes = _loaded(g, symbols)
    proto = g.model(symbols)
    plain = outputs_of(proto, g.inputs)
    for name, array in g.inputs.items():
        axis = position % array.ndim
        uses = readers(Segment.whole(value(model, name), axis), Reach.POSITIONS)
        read = np.zeros(array.shape[axis], bool)
        for use in uses:
            start, length = _number(use.offset, sizes), _number(use.length, sizes)
            assert start >= 0 and start + length <= array.shape[axis]
            read[start : start + length] = True
        other = array.copy()
        other[(*(slice(None),) * axis, ~read)] += 5000
        after = outputs_of(proto, {**g.inputs, name: other})
        assert all(np.array_equal(a, b) for a, b in zip(plain, after))


@_RANDOM
@given(g=moving_graphs(), position=st.integers(0, 10))
def test_readers_get_just_these_elements(g: MovingGraph, position: int) -> None:
    model, sizes = _loaded(g, False)
    for name, array in g.inputs.items():
        axis = position % array.ndim
        for use in readers(Segment.whole(value(model, name), axis)):
            asked = Segment(value(model, name), axis, use.offset, use.length)
            mine = _planes(array, asked, sizes)
            theirs = set(_planes(g.arrays[use.segment.value.name], use.segment, sizes))
            assert theirs <= set(mine) | {0.0}
