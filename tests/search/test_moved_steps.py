"""Steps towards a moved mechanism: targets without a change, and mixtures of one variable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import norm

from dosift.model.features import Plain
from dosift.model.known_rows import ControlRows
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.noise import Noise
from dosift.search.constraints import Constraints
from dosift.search.moved_numbers import (
    _Alone,
    _even,
    _permitted,
    _saved,
    _Start,
    _with_each,
    _without,
    told_by_control,
    with_freed,
)

Floats = NDArray[np.float64]

TARGETS = np.array([[-1, -1], [0, -1], [1, -1], [0, 0], [-1, 0]], dtype=np.int16)


def test_changes_are_taken_out_of_all_targets() -> None:
    found, place = _without(TARGETS, 0, [0])
    assert found.tolist() == [[-1, -1], [-1, 0], [1, -1]]
    assert place.tolist() == [0, 0, 2, 1, 1]
    same, _ = _without(TARGETS, 0, [])
    assert sorted(same.tolist()) == sorted(TARGETS.tolist())
    assert _without(TARGETS, 0, [0, 1])[0].tolist() == [[-1, -1], [-1, 0]]


def test_targets_make_each_change_too() -> None:
    targets = np.array([[-1, -1], [1, 0], [-1, 0]], dtype=np.int16)
    found, weights = _with_each(targets, np.array([0.5, 0.2, 0.3]), 0, [1], np.array([0.75, 0.25]))
    together = {tuple(t): w for t, w in zip(found.tolist(), weights.tolist(), strict=True)}
    assert together == pytest.approx(
        {(-1, -1): 0.375, (1, -1): 0.125, (-1, 0): 0.225, (1, 0): 0.2 + 0.075}
    )


def test_shares_to_begin_with() -> None:
    assert _even(0).tolist() == [1.0]
    assert _even(2).tolist() == [0.5, 0.25, 0.25]


def test_what_one_more_change_saves() -> None:
    def cost(targets: NDArray[np.integer]) -> float:
        return 10.0 * len(targets) + float((targets >= 0).sum())

    # Five targets with five entries; without change 0 three with two; without both two with one.
    assert _saved(cost, TARGETS, 0, [0, 1], [0, 1], 0) == 50.0 + 5.0 - 32.0
    assert _saved(cost, TARGETS, 0, [0, 1], [1], 1) == 32.0 - 21.0


LINE = LinearMechanism(1, (0,), (Plain(0),), np.array([1.0, 2.0]), Noise.normal(0.5))


def rows() -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    y = 1.5 + 1.8 * x + 0.6 * rng.normal(size=80)
    y[:20] = 6.0 + 0.2 * rng.normal(size=20)
    return np.stack([x, y], axis=1), rng.uniform(0.5, 2.0, 80)


def test_a_mixture_of_one_variable_has_the_likelihood_of_its_parts() -> None:
    values, counts = rows()
    now = _Alone(LINE, (SetNormal(5.0, 0.5), Shift(1.0)), np.array([0.5, 0.3, 0.2]))
    mean = 1.0 + 2.0 * values[:, 0]
    logs = np.stack(
        [
            norm.logpdf(values[:, 1], mean, 0.5),
            norm.logpdf(values[:, 1], 5.0, 0.5),
            norm.logpdf(values[:, 1], mean + 1.0, 0.5),
        ],
        axis=1,
    )
    expected = float(counts @ logsumexp(logs + np.log(now.share), axis=1))
    assert now.log_likelihood(values, counts) == pytest.approx(expected)
    fewer = now.without(1)
    assert fewer.changes == (SetNormal(5.0, 0.5),)
    np.testing.assert_allclose(fewer.share, [0.625, 0.375])
    assert now.without(0).changes == (Shift(1.0),)
    np.testing.assert_allclose(now.without(0).share, [5 / 7, 2 / 7])


def test_steps_of_em_raise_it_to_the_mixture_that_made_the_rows() -> None:
    values, counts = rows()
    now = _Alone(LINE, (SetNormal(5.0, 0.5),), np.array([0.5, 0.5]))
    found = now.raised(values, counts)
    assert found.log_likelihood(values, counts) > now.log_likelihood(values, counts) + 10.0
    change = found.changes[0]
    assert isinstance(change, SetNormal)
    assert change.mean == pytest.approx(6.0, abs=0.15)
    assert found.share[1] == pytest.approx(counts[:20].sum() / counts.sum(), abs=0.03)
    mechanism = found.mechanism
    assert isinstance(mechanism, LinearMechanism)
    np.testing.assert_allclose(mechanism.coefficients, [1.5, 1.8], atol=0.25)
    # One more step of EM leaves shares where they are.
    again = found.raised(values, counts)
    np.testing.assert_allclose(again.share, found.share, atol=1e-3)
    library = Changes((Shift(9.0), SetNormal(5.0, 0.5)))
    network = MechanismNetwork(
        (LinearMechanism(0, (), (), np.zeros(1), Noise.normal(1.0)), LINE), (Changes(()), library)
    )
    own = found.library(network, 1, [1])
    assert isinstance(own, Changes)
    assert own.changes == (Shift(9.0), change)


def start_with(targets: list[list[int]], weights: list[float]) -> _Start:
    own = np.array(targets, dtype=np.int16)
    return _Start(1, 5.0, LINE, Changes(()), own, np.array(weights), 0.0)


def test_targets_that_there_may_not_be_are_left_out() -> None:
    free = Constraints.none(np.array([2, 2]))
    start = start_with([[-1, -1], [0, -1], [0, 1]], [0.5, 0.3, 0.2])
    assert _permitted(start, free, 2) is start
    small = _permitted(start, free, 1)
    assert small.targets.tolist() == [[-1, -1], [0, -1]]
    np.testing.assert_allclose(small.weights, [0.625, 0.375])
    known = replace(free, forbidden=np.array([[0, -1]], dtype=np.int16))
    found = _permitted(start, known, 2)
    assert found.targets.tolist() == [[-1, -1], [0, 1]]
    np.testing.assert_allclose(found.weights, [5 / 7, 2 / 7])
    # Where nothing would be left all stays.
    alone = start_with([[0, -1]], [1.0])
    assert _permitted(alone, known, 2) is alone


def test_control_rows_with_a_mechanism_of_their_own() -> None:
    values, counts = rows()
    root = LinearMechanism(0, (), (), np.zeros(1), Noise.normal(1.0))
    control = ControlRows(values[20:], counts[20:])
    network = MechanismNetwork((root, LINE), (Changes(()), Changes(())), control=control)
    alone = LINE
    for _ in range(60):
        alone = alone.fitted(alone.statistics(values[20:], counts[20:])).with_error_of(LINE)
    expected = counts[20:] @ alone.log_density(values[20:]) - 0.5 * 3 * np.log(500.0)
    assert told_by_control(network, 1, 500.0) == pytest.approx(expected, abs=0.02)
    moved = replace(LINE, coefficients=np.array([0.0, 1.0]))
    freed = with_freed(network, 1, moved)
    assert freed.mechanisms[1] is moved
    assert freed.mechanisms[0] is root
    assert freed.control is not None
    assert freed.control.silent == {1}  # type: ignore[attr-defined]
    assert network.control is not None
    assert network.control.silent == frozenset()
