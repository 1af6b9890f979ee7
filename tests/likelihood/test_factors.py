"""Likelihood ratios against the truncated factorisation, written out."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.data.blocks import Block
from dosift.likelihood import factors as factors_module
from dosift.likelihood.assignment import assign
from dosift.likelihood.columns import is_plain
from dosift.likelihood.factors import MechanismFactors
from dosift.model import Network
from dosift.model.random_problems import random_network


def truncated_factorisation(network: Network, target: np.ndarray, row: np.ndarray) -> float:
    probability = 1.0
    for i in range(network.n_variables):
        if target[i] >= 0:
            probability *= float(row[i] == target[i])
        else:
            parent_row = network.parent_rows(i, row[None, :])[0]
            probability *= network.tables[i][parent_row, row[i]]
    return probability


def all_rows(network: Network) -> np.ndarray:
    return np.stack(
        [axis.ravel() for axis in np.indices(tuple(network.cardinalities))], axis=1
    ).astype(np.int8)


def check(network: Network, rng: np.random.Generator) -> None:
    rows = all_rows(network)
    n = network.n_variables
    targets = np.stack([rng.integers(-1, k, size=12) for k in network.cardinalities], axis=1)
    targets[0] = -1
    factors = MechanismFactors(network, rows)
    log_base = factors.log_base()
    columns = factors.columns(targets)
    assert columns.shape == (len(rows), 12)
    for t, target in enumerate(targets):
        expected = [truncated_factorisation(network, target, row) for row in rows]
        assert columns[:, t] * np.exp(log_base) == pytest.approx(expected, rel=1e-12, abs=1e-300)
    assert n == factors.codes.shape[1]


def test_columns_are_the_truncated_factorisation() -> None:
    for seed in range(10):
        check(random_network(4, random_state=seed), np.random.default_rng(seed))


def test_structural_zeros_are_exact() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        network = random_network(4, random_state=seed)
        tables = []
        for table in network.tables:
            mask = rng.random(table.shape) < 0.7
            mask[np.arange(len(table)), rng.integers(0, 3, size=len(table))] = True
            zeroed = table * mask
            tables.append(zeroed / zeroed.sum(axis=1, keepdims=True))
        check(network.with_tables(tables), rng)


def test_tiny_probabilities_neither_overflow_nor_vanish() -> None:
    tiny = 1e-300
    tables = {name: [1 - tiny, tiny] for name in "abcd"}
    network = Network.from_tables({name: ["0", "1"] for name in "abcd"}, {}, tables)
    rows = all_rows(network)
    targets = np.array([[-1, -1, -1, -1], [1, 1, 1, 1], [1, 1, -1, -1]])
    found = assign(network, targets, np.full(3, 1 / 3), rows)
    assert np.isfinite(found.columns).all()
    assert found.log_probability[-1] == pytest.approx(np.log(1 / 3))
    # do(a=1, b=1) also makes row 1100, and only it does so with probability near one.
    assert found.log_probability[0b1100] == pytest.approx(np.log(1 / 3))
    assert found.best.tolist()[0b1111] == 1


def test_rows_that_no_target_can_make_have_no_posterior() -> None:
    network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [1.0, 0.0]})
    found = assign(network, np.array([[-1]]), np.ones(1), np.array([[0], [1]]))
    assert found.best.tolist() == [0, -1]
    assert np.isneginf(found.log_probability[1])
    assert np.isnan(found.posterior[1]).all()


def test_tiny_entries_are_exact_in_every_column() -> None:
    # Eight variables, so that a full target's ratio over the base is 1e2400: far out of range.
    tiny = 1e-300
    n = 8
    names = [f"v{i}" for i in range(n)]
    parents = {names[i]: [names[i - 1]] for i in range(1, n)}
    tables = {names[0]: [1 - tiny, tiny]} | {
        name: [[1 - tiny, tiny], [tiny, 1 - tiny]] for name in names[1:]
    }
    network = Network.from_tables({name: ["0", "1"] for name in names}, parents, tables)
    rows = all_rows(network)
    rng = np.random.default_rng(0)
    targets = np.vstack([np.full((1, n), -1), np.ones((1, n)), rng.integers(-1, 2, (20, n))])
    targets = targets.astype(np.int16)
    factors = MechanismFactors(network, rows)
    assert factors.log_scale.max() > 0
    with np.errstate(divide="ignore"):
        logs = np.log(factors.columns(targets)) + factors.log_base()[:, None]
    for t, target in enumerate(targets):
        for r, row in enumerate(rows):
            expected = 0.0
            for i in range(n):
                if target[i] >= 0:
                    expected += 0.0 if row[i] == target[i] else -np.inf
                else:
                    table = network.tables[i]
                    expected += np.log(table[network.parent_rows(i, row[None, :])[0], row[i]])
            # Ratios 600 nats and more below the largest of their row may round to zero.
            if expected > -600:
                assert logs[r, t] == pytest.approx(expected, abs=1e-9)
            else:
                assert logs[r, t] < -500


def test_some_variables_and_some_rows_are_the_same_numbers() -> None:
    network = random_network(5, random_state=3)
    rows = all_rows(network)
    whole = MechanismFactors(network, rows)
    targets = np.array([[-1, -1, -1], [0, -1, 2], [1, 1, 1], [-1, 2, -1]])
    some = MechanismFactors(network, rows, (0, 1, 2))
    padded = np.hstack([targets, np.full((4, 2), -1)])
    np.testing.assert_array_equal(some.columns(targets), whole.columns(padded))
    subset = np.arange(5, 200, 3)
    cut = whole.restricted(subset, 3)
    np.testing.assert_array_equal(cut.columns(targets), whole.columns(padded)[subset])


def test_matching_rows_are_those_of_positive_likelihood() -> None:
    network = Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]},
        {"b": ["a"]},
        {"a": [1.0, 0.0], "b": [[0.5, 0.5], [0.0, 1.0]]},
    )
    factors = MechanismFactors(network, all_rows(network))
    for target in all_rows(random_network(2, random_state=0)).astype(int) - 1:
        column = factors.column(target)
        assert factors.matching(target).tolist() == np.flatnonzero(column).tolist()


def test_states_that_stand_among_numbers_are_codes() -> None:
    from mixed_network import mixed_network

    values, _ = mixed_network().draw(np.full((1, 5), -1), np.ones(1), 50, np.random.default_rng(0))
    factors = MechanismFactors(mixed_network(), values, (0,))
    assert np.issubdtype(factors.codes.dtype, np.integer)
    first, second = factors.ratios[0].sums(np.arange(50), np.ones(50), np.ones(50))
    shares = np.bincount(values[:, 0].astype(int)) / np.array([0.4, 0.6])
    np.testing.assert_allclose(first, shares)
    np.testing.assert_allclose(second, shares / np.array([0.4, 0.6]))


def test_rows_are_plain_where_none_can_be_impossible() -> None:
    """A zero counts wherever it stands: a target that sets other variables does not undo it."""
    states = {"a": ["0", "1"], "b": ["0", "1"]}
    positive = Network.from_tables(states, {}, {"a": [0.9, 0.1], "b": [0.5, 0.5]})
    zero = Network.from_tables(states, {}, {"a": [1.0, 0.0], "b": [0.5, 0.5]})
    nothing, sets_a, sets_b = (np.array([t]) for t in ([-1, -1], [1, -1], [-1, 0]))
    block = Block(np.array([[0, 0]]), np.ones(1))
    for target in (nothing, sets_a, sets_b):
        assert is_plain(positive, target, block)
        assert not is_plain(zero, target, block)
    tiny = Network.from_tables(states, {}, {"a": [1.0, 1e-200], "b": [1.0, 1e-200]})
    assert is_plain(tiny, sets_a, block)
    assert not is_plain(tiny, np.array([[1, 1]]), block)
    pair = Block(np.zeros((2, 2), dtype=int), np.ones(1), first=np.array([0]))
    assert not is_plain(tiny, sets_a, pair)


@pytest.mark.parametrize("most", [0, 2**20])
def test_sums_over_sets_of_rows_are_those_of_columns(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(factors_module, "_MOST_AT_ONCE", most)
    rng = np.random.default_rng(3)
    network = random_network(4, random_state=rng)
    factors = MechanismFactors(network, all_rows(network))
    sets = [np.flatnonzero(rng.random(factors.n_configurations) < p) for p in (0.3, 0.0, 1.0)]
    first, second = (rng.random(sum(map(len, sets))) for _ in range(2))
    ends = np.cumsum([0, *map(len, sets)])
    found = factors.sums(np.concatenate(sets), ends, first, second)
    single = np.full((factors.changes[0].size, 4), -1)
    single[np.arange(len(single)), factors.changes[0]] = factors.changes[1]
    columns = factors.columns(single)
    for power, (sums, weights) in enumerate(zip(found, (first, second), strict=True), 1):
        for k, rows in enumerate(sets):
            expected = weights[ends[k] : ends[k + 1]] @ columns[rows] ** power
            np.testing.assert_allclose(sums[k], expected, rtol=1e-12)
