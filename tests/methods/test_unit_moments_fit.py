"""Fits by method 'moments' with units: through the estimator, as through the command."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import dosift
from dosift import do
from dosift.errors import InputError
from dosift.methods.unit_moments import unit_moment_estimate


def problem() -> tuple[dosift.Network, dosift.Mixture, np.ndarray, np.ndarray]:
    """A root is set to all of its states: rows, and the unit of each."""
    network = dosift.Network.from_tables(
        {"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": [[0.7, 0.3], [0.2, 0.8]]}
    )
    truth = dosift.Mixture({do(): 0.4, do(a=0): 0.3, do(a=1): 0.2, do(b=1): 0.1})
    codes, weights = truth.to_codes(network)
    rng = np.random.default_rng(0)
    rows, units = [], []
    for t, weight in enumerate(weights):
        n = round(4_000 * weight)
        one = dosift.Mixture.from_codes(network, codes[t : t + 1], np.ones(1))
        drawn = dosift.simulate(network, one, 3 * n, random_state=rng)
        rows.append(drawn.to_numpy().astype(int))
        units.append(np.arange(3 * n) % n + len(units) * 10_000)
    order = rng.permutation(12_000)
    return network, truth, np.concatenate(rows)[order], np.concatenate(units)[order]


def test_units_are_used_and_rows_alone_are_not_enough() -> None:
    network, truth, rows, units = problem()
    model = dosift.InterventionMixture(network, method="moments")
    with_units = dosift.evaluate(truth, model.fit(rows, unit=units).mixture_)
    assert with_units.recall == with_units.precision == 1.0
    assert with_units.tv < 0.05
    assert model.n_units_ == 4_000
    without = dosift.evaluate(truth, model.fit(rows).mixture_)
    assert without.tv > 0.1


def test_the_fit_is_that_of_the_arrays() -> None:
    network, _, rows, units = problem()
    model = dosift.InterventionMixture(network, method="moments").fit(rows, unit=units)
    order = np.argsort(units, kind="stable")
    first = np.flatnonzero(np.r_[True, np.diff(units[order]) > 0])
    found = unit_moment_estimate(network, rows[order], first)
    fitted, weights = model.mixture_.to_codes(network)
    assert sorted(map(tuple, fitted.tolist())) == sorted(map(tuple, found.targets.tolist()))
    np.testing.assert_allclose(np.sort(weights), np.sort(found.weights), atol=1e-9)


def test_zeros_of_a_known_network_do_no_harm() -> None:
    network = dosift.Network.from_tables(
        {"a": "01", "b": "012"},
        {"b": ["a"]},
        {"a": [0.5, 0.5], "b": [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]},
    )
    truth = dosift.Mixture({do(): 0.5, do(a=0): 0.3, do(b=2): 0.2})
    rows = pl.concat(
        [dosift.simulate(network, dosift.Mixture({t: 1.0}), 4_000, random_state=0) for t in truth]
    )
    units = np.arange(12_000) // 4
    model = dosift.InterventionMixture(network, method="moments").fit(rows, unit=units)
    assert set(model.targets_) == set(truth)
    with pytest.raises(InputError, match="needs positivity"):
        dosift.InterventionMixture(network, method="moments").fit(rows)


def test_a_learned_network() -> None:
    network, truth, rows, units = problem()
    control = dosift.simulate(network, dosift.Mixture({do(): 1.0}), 20_000, random_state=1)
    learned = dosift.learn_network([("a", "b")], control, states={"a": ["0", "1"], "b": ["0", "1"]})
    model = dosift.InterventionMixture(learned, method="moments").fit(rows, unit=units)
    assert dosift.evaluate(truth, model.mixture_).tv < 0.06


def test_units_of_one_row_are_the_plain_fit() -> None:
    network, _, rows, _ = problem()
    one = dosift.InterventionMixture(network, method="moments").fit(rows[:500])
    other = dosift.InterventionMixture(network, method="moments").fit(
        rows[:500], unit=np.arange(500)
    )
    assert one.mixture_ == other.mixture_
