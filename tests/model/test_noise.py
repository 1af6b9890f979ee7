"""Noise of regressions: its moments, and steps of EM that maximise what the prior says they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.model.features import Plain
from dosift.model.linear import LinearMechanism
from dosift.model.noise import LEAST_SD, Noise, parts_of_sums

Floats = NDArray[np.float64]

#: Sums over rows of the products of residual and one, for each of two parts.
PRODUCTS = np.array([[[50.0, 3.0], [3.0, 40.0]], [[90.0, 30.0], [30.0, 20.0]]])
NUMBERS = np.array([40.0, 20.0])


def two_parts(has_means: bool) -> Noise:
    means = np.array([0.0, 1.2]) if has_means else np.zeros(2)
    return Noise(np.array([0.6, 0.4]), means, np.array([0.8, 2.0]), has_means, expected=1.5)


def expected_log(noise: Noise) -> float:
    """Logarithm of likelihood and prior, as a step of EM takes it, but for a constant."""
    total = noise.log_prior()
    for k in range(noise.n_parts):
        (square, first), (_, ones) = PRODUCTS[k]
        mean, sd = noise.means[k], noise.sds[k]
        total += NUMBERS[k] * float(np.log(noise.shares[k] / sd))
        total -= float(square - 2.0 * mean * first + mean**2 * ones) / (2.0 * sd**2)
    return total


def is_highest(value: Callable[[float], float]) -> bool:
    """Whether a function of one number is highest at 0, to a hundredth."""
    return value(0.0) > max(value(-0.01), value(0.01))


@pytest.mark.parametrize("has_means", [False, True])
def test_a_step_of_em_maximises_likelihood_and_prior(has_means: bool) -> None:
    before = two_parts(has_means)
    after = before.fitted(PRODUCTS, NUMBERS)
    assert after.shares.sum() == pytest.approx(1.0)
    assert is_highest(
        lambda by: expected_log(replace(after, shares=after.shares + np.array([by, -by])))
    )
    for k in range(2):
        step = np.eye(2)[k]
        assert is_highest(
            lambda by, step=step: expected_log(replace(after, sds=after.sds * np.exp(by * step)))
        )
    assert after.means[0] == 0.0
    assert bool(after.means[1]) == has_means
    if has_means:
        # The means are those that are best at the widths of before.
        at = replace(after, sds=before.sds)
        assert is_highest(
            lambda by: expected_log(replace(at, means=at.means + np.array([0.0, by])))
        )


def test_rows_that_coefficients_used_up_are_left_out_of_the_variance() -> None:
    one = replace(Noise.normal(2.0), expected=1.5, spent=3.0)
    found = one.fitted(PRODUCTS[:1], NUMBERS[:1])
    # The prior counts as half a row of variance 1.5 ** 2.
    assert found.sds[0] ** 2 == pytest.approx((50.0 + 0.5 * 2.25) / (40.0 + 0.5 - 3.0))
    assert found.shares.tolist() == [1.0]
    # At most four fifths of the rows can be used up.
    most = replace(one, spent=39.0).fitted(PRODUCTS[:1], NUMBERS[:1])
    assert most.sds[0] ** 2 == pytest.approx((50.0 + 0.5 * 2.25) / (40.0 + 0.5 - 32.0))
    # Where all is exact some width is left.
    tiny = replace(one, expected=1e-6).fitted(np.zeros((1, 2, 2)), NUMBERS[:1])
    assert tiny.sds[0] == LEAST_SD


def test_priors_are_those_of_their_densities() -> None:
    one = replace(Noise.normal(2.0), expected=1.5, spent=3.0)
    of_width = -0.5 * (np.log(2.0) + 0.5 * (1.5 / 2.0) ** 2)
    assert one.log_prior() == pytest.approx(of_width + 3.0 * np.log(2.0))
    two = two_parts(has_means=True)
    widths = -0.5 * sum(np.log(sd) + 0.5 * (1.5 / sd) ** 2 for sd in (0.8, 2.0))
    shares, means = 0.5 * (np.log(0.6) + np.log(0.4)), -0.5 * (1.2 / 4.5) ** 2
    assert two.log_prior() == pytest.approx(widths + shares + means)


def test_moments_are_those_of_the_mixture() -> None:
    noise = two_parts(has_means=True)
    assert noise.mean == pytest.approx(0.4 * 1.2)
    second = 0.6 * 0.8**2 + 0.4 * (2.0**2 + 1.2**2)
    assert noise.sd == pytest.approx(np.sqrt(second - 0.48**2))
    double = noise.scaled(2.0)
    assert (double.mean, double.sd, double.expected) == pytest.approx(
        (2 * noise.mean, 2 * noise.sd, 3.0)
    )
    assert [noise.n_free, two_parts(has_means=False).n_free, Noise.normal(1.0).n_free] == [4, 3, 1]


def test_the_prior_of_a_regression_is_that_of_its_coefficients_width_and_slope() -> None:
    mechanism = LinearMechanism(
        2,
        (0, 1),
        (Plain(0), Plain(1)),
        np.array([2.0, 3.0, -1.0]),
        Noise.normal(1.0),
        axis=np.array([0.0, 0.6, 0.8]),
        slope=0.4,
    )
    # Variances of 1e4 of the intercept, of 100 of a coefficient and of 1 of the slope.
    coefficients = -0.5 * (4.0 / 1e4 + (9.0 + 1.0) / 100.0)
    assert mechanism.log_prior() == pytest.approx(coefficients - 0.25 - 0.5 * 0.4**2)


def test_a_regression_maximises_likelihood_and_prior() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(12, 3))
    values[:, 2] += 4.0 * values[:, 0] + 2.0
    start = LinearMechanism.untaught(2, (0, 1), (Plain(0), Plain(1)))
    found = start
    for _ in range(30):
        found = found.fitted(found.statistics(values, np.ones(12))).with_error_of(start)

    def value(moved: LinearMechanism) -> float:
        return float(moved.log_density(values).sum()) + moved.log_prior()

    for step in np.eye(3):
        gains = [
            value(replace(found, coefficients=found.coefficients + by * step)) - value(found)
            for by in (-0.01, 0.01)
        ]
        assert max(gains) < 0.0


def test_one_normal_distribution_lies_around_zero() -> None:
    noise = Noise.normal(2.0)
    assert (noise.mean, noise.sd, noise.n_parts) == (0.0, 2.0, 1)
    assert not noise.has_means
    assert noise.shares.tolist() == [1.0]


def test_noises_side_by_side_are_each_as_alone() -> None:
    square, first, ones = (
        np.array([[50.0, 90.0], [7.0, 8.0]]),
        np.ones((2, 2)),
        np.full((2, 2), 9.0),
    )
    numbers = np.array([[40.0, 20.0], [3.0, 5.0]])
    rows, sds = numbers + 0.5, np.array([[0.8, 2.0], [1.0, 3.0]])
    together = parts_of_sums((square, first, ones, numbers), rows, sds, 1.5, True)
    for k in range(2):
        own = square[k], first[k], ones[k], numbers[k]
        alone = parts_of_sums(own, rows[k], sds[k], 1.5, True)
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[k], other)
    np.testing.assert_allclose(together[0][0], [40.5 / 61.0, 20.5 / 61.0])
