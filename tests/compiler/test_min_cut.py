"""Minimum cuts against the enumeration of all cuts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planish.compiler.min_cut import FlowNetwork

Edge = tuple[int, int, int]
VERTICES = 6
EDGES = st.lists(
    st.tuples(st.integers(0, VERTICES - 1), st.integers(0, VERTICES - 1), st.integers(0, 20)), max_size=25
)


def network(edges: list[Edge]) -> FlowNetwork:
    result = FlowNetwork()
    for tail, head, capacity in edges:
        result.connect(tail, head, capacity)
    return result


def crossing(edges: list[Edge], side: set[int]) -> int:
    return sum(capacity for tail, head, capacity in edges if tail in side and head not in side)


@given(EDGES)
def test_no_cut_is_smaller(edges: list[Edge]) -> None:
    value, side = network(edges).minimum_cut(0, VERTICES - 1)
    inner = range(1, VERTICES - 1)
    cuts = [{0, *chosen} for size in range(len(inner) + 1) for chosen in itertools.combinations(inner, size)]
    assert value == min(crossing(edges, cut) for cut in cuts)
    assert crossing(edges, {v for v in side if isinstance(v, int)}) == value
    assert 0 in side and VERTICES - 1 not in side


def test_an_edge_in_both_directions_is_two_edges() -> None:
    for source, sink, expected in ((0, 1, 5), (1, 0, 2)):
        both = FlowNetwork()
        both.connect(0, 1, 5, back=2)
        assert both.minimum_cut(source, sink)[0] == expected


@pytest.mark.parametrize("length", [1, 5000])
def test_a_long_chain(length: int) -> None:
    edges = [(i, i + 1, 7 if i != length // 2 else 3) for i in range(length)]
    value, side = network(edges).minimum_cut(0, length)
    assert value == 3
    assert side == set(range(length // 2 + 1))
