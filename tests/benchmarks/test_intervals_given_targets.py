"""Intervals that take targets as given, as distributions over seeds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dosift.data import collapse
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes
from dosift.search.prepared import prepare

_FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def intervals() -> Any:
    if not (_FOLDER / "intervals_given_targets.py").is_file():
        pytest.skip("benchmarks/ is not there")
    sys.path.insert(0, str(_FOLDER))
    try:
        import intervals_given_targets as module
    finally:
        sys.path.remove(str(_FOLDER))
    return module


def test_standard_errors_match_the_spread_over_samples(intervals: Any) -> None:
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
        covariance = intervals.weight_covariance(fit.columns, fit.mixture, search.problem.counts)
        assert covariance.sum(axis=0) == pytest.approx(0.0, abs=1e-12)
        estimates.append(fit.weights)
        errors.append(np.sqrt(np.diag(covariance)))
    assert len(estimates) > 150
    # The relative error of a standard deviation from 200 samples is 5 %.
    assert np.std(estimates, axis=0) == pytest.approx(np.mean(errors, axis=0), rel=0.25)
    z = (np.array(estimates) - weights) / np.array(errors)
    assert abs(z.mean()) < 0.25


def test_intervals_stay_in_the_unit_interval_and_hold_the_estimate(intervals: Any) -> None:
    estimate = np.array([0.0, 1e-6, 0.3, 0.999, 1.0])
    low, high = intervals.logit_interval(estimate, np.full(5, 0.05))
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert ((low <= estimate) & (estimate <= high)).all()
    wide_low, wide_high = intervals.logit_interval(estimate, np.full(5, 0.05), level=0.99)
    assert (wide_low <= low).all()
    assert (wide_high >= high).all()


def test_covariance_of_targets_told_apart_for_certain_is_multinomial(intervals: Any) -> None:
    weights = np.array([0.5, 0.3, 0.2])
    columns = np.eye(3)
    covariance = intervals.weight_covariance(columns, columns @ weights, 1000 * weights)
    expected = (np.diag(weights) - np.outer(weights, weights)) / 1000
    assert covariance == pytest.approx(expected, abs=1e-12)


def test_one_target_has_no_error(intervals: Any) -> None:
    assert intervals.weight_covariance(np.ones((4, 1)), np.ones(4), np.ones(4)) == pytest.approx(
        0.0
    )


def test_rows_that_tell_less_give_larger_errors(intervals: Any) -> None:
    weights, counts = np.array([0.5, 0.5]), np.array([50.0, 50.0])
    errors = []
    for overlap in (0.0, 0.2, 0.5, 0.9):
        columns = np.array([[1.0, overlap], [overlap, 1.0]])
        errors.append(intervals.weight_covariance(columns, columns @ weights, counts)[0, 0])
    assert (np.diff(errors) > 0).all()


def test_an_error_of_zero_gives_the_estimate_itself(intervals: Any) -> None:
    low, high = intervals.logit_interval(np.array([0.2, 0.7]), np.zeros(2))
    assert low == pytest.approx([0.2, 0.7])
    assert high == pytest.approx([0.2, 0.7])
