"""Even ranges, and slopes that may end where control rows do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dosift.learning.bends import with_bends
from dosift.learning.uniform import is_clearly_uniform, learn_uniform
from dosift.model.features import Beyond, Feature, Indicator, Plain, Product
from dosift.model.linear import COEFFICIENT_SD, LinearMechanism
from dosift.model.noise import Noise


def test_the_range_goes_half_a_step_beyond_the_ends() -> None:
    column, weights = np.array([0.0, 2.0, 3.0, 4.0, 90.0]), np.array([1.0, 2.0, 1.0, 2.0, 0.0])
    found = learn_uniform(column, weights, 7)
    assert found is not None
    # Steps of 2, 1, 1: the median is one.
    assert (found.variable, found.low, found.high) == (7, -0.5, 4.5)
    assert found.outside == pytest.approx(2.0 / 8.0)
    assert learn_uniform(np.array([1.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0]), 0) is None


def test_a_range_must_be_ten_nats_better_than_its_two_ends_cost() -> None:
    values = np.arange(50.0)[:, None]
    weights = np.full(50, 2.0)
    found = learn_uniform(values[:, 0], weights, 0)
    assert found is not None
    own = float(weights @ found.log_density(values)) - np.log(100.0)
    assert is_clearly_uniform(found, values, weights, own - 10.01)
    assert not is_clearly_uniform(found, values, weights, own - 9.99)


def line(slope: float, sd: float, features: tuple[Feature, ...] = (Plain(0),)) -> LinearMechanism:
    slopes = [slope] * len(features)
    return LinearMechanism(2, (0, 1), features, np.array([0.5, *slopes]), Noise.normal(sd))


INSIDE = np.array([[-1.0, 0.0, 0.0], [2.0, 1.0, 0.0], [9.0, 9.0, 0.0]])
WEIGHTS = np.array([1.0, 1.0, 0.0])


def bends(
    mechanism: LinearMechanism, lows: tuple[float, float], highs: tuple[float, float]
) -> list[tuple[float, float]]:
    """Edges and scales of what is added."""
    ends = (np.array([*one, 0.0]) for one in (lows, highs))
    found = with_bends(mechanism, INSIDE, WEIGHTS, *ends)
    added = found.features[len(mechanism.features) :]
    assert found.coefficients.tolist() == [*mechanism.coefficients, *([0.0] * len(added))]
    assert all(isinstance(one, Beyond) for one in added)
    return [(one.edge, one.scale) for one in added]  # type: ignore[attr-defined]


def test_a_slope_may_end_at_the_edge_and_half_way_beyond() -> None:
    scale = 0.2 * 4.0 / COEFFICIENT_SD
    steep = line(4.0, 0.1)
    assert bends(steep, (-1.0, 0.0), (6.0, 1.0)) == [
        (2.0, pytest.approx(scale)),
        (4.0, pytest.approx(scale)),
    ]
    assert bends(steep, (-3.0, 0.0), (2.0, 1.0)) == [
        (-1.0, pytest.approx(-scale)),
        (-2.0, pytest.approx(-scale)),
    ]
    # A quarter beyond the range is no distance.
    assert bends(steep, (-1.24, 0.0), (2.24, 1.0)) == []
    assert len(bends(steep, (-1.26, 0.0), (2.26, 1.0))) == 4
    # Where the other rows end is not known: both edges, and nothing half way.
    assert [edge for edge, _ in bends(steep, (-np.inf, 0.0), (2.0, 1.0))] == []
    assert bends(steep, (0.0, 0.0), (1.0, 1.0)) == []


@pytest.mark.parametrize(
    ("slope", "sd", "expected"),
    [
        (4.0, 0.1, 0.8),  # a fifth of it
        (-4.0, 0.1, 0.8),
        (0.2, 1.0, 0.2),  # all of a weak one
        (0.5, 1.0, 0.3),  # up to a part of the noise
        (0.01, 1.0, 0.1),  # and one that does not show may begin
    ],
)
def test_weak_slopes_may_change_more(slope: float, sd: float, expected: float) -> None:
    ((_, scale), _) = bends(line(slope, sd), (-1.0, 0.0), (6.0, 1.0))
    assert scale == pytest.approx(expected / COEFFICIENT_SD)


def test_only_slopes_of_numbers_bend() -> None:
    features = (Indicator(0, 1), Product((Plain(0), Plain(1))))
    assert bends(line(1.0, 1.0, features), (-9.0, -9.0), (9.0, 9.0)) == []
    assert bends(line(0.0, 1.0), (-9.0, 0.0), (9.0, 1.0)) == []
    # The other parent goes beyond its range.
    assert bends(line(1.0, 1.0), (-1.0, -9.0), (2.0, 9.0)) == []


def test_what_is_known_of_coefficients_and_width_stays() -> None:
    given = replace(
        line(1.0, 1.0), axis=np.array([0.0, 0.7]), covariance=np.array([[2.0, 1.0], [1.0, 3.0]])
    )
    found = with_bends(given, INSIDE, WEIGHTS, np.array([-1.0, 0, 0]), np.array([6.0, 1.0, 0]))
    assert found.axis is not None
    assert found.axis.tolist() == [0.0, 0.7, 0.0, 0.0]
    assert found.covariance is not None
    assert found.covariance[:2, :2].tolist() == [[2.0, 1.0], [1.0, 3.0]]
    assert found.covariance[2:].tolist() == [[0.0] * 4] * 2
    same = with_bends(given, INSIDE, WEIGHTS, np.array([-1.0, 0, 0]), np.array([2.0, 1.0, 0]))
    assert same is given
