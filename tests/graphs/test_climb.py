"""The climb over graphs: from control rows alone, and with the mixture."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

import dosift
from dosift.data.configurations import collapse
from dosift.data.load import load
from dosift.graphs.climb import GraphClimber, from_control_rows
from dosift.graphs.dag import EdgeConstraints, Parents, edges_of, edits, equivalent
from dosift.graphs.families import TableFamilies
from dosift.graphs.fits import GraphFitter
from dosift.identifiability.essential import same_essential
from dosift.model.network import Network
from dosift.search.constraints import Constraints
from known_graphs import NOTHING, Problem, all_graphs, parents_of, problem

N = 4
FREE = EdgeConstraints.none(N)
EMPTY: Parents = ((),) * N
#: Tables are so uneven that many control rows tell every edge.
STRONG = 60_000


@cache
def known(seed: int) -> Network:
    return dosift.random_network(
        N, n_edges=4, max_parents=2, shuffle=True, concentration=0.7, random_state=seed
    )


def families(network: Network, control: object, order: object = None) -> TableFamilies:
    """Control rows in an order of their columns; no mixture rows."""
    names = list(network.names) if order is None else list(order)  # type: ignore[call-overload]
    learned = dosift.learn_network([], control.select(names))  # type: ignore[attr-defined]
    assert learned.names == tuple(names)
    nothing: NDArray[np.int16] = np.zeros((0, len(names)), dtype=np.int16)
    return TableFamilies(learned, collapse(nothing, learned.cardinalities))


def score(rows: TableFamilies, graph: Parents) -> float:
    return sum(rows.control_score(i, row) for i, row in enumerate(graph))


@pytest.mark.parametrize("seed", range(6))
def test_many_control_rows_tell_the_class(seed: int) -> None:
    network = known(seed)
    rows = families(network, dosift.simulate(network, NOTHING, STRONG, seed))
    found = from_control_rows(rows, FREE, EMPTY, patience=60)
    # The best of all graphs, and that is the class of the true one.
    best = max(score(rows, graph) for graph in all_graphs(N))
    assert score(rows, found) == pytest.approx(best)
    assert same_essential(found, network.parents, [])


@pytest.mark.slow
def test_control_rows_mostly_tell_the_class_soon() -> None:
    """With the patience that it has by default."""
    found = 0
    for seed in range(100):
        network = known(seed)
        rows = families(network, dosift.simulate(network, NOTHING, 10_000, seed))
        best = max(score(rows, graph) for graph in all_graphs(N))
        found += score(rows, from_control_rows(rows, FREE, EMPTY)) > best - 1e-6
    assert found >= 93


@pytest.mark.parametrize("seed", range(4))
def test_neither_order_nor_names_change_the_class(seed: int) -> None:
    network = known(seed)
    control = dosift.simulate(network, NOTHING, 2_000, seed)
    found = from_control_rows(families(network, control), FREE, EMPTY)
    rng = np.random.default_rng(seed)
    shuffled = control.sample(fraction=1.0, shuffle=True, seed=seed)
    assert from_control_rows(families(network, shuffled), FREE, EMPTY) == found
    for _ in range(3):
        order = rng.permutation(N).tolist()
        names = [network.names[i] for i in order]
        other = from_control_rows(families(network, control, names), FREE, EMPTY)
        back: list[tuple[int, ...]] = [()] * N
        for k, row in enumerate(other):
            back[order[k]] = tuple(sorted(order[p] for p in row))
        assert same_essential(tuple(back), found, [])


def test_control_rows_keep_to_what_is_known() -> None:
    network = known(0)
    rows = families(network, dosift.simulate(network, NOTHING, 5_000, 0))
    edge = next(iter(edges_of(parents_of(network))))
    required = np.zeros((N, N), dtype=bool)
    required[edge[::-1]] = True
    allowed = ~np.eye(N, dtype=bool)
    allowed[edge] = False
    start = tuple(tuple(np.flatnonzero(column).tolist()) for column in required.T)
    found = from_control_rows(rows, EdgeConstraints(allowed, required, 1), start)
    assert edge[::-1] in edges_of(found)
    assert max(map(len, found)) == 1
    nothing = EdgeConstraints(np.zeros((N, N), dtype=bool), np.zeros((N, N), dtype=bool))
    assert from_control_rows(rows, nothing, EMPTY) == EMPTY


def test_patience_passes_through_valleys() -> None:
    """A variable that is the parity of two others depends on neither alone."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(2, size=(2, 4_000))
    c = np.where(rng.random(4_000) < 0.95, a ^ b, 1 - (a ^ b))
    control = {"a": a, "b": b, "c": c}
    learned = dosift.learn_network([], control)
    nothing = collapse(np.zeros((0, 3), dtype=np.int16), learned.cardinalities)
    rows = TableFamilies(learned, nothing)
    free = EdgeConstraints.none(3)
    assert len(edges_of(from_control_rows(rows, free, ((),) * 3, patience=1))) == 0
    assert len(edges_of(from_control_rows(rows, free, ((),) * 3))) == 2


