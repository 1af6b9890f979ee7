"""The posterior of weights against integrals that can be done another way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from dosift.inference.p_values import (
    boundary_p_value,
    likelihood_ratio_p_values,
    log_likelihood_losses,
)
from dosift.inference.weight_posterior import (
    Spread,
    posterior_given_targets,
    summarised,
    weight_posterior,
)
from dosift.search.undecided import log_evidence


def by_grid(
    information: np.ndarray, score: np.ndarray, weights: np.ndarray, log_odds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Presence probabilities and means of two doubtful targets beside one that is sure.

    The sum of the weights is left free, as in the sampler, and the sure one is integrated out.
    """
    m, n = weights.size, score.size
    estimate = np.append(weights, np.zeros(n - m))
    rate = float(m)
    linear = score + information @ estimate - rate
    h, b = information[0, 0], information[1:, 1:]
    reduced = b - np.outer(information[1:, 0], information[0, 1:]) / h
    slope = linear[1:] - information[1:, 0] * linear[0] / h
    axis = np.linspace(0, 0.5, 2001)[1:]
    step = axis[1] - axis[0]
    one = [slope[k] * axis - 0.5 * reduced[k, k] * axis**2 for k in (0, 1)]
    both = one[0][:, None] + one[1][None, :] - reduced[0, 1] * axis[:, None] * axis[None, :]
    odds = log_odds[1:] + np.log(rate)
    logs = [0.0, odds[0], odds[1], odds.sum()]
    top = max(float(both.max()), *(float(o.max()) for o in one), 0.0)
    mass = np.array(
        [
            np.exp(logs[0] - top),
            np.exp(logs[1] + one[0] - top).sum() * step,
            np.exp(logs[2] + one[1] - top).sum() * step,
            np.exp(logs[3] + both - top).sum() * step**2,
        ]
    )
    present = np.array([mass[1] + mass[3], mass[2] + mass[3]]) / mass.sum()
    first = (np.exp(logs[1] + one[0] - top) * axis).sum() * step
    first += (np.exp(logs[3] + both - top) * axis[:, None]).sum() * step**2
    return present, np.array([first / (mass[1] + mass[3])])


@pytest.mark.parametrize("likeness", [0.0, 0.6, 0.95])
@pytest.mark.parametrize("pull", [2.0, 5.0])
def test_presence_and_weight_agree_with_numerical_integration(likeness: float, pull: float) -> None:
    # One sure component; one in doubt, with a candidate that is more or less like it.
    a = 4000.0
    information = np.array(
        [[1000.0, 200.0, 150.0], [200.0, a, likeness * a], [150.0, likeness * a, a]]
    )
    doubtful = pull / np.sqrt(a)
    weights = np.array([1.0 - doubtful, doubtful])
    score = np.array([0.0, 0.0, -20.0])
    log_odds = np.array([0.0, -1.0, -1.5])
    rng = np.random.default_rng(0)
    found = weight_posterior(information, score, weights, log_odds, rng)
    # Prior odds multiply a uniform density with mean weight 1 / m, m components.
    assert found.sure.tolist() == [0]
    present, mean = by_grid(information, score, weights, log_odds)
    assert 1.0 - found.absent[1:] == pytest.approx(present, abs=0.03)
    on = found.draws[:, 0] > 0
    assert found.draws[on, 0].mean() == pytest.approx(mean[0], rel=0.05)
    assert on.mean() == pytest.approx(present[0], abs=0.04)


def test_sure_targets_have_the_errors_of_a_multinomial() -> None:
    n, w = 10_000, np.array([0.5, 0.3, 0.2])
    found = weight_posterior(
        np.diag(n / w), np.zeros(3), w, np.zeros(3), np.random.default_rng(0)
    ).weights()
    assert found.std_error == pytest.approx(np.sqrt(w * (1 - w) / n), rel=1e-3)
    z = norm.ppf(0.975)
    assert found.high - found.low == pytest.approx(2 * z * found.std_error, rel=0.01)


