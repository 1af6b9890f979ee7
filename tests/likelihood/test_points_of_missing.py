"""Points that stand for missing numbers: where they lie, and what they count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, norm

from dosift.likelihood.missing_numbers import (
    _Climb,
    _Filled,
    _irrational,
    _is_count,
    _layout,
    _middle,
    _Normal,
    points_of,
)
from dosift.model.counts import NegativeBinomialMechanism
from dosift.model.features import Plain
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import PointMechanism, SetPoint, Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.model.noise import Noise

Floats = NDArray[np.float64]

NAN = np.nan
#: Of x0 -> x1 -> x2, and x3 alone: coefficients and deviations.
SLOPES, SDS = {1: 0.5, 2: 2.0}, (1.0, 0.4, 0.6, 1.0)


def chain(changes: Changes | None = None) -> MechanismNetwork:
    own = []
    for i in range(4):
        parents = (i - 1,) if i in SLOPES else ()
        coefficients = np.array([0.3, *(SLOPES[i] for _ in parents)])
        features = tuple(map(Plain, parents))
        own.append(LinearMechanism(i, parents, features, coefficients, Noise.normal(SDS[i])))
    return MechanismNetwork(tuple(own), (changes or Changes(()),) * 4)


def moments() -> tuple[Floats, Floats]:
    """Mean and covariance of all four."""
    mean, root = np.zeros(4), np.zeros((4, 4))
    for i in range(4):
        mean[i] = 0.3 + SLOPES.get(i, 0.0) * mean[i - 1]
        root[i] = SLOPES.get(i, 0.0) * root[i - 1]
        root[i, i] = SDS[i]
    return mean, root @ root.T


VALUES = np.array([[NAN, 1.0, 2.0, 5.0], [0.5, NAN, 2.0, NAN], [NAN, NAN, -1.0, 0.0]])


def test_what_is_filled_in_what_shows_it_and_what_matters() -> None:
    filled = _Filled(chain(), VALUES[:2], np.array([[0], [1]]))
    assert filled.fill.tolist() == [[True, False, False, False], [False, True, False, False]]
    # Seen, and a child of what was not.
    assert filled.shows.tolist() == [[False, True, False, False], [False, False, True, False]]
    assert filled.matters == [0, 1, 2]
    assert not filled.is_count.any()
    both = _Filled(chain(), VALUES[2:], np.array([[0, 1]]))
    # The second is missing itself.
    assert both.shows.tolist() == [[False, False, True, False]]
    last = _Filled(chain(), np.array([[0.0, NAN, NAN, 0.0]]), np.array([[1]]))
    assert not last.shows.any()
    assert last.matters == [1]


@pytest.mark.parametrize(("row", "missing"), [(0, [0]), (1, [1]), (2, [0, 1])])
def test_the_mode_is_the_conditional_mean_with_its_covariance(row: int, missing: list[int]) -> None:
    network = chain()
    filled = _Filled(network, VALUES[[row]], np.array([missing]))
    climb = _Climb(filled, network.mechanisms, np.array([0]), np.array([-1]))
    mean, root, possible = climb.top()
    centre, covariance = moments()
    seen = np.flatnonzero(~np.isnan(VALUES[row]))
    cross = covariance[np.ix_(missing, seen)]
    gain = cross @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    expected = centre[missing] + gain @ (VALUES[row, seen] - centre[seen])
    np.testing.assert_allclose(mean[0], expected, atol=1e-6)
    left = covariance[np.ix_(missing, missing)] - gain @ cross.T
    np.testing.assert_allclose(root[0] @ root[0].T, left, atol=1e-6)
    assert possible.tolist() == [True]


def test_derivatives_are_those_of_the_density() -> None:
    network = chain()
    filled = _Filled(network, VALUES[2:], np.array([[0, 1]]))
    climb = _Climb(filled, network.mechanisms, np.array([0]), np.array([-1]))
    at = np.array([[0.7, -0.4]])
    found, value, gradient, curvature = climb._derivatives(at, np.array([0]))
    assert found.tolist() == at.tolist()
    x0, x1, x2 = 0.7, -0.4, -1.0
    away = np.array([x0 - 0.3, x1 - 0.3 - 0.5 * x0, x2 - 0.3 - 2.0 * x1])
    sds = np.array(SDS[:3])
    assert value[0] == pytest.approx(norm.logpdf(away / sds).sum() - np.log(sds).sum())
    slopes = -away / sds**2
    np.testing.assert_allclose(
        gradient[0], [slopes[0] - 0.5 * slopes[1], slopes[1] - 2.0 * slopes[2]], atol=1e-6
    )
    bend = -1.0 / sds**2
    expected = [
        [bend[0] + 0.25 * bend[1], -0.5 * bend[1]],
        [-0.5 * bend[1], bend[1] + 4.0 * bend[2]],
    ]
    np.testing.assert_allclose(curvature[0], expected, rtol=1e-5, atol=1e-5)


def test_points_of_one_normal_have_its_moments_and_density() -> None:
    root = np.array([[[1.0, 0.0], [0.5, 2.0]]])
    normal = _Normal(np.array([0]), np.array([[3.0, -1.0]]), root, 16, np.array([-1]))
    points = normal.points()[0]
    assert points.shape == (16, 2)
    np.testing.assert_allclose(points.mean(axis=0), [3.0, -1.0])
    np.testing.assert_allclose(np.cov(points.T, bias=True), root[0] @ root[0].T)
    at = np.array([[2.5, 0.5], [3.0, -1.0]])
    found = normal.log_density(np.zeros(2, dtype=int), at)
    exact = multivariate_normal([3.0, -1.0], root[0] @ root[0].T).logpdf(at)
    np.testing.assert_allclose(found, exact + np.log(16.0))


def test_a_number_with_one_exact_value_stays_there() -> None:
    normal = _Normal(
        np.arange(2),
        np.array([[3.0, -1.0]] * 2),
        np.repeat(np.eye(2)[None], 2, axis=0),
        8,
        np.array([1, -1]),
        resolution=0.1,
    )
    first = replace(normal, pinned=np.array([0, -1]))
    assert (first.points()[0, :, 0] == 3.0).all()
    assert first.log_density(np.array([0]), np.array([[3.06, -1.0]]))[0] == -np.inf
    points = normal.points()
    assert (points[0, :, 1] == -1.0).all()
    assert points[0, :, 0].std() > 0.5
    assert points[1, :, 1].std() > 0.5
    at = np.array([[3.0, -1.04], [3.0, -1.06], [3.0, -1.06]])
    found = normal.log_density(np.array([0, 0, 1]), at)
    # Even over its resolution, and nothing beyond.
    assert found[0] == pytest.approx(norm.logpdf(0.0) + np.log(10.0) + np.log(8.0))
    assert found[1] == -np.inf
    assert found[2] == pytest.approx(norm.logpdf([0.0, 0.06]).sum() + np.log(8.0))


def test_each_change_that_matters_has_points_of_its_own() -> None:
    """An exact value, and what was seen of a variable that it cuts off from its parents."""
    network = chain(Changes((SetPoint(1.5, 0.1),)))
    filled = _Filled(network, VALUES[:2], np.array([[0], [1]]))
    first, broad, *others = filled._normals()
    assert first.rows.tolist() == broad.rows.tolist() == [0, 1]
    assert (first.n_points, broad.n_points) == (16, 16)
    assert first.pinned.tolist() == [-1, -1]
    np.testing.assert_allclose(broad.mean, first.mean)
    np.testing.assert_allclose(broad.root, 3.0 * first.root)
    found = [(one.rows.tolist(), one.pinned.tolist()) for one in others]
    # x0 set where it is missing; x1 where it is, and cut off in the row that shows it; x2 likewise.
    assert found == [([0], [0]), ([1], [0]), ([0], [-1]), ([1], [-1])]
    of_x0, of_x1, cut_x1, cut_x2 = others
    for one in (of_x0, of_x1):
        assert (one.mean.tolist(), one.root.tolist()) == ([[1.5]], [[[1.0]]])
        assert (one.resolution, one.n_points) == (0.1, 12)
    # x0 as it is by itself, and x1 given x0 = .5.
    assert cut_x1.mean[0, 0] == pytest.approx(0.3, abs=1e-6)
    assert cut_x1.root[0, 0, 0] == pytest.approx(1.0, abs=1e-6)
    assert cut_x2.mean[0, 0] == pytest.approx(0.55, abs=1e-6)
    assert cut_x2.root[0, 0, 0] == pytest.approx(0.4, abs=1e-6)


def test_an_exact_value_leaves_the_other_number_to_be_found() -> None:
    network = chain()
    mechanisms = list(network.mechanisms)
    mechanisms[1] = SetPoint(-0.5, 0.1).applied(mechanisms[1])  # type: ignore[assignment]
    filled = _Filled(network, VALUES[2:], np.array([[0, 1]]))
    found = filled._around(mechanisms, np.array([0]), 1, 12)
    assert found is not None
    assert found.pinned.tolist() == [1]
    # Nothing then says anything of the first but its own distribution.
    np.testing.assert_allclose(found.mean, [[0.3, -0.5]], atol=1e-6)
    np.testing.assert_allclose(found.root[0], np.eye(2), atol=1e-6)
    assert filled._around(mechanisms, np.array([], dtype=int), 1, 12) is None


def test_layouts_are_pairs_around_zero_that_fill_the_space() -> None:
    one = _layout(1, 4)
    np.testing.assert_allclose(one[:, 0], norm.ppf([0.625, 0.875, 0.375, 0.125]))
    for d, n in ((2, 4), (3, 16)):
        points = _layout(d, n)
        assert points.shape == (n, d)
        np.testing.assert_allclose(points[n // 2 :], -points[: n // 2])
        np.testing.assert_allclose(points.T @ points / n, np.eye(d), atol=1e-12)
        assert not points.flags.writeable
    # Too few of them for the covariance.
    few = _layout(9, 16)
    assert few.shape == (16, 9)
    assert np.isfinite(few).all()
    # Steps by the golden ratio in one dimension, by the plastic number in two.
    assert _irrational(1)[0] == pytest.approx(2.0 / (1.0 + np.sqrt(5.0)))
    plastic = 1.324717957244746
    np.testing.assert_allclose(_irrational(2), [1.0 / plastic, 1.0 / plastic**2])


def test_points_sum_to_the_density_of_what_was_seen() -> None:
    network = chain(Changes((Shift(1.0),)))
    fill = np.isnan(VALUES)
    fill[1, 3] = False  # nothing depends on it
    more = np.concatenate([VALUES, np.array([[0.1, 0.2, 0.3, 0.4]])])
    fill = np.concatenate([fill, np.zeros((1, 4), dtype=bool)])
    points = points_of(network, more, fill)
    assert (np.diff(points.row) >= 0).all()
    logs = sum(network.mechanisms[i].log_density(points.values) for i in range(3))
    found = np.bincount(points.row, np.exp(logs + points.log_weight))
    mean, covariance = moments()
    for r, row in enumerate(more):
        seen = np.flatnonzero(~np.isnan(row[:3]))
        exact = multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)]).pdf(row[seen])
        assert found[r] == pytest.approx(exact, rel=0.04)
    # A row with all of its numbers is its own only point.
    (own,) = np.flatnonzero(points.row == 3)
    assert points.values[own].tolist() == more[3].tolist()
    assert points.log_weight[own] == 0.0


def counts() -> NegativeBinomialMechanism:
    return NegativeBinomialMechanism(1, (), (), (float(np.log(5.0)),), 2.0)


def test_counts_move_by_whole_numbers_on_the_scale_of_roots() -> None:
    network: Any = MechanismNetwork(
        (LinearMechanism(0, (), (), np.zeros(1), Noise.normal(1.0)), counts()),
        (Changes(()),) * 2,
    )
    assert [_is_count(network, i) for i in range(2)] == [False, True]
    named = (Variable("x", kind="count"), Variable("y", kind="continuous"))
    declared: Any = replace(network, variables=named)
    assert [_is_count(declared, i) for i in range(2)] == [True, False]
    filled = _Filled(network, np.full((1, 2), NAN), np.array([[0, 1]]))
    assert filled.is_count.tolist() == [[False, True]]
    climb = _Climb(filled, network.mechanisms, np.array([0]), np.array([-1]))
    at = np.array([[0.7, np.sqrt(20.5)]])
    low, middle, high = climb._steps(at, np.array([0]))
    # Three tenths of twenty.
    np.testing.assert_allclose(low, [[0.68, np.sqrt(14.5)]])
    np.testing.assert_allclose(middle, at)
    np.testing.assert_allclose(high, [[0.72, np.sqrt(26.5)]])
    # From 0 it is looked at 0, 1 and 2.
    low, middle, high = climb._steps(np.array([[0.0, 0.2]]), np.array([0]))
    np.testing.assert_allclose([low[0, 1], middle[0, 1], high[0, 1]], np.sqrt([0.5, 1.5, 2.5]))
    values, log_slope = filled._with(np.array([[0.7, 2.5], [0.1, 3.0]]), np.array([0, 0]))
    assert values.tolist() == [[0.7, 6.0], [0.1, 9.0]]
    np.testing.assert_allclose(log_slope, np.log([5.0, 6.0]))
    assert filled._with(np.array([[0.7, -1.0]]), np.array([0]))[1][0] == -np.inf


def test_middles_given_parents() -> None:
    network = chain()
    rows = np.array([[1.0, 2.0, 0.0, 0.0], [3.0, -1.0, 0.0, 0.0]])
    assert _middle(network.mechanisms[1], rows).tolist() == [0.8, 1.8]
    assert _middle(counts(), rows) == pytest.approx(5.0)
    point = SetPoint(1.5, 0.1).applied(network.mechanisms[1])
    assert isinstance(point, PointMechanism)
    assert _middle(point, rows).tolist() == [1.5, 1.5]
