"""One-pass rates: exact where the rows are the whole distribution, honest where they are few."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.likelihood.factors import MechanismFactors
from dosift.likelihood.rates import family_counts, intervention_rates, variable_rate
from dosift.model import Network
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes


def exact_distribution(
    network: Network, targets: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Every configuration with its probability under a mixture."""
    codes = np.stack([a.ravel() for a in np.indices(tuple(network.cardinalities))], axis=1)
    factors = MechanismFactors(network, codes)
    return codes, factors.columns(targets) @ weights * np.exp(factors.log_base())


def test_rates_are_exact_on_the_distribution_itself() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = random_network(4, random_state=rng)
        targets, weights = random_mixture(network, 5, random_state=rng).to_codes(network)
        codes, probability = exact_distribution(network, targets, weights)
        # As many rows as make sampling errors vanish.
        for i, rate in enumerate(intervention_rates(network, codes, probability * 1e18)):
            true = [weights[targets[:, i] == a].sum() for a in range(3)]
            assert true[rate.excluded] == 0.0
            assert rate.rate == pytest.approx(sum(true), abs=1e-7)
            assert rate.value_rates == pytest.approx(true, abs=1e-7)
            assert rate.value_rates.sum() == pytest.approx(rate.rate, abs=1e-12)


def test_family_counts_are_counts_of_parents_and_state() -> None:
    network = random_network(4, random_state=2)
    rng = np.random.default_rng(0)
    codes, counts = rng.integers(0, 3, size=(50, 4)), rng.uniform(size=50)
    for i in range(4):
        expected = np.zeros(network.tables[i].shape)
        for row, count in zip(codes, counts, strict=True):
            expected[network.parent_rows(i, row[None, :])[0], row[i]] += count
        assert family_counts(network, i, codes, counts) == pytest.approx(expected)


def test_no_intervention_gives_rates_within_their_error() -> None:
    network = random_network(6, random_state=0)
    codes, _ = sample_codes(
        network, np.full((1, 6), -1), np.ones(1), 20_000, np.random.default_rng(0)
    )
    for rate in intervention_rates(network, codes, np.ones(20_000)):
        # The excluded value is the least of three, which shifts the rate up by its error or so.
        assert abs(rate.rate) < 5 * rate.std_error


def test_a_state_of_probability_zero_that_occurs_is_not_taken_for_excluded() -> None:
    rate = variable_rate(np.array([[0.5, 0.5, 0.0]]), np.array([[400.0, 400.0, 200.0]]))
    assert rate.excluded != 2
    assert rate.rate == pytest.approx(0.2)
    assert rate.value_rates[2] == pytest.approx(0.2)


def test_a_certain_variable_has_no_usable_state() -> None:
    # Each state is impossible for one of the parent's states.
    rate = variable_rate(np.eye(2), np.array([[60.0, 40.0], [0.0, 100.0]]))
    assert rate.rate == 0.0
    assert np.isnan(rate.std_error)
    assert np.isnan(rate.value_std_errors).all()


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
