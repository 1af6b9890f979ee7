"""Targets around a mixture: neighbours, and their odds by numerical integration."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.search.constraints import Constraints
from dosift.search.near_equivalent import _neighbours
from dosift.search.pricing import Priced
from dosift.search.score import Score
from dosift.search.undecided import _not_hopeless, likeliest, log_odds

Floats = NDArray[np.float64]

SIZES = np.array([2, 3, 2])


def selection(**more: Any) -> Any:
    own: dict[str, Any] = {
        "variables": (0, 1),
        "network": SimpleNamespace(n_changes=SIZES),
        "max_size": None,
        "constraints": Constraints.none(SIZES),
    }
    return SimpleNamespace(**(own | more))


def test_neighbours_differ_in_one_variable_and_are_no_components() -> None:
    target = np.array([0, -1, 1], dtype=np.int16)
    present = np.array([[0, -1, 1], [0, 2, 1]], dtype=np.int16)
    every = {(-1, -1, 1), (1, -1, 1), (0, 0, 1), (0, 1, 1)}
    assert {tuple(t) for t in _neighbours(target, selection(), present).tolist()} == every
    small = _neighbours(target, selection(max_size=2), present)
    assert {tuple(t) for t in small.tolist()} == {(-1, -1, 1), (1, -1, 1)}
    known = replace(Constraints.none(SIZES), forbidden=np.array([[1, -1, 1]], dtype=np.int16))
    found = _neighbours(target, selection(constraints=known), present)
    assert {tuple(t) for t in found.tolist()} == every - {(1, -1, 1)}
    assert _neighbours(target, selection(variables=()), present).shape == (0, 3)


def priced(gradients: list[float], curvatures: list[float]) -> Priced:
    targets = np.array([[0, -1, -1], [-1, 1, -1], [0, 1, -1], [0, 1, 1]], dtype=np.int16)
    return Priced(targets, np.array(gradients), np.array(curvatures))


SCORE = Score(400.0, SIZES, 3)


def test_those_that_look_likeliest_come_first() -> None:
    some = priced([1.2, 0.9, 1.1, 1.4], [900.0, 100.0, 2500.0, 1600.0])
    components = np.full((2, 3), -1)
    prior = np.log(2.0) - SCORE.names(some.targets)
    z = 400.0 * np.array([0.2, -0.1, 0.1, 0.4]) / np.array([30.0, 10.0, 50.0, 40.0])
    value = prior + np.where(z > 0, 0.5 * z**2, z)
    expected = np.argsort(-value).tolist()
    assert likeliest(components, some, SCORE, 400.0, 9).tolist() == expected
    assert likeliest(components, some, SCORE, 400.0, 2).tolist() == expected[:2]


def test_targets_that_no_curvature_can_save_are_left_out() -> None:
    some = priced([0.5, 1.0 + 1e-9, 1.5, 0.99], [1.0] * 4)
    kept = _not_hopeless(2, some, SCORE, 400.0)
    prior = np.log(2.0) - SCORE.names(some.targets)
    for k, gradient in enumerate(some.gradient):
        slope = 400.0 * (gradient - 1.0) - 2.0
        # The integral of exp(slope w) is one over its size.
        most = prior[k] + np.log(2.0) - np.log(max(-slope, 1e-300))
        assert kept[k] == (slope >= 0 or most > -5.0)
    # Two nats around the bound of five: slopes of 400 times so much, with a prior of a few.
    bound = (np.exp(prior + np.log(2.0) + 5.0) - 2.0) / 400.0
    for by, stay in ((0.9, True), (1.1, False)):
        near = priced((1.0 - by * bound).tolist(), [1.0] * 4)
        assert _not_hopeless(2, near, SCORE, 400.0).tolist() == [stay] * 4
    far = priced([-1e9, 1.0, 1.5, 0.99], [1.0] * 4)
    assert not _not_hopeless(2, far, SCORE, 400.0)[0]


@pytest.mark.parametrize("seed", range(3))
def test_odds_are_those_of_the_integral_over_the_weight(seed: int) -> None:
    """All other weights at their best, of a likelihood that is quadratic."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 6))
    information = 300.0 * (root @ root.T)
    n_rows, prior = 500.0, np.array([-1.5])
    own_slope, slope = rng.normal(size=3), 20.0 * rng.normal()
    found: Any = SimpleNamespace(
        own=(n_rows + own_slope)[None],
        cross=information[None, 3:, :3],
        curvature=information[None, [3], [3]],
        own_information=information[None, :3, :3],
        gradient=np.array([[n_rows + slope]]),
    )
    grid = np.linspace(0.0, 3.0, 300_001)
    inner, cross = information[:3, :3], information[3, :3]
    best = np.linalg.solve(inner, own_slope[:, None] - cross[:, None] * grid)
    value = slope * grid - 0.5 * information[3, 3] * grid**2
    value += own_slope @ best - cross @ best * grid - 0.5 * (best * (inner @ best)).sum(axis=0)
    # Beside the best without it; the prior of a weight falls off with the number of components.
    value -= 0.5 * own_slope @ np.linalg.solve(inner, own_slope) + 3.0 * grid
    integral = np.exp(value).sum() * (grid[1] - grid[0])
    expected = np.log(integral) + np.log(3.0) - 1.5
    assert log_odds(found, n_rows, prior)[0] == pytest.approx(expected, abs=2e-3)
