"""Rough changes that rows suggest, and their densities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from dosift.model.features import Plain
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import (
    COARSE_SPREAD,
    LEAST_SPREAD,
    FreeRegression,
    Gain,
    SetNormal,
    SetPoint,
    Shift,
)
from dosift.model.noise import Noise
from dosift.model.suggested import RegressionChanges, finest_spread, ties
from dosift.model.uniform import UniformMechanism

LINE = LinearMechanism(1, (0,), (Plain(0),), np.array([1.0, 2.0]), Noise.normal(0.5))


def values_of(n: int = 1_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    return np.stack([x, 1.0 + 2.0 * x + 0.5 * rng.normal(size=n)], axis=1)


def test_each_kind_suggests_over_the_range_of_the_rows() -> None:
    values, weights = values_of(), np.ones(1_000)
    weights[:500] = 3.0
    own, mean = values[:, 1], 1.0 + 2.0 * values[:, 0]

    def suggested(kind: str) -> list[object]:
        library = RegressionChanges((), frozenset({kind}), 0.01)
        return list(library.suggested(LINE, values, weights))

    sets = suggested("set")
    assert len(sets) == 3 * 22
    assert all(isinstance(one, SetNormal) and one.least == 0.01 for one in sets)
    means = np.array([one.mean for one in sets[:22]])  # type: ignore[attr-defined]
    assert {one.sd for one in sets} == {0.1, 0.35, 1.0}  # type: ignore[attr-defined]
    assert (means[0], means[-1]) == (own.min(), own.max())
    np.testing.assert_allclose(means[1:-1], np.linspace(*np.quantile(own, [0.002, 0.998]), 20))
    shifts = np.array([one.by for one in suggested("shift")])  # type: ignore[attr-defined]
    assert (shifts[0], shifts[-1]) == ((own - mean).min(), (own - mean).max())
    gains = suggested("gain")
    centre = weights @ mean / weights.sum()
    assert [(one.gain, one.offset) for one in gains] == [  # type: ignore[attr-defined]
        (g, pytest.approx((1.0 - g) * centre)) for g in (0.25, 0.5, 0.7, 1.4, 2.0, 4.0)
    ]
    free = suggested("free")
    assert [one.coefficients.tolist() for one in free] == [  # type: ignore[attr-defined]
        [1.0, -2.0],
        [1.0, 0.0],
        [1.0, 4.0],
    ]
    assert {one.sd for one in free} == {0.5}  # type: ignore[attr-defined]
    assert suggested("do") == []


def test_without_parents_there_is_no_gain_and_no_other_regression() -> None:
    alone = LinearMechanism(1, (), (), np.array([1.0]), Noise.normal(0.5))
    library = RegressionChanges((), frozenset({"gain", "free"}))
    assert library.suggested(alone, values_of(), np.ones(1_000)) == []
    assert library.neutral(alone, "gain") is None
    assert library.neutral(alone, "free") is None
    even = UniformMechanism(1, 0.0, 4.0, 0.1)
    every = RegressionChanges((), frozenset({"set", "shift", "gain", "free"}), 0.01)
    found = every.suggested(even, values_of(), np.ones(1_000))
    assert {type(one) for one in found} == {SetNormal}
    assert every.neutral(even, "set") == SetNormal(2.0, 4.0, 0.01)
    assert every.neutral(even, "shift") is None


def test_neutral_changes_are_those_to_fit_from() -> None:
    library = RegressionChanges((), frozenset(), 0.01)
    assert library.neutral(LINE, "set") == SetNormal(1.0, 1.0, 0.01)
    assert library.neutral(LINE, "shift") == Shift(0.0)
    assert library.neutral(LINE, "gain") == Gain(1.0, 0.0)
    free = library.neutral(LINE, "free")
    assert isinstance(free, FreeRegression)
    assert (free.coefficients.tolist(), free.sd) == ([1.0, 2.0], 0.5)
    assert library.neutral(LINE, "do") is None


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_densities_of_many_changes_are_those_of_each(factor: float) -> None:
    values = values_of(20)
    mechanism = replace(LINE, factor=factor)
    changes = (SetNormal(0.5, 0.3), Shift(1.2), Shift(0.4, 2.0, has_factor=True), Gain(0.5, 0.1))
    found = RegressionChanges(changes).log_densities(mechanism, changes, values)
    assert found.shape == (20, 4)
    for k, change in enumerate(changes):
        own = change.applied(mechanism).log_density(values)
        if not isinstance(change, Shift) or factor == 1.0:
            np.testing.assert_allclose(found[:, k], own)
    away = values[:, 1] - 1.0 - 2.0 * values[:, 0]
    np.testing.assert_allclose(found[:, 1], norm.logpdf(away, 1.2, 0.5 * factor))
    heavy = replace(LINE, noise=Noise(np.array([0.6, 0.4]), np.zeros(2), np.array([0.3, 1.0])))
    found = RegressionChanges(changes).log_densities(heavy, changes[1:2], values)
    np.testing.assert_allclose(found[:, 0], changes[1].applied(heavy).log_density(values))


def test_the_finest_spread_is_twice_the_distance_of_most() -> None:
    assert finest_spread(np.array([1.0, 2.0, np.nan])) == COARSE_SPREAD
    assert finest_spread(np.arange(100.0) ** 2) == LEAST_SPREAD
    # Of ten values eight are 0.5 above the one below, one is 3 above.
    column = np.array([0.0] * 5 + [0.5] * 4 + [1.0] * 4 + [4.0])
    assert finest_spread(column) == pytest.approx(2.0 * 3.0)
    assert finest_spread(np.append(column, [0.5] * 20)) == pytest.approx(2.0 * 0.5)


def test_exact_values_stand_out_of_their_neighbours() -> None:
    spaced = np.arange(0.0, 3.0, 0.1)
    own = np.concatenate([spaced, np.full(10, 1.05)])
    (found,) = ties(own, np.ones(own.size), 0.5)
    assert found == SetPoint(1.05, pytest.approx(0.1))  # type: ignore[arg-type]
    # What is measured less finely than that is no better known.
    assert ties(own, np.ones(own.size), 0.02)[0].resolution == 0.02
    # Eight rows, half a hundredth of them, ten times as many as of the values nearby.
    assert ties(own, np.full(own.size, 0.79)) == []
    assert len(ties(own, np.full(own.size, 0.81), 0.5)) == 1
    many = np.concatenate([np.repeat(spaced, 2), np.full(19, 1.05)])
    assert ties(many, np.ones(many.size)) == []
    assert len(ties(np.append(many, 1.05), np.ones(many.size + 1))) == 1
    wide = np.concatenate([np.linspace(0.0, 9.0, 2_400), np.full(11, 4.3216)])
    assert ties(wide, np.ones(wide.size)) == []
    assert len(ties(np.append(wide, np.full(2, 4.3216)), np.ones(wide.size + 2))) == 1
    # One value alone is exact if there are enough.
    assert ties(np.full(8, 2.0), np.ones(8)) == [SetPoint(2.0, COARSE_SPREAD)]
    assert ties(np.full(7, 2.0), np.ones(7)) == []
