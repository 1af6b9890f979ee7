"""Backward elimination on a toy, where the best answer is known; and its quadratic models."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from dosift.search.elimination import drop_losses, eliminate, inverse_of, survivors

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass
class Log:
    """What was tried, batch by batch."""

    tried: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True)
class Toy:
    """Components with an estimated margin and a true value, dropped by batches."""

    estimated: Floats
    value: Floats
    there: Bools
    log: Log
    names: tuple[int, ...] = ()

    def margins(self) -> Floats:
        return np.where(self.there, self.estimated, np.inf)

    def without(self, tried: Ints) -> Toy:
        self.log.tried.append(tried.tolist())
        there = self.there.copy()
        at = np.flatnonzero(tried >= 0)
        assert there[at, tried[at]].all(), "what is gone is tried again"
        there[at, tried[at]] = False
        return replace(self, there=there)

    def gains(self, trial: Toy, tried: Ints) -> Bools:
        gain = np.where(self.there & ~trial.there, -self.value, 0.0).sum(axis=1)
        return np.asarray(gain > 0)

    def taking(self, trial: Toy, tried: Ints, better: Bools) -> Toy:
        return replace(self, there=np.where(better[:, None], trial.there, self.there))


def toy(estimated: object, value: object) -> Toy:
    estimates, values = np.array(estimated, dtype=float), np.array(value, dtype=float)
    return Toy(estimates, values, np.ones(values.shape, dtype=bool), Log())


def test_what_does_not_pay_goes_the_least_margin_first() -> None:
    start = toy([[3.0, -5.0, -1.0, 7.0]], [[3.0, -5.0, -1.0, 7.0]])
    end = eliminate(start, slack=2.0)
    assert end.there.tolist() == [[True, False, False, True]]
    # After the second drop nothing else has a margin within the slack.
    assert start.log.tried == [[1], [2]]


def test_drops_within_the_slack_are_tried_and_the_margin_itself_counts() -> None:
    start = toy([[1.0, 2.0, 2.1]], [[-1.0, -1.0, -1.0]])
    end = eliminate(start, slack=2.0)
    assert end.there.tolist() == [[False, False, True]]


def test_a_drop_that_failed_gives_way_to_the_next_and_is_tried_again_after_a_success() -> None:
    start = toy([[-4.0, -3.0, -2.0]], [[1.0, -1.0, 1.0]])
    end = eliminate(start, slack=0.0)
    assert end.there.tolist() == [[True, False, True]]
    assert start.log.tried == [[0], [1], [0], [2]]


def test_trials_in_a_row_are_bounded_in_each_batch() -> None:
    start = toy(
        [[-4.0, -3.0, -2.0, -1.0], [-4.0, -3.0, -2.0, -1.0]],
        [[1.0, 1.0, -1.0, 1.0], [-1.0, 1.0, 1.0, -1.0]],
    )
    end = eliminate(start, slack=0.0, trials=2)
    # The first batch gives up after two; the second goes on after its success.
    assert end.there.tolist() == [[True, True, True, True], [False, True, True, True]]
    assert start.log.tried == [[0, 0], [1, 1], [-1, 2]]
    assert eliminate(replace(start, log=Log()), slack=0.0, trials=3).there.tolist() == [
        [True, True, False, True],
        [False, True, True, False],
    ]


def test_batches_go_side_by_side() -> None:
    start = toy([[-1.0, 5.0, 9.0], [8.0, -2.0, -1.0]], [[-1.0, 5.0, 9.0], [8.0, -2.0, 3.0]])
    end = eliminate(start, slack=0.0)
    assert end.there.tolist() == [[False, True, True], [True, False, True]]
    assert start.log.tried[0] == [0, 1]
    assert start.log.tried[1] == [-1, 2]


def test_what_must_stay_is_never_tried() -> None:
    start = toy([[np.inf, np.inf, np.inf], [np.inf, -1.0, np.inf]], [[-1.0] * 3, [-1.0] * 3])
    end = eliminate(start, slack=100.0)
    assert end.there.tolist() == [[True] * 3, [True, False, True]]
    assert start.log.tried == [[-1, 1]]


def test_a_single_component_stays() -> None:
    start = toy([[-5.0]], [[-5.0]])
    assert eliminate(start, slack=0.0) is start
    assert start.log.tried == []


def test_estimated_losses_are_those_of_the_quadratic_model() -> None:
    """Against minimising ``(w - u)' I (w - u) / 2`` over u with one entry zero."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(2, 4, 4))
    information = root @ root.transpose(0, 2, 1) + 0.5 * np.eye(4)
    weights = rng.dirichlet(np.ones(4), 2)
    weights[1, 2] = 0.0
    found = drop_losses(information, weights)
    for b in range(2):
        here = np.flatnonzero(weights[b] > 0)
        part = information[b][np.ix_(here, here)]
        for place, k in enumerate(here):
            rest = np.delete(np.arange(here.size), place)

            def loss(
                u: Floats, rest: Ints = rest, part: Floats = part, own: Floats = weights[b, here]
            ) -> float:
                off = own.copy()
                off[rest] -= u
                return float(0.5 * off @ part @ off)

            best = minimize(loss, weights[b, here][rest], tol=1e-14).fun
            assert found[b, k] == pytest.approx(best, rel=1e-5)
    assert found[1, 2] == 0.0


def test_inverses_with_directions_that_nothing_is_known_of() -> None:
    information = np.array([[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    inverse = inverse_of(information)
    assert np.isfinite(inverse).all()
    # Of coinciding columns, and of one without any row, hardly anything is known.
    assert np.diag(inverse).min() > 1e6
    # Of the sum of the two it is known what there is.
    assert inverse[:2, :2].sum() == pytest.approx(0.5, rel=1e-6)
    well = np.array([[4.0, 1.0], [1.0, 900.0]])
    np.testing.assert_allclose(inverse_of(well), np.linalg.inv(well), rtol=1e-7)
    np.testing.assert_allclose(inverse_of(1e12 * well), 1e-12 * np.linalg.inv(well), rtol=1e-7)


def test_survivors_of_the_quadratic_model() -> None:
    # The first two are nearly the same: dropping either gives its weight to the other.
    information = np.array([[100.0, 99.0, 0.0], [99.0, 100.0, 0.0], [0.0, 0.0, 1000.0]])
    inverse = np.linalg.inv(information)
    weights = np.array([0.3, 0.31, 0.39])
    costs = np.full(3, 2.0)
    nobody = np.zeros(3, dtype=bool)
    assert survivors(weights, inverse, costs, nobody).tolist() == [1, 2]
    protected = np.array([True, False, False])
    assert survivors(weights, inverse, costs, protected).tolist() == [0, 2]
    both = np.array([True, True, False])
    assert survivors(weights, inverse, costs, both).tolist() == [0, 1, 2]
    # Costs of their own, and one always stays.
    assert survivors(weights, inverse, np.array([2.0, 2.0, 90.0]), nobody).tolist() == [1]
    assert survivors(weights, inverse, np.full(3, 1e9), nobody).size == 1
    # Without a weight it goes, whatever it costs.
    assert 2 not in survivors(np.array([0.5, 0.5, 0.0]), np.eye(3) / 1e6, np.zeros(3), nobody)
