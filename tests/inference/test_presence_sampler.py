"""Draws of presence and weights, against the posterior summed over all sets of targets."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from dosift.inference.presence_sampler import PresenceSampler

Floats = NDArray[np.float64]


def exact(information: Floats, linear: Floats, log_odds: Floats) -> tuple[Floats, Floats]:
    """Probability that each of two targets is absent, and mean weights, on a fine grid."""
    grid = np.linspace(0.0, 1.5, 1_501)[1:]
    step = grid[1] - grid[0]
    total, absent, mean = 0.0, np.zeros(2), np.zeros(2)
    for there in product([False, True], repeat=2):
        axes = [grid if own else np.zeros(1) for own in there]
        w = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
        log = w @ linear - 0.5 * np.einsum("ni,ij,nj->n", w, information, w)
        density = np.exp(log + log_odds[list(there)].sum()) * step ** sum(there)
        total += density.sum()
        absent += density.sum() * ~np.array(there)
        mean += density @ w
    return absent / total, mean / total


@pytest.mark.parametrize("start", [[0.3, 0.0], [0.3, 0.2], [0.0, 0.0]])
def test_draws_are_those_of_the_posterior(start: list[float]) -> None:
    information = np.array([[400.0, 300.0], [300.0, 500.0]])
    linear, log_odds = np.array([110.0, 104.0]), np.array([0.5, -0.3])
    absent, mean = exact(information, linear, log_odds)
    sampler = PresenceSampler(information, linear, log_odds, np.random.default_rng(1))
    draws, found = sampler.run(np.array(start))
    assert draws.shape == (20 * 256, 2)
    assert found == pytest.approx(absent, abs=0.02)
    assert (draws == 0.0).mean(axis=0) == pytest.approx(absent, abs=0.03)
    assert draws.mean(axis=0) == pytest.approx(mean, abs=0.006)
    assert (draws >= 0.0).all()


def test_targets_that_stand_for_each_other_change_places() -> None:
    """Each alone explains the rows; by itself neither would leave."""
    information = np.full((2, 2), 40_000.0) + np.diag([40.0, 40.0])
    linear = np.full(2, 12_000.0)
    sampler = PresenceSampler(information, linear, np.full(2, -4.0), np.random.default_rng(2))
    _, found = sampler.run(np.array([0.3, 0.0]))
    assert found == pytest.approx([0.5, 0.5], abs=0.08)


def test_partners_are_chosen_by_their_likeness() -> None:
    information = np.array([[4.0, 2.0, -1.0], [2.0, 9.0, 0.0], [-1.0, 0.0, 1.0]])
    sampler = PresenceSampler(information, np.zeros(3), np.zeros(3), np.random.default_rng(0))
    found = sampler._partners()
    assert found is not None
    likeness = np.array([[0.0, 2 / 6, 1 / 2], [2 / 6, 0.0, 0.0], [1 / 2, 0.0, 0.0]])
    np.testing.assert_allclose(found, likeness / likeness.sum(axis=1, keepdims=True))
    # One that is like no other has none to change places with.
    apart = PresenceSampler(np.eye(2), np.zeros(2), np.zeros(2), np.random.default_rng(0))
    assert apart._partners() is None


@pytest.mark.parametrize(("slope", "curvature"), [(30.0, 100.0), (-20.0, 100.0), (-250.0, 100.0)])
def test_positive_normals_have_their_quantiles(slope: float, curvature: float) -> None:
    sampler = PresenceSampler(np.eye(1), np.zeros(1), np.zeros(1), np.random.default_rng(3))
    drawn = sampler._positive_normal(np.full(40_000, slope), curvature)
    mean, sd = slope / curvature, 1.0 / np.sqrt(curvature)
    share = np.array([0.1, 0.5, 0.9])
    tail = norm.sf(-mean / sd)
    wanted = mean + sd * norm.isf((1.0 - share) * tail)
    assert (drawn > 0.0).all()
    np.testing.assert_allclose(np.quantile(drawn, share), wanted, rtol=0.04)


def test_far_below_zero_they_fall_off_exponentially() -> None:
    sampler = PresenceSampler(np.eye(1), np.zeros(1), np.zeros(1), np.random.default_rng(3))
    drawn = sampler._positive_normal(np.full(40_000, -500.0), 100.0)
    share = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(np.quantile(drawn, share), -np.log(1.0 - share) / 500.0, rtol=0.05)


def test_without_targets_nothing_is_drawn() -> None:
    sampler = PresenceSampler(np.zeros((0, 0)), np.zeros(0), np.zeros(0), np.random.default_rng(0))
    draws, absent = sampler.run(np.zeros(0))
    assert draws.shape == (1, 0)
    assert absent.shape == (0,)
