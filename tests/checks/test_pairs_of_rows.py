"""Rows that go together, against sums over all pairs of rows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata

from dosift.checks import neighbours
from dosift.checks.neighbours import (
    _along,
    _at_distance,
    _correlation,
    _is_sorted,
    _kernels,
    _within,
    rows_to_see,
)

Floats = NDArray[np.float64]


def kernel_of(column: NDArray[np.number], n_states: int) -> tuple[Floats, NDArray[np.bool_]]:
    """k(i, j) of all pairs, and which rows have a value."""
    known = column >= 0 if n_states else np.isfinite(column)
    n = len(column)
    k = np.zeros((n, n))
    if n_states:
        for state in np.unique(column[known]):
            own = (column == state) - np.mean(column[known] == state)
            k += np.outer(own * known, own * known)
    else:
        rank = rankdata(column[known])
        z = np.zeros(n)
        z[known] = (rank - rank.mean()) / rank.std()
        k = np.outer(z, z)
    return k, known


def columns(n: int = 400) -> tuple[Floats, list[int]]:
    rng = np.random.default_rng(0)
    states = np.repeat(rng.choice(3, n // 4, p=[0.6, 0.3, 0.1]), 4).astype(float)
    numbers = np.repeat(rng.normal(size=n // 4), 4) + 0.8 * rng.normal(size=n)
    numbers = numbers.round(1)
    numbers[::17], states[::13] = np.nan, -1.0
    return np.stack([states, numbers, np.full(n, 2.0)], axis=1), [3, 0, 3]


def test_kernels_are_those_of_pairs() -> None:
    values, sizes = columns()
    found = list(_kernels(values, sizes))
    assert len(found) == 2  # one does not vary
    for one, column, n_states in zip(found, values.T, sizes, strict=False):
        k, known = kernel_of(column, n_states)
        assert one.known.tolist() == known.tolist()
        np.testing.assert_allclose(one.own @ one.own.T, k, atol=1e-12)
        pairs = k[np.ix_(known, known)]
        assert one.itself == pytest.approx(np.diag(pairs).mean())
        # Of independent rows: the mean of all pairs of values, each with itself too.
        assert one.variance == pytest.approx((pairs**2).mean())
        for distance in (1, 7):
            total, n_pairs = _at_distance(one, distance)
            assert total == pytest.approx(np.diag(k, distance).sum())
            assert n_pairs == (known[:-distance] & known[distance:]).sum()


def test_the_correlation_is_a_share_of_the_most_beyond_chance() -> None:
    values, sizes = columns()
    for one in _kernels(values, sizes):
        total, n_pairs = _at_distance(one, 1)
        share = total / (n_pairs * one.itself)
        assert total / np.sqrt(n_pairs * one.variance) > 6.0
        assert _correlation(one, total, n_pairs) == pytest.approx(share)
        # Fewer than fifty pairs say nothing; six standard errors are asked for.
        assert _correlation(one, 49.0 * one.itself, 49.0) is None
        least = 6.0 * np.sqrt(100.0 * one.variance)
        assert _correlation(one, 0.99 * least, 100.0) is None
        assert _correlation(one, 1.01 * least, 100.0) is not None
        # Of very many pairs two hundredths of the most.
        many = 1e8
        assert _correlation(one, 0.0199 * many * one.itself, many) is None
        assert _correlation(one, 0.0201 * many * one.itself, many) is not None


def test_neighbours_are_more_alike_than_rows_far_apart() -> None:
    values, sizes = columns()
    for one in _kernels(values, sizes):
        near = _correlation(one, *_at_distance(one, 1))
        assert _along(one) == near
    # Two tables below each other: a twentieth of the rows apart they are as much alike.
    halves = np.repeat([0.0, 1.0], 200) + 0.3 * np.random.default_rng(1).normal(size=400)
    (two,) = _kernels(halves[:, None], [0])
    assert _correlation(two, *_at_distance(two, 1)) is not None
    assert _along(two) is None


def test_rows_of_a_group_go_together() -> None:
    values, sizes = columns()
    group = np.arange(400) // 4
    group[5] = -1  # of no group
    best = []
    for column, n_states in zip(values.T[:2], sizes, strict=False):
        has = group >= 0
        k, known = kernel_of(column[has], n_states)
        same = (group[has][:, None] == group[has]) & known[:, None] & known
        upper = np.triu(same, 1)
        best.append(k[upper].sum() / (upper.sum() * np.diag(k)[known].mean()))
    assert _within(values, sizes, group) == pytest.approx(max(best))
    # Units are many, small, and some have two rows.
    assert _within(values, sizes, np.arange(400) // 22) is None
    assert _within(values, sizes, np.arange(400)) is None
    wide = np.tile(np.repeat(np.arange(21), 51), 1)
    more = np.repeat(np.random.default_rng(2).normal(size=21), 51)[:, None]
    assert _within(more, [0], wide) is None
    assert _within(more[: 21 * 50], [0], np.repeat(np.arange(21), 50)) is not None


def test_sorted_tables_are_told() -> None:
    rng = np.random.default_rng(3)
    rows = rng.integers(3, size=(60, 2))
    assert not _is_sorted(rows)
    assert _is_sorted(rows[np.lexsort(rows.T)])
    up = np.stack([rng.normal(size=60), np.arange(60.0)], axis=1)
    assert _is_sorted(up)
    assert _is_sorted(-up)
    # A column that does not change is no sign of it.
    assert not _is_sorted(np.stack([rng.normal(size=60), np.ones(60)], axis=1))
    # Equal rows stand together, in no order.
    blocks = np.repeat(np.array([[1, 0], [0, 2], [2, 1], [0, 0]]), 15, axis=0)
    assert _is_sorted(blocks)


def test_as_many_rows_are_looked_at_as_hold_so_many_values() -> None:
    assert [rows_to_see(n) for n in (0, 10, 20, 50, 51)] == [50_000, 50_000, 25_000, 10_000, 10_000]
    assert neighbours.neighbours_agree(np.zeros((49, 1)), [2]) is None
    values, sizes = columns()
    shares = [_along(one) for one in _kernels(values, sizes)]
    assert None not in shares
    assert neighbours.neighbours_agree(values, sizes) == max(shares)  # type: ignore[type-var]
    assert neighbours.words_of_units(0.31, None).startswith("rows that follow each other")
    assert "'clone'" in neighbours.words_of_units(0.31, ("clone", 0.2))


def test_the_largest_correlation_is_named_whichever_columns_say_nothing() -> None:
    values, sizes = columns()
    rng = np.random.default_rng(8)
    more = np.column_stack([rng.normal(size=400), values, rng.integers(2, size=400)])
    found = neighbours.neighbours_agree(more, [0, *sizes, 2])
    assert found == neighbours.neighbours_agree(values, sizes)
    # With equal neighbours a column may go one way all the same.
    steps = np.stack([rng.normal(size=60), np.repeat(np.arange(30.0), 2)], axis=1)
    assert _is_sorted(steps)
    assert _is_sorted(-steps)
