"""Neighbours are priced together and once, and moves are weighed by rows that are possible."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.data import collapse
from dosift.methods.enumerated import all_targets
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes
from dosift.search import pricing, problem
from dosift.search.enumeration import EnumeratedPricer
from dosift.search.moves import rank_moves
from dosift.search.prepared import prepare
from dosift.search.pricing import NeighbourPricer, Priced
from dosift.search.problem import Fit, SearchProblem


def fitted(n: int, n_rows: int, seed: int, n_kept: int = 99) -> tuple[SearchProblem, Fit]:
    """Give a problem, and the fit of some of the true targets and of none."""
    rng = np.random.default_rng(seed)
    network = random_network(n, random_state=rng)
    targets, weights = random_mixture(network, 6, random_state=rng).to_codes(network)
    codes, _ = sample_codes(network, targets, weights, n_rows, rng)
    search = prepare(network, collapse(codes, network.cardinalities))
    nothing = np.full((1, n), -1, dtype=np.int16)
    some = np.unique(np.concatenate([nothing, search.from_network(targets)[:n_kept]]), axis=0)
    return search.problem, search.problem.fit(some)


def check_prices(of: SearchProblem, fit: Fit, priced: Priced) -> None:
    columns = of.factors.columns(priced.targets) / fit.mixture[:, None]
    np.testing.assert_allclose(priced.gradient, of.counts @ columns / of.n_rows, rtol=1e-9)
    np.testing.assert_allclose(priced.curvature, of.counts @ columns**2, rtol=1e-9)


def test_near_targets_differ_in_one_variable() -> None:
    of, fit = fitted(4, 30_000, 7)
    near = EnumeratedPricer(of).near(fit)
    check_prices(of, fit, near)
    own = fit.targets.tolist()
    every = all_targets(np.asarray(of.cardinalities)).tolist()
    apart = [min(sum(a != b for a, b in zip(t, o, strict=True)) for o in own) for t in every]
    expected = {tuple(t) for t, least in zip(every, apart, strict=True) if least == 1}
    assert {tuple(target) for target in near.targets.tolist()} == expected


def test_neighbours_are_priced_once_for_each_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    of, fit = fitted(5, 3000, 2)
    priced: list[bytes] = []
    real = NeighbourPricer._extensions

    def counted(self: NeighbourPricer, bases: np.ndarray, ratio: np.ndarray) -> list[Priced]:
        priced.extend(base.tobytes() for base in bases)
        return real(self, bases, ratio)

    monkeypatch.setattr(NeighbourPricer, "_extensions", counted)
    pricer = NeighbourPricer(of)
    check_prices(of, fit, pricer.near(fit))
    check_prices(of, fit, pricer.far(fit))
    assert len(priced) == len(set(priced)) > 0
    other = of.fit(fit.targets[:3])
    check_prices(of, other, pricer.around(other, other.targets))


def test_prices_do_not_depend_on_how_many_are_summed_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of, fit = fitted(5, 3000, 3)
    whole = NeighbourPricer(of).near(fit)
    monkeypatch.setattr(pricing, "_MOST_TOGETHER", 100)
    parts = NeighbourPricer(of).near(fit)
    assert (whole.targets == parts.targets).all()
    np.testing.assert_allclose(whole.gradient, parts.gradient, rtol=1e-12)
    np.testing.assert_allclose(whole.curvature, parts.curvature, rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_moves_are_ranked_alike_by_possible_rows_and_by_all(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    of, fit = fitted(5, 3000, seed, n_kept=3)
    priced = NeighbourPricer(of).near(fit)
    found = []
    for filled in (-1.0, 1.0):
        monkeypatch.setattr(problem, "_MOST_FILLED", filled)
        found.append(rank_moves(of, fit, priced))
    assert len(found[0]) == len(found[1]) > 10
    for dense, sparse in zip(*found, strict=True):
        assert (dense.added == sparse.added).all()
        assert dense.dropped == sparse.dropped
        assert dense.promise == pytest.approx(sparse.promise, rel=1e-9, abs=1e-9)
