"""Numbers in bins of about as many rows each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from dosift.checks.bins import Bins
from dosift.model.network import Network


def test_bins_hold_a_sixth_of_the_rows_each() -> None:
    drawn = np.stack([np.arange(60.0), np.arange(60.0) % 3, np.repeat(5.0, 60)], axis=1)
    drawn[0, 0] = np.nan
    system: Any = SimpleNamespace(
        cardinalities=np.array([0, 3, 0]), parents=((), (0,), (0, 1)), covariates=frozenset({0})
    )
    bins = Bins.of(system, drawn)
    codes = bins(drawn)
    assert bins.cardinalities.tolist() == [6, 3, 2]
    assert bins.n_variables == 3
    assert sorted(np.bincount(codes[1:, 0]).tolist()) == [9, 10, 10, 10, 10, 10]
    assert codes[0, 0] == -1
    assert codes[:, 1].tolist() == (np.arange(60) % 3).tolist()
    # One value: all rows are in the bin that ends there.
    assert set(codes[:, 2].tolist()) == {0}
    assert bins(np.array([[1e9, 0.0, 5.1]]))[0].tolist() == [5, 0, 1]
    # A value at which a bin ends is in it.
    cut = bins.cuts[0]
    assert cut is not None
    assert bins(np.array([[cut[1], 0.0, 5.0]]))[0, 0] == 1
    assert bins(np.array([[cut[1] + 0.5, 0.0, 5.0]]))[0, 0] == 2
    # What is only conditioned on is no parent.
    assert bins.parents == ((), (), (1,))


def test_what_was_never_seen_has_one_bin() -> None:
    system: Any = SimpleNamespace(cardinalities=np.array([0]), parents=((),))
    bins = Bins.of(system, np.full((3, 1), np.nan))
    assert bins.cardinalities.tolist() == [1]
    assert bins(np.array([[7.0], [np.nan]]))[:, 0].tolist() == [0, -1]


def test_states_are_as_they_are() -> None:
    network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    bins = Bins.of(network, np.empty((0, 1)))
    codes = np.array([[0], [1], [-1]])
    assert bins(codes) is codes
    assert bins(np.array([[0.0], [np.nan]])).tolist() == [[0], [-1]]
