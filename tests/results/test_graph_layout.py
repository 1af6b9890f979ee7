"""The layout of causal graphs: layers, distances, and which nodes are drawn."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dosift.model.random_problems import random_network
from dosift.results.graph_layout import (
    _increasing,
    induced,
    layered_layout,
    vicinity,
    with_pairs,
)


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    n = draw(st.integers(1, 14))
    parents = [draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else set() for i in range(n)]
    places = draw(st.permutations(range(n)))
    shuffled: list[list[int]] = [[] for _ in range(n)]
    for i, row in enumerate(parents):
        shuffled[places[i]] = [places[p] for p in row]
    return shuffled


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(1, 6))
def test_any_graph_is_laid_out_legibly(parents: list[list[int]], width: int) -> None:
    layout = layered_layout(parents, width)
    assert layout.columns.min() >= 0
    for at in range(layout.n_layers):
        own = np.sort(layout.columns[layout.layers == at])
        assert 1 <= own.size <= width
        assert (np.diff(own) >= 1 - 1e-9).all()
    assert layout.routes.keys() == {(p, i) for i, row in enumerate(parents) for p in row}
    for (p, i), route in layout.routes.items():
        assert layout.layers[p] < layout.layers[i]
        assert route[0].tolist() == [layout.columns[p], layout.layers[p]]
        assert route[-1].tolist() == [layout.columns[i], layout.layers[i]]
        assert (np.diff(route[:, 1]) == 1).all()
    again = layered_layout(parents, width)
    assert (again.columns == layout.columns).all()
    assert layout.width >= layout.columns.max()


def test_edges_that_need_not_cross_do_not() -> None:
    # Two chains, given so that their order of names crosses them.
    layout = layered_layout([[], [], [1], [0]])
    assert layout.columns[2] == layout.columns[1]
    assert layout.columns[3] == layout.columns[0]


def test_an_edge_passes_beside_the_nodes_between() -> None:
    layout = layered_layout([[], [0], [1, 0]])
    route = layout.routes[0, 2]
    assert len(route) == 3
    assert abs(route[1, 0] - layout.columns[1]) > 0.5


def test_a_thousand_variables_take_a_second_or_two() -> None:
    parents = random_network(1000, graph="scale-free", n_states=2, random_state=0).parents
    begin = time.process_time()
    layout = layered_layout(parents, 12)
    assert time.process_time() - begin < 10
    assert layout.columns.size == 1000


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="cycle"):
        layered_layout([[1], [0]])


def test_no_nodes() -> None:
    layout = layered_layout([])
    assert layout.n_layers == 0
    assert layout.width == 0


def test_only_what_matters_is_drawn() -> None:
    hub = [[] if i == 0 else [0] for i in range(100)]
    assert vicinity(hub[:5], [2]) == ([0, 1, 2, 3, 4], "all")
    assert vicinity(hub, [7, 8]) == ([0, 7, 8], "neighbours")
    assert vicinity(hub, [0, 7]) == ([0, 7], "parents")
    nodes, kind = vicinity(hub, list(range(99, 10, -1)), most=20)
    assert (nodes, kind) == (list(range(80, 100)), "chosen")
    assert vicinity(hub, []) == ([], "neighbours")
    assert induced(hub, [0, 7, 8]) == [[], [0], [0]]


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=12))
def test_the_nearest_increasing_sequence(values: list[float]) -> None:
    found = _increasing(np.array(values), np.ones(len(values)))
    assert (np.diff(found) >= 0).all()
    assert found.mean() == pytest.approx(np.mean(values), abs=1e-9)
    if values == sorted(values):
        assert found.tolist() == pytest.approx(values)


@settings(max_examples=60, deadline=None)
@given(graphs(), st.data())
def test_further_edges_run_down_too(parents: list[list[int]], data: st.DataObject) -> None:
    n = len(parents)
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda e: e[0] != e[1])
    pairs = data.draw(st.lists(ends, max_size=4)) if n > 1 else []
    more = with_pairs(parents, pairs)
    assert all(set(old) <= set(new) for old, new in zip(parents, more, strict=True))
    for a, b in pairs:
        assert (a in more[b]) != (b in more[a])
    layout = layered_layout(more)  # refuses cycles
    assert len(layout.routes) == sum(map(len, more))