def test_given_targets_are_not_doubted_and_known_weights_have_no_error() -> None:
    n, w = 1000, np.array([0.5, 0.3, 0.2])
    known = np.array([True, False, False])
    found = posterior_given_targets(np.diag(n / w), w, known)
    assert np.all(found.absent == 0)
    summary = found.weights()
    assert summary.std_error[0] < 1e-9
    assert summary.low[0] == pytest.approx(0.5)
    assert summary.high[0] == pytest.approx(0.5)
    # The others share what is left.
    assert summary.std_error[1] == pytest.approx(summary.std_error[2])
    assert summary.std_error[1] == pytest.approx(np.sqrt(0.3 * 0.2 / 0.5 / n), rel=1e-6)
    total = found.sums(np.array([[False, True, True]]))
    assert total.std_error[0] == pytest.approx(0.0, abs=1e-9)


def test_intervals_grow_with_the_level_and_hold_the_estimate() -> None:
    rng = np.random.default_rng(1)
    root = rng.normal(size=(6, 6))
    information = root @ root.T * 500 + np.diag(np.full(6, 200.0))
    weights = np.array([0.6, 0.3, 0.1])
    found = weight_posterior(
        information, np.full(6, -3.0) * np.array([0, 0, 0, 1, 1, 1]), weights, np.zeros(6), rng
    )
    narrow, wide = found.weights(0.5), found.weights(0.99)
    assert np.all(wide.low <= narrow.low)
    assert np.all(narrow.high <= wide.high)
    for summary in (narrow, wide):
        assert np.all((summary.low <= found.estimate) & (found.estimate <= summary.high))
        assert np.all((summary.low >= 0) & (summary.high <= 1))
    every = found.sums(np.ones((1, 6), dtype=bool))
    assert every.std_error[0] == pytest.approx(0.0, abs=0.02)


def test_the_same_seed_gives_the_same_posterior() -> None:
    arguments = (
        np.array([[900.0, 300.0], [300.0, 800.0]]),
        np.array([0.0, -1.0]),
        np.array([1.0]),
        np.array([0.0, 0.0]),
    )
    first, second = (weight_posterior(*arguments, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.draws, second.draws)


@pytest.mark.parametrize("slope", [-300.0, -5.0, 0.0, 5.0, 300.0])
def test_the_evidence_is_the_integral(slope: float) -> None:
    w = np.linspace(0, 1, 2_000_001)
    direct = np.log(np.trapezoid(np.exp(slope * w - 500.0 * w**2), w))
    assert log_evidence(np.array([slope]), np.array([1000.0]))[0] == pytest.approx(direct, abs=1e-4)


def test_p_values_at_the_boundary() -> None:
    assert boundary_p_value(np.array([-3.0, 0.0, 1.6449, 40.0])) == pytest.approx(
        [0.5, 0.5, 0.05, 0.0], abs=1e-4
    )


def test_a_target_that_alone_explains_rows_has_p_value_zero() -> None:
    columns = np.array([[1.0, 0.0], [1.0, 2.0]])
    z = np.array([2.0, 2.0])
    lost = log_likelihood_losses(columns, np.array([50.0, 50.0]), np.array([0.9, 0.1]), z)
    p = likelihood_ratio_p_values(z, lost)
    assert p[0] == 0.0
    assert 0.0 <= p[1] <= 0.5


def test_null_p_values_of_a_named_target_are_uniform_above_one_half_mass() -> None:
    """A target that is not there: half of the p-values are 1/2, the others uniform below."""
    rng = np.random.default_rng(5)
    columns = np.array([[1.0, 2.0], [1.0, 0.5], [1.0, 0.75]])
    base = np.array([0.3, 0.4, 0.3])
    base /= base.sum()
    scaled = columns.copy()
    scaled[:, 1] /= base @ columns[:, 1]
    p = []
    for _ in range(400):
        counts = rng.multinomial(2000, base).astype(float)
        lost = log_likelihood_losses(scaled, counts, np.array([1.0, 0.0]), np.zeros(2))
        p.append(likelihood_ratio_p_values(np.zeros(2), lost)[1])
    values = np.array(p)
    # Binomial with 400 draws: five standard errors.
    for level in (0.05, 0.2, 0.4):
        assert (values <= level).mean() == pytest.approx(level, abs=5 * np.sqrt(level / 400))


def test_no_share_is_less_sure_than_if_nothing_were_known() -> None:
    spread = Spread(np.full((2, 1), 0.4), np.array([0.1, 7.0]), np.ones(2))
    found = summarised([spread], np.array([0.4, 0.4]), 0.95)
    np.testing.assert_allclose(found.std_error, [0.1, 12**-0.5])
    assert found.low[1] == pytest.approx(0.0, abs=1e-6)
    assert found.high[1] == pytest.approx(1.0, abs=1e-6)
