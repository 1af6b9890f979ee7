"""Standard errors, intervals and one-pass rates, as distributions over seeds."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.inference import logit_interval, weight_covariance
from dosift.network import Network
from dosift.random_problems import random_mixture, random_network
from dosift.rates import intervention_rates, variable_rate
from dosift.rows import collapse
from dosift.search.engine import prepare
from dosift.simulation import sample_codes


def test_standard_errors_match_the_spread_over_samples() -> None:
    rng = np.random.default_rng(5)
    network = random_network(4, random_state=rng)
    targets, weights = random_mixture(network, 3, random_state=rng).to_codes(network)
    estimates, errors = [], []
    for _ in range(200):
        codes, _ = sample_codes(network, targets, weights, 4000, rng)
        search = prepare(network, collapse(codes, network.cardinalities))
        wanted = search.from_network(targets)
        fit = search.problem.fit(wanted)
        if fit.weights.size < len(weights):
            continue
        covariance = weight_covariance(fit.columns, fit.mixture, search.problem.counts)
        assert covariance.sum(axis=0) == pytest.approx(0.0, abs=1e-12)
        estimates.append(fit.weights)
        errors.append(np.sqrt(np.diag(covariance)))
    assert len(estimates) > 150
    # The relative error of a standard deviation from 200 samples is 5 %.
    assert np.std(estimates, axis=0) == pytest.approx(np.mean(errors, axis=0), rel=0.25)
    z = (np.array(estimates) - weights) / np.array(errors)
    assert abs(z.mean()) < 0.25


def test_intervals_stay_in_the_unit_interval_and_hold_the_estimate() -> None:
    estimate = np.array([0.0, 1e-6, 0.3, 0.999, 1.0])
    low, high = logit_interval(estimate, np.full(5, 0.05))
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert ((low <= estimate) & (estimate <= high)).all()
    wide_low, wide_high = logit_interval(estimate, np.full(5, 0.05), level=0.99)
    assert (wide_low <= low).all()
    assert (wide_high >= high).all()


def test_one_pass_rates_have_right_errors_and_the_stated_bias() -> None:
    z = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        network = random_network(5, random_state=rng)
        targets, weights = random_mixture(network, 4, random_state=rng).to_codes(network)
        codes, _ = sample_codes(network, targets, weights, 5000, rng)
        for i, rate in enumerate(intervention_rates(network, codes, np.ones(5000))):
            for a in range(3):
                true = weights[targets[:, i] == a].sum()
                if a != rate.excluded and rate.value_std_errors[a] > 0:
                    z.append((rate.value_rates[a] - true) / rate.value_std_errors[a])
    values = np.array(z)
    assert values.size > 500
    # Choosing the least of several excluded values puts rates up by a third of their error.
    assert 0.0 < np.median(values) < 0.5
    assert 0.8 < np.quantile(np.abs(values), 0.68) < 1.3


def test_a_state_that_is_absent_by_chance_is_no_sign_of_an_intervention() -> None:
    rate = variable_rate(np.array([[0.5, 0.499, 0.001]]), np.array([[250.0, 250.0, 0.0]]))
    assert rate.excluded != 2
    assert rate.rate < 0.05


def test_a_variable_that_cannot_be_judged_has_no_error() -> None:
    network = Network.from_tables({"a": ["0"]}, {}, {"a": [1.0]})
    (rate,) = intervention_rates(network, np.zeros((5, 1), dtype=int), np.ones(5))
    assert rate.rate == 0.0
    assert np.isnan(rate.std_error)
