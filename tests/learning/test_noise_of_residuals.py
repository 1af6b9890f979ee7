"""Noise chosen by residuals: log-likelihoods and fits against ones that are written out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp
from scipy.stats import norm

from dosift.learning.noise import (
    _is_nearly_normal,
    _starts,
    choose_noise,
    log_likelihood_of_residuals,
    slope_of_width,
    summed_up,
)
from dosift.model.noise import Noise

Floats = NDArray[np.float64]


def test_points_that_stand_for_rows_keep_their_sums() -> None:
    rng = np.random.default_rng(0)
    residuals, weights = rng.normal(size=3_000), rng.uniform(0.5, 2.0, 3_000)
    points, mass = summed_up(residuals, weights)
    assert points.size == 400
    assert (np.diff(points) > 0).all()
    assert mass.sum() == pytest.approx(weights.sum())
    assert mass @ points == pytest.approx(weights @ residuals)
    order = np.argsort(residuals)
    for end in (slice(60), slice(-60, None)):
        np.testing.assert_allclose(points[end], residuals[order][end])
        np.testing.assert_allclose(mass[end], weights[order][end])
    # Each of the others is the mean of about ten neighbours.
    assert mass[60:-60].max() < 2.0 * 12
    few, own = summed_up(residuals[:400], weights[:400])
    assert few.tolist() == sorted(residuals[:400])
    assert own.sum() == pytest.approx(weights[:400].sum())
    # Rows of no weight leave no point.
    weights[order[100:200]] = 0.0
    assert summed_up(residuals, weights)[0].size < 400


def test_the_log_likelihood_of_normal_residuals_is_the_best_normal_one() -> None:
    rng = np.random.default_rng(1)
    residuals, weights = 3.0 * rng.normal(size=200), rng.uniform(0.5, 2.0, 200)
    sd = np.sqrt(weights @ residuals**2 / weights.sum())
    found = log_likelihood_of_residuals(residuals, weights)
    assert found == pytest.approx(weights @ norm.logpdf(residuals, scale=sd))
    noise = choose_noise(residuals, weights)
    assert (noise.n_parts, noise.expected) == (1, pytest.approx(sd))
    assert noise.sd == pytest.approx(sd)


@pytest.mark.parametrize("kind", ["two widths", "two means"])
def test_the_noise_of_a_mixture_is_the_likeliest(kind: str) -> None:
    rng = np.random.default_rng(2)
    n = 390  # few enough for every row to be a point
    if kind == "two widths":
        residuals = rng.normal(size=n) * np.where(rng.random(n) < 0.3, 5.0, 1.0)
        residuals -= residuals.mean()
    else:
        residuals = rng.normal(size=n) + np.where(rng.random(n) < 0.3, 6.0, 0.0)
        residuals -= residuals.mean()
    found = choose_noise(residuals, np.ones(n))
    assert (found.n_parts, found.has_means) == (2, kind == "two means")

    def log_likelihood(p: Floats) -> float:
        share = 1.0 / (1.0 + np.exp(-p[0]))
        sds, centre = np.exp(p[1:3]), p[3]
        means = np.array([0.0, p[4] if found.has_means else 0.0])
        away = residuals[:, None] - centre - means
        logs = norm.logpdf(away, scale=sds) + np.log([share, 1.0 - share])
        return float(logsumexp(logs, axis=1).sum())

    start = [np.log(found.shares[0] / found.shares[1]), *np.log(found.sds), 0.0, found.means[1]]
    start[3] = -found.mean
    best = minimize(lambda p: -log_likelihood(np.asarray(p)), start, method="BFGS")
    cost = 0.5 * (found.n_free - 1) * np.log(n)
    value = log_likelihood_of_residuals(residuals, np.ones(n))
    # The prior of EM and its end leave little of the maximum.
    assert -best.fun - cost - 0.5 < value <= -best.fun - cost + 1e-3
    normal = norm.logpdf(residuals, scale=np.sqrt((residuals**2).mean())).sum()
    assert value > normal + 2.0


def test_skewness_and_kurtosis_decide_what_is_nearly_normal() -> None:
    # Quantiles of a normal distribution, and one end stretched.
    even = norm.ppf((np.arange(500) + 0.5) / 500)
    ones = np.ones(500)
    assert _is_nearly_normal(even, ones)
    assert _is_nearly_normal(3.0 + 0.1 * even, ones)
    assert not _is_nearly_normal(np.where(even > 0, 1.8 * even, even), ones)
    assert not _is_nearly_normal(np.sign(even) * np.abs(even) ** 1.6, ones)
    assert not _is_nearly_normal(even.clip(-1.0, 1.0), ones)
    # Three standard errors of sqrt(24 / n): fewer rows say less.
    bent = np.sign(even) * np.abs(even) ** 1.2
    assert not _is_nearly_normal(bent, 10.0 * ones)
    assert _is_nearly_normal(bent, 0.2 * ones)
    # The same of skewness alone, of sqrt(6 / n).
    leaning = even + 0.06 * (even**2 - 1.0)
    skew = ((leaning - leaning.mean()) ** 3).mean() / leaning.std() ** 3
    kurtosis = ((leaning - leaning.mean()) ** 4).mean() / leaning.std() ** 4 - 3.0
    assert 3.0 * np.sqrt(6.0 / 500) < skew < 3.0 * np.sqrt(12.0 / 500)
    assert abs(kurtosis) < 3.0 * np.sqrt(24.0 / 500)
    assert not _is_nearly_normal(leaning, ones)
    assert _is_nearly_normal(leaning, 0.5 * ones)
    assert _is_nearly_normal(np.zeros(9), np.ones(9))
    assert _is_nearly_normal(np.array([0.0] * 6 + [100.0]), np.ones(7))


def test_two_groups_start_where_shares_of_the_rows_end() -> None:
    points, mass = np.array([-3.0, -1.0, 0.0, 2.0]), np.array([1.0, 4.0, 4.0, 1.0])
    two, three, apart = _starts(points, mass)
    assert [one.n_parts for one in two + three] == [2, 2, 3]
    assert not any(one.has_means for one in two + three)
    # Up to a tenth, a half and nine tenths; the greater group first.
    assert [one.shares.tolist() for one in apart] == [[0.9, 0.1], [0.5, 0.5], [0.9, 0.1]]
    low = -3.0 - (-4.0 + 2.0) / 9.0
    half = 2.0 / 5.0 - (-7.0 / 5.0)
    high = 2.0 - (-7.0 / 9.0)
    assert [one.means[1] for one in apart] == pytest.approx([low, half, high])
    assert all(one.has_means and one.means[0] == 0.0 for one in apart)
    assert [len(s) for s in _starts(np.zeros(1), np.ones(1))] == [2, 1]


def test_the_slope_of_the_width_is_the_likeliest() -> None:
    rng = np.random.default_rng(4)
    along = rng.normal(size=1_500)
    along = (along - along.mean()) / along.std()
    residuals = 2.0 * rng.normal(size=1_500) * np.exp(0.25 * along)
    weights = rng.uniform(0.5, 1.5, 1_500)

    def loss(slope: float) -> float:
        width = np.exp(slope * along)
        sd = np.sqrt(weights @ (residuals / width) ** 2 / weights.sum())
        return -float(weights @ norm.logpdf(residuals, scale=sd * width))

    best = minimize_scalar(loss, bounds=(-1.0, 1.0), method="bounded", options={"xatol": 1e-8})
    assert slope_of_width(residuals, along, weights) == pytest.approx(best.x, abs=1e-3)
    assert slope_of_width(residuals, -along, weights) == pytest.approx(-best.x, abs=1e-3)
    assert slope_of_width(np.zeros(3), np.ones(3), np.ones(3)) == 0.0
    assert slope_of_width(residuals, along, np.zeros(1_500)) == 0.0
    # As few rows as do not show it clearly.
    assert slope_of_width(residuals[:30], along[:30], weights[:30]) == 0.0


def test_the_evidence_for_a_slope_is_that_of_its_score() -> None:
    """A squared sum of scores over the sum of their squares beyond log n and four nats."""
    along = np.tile([-1.0, 1.0], 100)
    for high, clear in ((1.24, False), (1.26, True)):
        square = np.where(along > 0, high, 1.0) * np.tile([0.5, 0.5, 1.5, 1.5], 50)
        away = square / square.mean() - 1.0
        score = away * along
        evidence = score.sum() ** 2 / (score**2).sum()
        assert (evidence > np.log(200.0) + 4.0) == clear
        assert (slope_of_width(np.sqrt(square), along, np.ones(200)) != 0.0) == clear


def test_noise_of_few_or_equal_rows_is_finite() -> None:
    assert choose_noise(np.zeros(5), np.ones(5)).sd > 0.0
    assert isinstance(choose_noise(np.array([1.0]), np.ones(1)), Noise)
    assert log_likelihood_of_residuals(np.empty(0), np.empty(0)) == 0.0
