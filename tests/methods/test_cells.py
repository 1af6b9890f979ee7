"""Frequencies of cells where values are missing, against plain expectation maximisation."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.data.blocks import Block
from dosift.methods.enumerated import _CountCells, cell_frequencies
from plain_sums import toy_rows

SIZES = (2, 3, 2, 2)


@pytest.mark.parametrize("held", [True, False])
def test_complete_rows_are_counted(held: bool) -> None:
    rows = toy_rows(1, batches=True)
    found = cell_frequencies(rows.evidence(held), SIZES)
    expected = np.zeros(SIZES)
    np.add.at(expected, tuple(rows.codes.T), rows.counts)
    np.testing.assert_allclose(found, expected.ravel() / rows.counts.sum())


@pytest.mark.parametrize("held", [True, False])
def test_missing_values_are_shared_out_as_the_likelihood_wants(held: bool) -> None:
    rows = toy_rows(2, missing=True, n_rows=400)
    found = cell_frequencies(rows.evidence(held), SIZES)
    assert found.sum() == pytest.approx(1.0)
    cells = np.indices(SIZES).reshape(4, -1).T
    agrees = np.array([((row < 0) | (cells == row)).all(axis=1) for row in rows.codes])

    def log_likelihood(share: np.ndarray) -> float:
        return float(rows.counts @ np.log(agrees @ share))

    share = np.full(len(cells), 1.0 / len(cells))
    for _ in range(3000):
        joint = agrees * share
        share = rows.counts @ (joint / joint.sum(axis=1, keepdims=True)) / rows.counts.sum()
    assert log_likelihood(found) == pytest.approx(log_likelihood(share), abs=0.05)
    slope = rows.counts @ (agrees / (agrees @ found)[:, None]) / rows.counts.sum()
    assert slope.max() < 1.02


def test_cells_are_counted_apart_for_each_set_that_was_seen() -> None:
    count = _CountCells((2, 3))
    one = Block(np.array([[1, 2], [1, -1], [-1, -1], [1, 2]]), np.array([1.0, 2.0, 4.0, 8.0]))
    two = Block(np.array([[0, 1], [-1, 2], [0, -1]]), np.array([16.0, 32.0, 64.0]))
    first, second = (np.array([i], dtype=np.int64).tobytes() for i in (0, 1))
    found = {key: part.tolist() for key, part in count(one).items()}
    assert found == {b"": [0, 0, 0, 0, 0, 9.0], first: [0, 2.0]}
    together = count.merge(count(one), count(two))
    assert {key: part.tolist() for key, part in together.items()} == {
        b"": [0, 16.0, 0, 0, 0, 9.0],
        first: [64.0, 2.0],
        second: [0, 0, 32.0],
    }
