"""Fits of one graph, and quick gains of edits, against the score written out."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

import dosift
from dosift.data.configurations import collapse
from dosift.data.load import load
from dosift.graphs.dag import EdgeConstraints, Edit, Parents, edits
from dosift.graphs.families import TableFamilies
from dosift.graphs.fits import GraphFitter
from dosift.graphs.graph_fit import GraphFit
from dosift.search.constraints import Constraints
from known_graphs import Problem, parents_of, problem

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@cache
def fitter(seed: int, n_rows: int = 1_500) -> tuple[Problem, GraphFitter]:
    made = problem(seed, n=4, n_rows=n_rows, n_targets=4)
    learned = dosift.learn_network(made.edges, made.control)
    return made, fitter_of(learned, made)


def fitter_of(network: dosift.Network, made: Problem) -> GraphFitter:
    block = load(made.rows, network).rows.whole
    rows = collapse(block.values, network.cardinalities, block.counts)
    return GraphFitter(TableFamilies(network, rows), Constraints.none(network.cardinalities))


def graph_and_targets(made: Problem, fitter: GraphFitter) -> tuple[Parents, Ints]:
    """The true graph and targets, in the order of the learned network."""
    network = fitter.families.network(tuple(() for _ in range(fitter.families.n_variables)))
    learned = dosift.learn_network(made.edges, made.control)
    assert learned.names == network.names
    targets = [
        [v.states.index(t[v.name]) if v.name in t else -1 for v in network.variables]
        for t in map(dict, made.mixture)
    ]
    return parents_of(learned), np.array(targets, dtype=np.int16)


def score_of(made: Problem, fitter: GraphFitter, fit: GraphFit) -> float:
    """The joint penalised log-likelihood, from rows of names one by one."""
    families = fitter.families
    network = families.network(fit.graph)
    own = network.control
    assert own is not None
    states = [v.states for v in network.variables]

    def codes(frame: object) -> list[list[int]]:
        lines = frame.select(network.names).rows()  # type: ignore[attr-defined]
        return [[s.index(str(x)) for s, x in zip(states, line, strict=True)] for line in lines]

    def factor(i: int, row: list[int]) -> float:
        table = fit.families[i].table.reshape([*(len(states[p]) for p in fit.graph[i]), -1])
        return float(table[(*(row[p] for p in fit.graph[i]), row[i])])

    def density(row: list[int]) -> float:
        total = 0.0
        for target, weight in zip(fit.targets.tolist(), fit.weights.tolist(), strict=True):
            p = weight
            for i, a in enumerate(target):
                p *= factor(i, row) if a < 0 else float(row[i] == a)
            total += p
        return total

    control, rows = codes(made.control), codes(made.rows)
    value = sum(np.log(factor(i, row)) for row in control for i in range(len(row)))
    value += sum(np.log(density(row)) for row in rows)
    n_free = 0
    for family in fit.families:
        k = family.table.shape[1]
        value += own.prior * float(np.log(family.table * k).sum())
        n_free += family.table.shape[0] * (k - 1)
    # The description length of targets: see the search's own tests.
    n_rows = len(rows)
    cost = Constraints.none(network.cardinalities).score(n_rows, network.libraries)
    return float(value - cost.total(fit.targets) - 0.5 * np.log(len(control) + n_rows) * n_free)


@pytest.mark.parametrize("seed", range(3))
def test_the_score_is_that_of_the_definition(seed: int) -> None:
    made, fits = fitter(seed, 400)
    graph, targets = graph_and_targets(made, fits)
    nothing: Parents = ((),) * 4
    for fit in (fits.between(graph, targets), fits.cold(graph), fits.between(nothing, targets)):
        assert fit.weights.sum() == pytest.approx(1.0)
        assert fit.score == pytest.approx(score_of(made, fits, fit), rel=1e-9)


def stopped(fits: GraphFitter, fit: GraphFit, steps: int) -> GraphFit:
    """Make some more steps of EM from a fit, however little they bring."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dosift.graphs.fits._EM_STEPS", steps + 1)
        patch.setattr("dosift.graphs.fits._EM_RISE", -np.inf)
        return fits.between(fit.graph, fit.targets, fit.weights, fit.families)


