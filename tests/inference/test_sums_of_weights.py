"""Posteriors of sums of weights: quantiles, moments and intervals, by distributions at hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm

from dosift.inference.weight_posterior import (
    Spread,
    WeightPosterior,
    _by_halving,
    _by_newton,
    _on_logit_scale,
    _points,
    in_standard_errors,
    posterior_given_targets,
    summarised,
    weight_posterior,
)

Floats = NDArray[np.float64]


def spreads(seed: int = 0) -> list[Spread]:
    """Two distributions of three sums; the second sum is exact in both."""
    rng = np.random.default_rng(seed)
    sd = np.array([0.02, 0.0, 0.1])
    one = Spread(np.sort(rng.uniform(0.1, 0.4, (3, 200)), axis=1), sd, np.array([0.5, 0.5, 0.9]))
    two = Spread(np.sort(rng.uniform(0.3, 0.5, (3, 200)), axis=1), 2 * sd, 1.0 - one.share)
    return [one, two]


def quantile(parts: list[Spread], k: int, p: float) -> float:
    def below(x: float) -> float:
        total = sum(
            part.share[k] * norm.cdf(x, part.points[k], part.sd[k]).mean() for part in parts
        )
        return float(total - p)

    return float(brentq(below, -2.0, 3.0, xtol=1e-14))


@pytest.mark.parametrize("p", [0.025, 0.5, 0.975])
def test_quantiles_by_newton_and_by_halving_are_those_of_the_mixture(p: float) -> None:
    parts = spreads()
    share = [part.share for part in parts]
    exact = np.array([quantile(parts, k, p) for k in (0, 2)])
    halved = _by_halving(parts, share, p)
    np.testing.assert_allclose(halved[[0, 2]], exact, atol=1e-9)
    found, is_near = _by_newton(parts, share, p, np.full(3, 0.3))
    assert is_near[[0, 2]].all()
    np.testing.assert_allclose(found[[0, 2]], exact, atol=1e-12)
    # Without errors it is one of the points.
    every = np.concatenate([part.points[1] for part in parts])
    assert np.abs(every - halved[1]).min() < 1e-9
    assert np.mean(every <= halved[1] + 1e-9) == pytest.approx(p, abs=0.01)


def test_a_start_that_is_far_off_is_not_trusted() -> None:
    parts = spreads()
    share = [part.share for part in parts]
    _, is_near = _by_newton(parts, share, 0.5, np.array([9.0, 9.0, -9.0]))
    assert not is_near.any()


def test_points_are_equally_probable_draws() -> None:
    means = np.array([np.arange(1000.0), np.append(np.arange(400.0), np.full(600, np.inf))])
    found = _points(means, np.array([1000, 400]))
    assert found.shape == (2, 200)
    # In the middle of each two-hundredth.
    assert found[0, :3].tolist() == [2.0, 7.0, 12.0]
    assert found[1, :3].tolist() == [1.0, 3.0, 5.0]
    assert found[1, -1] == 399.0


def test_quantiles_are_carried_to_the_logit_scale_far_from_zero() -> None:
    estimate, error = np.array([0.5, 0.2, 0.01, 1.0]), np.array([0.05, 0.01, 0.01, 0.01])
    found = _on_logit_scale(estimate + 2.0 * error, estimate, error)
    for k in (0, 1):
        slope = estimate[k] * (1.0 - estimate[k])
        assert found[k] == pytest.approx(expit(logit(estimate[k]) + 2.0 * error[k] / slope))
    # Near zero, or at one, they stay, within bounds.
    assert found[2:].tolist() == [pytest.approx(0.03), 1.0]
    assert _on_logit_scale(np.array([-0.1]), np.array([0.01]), np.array([0.05])).tolist() == [0.0]


def test_a_summary_has_the_moments_of_the_mixture() -> None:
    parts = spreads()
    estimate = np.array([0.3, 0.3, 0.3])
    found = summarised(parts, estimate, 0.9)
    for k in range(3):
        mean = sum(part.share[k] * part.points[k].mean() for part in parts)
        second = sum(
            part.share[k] * ((part.points[k] ** 2).mean() + min(part.sd[k], 12**-0.5) ** 2)
            for part in parts
        )
        assert found.std_error[k] == pytest.approx(np.sqrt(second - mean**2))
    # Shares need not sum to one.
    double = [Spread(part.points, part.sd, 2.0 * part.share) for part in parts]
    again = summarised(double, estimate, 0.9)
    np.testing.assert_allclose(again.low, found.low)
    # The first is within six standard errors of zero: its quantiles as they are.
    assert found.low[0] == pytest.approx(quantile(parts, 0, 0.05), abs=1e-9)
    assert found.high[0] == pytest.approx(quantile(parts, 0, 0.95), abs=1e-9)
    # An interval holds its estimate.
    off = summarised(parts, np.array([0.05, 0.3, 0.95]), 0.9)
    assert off.low[0] == 0.05
    assert off.high[2] == 0.95


def test_sums_and_their_contrasts() -> None:
    """One weight beyond doubt and two in doubt: given those, the first is normal."""
    estimate = np.array([0.7, 0.2, 0.0])
    draws = np.array([[0.2, 0.0], [0.25, 0.1], [0.0, 0.0], [0.3, 0.0]])
    covariance, slopes, centre = np.array([[4e-4]]), np.array([[-0.5, -0.8]]), np.array([0.72])
    absent = np.array([0.1, 0.25, 0.75])
    posterior = WeightPosterior(
        estimate, absent, np.array([0]), np.array([1, 2]), draws, centre, slopes, covariance,
        np.zeros(3),
    )  # fmt: skip
    members = np.array([[True, False, True], [False, True, False], [True, True, True]])
    means, sd = posterior._moments(members)
    for f, own in enumerate(members):
        at = estimate[own].sum()
        contrast = own - at
        for d, unsure in enumerate(draws):
            first = centre[0] + slopes[0] @ unsure
            weights = np.array([first, *unsure])
            assert means[f, d] == pytest.approx(at + contrast @ weights)
        assert sd[f] == pytest.approx(abs(contrast[0]) * 0.02)
    # In a half of the draws none of the last is there; of the first two one, if not both absent.
    assert posterior.any_present(np.array([[False, False, True]])).tolist() == [0.25]
    assert posterior.any_present(np.array([[False, True, True]])).tolist() == [0.75]
    assert posterior.any_present(np.array([[True, True, False]])).tolist() == [1.0 - 0.25 * 0.1]
    assert posterior.any_present(np.array([[True, False, False]])).tolist() == [0.9]
    spread = posterior.spread(members[:1], 0.3)
    assert spread.share.tolist() == [0.3]
    assert set(np.round(spread.points[0], 12)) == set(np.round(means[0], 12))
    # Given that it is there: draws without it are left out.
    there = posterior.spread_if_present()
    own = posterior._moments(np.eye(3, dtype=bool))[0]
    assert set(np.round(there.points[2], 12)) == {np.round(own[2, 1], 12)}
    assert set(np.round(there.points[1], 12)) == set(np.round(own[1, [0, 1, 3]], 12))


def test_standard_errors_are_those_of_the_inverse() -> None:
    rng = np.random.default_rng(2)
    root = rng.normal(size=(3, 5))
    information = root @ root.T * 100.0
    found = in_standard_errors(information, np.array([0.6, 0.3]))
    variance = np.diag(np.linalg.inv(information))
    np.testing.assert_allclose(found, np.array([0.6, 0.3, 0.0]) / np.sqrt(variance), rtol=1e-5)


def test_weights_of_certain_targets_sum_to_one() -> None:
    information = np.array([[300.0, 50.0, 10.0], [50.0, 400.0, 20.0], [10.0, 20.0, 900.0]])
    weights = np.array([0.5, 0.3, 0.2])
    found = posterior_given_targets(information, weights, np.array([False, False, True]))
    # Two free weights that sum to .8: one goes up by what the other loses.
    step = np.array([1.0, -1.0, 0.0])
    variance = 1.0 / (step @ information @ step)
    _, sd = found._moments(np.eye(3, dtype=bool))
    contrast = np.eye(3) - weights[:, None]
    expected = [np.sqrt(variance * (row @ step) ** 2) for row in contrast]
    np.testing.assert_allclose(sd, expected, atol=1e-9)
    assert found.absent.tolist() == [0.0, 0.0, 0.0]
    assert found.z[:2] == pytest.approx(weights[:2] / np.sqrt(variance))
    alone = posterior_given_targets(information, weights, np.array([False, True, True]))
    assert not alone._moments(np.eye(3, dtype=bool))[1].any()


def test_components_beyond_doubt_are_normal_and_the_others_drawn() -> None:
    """Of a Gaussian likelihood: the marginals of two sure weights and one in doubt."""
    information = np.array([[4e4, 1e4, 2e3], [1e4, 3e4, 1e3], [2e3, 1e3, 2e3]])
    weights = np.array([0.6, 0.38, 0.02])
    score = np.full(3, 3.0)
    odds = np.array([0.0, 0.0, 0.3])
    found = weight_posterior(information, score, weights, odds, np.random.default_rng(0))
    assert found.sure.tolist() == [0, 1]
    assert found.unsure.tolist() == [2]
    variance = np.diag(np.linalg.inv(information))
    np.testing.assert_allclose(found.z, weights / np.sqrt(variance), rtol=1e-5)
    # Presence of the third, the others integrated out.
    linear = score + information @ weights - 3.0
    solved = np.linalg.solve(information[:2, :2], information[:2, 2])
    curvature = information[2, 2] - information[2, :2] @ solved
    slope = linear[2] - solved @ linear[:2]
    grid = np.linspace(0.0, 0.3, 30_001)
    density = np.exp(slope * grid - 0.5 * curvature * grid**2)
    evidence = density.sum() * (grid[1] - grid[0])
    absent = 1.0 / (1.0 + np.exp(0.3) * 3.0 * evidence)
    assert found.absent[2] == pytest.approx(absent, abs=0.01)
    mean = (density @ grid) / density.sum() * (1.0 - absent)
    assert found.draws.mean() == pytest.approx(mean, rel=0.05)
    assert (found.absent[:2] < 1e-6).all()


def test_the_presence_of_what_is_sure_is_told_by_its_evidence() -> None:
    weights, odds = np.array([0.5, 0.5]), np.array([-19.0, -17.0])
    found = weight_posterior(
        np.diag([160.0, 160.0]), np.zeros(2), weights, odds, np.random.default_rng(0)
    )
    assert found.sure.tolist() == [0, 1]
    grid = np.linspace(0.0, 1.5, 150_001)
    # The likelihood over that at zero, with a prior of rate two.
    evidence = np.exp(80.0 * grid - 80.0 * grid**2).sum() * (grid[1] - grid[0])
    expected = 1.0 / (1.0 + 2.0 * np.exp(odds) * evidence)
    assert 0.1 < expected[1] < expected[0] < 0.9
    np.testing.assert_allclose(found.absent, expected, rtol=1e-3)
