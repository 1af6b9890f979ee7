"""Rows that no target explains, where variables have states: shares, costs and gains by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from dosift.checks.beside_other import needed_beside_other
from dosift.checks.foreign_rows import (
    _costs,
    _counted,
    _shown,
    _with_states,
    find_foreign_rows,
    with_other_column,
)
from dosift.data import collapse
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.weights import solve_weights
from dosift.model.network import Network
from dosift.model.other import is_other
from dosift.search.constraints import Constraints
from dosift.search.result import SearchResult, ranked

Floats = NDArray[np.float64]

NETWORK = Network.from_tables(
    {"a": ["0", "1", "2"], "b": ["0", "1"]}, {}, {"a": [0.9, 0.08, 0.02], "b": [0.95, 0.05]}
)
TARGETS = np.array([[-1, -1], [1, -1]], dtype=np.int16)
N_ROWS = 1_000


def drawn(share: float, looks: tuple[Floats, Floats]) -> tuple[Evidence, SearchResult, Floats]:
    """Expected counts of all cells: a share of them with looks of its own."""
    own = np.outer([0.9, 0.08, 0.02], [0.95, 0.05])
    mixed = 0.8 * own + 0.2 * np.outer([0.0, 1.0, 0.0], [0.95, 0.05])
    counts = N_ROWS * ((1.0 - share) * mixed + share * np.outer(*looks))
    cells = np.indices((3, 2)).reshape(2, -1).T
    rows = collapse(cells, NETWORK.cardinalities, counts.ravel())
    evidence = Evidence.of_configurations(NETWORK, rows)
    return evidence, ranked(evidence, NETWORK, TARGETS, np.array([0.8, 0.2])), counts


EVEN = (np.full(3, 1 / 3), np.full(2, 1 / 2))


def test_states_are_counted_with_half_a_row_each() -> None:
    column, weights = np.array([0, 2, -1, 2]), np.array([1.0, 2.0, 8.0, 4.0])
    np.testing.assert_allclose(_counted(column, weights, 3), np.array([1.5, 0.5, 6.5]) / 8.5)


def test_a_share_of_even_rows_is_found_with_its_gain() -> None:
    evidence, result, counts = drawn(0.1, EVEN)
    known = Constraints.none(NETWORK.n_changes)
    found = _with_states(evidence, result, EVEN, 0, known)
    assert found is not None
    assert found.share == pytest.approx(0.1, abs=0.005)
    assert found.weights.sum() + found.share == pytest.approx(1.0)
    assert found.targets.tolist() == TARGETS.tolist()
    cells = np.indices((3, 2)).reshape(2, -1).T
    held = evidence.held
    assert held is not None
    assert held.values.tolist() == cells.tolist()
    one = np.outer([0.9, 0.08, 0.02], [0.95, 0.05]).ravel()
    two = np.outer([0.0, 1.0, 0.0], [0.95, 0.05]).ravel()
    whole = found.weights @ np.stack([one, two]) + found.share / 6.0
    np.testing.assert_allclose(found.posterior, found.share / 6.0 / whole, atol=1e-6)
    before = result.weights @ np.stack([one, two])
    rise = float(counts.ravel() @ np.log(whole / before))
    # One weight, and the name of what is one of two things.
    assert found.gain == pytest.approx(rise - 0.5 * np.log(N_ROWS) - np.log(2.0), abs=1e-3)
    best = find_foreign_rows(evidence, result)
    assert best is not None
    assert best.gain == pytest.approx(found.gain, abs=1e-6)


def test_shares_of_states_are_fitted_where_they_pay() -> None:
    looks = (np.array([0.05, 0.05, 0.9]), np.array([0.1, 0.9]))
    evidence, result, _ = drawn(0.15, looks)
    shown = _shown(evidence, result, EVEN)
    for own, true in zip(shown, looks, strict=True):
        np.testing.assert_allclose(own, true, atol=0.05)
    found = find_foreign_rows(evidence, result)
    assert found is not None
    assert found.share == pytest.approx(0.15, abs=0.02)
    for own, one in zip(found.states, shown, strict=True):
        np.testing.assert_array_equal(own, one)
    # Three free shares more cost half a logarithm of the rows each.
    known = Constraints.none(NETWORK.n_changes)
    free = _with_states(evidence, result, shown, 0, known)
    assert free is not None
    assert free.gain - found.gain == pytest.approx(1.5 * np.log(N_ROWS))


def test_few_or_most_rows_do_not_come_from_elsewhere() -> None:
    assert find_foreign_rows(*drawn(0.001, EVEN)[:2]) is None
    assert find_foreign_rows(*drawn(0.7, EVEN)[:2]) is None
    assert find_foreign_rows(*drawn(0.0, EVEN)[:2]) is None


def test_costs_of_components_and_of_rows_from_elsewhere() -> None:
    known = Constraints.none(NETWORK.n_changes)
    found = _costs(NETWORK, TARGETS, 100.0, 3, known)
    score = known.score(100.0, NETWORK.libraries)
    np.testing.assert_allclose(found[:2], score.costs(TARGETS))
    assert found[2] == pytest.approx(0.5 * 4 * np.log(100.0) + np.log(2.0))


def test_rows_from_elsewhere_have_a_line_of_their_own() -> None:
    targets, weights = with_other_column(TARGETS, np.array([0.75, 0.25]), 0.2)
    assert targets[:2].tolist() == TARGETS.tolist()
    assert is_other(targets).tolist() == [False, False, True]
    np.testing.assert_allclose(weights, [0.6, 0.2, 0.2])
    one, _ = with_other_column(TARGETS[:1], np.ones(1), 0.2)
    assert one.shape == (2, 2)


def needed(columns: Floats, counts: Floats, costs: list[float], keep: int | None = None) -> Any:
    each = np.array(costs)
    protected = np.zeros(len(costs), dtype=bool)
    if keep is not None:
        protected[keep] = True
    return needed_beside_other(
        columns,
        counts,
        solve_weights(columns, counts),
        lambda kept: float(each[kept].sum()),
        lambda kept: each[kept],
        protected,
    )


def test_components_that_the_others_stand_in_for_are_dropped() -> None:
    columns = np.array([[1.0, 0.0, 0.1], [0.1, 1.0, 0.6], [0.0, 0.2, 0.3]])
    counts = np.array([60.0, 30.0, 20.0])

    def log_likelihood(kept: list[int]) -> float:
        own = columns[:, [*kept, 2]]
        if len(kept) == 1:
            found = minimize_scalar(
                lambda w: -counts @ np.log(own @ [w, 1.0 - w]), bounds=(0, 1), method="bounded"
            )
            return -float(found.fun)
        return solve_weights(own, counts).log_likelihood

    loss = log_likelihood([0, 1]) - log_likelihood([0])
    assert 0.01 < loss < 10.0
    assert needed(columns, counts, [3.0, loss + 0.1]).kept.tolist() == [0]
    assert needed(columns, counts, [3.0, loss - 0.1]).kept.tolist() == [0, 1]
    assert needed(columns, counts, [3.0, loss + 0.1], keep=1).kept.tolist() == [0, 1]
    found = needed(columns, counts, [3.0, loss + 0.1])
    assert found.fit.log_likelihood == pytest.approx(log_likelihood([0]), abs=1e-6)
    assert found.fit.weights.sum() == pytest.approx(1.0)


def test_rows_that_no_target_produces_have_no_gain_to_be_compared() -> None:
    network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [1.0, 0.0]})
    rows = collapse(np.array([[0], [1]]), network.cardinalities, np.array([90.0, 10.0]))
    evidence = Evidence.of_configurations(network, rows)
    nothing = np.full((1, 1), -1, dtype=np.int16)
    result = ranked(evidence, network, nothing, np.ones(1))
    known = Constraints.none(network.n_changes)
    assert _with_states(evidence, result, (np.full(2, 0.5),), 0, known) is None
    assert find_foreign_rows(evidence, result) is None