@pytest.mark.parametrize("seed", range(3))
def test_steps_of_em_never_lower_the_score(seed: int) -> None:
    made, fits = fitter(seed)
    graph, targets = graph_and_targets(made, fits)
    rng = np.random.default_rng(seed)
    for own in (graph, ((),) * 4, *(e.graph for e in edits(graph, EdgeConstraints.none(4))[:3])):
        weights = rng.dirichlet(np.ones(len(targets)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dosift.graphs.fits._EM_STEPS", 1)
            now = fits.between(own, targets, weights)
        for _ in range(8):
            further = stopped(fits, now, 1)
            assert further.score >= now.score - 1e-7
            now = further
        whole = fits.between(own, targets, weights)
        assert whole.score >= now.score - 2.0


def test_from_a_fit_it_only_rises() -> None:
    made, fits = fitter(0)
    graph, targets = graph_and_targets(made, fits)
    fit = fits.between(graph, targets)
    assert fits.between(graph, targets, fit.weights, fit.families).score >= fit.score - 1e-9
    for edit in edits(graph, EdgeConstraints.none(4)):
        near = fits.warm(edit.graph, fit)
        assert near.graph == edit.graph
        assert near.weights.sum() == pytest.approx(1.0)
        assert near.score == pytest.approx(
            fits.between(near.graph, near.targets, near.weights, near.families).score, abs=2.0
        )


def full_gain(fits: GraphFitter, fit: GraphFit, graph: Parents) -> float:
    """What an edit gains with the same targets when everything is learned anew, to the end."""
    return stopped(fits, fits.between(graph, fit.targets, fit.weights), 200).score - fit.score


@pytest.mark.parametrize("seed", range(4))
def test_a_quick_gain_is_no_more_than_that_of_a_full_fit(seed: int) -> None:
    made, fits = fitter(seed)
    graph, targets = graph_and_targets(made, fits)
    fit = stopped(fits, fits.between(graph, targets), 200)
    for edit in edits(graph, EdgeConstraints.none(4)):
        quick = fits.gains.quick_gain(fit, edit.graph, edit.changed)
        full = full_gain(fits, fit, edit.graph)
        assert quick <= full + 0.5
        assert quick >= full - 0.3 * abs(full) - 5.0  # the other families stay as they are
    gains = fits.gains.quick_gains(fit, edits(graph, EdgeConstraints.none(4)))
    assert gains.max() < 0.0  # the true graph is the best


def test_hopeless_edits_take_few_steps_and_stay_hopeless(monkeypatch: pytest.MonkeyPatch) -> None:
    made, fits = fitter(0)
    graph, targets = graph_and_targets(made, fits)
    fit = stopped(fits, fits.between(graph, targets), 200)
    some = edits(graph, EdgeConstraints.none(4))
    in_full = fits.gains.quick_gains(fit, some)
    calls: list[int] = []
    learned = fits.families.learned
    monkeypatch.setattr(fits.families, "learned", lambda i, *a: calls.append(i) or learned(i, *a))
    fits.gains.quick_gains(fit, some)
    every = len(calls)
    hopeless = float(np.median(in_full)) + 1e-6
    quick = fits.gains.quick_gains(fit, some, hopeless=hopeless)
    assert len(calls) - every < every
    better = in_full > hopeless
    np.testing.assert_allclose(quick[better], in_full[better])
    assert (quick[~better] <= hopeless).all()


def test_the_quick_gain_of_the_same_graph_is_nothing() -> None:
    made, fits = fitter(1)
    graph, targets = graph_and_targets(made, fits)
    fit = stopped(fits, fits.between(graph, targets), 300)
    for changed in ((0,), (1, 2), tuple(range(4))):
        assert fits.gains.quick_gain(fit, graph, changed) == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("seed", range(6))
def test_a_dropped_edge_is_the_first_that_is_asked_for(seed: int) -> None:
    made, fits = fitter(seed)
    graph, targets = graph_and_targets(made, fits)
    strength = {
        (p, i): fits.families.dependence(i, p, tuple(q for q in row if q != p))
        for i, row in enumerate(graph)
        for p in row
    }
    p, i = min(strength, key=lambda edge: (strength[edge], edge))
    without = tuple(tuple(q for q in row if (q, k) != (p, i)) for k, row in enumerate(graph))
    fit = fits.between(without, targets)
    some = edits(without, EdgeConstraints.none(4))
    gains = fits.gains.quick_gains(fit, some)
    best = some[int(gains.argmax())]
    assert gains.max() > 10.0
    assert {best.parent, best.child} == {p, i}
    few = fits.gains.quick_gains(fit, some, 3)
    again: Edit = some[int(few.argmax())]
    assert {again.parent, again.child} == {p, i}


def test_required_targets_are_never_pruned() -> None:
    made, fits = fitter(2)
    graph, targets = graph_and_targets(made, fits)
    absent = next(row for row in np.ndindex(3, 3, 3, 3) if list(row) not in targets.tolist())
    known = replace(Constraints.none(np.full(4, 3)), required=np.array([absent], dtype=np.int16))
    bound = GraphFitter(fits.families, known)
    both = np.concatenate([targets, [absent]]).astype(np.int16)
    fit = bound.warm(graph, bound.between(graph, both))
    assert list(absent) in fit.targets.tolist()


def test_forbidden_targets_never_come_in() -> None:
    made, fits = fitter(2)
    graph, targets = graph_and_targets(made, fits)
    real = next(t for t in targets.tolist() if max(t) >= 0)
    known = replace(Constraints.none(np.full(4, 3)), forbidden=np.array([real], dtype=np.int16))
    fit = GraphFitter(fits.families, known).cold(graph)
    assert real not in fit.targets.tolist()


def test_targets_keep_to_the_size() -> None:
    made, fits = fitter(3)
    graph, _ = graph_and_targets(made, fits)
    fit = GraphFitter(fits.families, fits.constraints, max_size=1).cold(graph)
    assert (fit.targets >= 0).sum(axis=1).max() == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_fit_from_scratch_finds_the_targets(seed: int) -> None:
    made, fits = fitter(seed, 6_000)
    graph, targets = graph_and_targets(made, fits)
    fit = fits.cold(graph)
    strong = [t for t, w in zip(targets.tolist(), made.mixture.weights, strict=True) if w > 0.1]
    assert all(t in fit.targets.tolist() for t in strong)
    assert fit.score >= fits.between(graph, targets).score - 20.0
