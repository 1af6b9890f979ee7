"""Posteriors averaged over graphs: against one posterior, and against draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.inference import Posterior
from dosift.inference.averaged import averaged
from dosift.inference.p_values import boundary_p_value
from dosift.inference.weight_posterior import (
    Summary,
    WeightPosterior,
    posterior_given_targets,
    weight_posterior,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

TARGETS = np.array([[-1, -1], [0, -1], [-1, 1], [1, -1], [0, 0], [1, 1]], dtype=np.int16)
#: Sums of the targets above.
MEMBERS = np.array(
    [[1, 0, 0, 0, 0, 0], [0, 1, 0, 1, 1, 1], [0, 0, 1, 0, 1, 1], [0, 0, 0, 1, 0, 0]], dtype=bool
)


def posterior(
    targets: Ints, weights: list[float], n_rows: float = 800.0, seed: int = 0
) -> Posterior:
    """Of components that differ a little, and undecided targets after them."""
    m, n = len(weights), len(targets)
    rng = np.random.default_rng(seed)
    w = np.append(weights, np.full(n - m, 0.05))
    root = rng.normal(size=(n, n)) * 0.1
    scale = np.sqrt(n_rows / w)
    information = (np.eye(n) + root @ root.T) * scale * scale[:, None]
    score = np.append(np.zeros(m), np.full(n - m, -10.0))
    found = weight_posterior(
        information, score, np.array(weights), np.full(n, -0.5), np.random.default_rng(seed)
    )
    return Posterior(found, targets[m:], boundary_p_value(found.z[:m]), True)


ONE = posterior(TARGETS[:4], [0.6, 0.3, 0.1])
#: Another order, a component less, one more, and another one in doubt.
OTHER_TARGETS = TARGETS[[4, 0, 1, 5]]
OTHER = posterior(OTHER_TARGETS, [0.2, 0.55, 0.25], seed=1)


def same(one: Summary, other: Summary, tolerance: float = 1e-9) -> None:
    for name in ("std_error", "low", "high"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=tolerance)


def drawn(part: WeightPosterior, own: list[int], n: int, rng: np.random.Generator) -> Floats:
    """Weights of all targets in draws from one posterior, as its definition has it."""
    at = rng.integers(len(part.draws), size=n)
    out = np.zeros((n, part.estimate.size))
    out[:, part.unsure] = part.draws[at]
    noise = rng.multivariate_normal(
        np.zeros(part.sure.size), part._covariance, size=n, method="svd"
    )
    out[:, part.sure] = part._centre + part.draws[at] @ part._slopes.T + noise
    # A draw is normalised; to first order, as a share of the estimate is taken off.
    out -= (out.sum(axis=1) - part.estimate.sum())[:, None] * part.estimate
    wide = np.zeros((n, len(TARGETS)))
    wide[:, own] = out
    return wide


def draws(shares: tuple[float, float], n: int = 400_000) -> Floats:
    rng = np.random.default_rng(7)
    first = rng.random(n) < shares[0] / sum(shares)
    one = drawn(ONE.of_weights, [0, 1, 2, 3], n, rng)
    other = drawn(OTHER.of_weights, [4, 0, 1, 5], n, rng)
    return np.where(first[:, None], one, other)


def test_the_average_of_one_is_itself() -> None:
    assert averaged([TARGETS[:3]], [ONE], [0.3]) is ONE


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.02), (1.0, 1e-9)])
def test_the_average_of_two_that_are_equal_is_the_same(shares: tuple[float, float]) -> None:
    found = averaged([TARGETS[:3], TARGETS[:3]], [ONE, ONE], shares)
    np.testing.assert_array_equal(found.undecided, ONE.undecided)
    own, both = ONE.of_weights, found.of_weights
    np.testing.assert_allclose(both.absent, own.absent)
    np.testing.assert_array_equal(both.estimate, own.estimate)
    np.testing.assert_array_equal(both.z, own.z)
    members = MEMBERS[:, :4]
    for level in (0.5, 0.95):
        # Quantiles lie anywhere between two neighbours of the points that stand for draws.
        same(both.weights(level), own.weights(level), 1.5e-3)
        same(both.sums(members, level), own.sums(members, level), 1.5e-3)
    np.testing.assert_allclose(both.any_present(members), own.any_present(members))
    np.testing.assert_allclose(found.q_values, ONE.q_values)
    np.testing.assert_array_equal(found.p_values, ONE.p_values)


def test_equal_but_in_another_order() -> None:
    """Components of the second in another order, with their information put in order, too."""
    w, n = np.array([0.5, 0.3, 0.2]), 500.0
    order = [2, 0, 1]

    def made(at: list[int]) -> Posterior:
        found = posterior_given_targets(np.diag(n / w[at]), w[at], np.zeros(3, dtype=bool))
        return Posterior(found, TARGETS[:0], boundary_p_value(found.z), False)

    one, other = made([0, 1, 2]), made(order)
    found = averaged([TARGETS[:3], TARGETS[order]], [one, other], [0.4, 0.6])
    same(found.of_weights.weights(), one.of_weights.weights(), 1e-6)
    assert len(found.undecided) == 0


@pytest.mark.parametrize("shares", [(0.7, 0.3), (0.4, 0.6)])
def test_sums_agree_with_draws(shares: tuple[float, float]) -> None:
    found = averaged([TARGETS[:3], OTHER_TARGETS[:3]], [ONE, OTHER], shares)
    np.testing.assert_array_equal(found.undecided, TARGETS[3:])
    sums = draws(shares) @ MEMBERS.T
    own = found.of_weights.sums(MEMBERS)
    np.testing.assert_allclose(own.std_error, sums.std(axis=0), rtol=0.05)
    low, high = np.quantile(sums, [0.025, 0.975], axis=0)
    estimate = MEMBERS @ found.of_weights.estimate
    far = estimate < 6 * own.std_error  # where no logit is taken
    assert far.sum() >= 3
    error = 0.05 * own.std_error
    assert (np.abs(own.low - np.clip(np.minimum(low, estimate), 0, 1)) < error)[far].all()
    assert (np.abs(own.high - np.clip(np.maximum(high, estimate), 0, 1)) < error)[far].all()


@pytest.mark.parametrize("shares", [(0.7, 0.3), (0.4, 0.6)])
def test_weights_agree_with_draws_in_which_targets_are_there(shares: tuple[float, float]) -> None:
    found = averaged([TARGETS[:3], OTHER_TARGETS[:3]], [ONE, OTHER], shares)
    every = draws(shares)
    there = every != 0.0
    both = found.of_weights
    np.testing.assert_allclose(1.0 - both.absent, there.mean(axis=0), atol=0.02)
    own = both.weights()
    for k in range(len(TARGETS)):
        weights = every[there[:, k], k]
        assert own.std_error[k] == pytest.approx(weights.std(), rel=0.06)
        if both.estimate[k] < 6 * own.std_error[k]:
            low, high = np.quantile(weights, [0.025, 0.975])
            error = 0.08 * own.std_error[k]
            assert own.low[k] == pytest.approx(max(min(low, both.estimate[k]), 0), abs=error)
            assert own.high[k] == pytest.approx(max(high, both.estimate[k]), abs=error)
    any_there = np.array([there[:, group].any(axis=1).mean() for group in MEMBERS])
    np.testing.assert_allclose(both.any_present(MEMBERS), any_there, atol=0.02)


def test_the_average_is_wider_than_one_where_graphs_disagree() -> None:
    found = averaged([TARGETS[:3], OTHER_TARGETS[:3]], [ONE, OTHER], [0.6, 0.4])
    own, both = ONE.of_weights, found.of_weights
    assert (both.sums(MEMBERS).std_error[1:3] > own.sums(MEMBERS[:, :4]).std_error[1:3]).all()
    # What the other graph lacks is less probable.
    assert both.absent[2] == pytest.approx(0.4 + 0.6 * own.absent[2])
    assert both.absent[5] > 0.6
    assert found.n_components == 3
    wide = both.weights()
    assert ((wide.low <= both.estimate) & (both.estimate <= wide.high)).all()


def test_shares_need_not_sum_to_one() -> None:
    one, other = (
        averaged([TARGETS[:3], OTHER_TARGETS[:3]], [ONE, OTHER], s)
        for s in ([0.3, 0.1], [0.75, 0.25])
    )
    same(one.of_weights.sums(MEMBERS), other.of_weights.sums(MEMBERS))


def test_codes_of_another_width_are_the_same_targets() -> None:
    wide = replace(OTHER, undecided=OTHER.undecided.astype(np.int64))
    found = averaged([TARGETS[:3].astype(np.int32), OTHER_TARGETS[:3]], [ONE, wide], [0.5, 0.5])
    assert len(found.undecided) == 3


def test_many_graphs() -> None:
    found = averaged([TARGETS[:3]] * 5, [ONE] * 5, [0.5, 0.2, 0.1, 0.1, 0.1])
    same(found.of_weights.weights(), ONE.of_weights.weights(), 1.5e-3)
