"""The M step of a chain: the likeliest rate and weights, against an optimiser."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from dosift.chain.fit import (
    LARGEST_RATE,
    LEAST_RATE,
    LEAST_WEIGHT,
    ChainFit,
    _best_rate,
    _distance,
    _Exposures,
    _extrapolated,
    _Space,
    _step,
    fit_chain,
    on_simplex,
)
from dosift.chain.rows import ChainRows
from dosift.chain.smooth import sum_chain

NAN = np.nan


def exposures(times: list[float], numbers: list[float]) -> _Exposures:
    return _Exposures(
        np.array(times), np.zeros(0, dtype=int), np.zeros(0, dtype=bool), np.array(numbers)
    )


@pytest.mark.parametrize("begin", [1e-6, 0.1, 9.0])
def test_the_rate_is_the_one_under_which_switches_are_most_probable(begin: float) -> None:
    times, numbers = [0.5, 1.0, 4.0, 300.0], [40.0, 100.0, 10.0, 2.0]
    switched = np.array([3.0, 22.0, 6.0, 1.9])

    def loss(x: float) -> float:
        u = np.exp(x) * np.array(times)
        return -float(switched @ np.log(-np.expm1(-u)) - (np.array(numbers) - switched) @ u)

    bounds = (np.log(LEAST_RATE), np.log(LARGEST_RATE))
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-10})
    found = _best_rate(begin, exposures(times, numbers), switched)
    assert found == pytest.approx(np.exp(best.x), rel=1e-5)


def test_the_rate_stays_within_bounds() -> None:
    every, none = np.array([10.0]), np.array([0.0])
    assert _best_rate(0.1, exposures([1.0], [10.0]), none) == pytest.approx(LEAST_RATE, rel=1e-6)
    assert _best_rate(0.1, exposures([1.0], [10.0]), every) == pytest.approx(LARGEST_RATE, rel=1e-6)


def test_times_are_counted_where_a_chain_goes_on() -> None:
    exposure = np.array([np.inf, 1.0, 2.0, 1.0, np.inf, 2.0])
    rows = ChainRows.of(np.eye(2), np.zeros(6, dtype=int), exposure, n_parts=2)
    found = _Exposures.of(rows)
    assert found.times.tolist() == [1.0, 2.0]
    assert found.numbers.tolist() == [2.0, 2.0]
    assert found.inside.sum() == 4


def test_known_weights_stay_and_the_others_share_the_rest() -> None:
    known = np.array([[NAN, 0.25, NAN], [0.0, 0.5, NAN]])
    space = _Space(known)
    theta = space.packed(np.array([[2.0, 9.0, 1.0], [9.0, 9.0, 3.0]]), 0.1)
    np.testing.assert_allclose(np.exp(theta), [0.5, 0.25, 0.5, 0.1])
    weights, rate = space.unpacked(theta)
    np.testing.assert_allclose(weights, [[0.5, 0.25, 0.25], [0.0, 0.5, 0.5]])
    assert rate == pytest.approx(0.1)
    # A step too far ends at the bounds, and weights still sum to one.
    far = space.bounded(np.array([900.0, 880.0, -5.0, 40.0]))
    weights, rate = space.unpacked(far)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert weights[0, 2] == pytest.approx(0.75 * LEAST_WEIGHT, rel=2.0)
    assert rate == pytest.approx(LARGEST_RATE)
    assert np.exp(space.packed(known, 1e-30)[-1]) == pytest.approx(LEAST_RATE)


def test_weights_of_a_step_are_shares_of_the_draws() -> None:
    space = _Space(np.array([NAN, NAN, 0.2]))
    theta = space.packed(np.array([0.5, 0.3, 0.2]), 0.1)
    sums: Any = SimpleNamespace(
        entries=np.array([10.0, 50.0, 7.0]), switched=np.zeros(0), log_likelihood=0.0
    )
    found = _step(space, theta, sums, exposures([], []))
    weights, rate = space.unpacked(found)
    # 5 and 15 draws share what is left of the known weight.
    np.testing.assert_allclose(weights, [0.2, 0.6, 0.2])
    assert rate == pytest.approx(0.1)
    moved = space.unpacked(found)[0][:2] - np.array([0.5, 0.3])
    drawn = 5.0 + 15.0 + 1.4
    expected = drawn * (moved**2 / np.array([0.5, 0.3])).sum()
    assert _distance(space, theta, found, sums) == pytest.approx(expected)
    faster = found.copy()
    faster[-1] += 0.5
    assert _distance(space, theta, faster, sums) == pytest.approx(expected + drawn * 0.25)


def test_free_weights_are_never_nothing() -> None:
    found = on_simplex(np.array([1.0, 0.0, -3.0]), np.full(3, NAN))
    assert found.sum() == pytest.approx(1.0)
    assert found[1] == found[2] == pytest.approx(LEAST_WEIGHT, rel=1e-6)


def test_a_fit_with_known_weights_finds_the_likeliest_rate() -> None:
    rng = np.random.default_rng(5)
    n = 600
    target = np.zeros(n, dtype=int)
    for t in range(1, n):
        target[t] = rng.integers(2) if rng.random() < 0.1 else target[t - 1]
    seen = np.where(rng.random(n) < 0.9, target, 1 - target)
    columns = np.array([[0.9, 0.1], [0.1, 0.9]])
    rows = ChainRows.of(columns, seen, np.append(np.inf, np.ones(n - 1)))
    known = np.array([0.5, 0.5])
    found = fit_chain(rows, known, known=known)
    assert found.weights.tolist() == [0.5, 0.5]
    best = minimize_scalar(
        lambda x: -sum_chain(rows, known, float(np.exp(x))).log_likelihood,
        bounds=(np.log(0.01), np.log(1.0)),
        method="bounded",
    )
    assert found.rate == pytest.approx(np.exp(best.x), rel=1e-2)
    assert found.converged


def test_a_fit_says_how_often_targets_are_drawn() -> None:
    sums: Any = SimpleNamespace(entries=np.array([10.0, 50.0]), log_likelihood=-7.0)
    fit = ChainFit(np.array([0.5, 0.3]), 0.1, sums, True, np.full(2, NAN))
    assert fit.switching == pytest.approx(1.0 - np.exp(-0.1))
    assert fit.n_drawn == pytest.approx(20.0)
    assert fit.log_likelihood == -7.0


def test_the_size_of_a_step_adds_up_over_batches() -> None:
    space = _Space(np.full((2, 2), NAN))
    one, two = np.array([[0.5, 0.5], [0.8, 0.2]]), np.array([[0.6, 0.4], [0.8, 0.2]])
    sums: Any = SimpleNamespace(entries=np.array([[10.0, 30.0], [50.0, 5.0]]))
    found = _distance(space, space.packed(one, 0.1), space.packed(two, 0.1), sums)
    # In the first batch 20 draws; nothing moved in the second.
    assert found == pytest.approx(20.0 * (0.01 / 0.5 + 0.01 / 0.5))


def test_shares_that_sum_to_little_are_brought_up() -> None:
    found = on_simplex(np.array([0.1, 0.3]), np.full(2, NAN))
    np.testing.assert_allclose(found, [0.25, 0.75])
    # The least weight is one of the whole, not of what was given.
    found = on_simplex(np.array([1e-3, 1e-13]), np.full(2, NAN))
    assert found[1] == pytest.approx(LEAST_WEIGHT, rel=1e-6)


def test_an_extrapolation_is_taken_only_if_it_leads_up() -> None:
    seen = np.repeat([0, 1, 0, 1], 25)
    rows = ChainRows.of(np.array([[0.9, 0.1], [0.1, 0.9]]), seen, np.append(np.inf, np.ones(99)))
    space = _Space(np.full(2, NAN))
    at = [space.packed(np.array([w, 1.0 - w]), r) for w, r in ((0.9, 0.9), (0.7, 0.6), (0.6, 0.4))]
    middle = sum_chain(rows, *space.unpacked(at[1]))
    theta, sums = _extrapolated(rows, space, *at, middle)
    assert sums.log_likelihood >= sum_chain(rows, *space.unpacked(at[2])).log_likelihood - 1e-9
    assert sums.log_likelihood == pytest.approx(
        sum_chain(rows, *space.unpacked(theta)).log_likelihood
    )
    # From the best there is every far step leads down, and the second one is taken.
    fit = fit_chain(rows, np.array([0.5, 0.5]))
    best = space.packed(fit.weights, fit.rate)
    off = np.array([0.5, -0.5, 1.0])
    theta, _ = _extrapolated(rows, space, best - 3 * off, best - off, best, fit.sums)
    np.testing.assert_allclose(theta, best)
