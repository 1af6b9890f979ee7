"""What the checks count of rows, against counting row by row."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dosift.checks.fit_check import homogeneity_p_value
from dosift.checks.missing import look_at_missing, words_of_warning
from dosift.checks.model_check import check_model
from dosift.checks.pair_counts import PairCounts
from dosift.data.blocks import MemoryBlocks
from dosift.likelihood.evidence import Evidence
from dosift.model.network import Network
from dosift.search.result import ranked
from plain_sums import toy_rows


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("most", [6, 96])
def test_pairs_are_counted_in_the_rows_that_lack_neither(
    missing: bool, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dosift.checks.pair_counts._MOST_GROUP_STATES", most)
    rng = np.random.default_rng(0)
    sizes = np.array([2, 3, 4, 2, 5])
    codes = np.stack([rng.integers(k, size=300) for k in sizes], axis=1)
    if missing:
        codes = np.where(rng.random(codes.shape) < 0.2, -1, codes)
    counts = rng.gamma(2.0, size=300)
    pairs = (*itertools.combinations(range(5), 2), (3, 1), (4, 0), (2, 2))
    counter = PairCounts(sizes, pairs, missing)
    assert sorted(i for group in counter.groups for i in group) == list(range(5))
    for group in counter.groups:
        assert len(group) == 1 or np.prod(counter.sizes[group]) <= most
    parts = [counter(codes[k : k + 70], counts[k : k + 70]) for k in range(0, 300, 70)]
    added = [sum(tables) for tables in zip(*parts, strict=True)]
    for (i, j), table in zip(pairs, counter.tables(added), strict=True):
        expected = np.zeros((sizes[i], sizes[j]))
        for row, count in zip(codes, counts, strict=True):
            if row[i] >= 0 and row[j] >= 0:
                expected[row[i], row[j]] += count
        np.testing.assert_allclose(table, expected.ravel())


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("batches", [False, True])
def test_missing_values_are_counted_and_tested(held: bool, batches: bool) -> None:
    """Where b is seen less often if a is 1; d is never missing."""
    rows = toy_rows(1, batches=batches, n_rows=3000)
    rng = np.random.default_rng(1)
    codes = rows.codes
    codes[rng.random(3000) < np.where(codes[:, 0] == 1, 0.4, 0.1), 1] = -1
    codes[rng.random(3000) < 0.1, 2] = -1
    found = look_at_missing(rows.network, rows.evidence(held))
    lacking = codes < 0
    np.testing.assert_allclose(found.share, rows.counts @ lacking / rows.counts.sum())
    assert found.n_rows == pytest.approx(rows.counts[lacking.any(axis=1)].sum())
    assert (found.dependent[0][0], found.dependent[0][1]) == (1, 0)
    assert found.suspicious == {1}
    tables = {}
    for i, j in itertools.product((1, 2), range(4)):
        if i != j:
            tables[i, j] = [
                np.array(
                    [rows.counts[here & (codes[:, j] == a)].sum() for a in range((2, 3, 2, 2)[j])]
                )
                for here in (lacking[:, i], ~lacking[:, i])
            ]
    expected = {pair: min(6 * homogeneity_p_value(*table), 1.0) for pair, table in tables.items()}
    assert {(i, j): p for i, j, p in found.dependent} == {
        pair: pytest.approx(p) for pair, p in expected.items() if p < 0.01
    }
    p_values = [p for _, _, p in found.dependent]
    assert p_values == sorted(p_values)
    assert "b, which depends on a (p = " in words_of_warning(found, rows.network)


def test_complete_rows_lack_nothing() -> None:
    rows = toy_rows(2)
    found = look_at_missing(rows.network, rows.evidence(True))
    assert found.share.tolist() == [0.0] * 4
    assert found.n_rows == 0
    assert found.dependent == ()


def test_how_sure_units_are_is_told_by_all_of_their_rows() -> None:
    network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    same, mixed = [1, 1, 1, 1], [0, 1, 0, 1]
    codes = np.asfortranarray(np.array([*same, *mixed], dtype=np.int16)[:, None])
    blocks = MemoryBlocks(codes, np.array([40.0, 60.0]), first=np.array([0, 4]))
    evidence = Evidence.held_rows(network, blocks)
    assert evidence.has_units
    targets, weights = np.array([[-1], [1]], dtype=np.int16), np.array([0.5, 0.5])
    result = ranked(evidence, network, targets, weights)
    found = check_model(network, evidence, result, 0, None).certainty
    assert found.rows.tolist() == [60.0, 40.0]
    # Four rows that do(a=1) makes for certain, and do() with one in sixteen.
    np.testing.assert_allclose(found.mean_probability, [1.0, 16 / 17])
    assert found.impossible == 0.0
