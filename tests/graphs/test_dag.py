"""Graphs and the graphs near them, against all graphs of four variables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dosift.graphs.dag import (
    EdgeConstraints,
    Parents,
    edges_of,
    edits,
    equivalent,
    graph_of,
    is_acyclic,
    reachable,
    together,
)
from dosift.identifiability.essential import same_essential
from known_graphs import all_graphs

N = 4
FREE = EdgeConstraints.none(N)
GRAPHS = all_graphs(N)


def constraints(rng: np.random.Generator) -> EdgeConstraints:
    """Draw what is known: a few edges forbidden, an edge required, a limit."""
    allowed = ~np.eye(N, dtype=bool) & (rng.random((N, N)) < 0.8)
    required = np.zeros((N, N), dtype=bool)
    if rng.random() < 0.7:
        p, i = rng.choice(N, size=2, replace=False)
        required[p, i] = allowed[p, i] = True
        allowed[i, p] = False
    return EdgeConstraints(allowed, required, int(rng.integers(1, 4)))


def keeps_to(graph: Parents, known: EdgeConstraints) -> bool:
    edges = edges_of(graph)
    return (
        all(known.allowed[edge] for edge in edges)
        and all((p, i) in edges for p, i in np.argwhere(known.required).tolist())
        and (known.max_parents is None or max(map(len, graph)) <= known.max_parents)
    )


def differ_by_one(one: Parents, other: Parents) -> bool:
    """Whether one edge is there or not, or turned round."""
    apart = edges_of(one) ^ edges_of(other)
    return len(apart) == 1 or (len(apart) == 2 and len({frozenset(e) for e in apart}) == 1)


def test_all_graphs_are_listed() -> None:
    assert len(GRAPHS) == len(set(GRAPHS)) == 543
    assert all(map(is_acyclic, GRAPHS))


def test_a_cycle_is_seen() -> None:
    assert not is_acyclic(((1,), (0,)))
    assert not is_acyclic(((), (3,), (1,), (2,)))


def test_what_edges_lead_to() -> None:
    for graph in GRAPHS:
        step = np.zeros((N, N), dtype=int)
        for p, i in edges_of(graph):
            step[p, i] = 1
        walks = sum(np.linalg.matrix_power(step, k) for k in range(1, N))
        np.testing.assert_array_equal(reachable(graph), walks > 0)


def test_edits_are_the_graphs_that_differ_by_one_edge() -> None:
    for graph in GRAPHS:
        found = edits(graph, FREE)
        expected = {other for other in GRAPHS if differ_by_one(graph, other)}
        assert {edit.graph for edit in found} == expected
        assert len(found) == len(expected)


def test_an_edit_says_what_it_is() -> None:
    for graph in GRAPHS:
        before = edges_of(graph)
        for edit in edits(graph, FREE):
            edge = (edit.parent, edit.child)
            after = {
                "add": before | {edge},
                "remove": before - {edge},
                "reverse": (before - {edge}) | {edge[::-1]},
            }[edit.kind]
            assert (edge in before) == (edit.kind != "add")
            assert edges_of(edit.graph) == after
            assert edit.changed == tuple(i for i in range(N) if edit.graph[i] != graph[i])
            assert edit.graph == graph_of(edit.graph)


def test_edits_keep_to_what_is_known() -> None:
    rng = np.random.default_rng(0)
    for graph in GRAPHS:
        known = constraints(rng)
        if keeps_to(graph, known):
            found = [edit.graph for edit in edits(graph, known)]
            expected = [g for g in GRAPHS if differ_by_one(graph, g) and keeps_to(g, known)]
            assert sorted(found) == sorted(expected)


def test_a_given_graph_may_have_more_parents_than_the_limit() -> None:
    crowded: Parents = ((), (), (), (0, 1, 2))
    found = edits(crowded, EdgeConstraints.none(N, 2))
    assert {(e.kind, e.parent, e.child) for e in found if e.child == 3 or e.parent == 3} == {
        (kind, p, 3) for kind in ("remove", "reverse") for p in range(3)
    }
    assert max(len(row) for e in found if e.kind == "add" for row in e.graph[:3]) <= 2


def test_equivalent_graphs_are_the_whole_class() -> None:
    for graph in GRAPHS:
        found = equivalent(graph, FREE, 1_000)
        expected = {g for g in GRAPHS if g != graph and same_essential(graph, g, [])}
        assert set(found) == expected
        assert len(found) == len(expected)


def test_equivalent_graphs_keep_to_what_is_known_and_to_the_limit() -> None:
    rng = np.random.default_rng(1)
    for graph in GRAPHS:
        known = constraints(rng)
        for most in (1, 3, 1_000):
            found = equivalent(graph, known, most)
            assert len(found) <= most
            assert graph not in found
            if keeps_to(graph, known):
                assert all(keeps_to(g, known) and same_essential(graph, g, []) for g in found)
        every = equivalent(graph, FREE, 1_000)
        assert equivalent(graph, FREE, 3) == every[:3]


@given(st.integers(0, 2**32 - 1))
def test_edits_made_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = GRAPHS[rng.integers(len(GRAPHS))]
    known = EdgeConstraints.none(N, int(rng.integers(1, 4)))
    some = edits(graph, known)
    some = [some[k] for k in rng.permutation(len(some))[:5]]
    found = together(graph, some)
    assert is_acyclic(found)
    if not some:
        assert found == graph
        return
    first, changed = some[0], {i for i in range(N) if found[i] != graph[i]}
    assert all(found[i] == first.graph[i] for i in first.changed)
    # Each edit was made as a whole, or not at all; no variable's parents changed twice.
    made = [e for e in some if all(found[i] == e.graph[i] for i in e.changed)]
    assert changed == {i for e in made for i in e.changed}


def test_edges_that_would_close_a_cycle_together_are_left_out() -> None:
    chain: Parents = ((), (), (), ())
    some = [
        e
        for e in edits(chain, FREE)
        if e.kind == "add" and (e.parent, e.child) in {(0, 1), (1, 2), (2, 0)}
    ]
    assert len(edges_of(together(chain, some))) == 2


@pytest.mark.parametrize("n", [1, 2])
def test_small_graphs(n: int) -> None:
    nothing: Parents = ((),) * n
    assert len(edits(nothing, EdgeConstraints.none(n))) == n * (n - 1)
    assert equivalent(nothing, EdgeConstraints.none(n), 5) == []
    assert not reachable(nothing).any()
