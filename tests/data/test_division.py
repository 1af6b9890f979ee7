"""Divisions of a line into intervals, against all of them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.data.contrast import Scale, contrast
from dosift.data.segments import binned, divergence, segments, shares, spread
from dosift.data.thresholds import codes_of, place

Floats = NDArray[np.float64]


def test_bins_of_distinct_values_with_their_weights() -> None:
    values = np.array([2.0, 0.0, 2.0, 5.0])
    weights = np.array([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0], [4.0, 4.0]])
    bins = binned(values, weights)
    assert bins.means.tolist() == [0.0, 2.0, 5.0]
    assert bins.masses.tolist() == [[2.0, 1.0], [1.0, 3.0], [4.0, 4.0]]
    assert bins.edges.tolist() == [1.0, 3.5]
    # Between neighbouring floats the threshold is the upper one.
    next_one = np.nextafter(1.0, 2.0)
    assert binned(np.array([1.0, next_one]), np.ones((2, 1))).edges.tolist() == [next_one]


def test_many_values_are_binned_by_weight_and_by_width() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=2_000), [50.0, 100.0]])
    weights = rng.uniform(0.5, 1.5, (values.size, 2))
    bins = binned(values, weights, 40)
    assert 22 < bins.means.size <= 41
    np.testing.assert_allclose(bins.masses.sum(axis=0), weights.sum(axis=0))
    total = bins.masses.sum(axis=1)
    assert total @ bins.means == pytest.approx(weights.sum(axis=1) @ values)
    assert total.max() < 1.3 * total.sum() / 20
    # The two far out are alone.
    assert bins.means[-2:].tolist() == pytest.approx([50.0, 100.0])
    assert ((bins.means[:-1] < bins.edges) & (bins.edges < bins.means[1:])).all()


def test_spread_shares_and_divergence_of_intervals() -> None:
    rng = np.random.default_rng(1)
    values = np.sort(rng.normal(size=6))
    masses = rng.uniform(0.1, 1.0, (6, 2))
    masses[2, 1] = 0.0
    masses /= masses.sum()
    of_spread, of_shares = spread(values, masses[:, 0]), shares(masses)
    lost = divergence(masses)
    for a in range(6):
        for b in range(6):
            if b < a:
                assert of_spread[a, b] == lost[a, b] == np.inf
                continue
            own = slice(a, b + 1)
            mean = np.average(values[own], weights=masses[own, 0])
            squares = masses[own, 0] @ (values[own] - mean) ** 2
            assert of_spread[a, b] == pytest.approx(squares, abs=1e-12)
            parts = masses[own].sum(axis=0)
            np.testing.assert_allclose(of_shares[a, b], parts)
            entropy = -sum(p * np.log(p / parts.sum()) for p in parts if p > 0)
            assert lost[a, b] == pytest.approx(entropy, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_best_division_is_that_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 7
    cost = np.where(np.tril(np.ones((n, n)), -1) > 0, np.inf, rng.uniform(0.0, 3.0, (n, n)))
    found = segments(cost, 4)
    assert len(found) == 4
    for k, ends in enumerate(found):
        values = {}
        for some in combinations(range(n - 1), k):
            starts, stops = [0, *(e + 1 for e in some)], [*some, n - 1]
            values[some] = sum(cost[a, b] for a, b in zip(starts, stops, strict=True))
        assert tuple(ends.tolist()) == min(values, key=lambda some: values[some])


def test_intervals_of_infinite_cost_are_not_taken() -> None:
    cost = np.full((3, 3), np.inf)
    cost[0, 2], cost[0, 0], cost[1, 2] = 5.0, 1.0, 1.0
    assert [ends.tolist() for ends in segments(cost, 3)] == [[], [0]]
    assert [ends.tolist() for ends in segments(np.zeros((1, 1)), 3)] == [[]]


def test_scales_of_distances() -> None:
    control = np.array([0.0, 1.0, 2.0, 3.0, 40.0])
    plain = Scale.of(control, control, False)
    assert (plain.offset, plain.middle, plain.deviation) == (None, 2.0, pytest.approx(2 / 1.349))
    assert plain.to(np.array([2.0, 3.0, 1e9])).tolist() == pytest.approx([0.0, 0.6745, 6.0])
    assert plain.back(plain.to(control[:4])) == pytest.approx(control[:4])
    log = Scale.of(control, control, True)
    assert (log.offset, log.middle) == (1.0, pytest.approx(np.log(3.0)))
    assert log.back(log.to(control)) == pytest.approx(control)
    # Chosen where it is less skewed: with zeros the median of the positive values is added.
    chosen = Scale.of(control, control, None)
    assert chosen.offset == 2.5
    assert Scale.of(np.exp(np.arange(9.0)), np.array([0.5]), None).offset == 0.0
    assert Scale.of(np.arange(9.0), np.arange(9.0), None).offset is None
    assert Scale.of(control, np.array([-1.0]), None).offset is None
    # More than half are equal: the standard deviation, or one.
    many = np.array([1.0] * 9 + [2.0, 6.0])
    assert Scale.of(many, many, False).deviation == pytest.approx(many.std())
    assert Scale.of(np.full(4, 3.0), np.full(4, 3.0), False).deviation == 1.0


@pytest.mark.parametrize("n", [1, 20])
@pytest.mark.parametrize(
    "of_rows", [[10, 20, 20, 30, 10, 10], [20, 5, 45, 10, 15, 5], [45, 30, 5, 10, 5, 5]]
)
def test_thresholds_lose_the_least_of_what_tells_rows_apart(n: int, of_rows: list[int]) -> None:
    """All divisions of a few values into three, by divergence and spread as the module says."""
    control = np.repeat(np.arange(6.0), np.multiply([20, 30, 30, 10, 5, 5], n))
    rows = np.repeat(np.arange(6.0), np.multiply(of_rows, 2 * n))
    found = contrast(control, rows, 3, False)
    middle, deviation = np.median(control), (2.0 - 1.0) / 1.349
    assert deviation == pytest.approx(np.subtract(*np.quantile(control, [0.75, 0.25])) / 1.349)
    both = np.stack(
        [0.5 * np.bincount(own.astype(int)) / own.size for own in (control, rows)], axis=1
    )
    z = (np.arange(6.0) - middle) / deviation
    weight = 0.05 + 10.0 * (1 / control.size + 1 / rows.size)

    def cost(cuts: tuple[int, ...]) -> float:
        total = 0.0
        for own in np.split(np.arange(6), cuts):
            mass, parts = both[own].sum(axis=1), both[own].sum(axis=0)
            mean = np.average(z[own], weights=mass)
            total += weight * float(mass @ (z[own] - mean) ** 2)
            total -= float(parts @ np.log(parts / parts.sum()))
        return total

    best = min(combinations(range(1, 6), 2), key=cost)
    assert found == pytest.approx(np.array(best) - 0.5)


def test_a_state_holds_a_hundredth_of_one_table() -> None:
    control = np.concatenate([np.linspace(0.0, 1.0, 995), np.full(5, 3.0)])
    alone = contrast(control, None, 3, False)
    assert alone.max() < 1.0  # no outlier gets a state of its own
    more = np.concatenate([np.linspace(0.0, 1.0, 960), np.full(40, 3.0)])
    # With enough of them one begins between 1 and 3.
    assert 1.0 < contrast(more, None, 2, False)[0] < 3.0


def test_thresholds_and_codes_of_values() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0, 10.0, np.nan])
    cuts = place(values[:5], 2, "uniform")
    assert cuts.tolist() == [5.0]
    assert codes_of(values, np.array([1.0, 3.0])).tolist() == [0, 1, 1, 2, 2, -1]
    assert place(values[:4], 2, "quantile").tolist() == [1.5]
    assert place(values[:4], 4, "quantile").tolist() == [0.5, 1.5, 2.5]
    # By means of three groups: thresholds between 0.5, 2.5 and 10.
    assert place(values[:5], 3, "kmeans").tolist() == pytest.approx([1.5, 6.25])
    assert place(np.ones(4), 3, "quantile").size == 0
    assert place(values[:5], 1, "kmeans").size == 0
    log = place(np.array([0.0, np.e - 1.0, np.e**2 - 1.0]), 2, "uniform", log=True)
    assert log == pytest.approx([np.e - 1.0])
    # No state is empty: thresholds that lie in the same gap are one.
    assert place(np.array([0.0, 0.1, 10.0]), 4, "uniform").tolist() == [2.5]