def climber(made: Problem, edges: EdgeConstraints, names: list[str] | None = None) -> GraphClimber:
    learned = dosift.learn_network([], made.control.select(names or made.network.names))
    block = load(made.rows, learned).rows.whole
    rows = collapse(block.values, learned.cardinalities, block.counts)
    fitter = GraphFitter(TableFamilies(learned, rows), Constraints.none(learned.cardinalities))
    return GraphClimber(fitter, edges, lambda stage, done, total: None)


def targets_of(made: Problem) -> list[list[int]]:
    at = made.network.positions
    return [[at[name] for name in dict(target)] for target in made.mixture]


@pytest.mark.parametrize("seed", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_climb_ends_at_the_true_graph(seed: int) -> None:
    made = problem(seed, n=N, n_rows=3_000, n_edges=4, n_targets=3)
    found = climber(made, FREE)
    best = found.climb(EMPTY)
    assert same_essential(best.graph, made.parents, targets_of(made))
    # Nothing that was visited is better, and each was kept by its best fit.
    scores = [one.score for one in found.visited]
    assert scores == sorted(scores, reverse=True)
    assert best.score == pytest.approx(scores[0], abs=0.2)
    assert len({one.graph for one in found.visited}) == len(scores)
    for one in found.visited:
        assert found.fit_of(one.graph).score == one.score
    before = best.score
    finished = found.finished()
    assert finished.score >= before - 1e-9
    assert same_essential(finished.graph, made.parents, targets_of(made))
    # Asked for again, nothing is fitted again.
    assert found.in_full(finished.graph) is found.fit_of(finished.graph)
    assert found.by_splitting(EMPTY) is found.fit_of(EMPTY)


@pytest.mark.long
def test_a_climb_keeps_to_what_is_known() -> None:
    made = problem(1, n=N, n_rows=1_000, n_edges=4, n_targets=3)
    edge = next(iter(sorted(edges_of(made.parents))))
    allowed = ~np.eye(N, dtype=bool)
    allowed[edge] = False
    known = EdgeConstraints(allowed, np.zeros((N, N), dtype=bool), 2)
    found = climber(made, known)
    found.climb(EMPTY)
    found.finished()
    for one in found.visited:
        assert edge not in edges_of(one.graph)
        assert max(map(len, one.graph)) <= 2


@pytest.mark.slow
def test_a_climb_does_not_depend_on_the_order_of_variables() -> None:
    made = problem(2, n=N, n_rows=1_500, n_edges=4, n_targets=3)
    names = list(made.network.names)
    one = climber(made, FREE)
    one.climb(EMPTY)
    other = climber(made, FREE, names[::-1])
    other.climb(EMPTY)
    first, second = one.finished(), other.finished()
    assert first.score == pytest.approx(second.score, abs=0.5)
    back = tuple(tuple(sorted(N - 1 - p for p in second.graph[N - 1 - i])) for i in range(N))
    assert same_essential(first.graph, back, targets_of(made))


def test_edits_are_ranked_by_their_quick_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    made = problem(0, n=N, n_rows=1_000)
    found = climber(made, FREE)
    fit = found.by_splitting(EMPTY)
    ranked = found.ranked(fit)
    gains = [gain for _, gain in ranked]
    assert gains == sorted(gains, reverse=True)
    assert len(ranked) == len(edits(EMPTY, FREE))
    # Where there are many, few steps sift them first.
    monkeypatch.setattr("dosift.graphs.climb._MANY_EDITS", 5)
    monkeypatch.setattr("dosift.graphs.climb._RANKED", 4)
    again = climber(made, FREE)
    few = again.ranked(again.by_splitting(EMPTY))
    assert len(few) == 4
    assert few[0][0] == ranked[0][0]


def test_a_start_is_chosen_among_equivalent_graphs() -> None:
    """Splitting under the true graph scores higher than under graphs of the same class."""
    made = problem(0, n=N, n_rows=1_000)
    found = climber(made, FREE)
    others = equivalent(made.parents, FREE, 60)
    starts = found.starts(others[-1])
    assert len(others) > 1
    assert len(starts) == 2
    scores = [found.fit_of(graph).score for graph in [made.parents, *others]]
    assert [found.fit_of(graph).score for graph in starts] == sorted(scores, reverse=True)[:2]


def test_equivalents_are_ranked() -> None:
    made = problem(0, n=N, n_rows=1_000)
    found = climber(made, FREE)
    fit = found.by_splitting(made.parents)
    ranked = found.ranked_equivalents(fit)
    some = [graph for graph, _ in ranked]
    assert all(same_essential(graph, made.parents, []) for graph in some)
    assert made.parents not in some
    gains = [gain for _, gain in ranked]
    assert gains == sorted(gains, reverse=True)
    assert found.ranked_equivalents(found.by_splitting(EMPTY)) == []
