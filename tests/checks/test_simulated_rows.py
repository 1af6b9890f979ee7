"""Rows simulated from a fit: how they are counted, and how surprising rows are beside them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dosift.checks.bins import Bins
from dosift.checks.fit_check import compared
from dosift.checks.model_check import (
    CountSurprisal,
    _distinct,
    _source,
    _SumChecks,
    _Tabulated,
    unexplained_as_impossible,
)
from dosift.checks.pair_counts import PairCounts
from dosift.checks.surprisal import SurprisalScale
from dosift.data import collapse
from dosift.model.network import Network
from dosift.model.other import OTHER
from plain_sums import TARGETS, cell_probability, toy_network


@pytest.mark.parametrize("weighted", [False, True])
def test_equal_rows_are_counted_together_however_many_cells_there_are(weighted: bool) -> None:
    rng = np.random.default_rng(0)
    for sizes in ((2, 3, 2), (50, 60, 70)):
        cardinalities = np.array(sizes)
        codes = np.stack([rng.integers(min(k, 4), size=300) for k in sizes], axis=1)
        counts = rng.integers(1, 5, 300).astype(float) if weighted else None
        found = _distinct(codes, cardinalities, counts)
        expected = collapse(codes, cardinalities, counts)

        def table(rows: Any) -> dict[tuple[int, ...], float]:
            return {
                tuple(code): count
                for code, count in zip(rows.codes.tolist(), rows.counts.tolist(), strict=True)
            }

        assert table(found) == table(expected)
        assert len(found.codes) == len(expected.codes)


def test_all_cells_of_a_small_network_have_their_probability() -> None:
    network, weights = toy_network(1), np.array([0.4, 0.2, 0.2, 0.1, 0.1])
    source = _source(network, TARGETS, weights)
    assert isinstance(source, _Tabulated)
    rows = source.draw(100_000, np.random.default_rng(0))
    tables = list(network.tables)
    exact = np.array(
        [
            sum(
                w * cell_probability(network, tables, t, cell)
                for t, w in zip(TARGETS, weights, strict=True)
            )
            for cell in rows.codes
        ]
    )
    assert exact.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(np.exp(source.log_probability_of(rows)), exact)
    assert rows.counts.sum() == 100_000.0
    np.testing.assert_allclose(rows.counts / 1e5, exact, atol=0.006)
    both = source.join(rows, rows)
    np.testing.assert_array_equal(both.counts, 2.0 * rows.counts)


def test_rows_are_counted_by_their_place_and_impossible_ones_first() -> None:
    scale = SurprisalScale.of_sample(np.array([-3.0, -2.0, -1.0]), np.ones(3))
    counter = CountSurprisal(TARGETS, np.ones((1, 5)), scale)
    log_probability = np.array([-np.inf, -5.0, -2.5, -0.5, -2.5])
    found = counter.count(log_probability, np.array([1.0, 2.0, 4.0, 8.0, 16.0]))
    assert found[0] == 1.0
    assert found.sum() == 31.0
    places = scale.places(log_probability[1:])
    assert places.tolist() == [0, 1, 3, 1]
    assert found[1 + places[1]] == 20.0
    assert found[1 + places[0]] == 2.0
    assert found[1 + places[2]] == 8.0


def test_what_comes_from_elsewhere_is_not_explained() -> None:
    targets = np.array([[-1, -1], [OTHER, OTHER]])
    found: Any = SimpleNamespace(best=np.array([0, 1, 0]), log_probability=np.array([-1.0, -2, -3]))
    assert unexplained_as_impossible(found, targets).tolist() == [-1.0, -np.inf, -3.0]
    assert unexplained_as_impossible(found, targets[:1]).tolist() == [-1.0, -2.0, -3.0]


def test_families_are_counted_in_rows_that_lack_none() -> None:
    bins = Bins((None, None, None), np.array([2, 3, 2]), ((), (0,), (0, 1)))
    scale = SurprisalScale.of_sample(np.array([-1.0]), np.ones(1))
    counter = CountSurprisal(TARGETS, np.ones((1, 5)), scale)
    sums = _SumChecks(counter, PairCounts(bins.cardinalities, ((0, 1),)), bins, ((0, 1, 2),))
    codes = np.array([[0, 2, 1], [1, 0, 0], [1, -1, 0], [0, 2, 1]])
    found = sums._family((0, 1, 2), codes, np.array([1.0, 2.0, 4.0, 8.0]))
    expected = np.zeros((2, 3, 2))
    expected[0, 2, 1], expected[1, 0, 0] = 9.0, 2.0
    assert found.tolist() == expected.ravel().tolist()


def test_which_pairs_and_mechanisms_are_compared() -> None:
    network = toy_network(1)
    pairs, families = compared(network)
    assert sorted(pairs) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert families == [(0, 1, 2)]
    pairs, families = compared(network, frozenset({1}))
    assert sorted(pairs) == [(0, 2), (0, 3), (2, 3)]
    assert families == []
    one = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    assert compared(one) == ([(0, 0)], [])
