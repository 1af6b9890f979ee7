"""What is said of a graph: probabilities of edges, statuses, and what would change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dosift.graphs.climb import GraphScore
from dosift.graphs.dag import EdgeConstraints, Parents, edges_of, edits
from dosift.graphs.findings import (
    GraphFindings,
    averaged_over,
    edge_probabilities,
    found_edges,
    nearest_of_the_best,
    probabilities,
    with_neighbours,
)
from known_graphs import all_graphs

GRAPHS = all_graphs(3)
FORTH: Parents = ((), (0,), (1,))
BACK: Parents = ((1,), (2,), ())
NONE: Parents = ((), (), ())


def test_probabilities_are_those_of_scores() -> None:
    scores = [-100.0, -101.0, -103.5, -119.9, -120.1, -500.0]
    found = probabilities([GraphScore(g, s) for g, s in zip(GRAPHS, scores, strict=False)])
    assert [graph for graph, _ in found] == list(GRAPHS[:4])  # within 20 nats
    shares = np.array([share for _, share in found])
    assert shares.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(np.log(shares[0] / shares[1:]), [1.0, 3.5, 19.9])


def test_scores_may_be_of_any_size() -> None:
    found = probabilities([GraphScore(FORTH, -1e9), GraphScore(BACK, -1e9 - 1.0)])
    assert found[0][1] == pytest.approx(1 / (1 + np.exp(-1.0)))


@given(st.lists(st.floats(-15, 0), min_size=1, max_size=25))
def test_an_edge_has_the_share_of_the_graphs_with_it(scores: list[float]) -> None:
    some = [GraphScore(g, s) for g, s in zip(GRAPHS, sorted(scores, reverse=True), strict=False)]
    shares = probabilities(some)
    found = edge_probabilities(shares, 3)
    for p in range(3):
        for i in range(3):
            expected = sum(share for graph, share in shares if (p, i) in edges_of(graph))
            assert found[p, i] == pytest.approx(expected)
    assert found.max() <= 1.0
    assert (found + found.T).max() <= 1.0 + 1e-9


def test_neighbours_that_were_not_visited_are_estimated() -> None:
    best = GraphScore(FORTH, -50.0)
    visited = [best, GraphScore(BACK, -52.0)]
    some = edits(FORTH, EdgeConstraints.none(3))
    gains = dict(zip([e.graph for e in some], [3.0, -1.0, -30.0, -2.0, -40.0], strict=False))
    ranked = list(gains.items())
    found = {one.graph: one.score for one in with_neighbours(visited, best, ranked)}
    assert found[FORTH] == -50.0
    assert found[BACK] == -52.0
    for graph, gain in gains.items():
        # None is better than the best by estimate alone; those far below play no part.
        assert found.get(graph) == (None if gain <= -20.0 else -50.0 + min(gain, 0.0))
    listed = with_neighbours(visited, best, ranked)
    assert [one.score for one in listed] == sorted(found.values(), reverse=True)
    again = [(graph, gain - 1.0) for graph, gain in ranked]
    twice = with_neighbours(listed, best, again)
    assert {one.graph: one.score for one in twice} == found
    # A graph that was fitted and got stuck counts by the estimate where that is higher.
    stuck = with_neighbours(visited, best, [(BACK, -0.5)])
    assert {one.graph: one.score for one in stuck}[BACK] == -50.5


def status(
    graph: Parents, given: Parents | None, fixed: bool = False, open_: float = 0.0
) -> dict[tuple[int, int], str]:
    chance = np.zeros((3, 3))
    for p, i in edges_of(graph):
        chance[p, i], chance[i, p] = 1.0 - open_, open_
    return {(e.parent, e.child): e.status for e in found_edges(graph, given, fixed, chance)}


def test_every_edge_has_a_status() -> None:
    assert status(FORTH, FORTH) == {(0, 1): "kept", (1, 2): "kept"}
    assert status(FORTH, BACK) == {(0, 1): "reversed", (1, 2): "reversed"}
    assert status(FORTH, NONE) == {(0, 1): "added", (1, 2): "added"}
    assert status(FORTH, None) == {(0, 1): "added", (1, 2): "added"}
    assert status(NONE, FORTH) == {(0, 1): "removed", (1, 2): "removed"}
    assert status(FORTH, FORTH, fixed=True) == {(0, 1): "given", (1, 2): "given"}
    assert status(NONE, None) == {}
    mixed: Parents = ((), (0,), (0,))
    assert status(mixed, ((1,), (2,), ())) == {
        (0, 1): "reversed",
        (0, 2): "added",
        (2, 1): "removed",
    }


def test_a_direction_that_is_not_sure_is_open() -> None:
    assert set(status(FORTH, FORTH, open_=0.06).values()) == {"open"}
    assert set(status(FORTH, BACK, open_=0.4).values()) == {"open"}
    assert set(status(FORTH, FORTH, open_=0.04).values()) == {"kept"}
    assert set(status(FORTH, FORTH, open_=0.4, fixed=True).values()) == {"given"}


def test_an_edge_that_may_not_be_there_is_not_open() -> None:
    """Doubt about an edge is no doubt about its direction."""
    chance = np.zeros((3, 3))
    chance[0, 1], chance[1, 0] = 0.6, 0.01
    (edge,) = found_edges(((), (0,), ()), None, False, chance)
    assert (edge.status, edge.probability) == ("added", 0.6)


def test_edges_are_listed_by_child_with_the_removed_last() -> None:
    graph: Parents = ((2,), (0, 2), ())
    found = found_edges(graph, ((), (), (1,)), False, np.full((3, 3), 0.5))
    assert [(e.parent, e.child) for e in found] == [(2, 0), (0, 1), (2, 1)]
    found = found_edges(NONE, graph, False, np.full((3, 3), 0.25))
    assert [(e.parent, e.child, e.status) for e in found] == [
        (2, 0, "removed"), (0, 1, "removed"), (2, 1, "removed"),
    ]  # fmt: skip
    assert {e.probability for e in found} == {0.25}


def test_of_graphs_as_good_the_one_nearest_to_the_given() -> None:
    scores = [GraphScore(FORTH, -10.0), GraphScore(BACK, -11.0), GraphScore(NONE, -13.0)]
    assert nearest_of_the_best(scores, None) == FORTH
    assert nearest_of_the_best(scores, BACK) == BACK
    assert nearest_of_the_best(scores, NONE) == FORTH  # three nats are not as good
    assert nearest_of_the_best(scores, FORTH) == FORTH


def test_graphs_worth_averaging_over() -> None:
    shares = [(g, s) for g, s in zip(GRAPHS, (0.5, 0.2, 0.1, 0.1, 0.05, 0.04, 0.005), strict=False)]
    found = averaged_over(shares, GRAPHS[2])
    assert found == (shares[2], *shares[:2], *shares[3:5])
    assert averaged_over(shares, GRAPHS[6])[0] == shares[6]
    assert averaged_over([(FORTH, 1.0)], FORTH) == ((FORTH, 1.0),)


def findings(targets: object, weights: object) -> GraphFindings:
    return GraphFindings(
        FORTH, FORTH, True, (), (), targets=np.array(targets), weights=np.array(weights)
    )


def test_the_change_is_the_total_variation() -> None:
    own, weights = np.array([[-1, -1, -1], [0, -1, -1]], dtype=np.int16), np.array([0.7, 0.3])
    assert findings(own, weights).change(own, weights) == 0.0
    assert findings(own[::-1], weights[::-1]).change(own, weights) == pytest.approx(0.0)
    assert findings(own, [0.6, 0.4]).change(own, weights) == pytest.approx(0.1)
    assert findings([[1, 1, 1]], [1.0]).change(own, weights) == pytest.approx(1.0)
    some = findings([[-1, -1, -1], [-1, 2, -1]], [0.5, 0.5])
    assert some.change(own, weights) == pytest.approx(0.5)
    assert GraphFindings(FORTH, FORTH, True, (), ()).change(own, weights) == 0.0


@given(st.integers(0, 2**32 - 1))
def test_the_change_by_another_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    every = rng.permutation([list(t) for t in np.ndindex(3, 3)]) - 1
    one, other = every[:4].astype(np.int16), every[rng.permutation(9)[:3]]
    a, b = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(3))
    first = {tuple(t): w for t, w in zip(one.tolist(), a, strict=True)}
    second = {tuple(t): w for t, w in zip(other.tolist(), b, strict=True)}
    expected = sum(abs(first.get(t, 0) - second.get(t, 0)) for t in {*first, *second}) / 2
    assert findings(other, b).change(one, a) == pytest.approx(expected)
