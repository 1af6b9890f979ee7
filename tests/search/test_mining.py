"""Pairs and threes of do's: the factors that they are priced by, and what is brought in."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.special import ndtri

from dosift.data import collapse
from dosift.data.configurations import Configurations
from dosift.model.network import Network
from dosift.search import mining
from dosift.search.mining import _items, mined_variables
from plain_sums import cell_probability, toy_network


def test_factors_are_ratios_of_probabilities_in_rows_that_fit() -> None:
    network = toy_network(3)
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(k, size=50) for k in network.cardinalities], axis=1)
    codes[:, 1] %= 2  # a state that no row has is no do to be paired
    rows = collapse(codes, network.cardinalities)
    variables, items = _items(network, rows, np.ones(len(rows.codes)))
    pairs = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)]
    assert variables.tolist() == [i for i, _ in pairs]
    tables, nothing = list(network.tables), np.full(4, -1)
    for column, (i, state) in enumerate(pairs):
        target = nothing.copy()
        target[i] = state
        expected = [
            cell_probability(network, tables, target, cell)
            / cell_probability(network, tables, nothing, cell)
            for cell in rows.codes
        ]
        np.testing.assert_allclose(items[:, column], expected, rtol=1e-5)


def test_where_not_all_fit_the_likeliest_are_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {name: ["0", "1"] for name in "abc"}
    network = Network.from_tables(states, {}, {name: [0.5, 0.5] for name in "abc"})
    codes = np.array([[0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 0]])
    weights = np.array([10.0, 10.0, 13.0, 7.0])
    rows = collapse(np.repeat(codes, weights.astype(int), axis=0), network.cardinalities)
    # Of 40 rows 23 have a = 0, b = 1 in 23, c = 1 in 23: these are more than half.
    monkeypatch.setattr(mining, "_MOST_ENTRIES", 3 * len(rows.codes))
    variables, items = _items(network, rows, np.ones(len(rows.codes)))
    assert variables.tolist() == [0, 1, 2]
    expected = 2.0 * np.stack([rows.codes[:, 0] == 0, rows.codes[:, 1] == 1, rows.codes[:, 2] == 1])
    assert items.tolist() == expected.T.tolist()


def test_rows_that_are_impossible_undisturbed_have_no_factor() -> None:
    states = {"a": ["0", "1"], "b": ["0", "1"]}
    network = Network.from_tables(states, {"b": ["a"]}, {"a": [0.5, 0.5], "b": np.eye(2)})
    rows = collapse(np.array([[0, 0], [1, 1], [0, 1]]), network.cardinalities)
    variables, items = _items(network, rows, np.array([1.0, 0.0, 1.0]))
    impossible = int(np.flatnonzero((rows.codes == [0, 1]).all(axis=1))[0])
    assert not items[impossible, variables == 1].any()
    assert items[:, variables == 1].any()


def coins_that_agree(size: int, excess: float) -> tuple[Network, Configurations]:
    """Seven fair coins: more of the cells where an even number of the first few shows 0.

    So neither one of these nor, of three, two alone are off in any way.
    """
    states = {f"x{i}": ["0", "1"] for i in range(7)}
    network = Network.from_tables(states, {}, {name: [0.5, 0.5] for name in states})
    cells = np.array(list(product([0, 1], repeat=7)))
    even = (cells[:, :size] == 0).sum(axis=1) % 2 == 0
    rows = collapse(cells, network.cardinalities)
    assert rows.codes.tolist() == cells.tolist()
    return network, replace(rows, counts=np.where(even, 10.0 + excess, 10.0 - excess))


@pytest.mark.parametrize(("size", "excess"), [(2, 1.2), (3, 3.0)])
def test_what_is_off_only_together_is_brought_in(size: int, excess: float) -> None:
    network, rows = coins_that_agree(size, excess)
    relative, every = np.ones(len(rows.codes)), tuple(range(size))
    assert mined_variables(network, rows, relative, ()) == every
    # Where all are known nothing new is said, but where one of them is new it is.
    assert mined_variables(network, rows, relative, every) == ()
    for k in every:
        assert mined_variables(network, rows, relative, every[:k] + every[k + 1 :]) == (k,)
        assert mined_variables(network, rows, relative, (k, 5)) == every[:k] + every[k + 1 :]


@pytest.mark.parametrize(("size", "excess", "found"), [(2, 0.96, ()), (2, 1.02, (0, 1))])
def test_what_chance_explains_is_not_brought_in(
    size: int, excess: float, found: tuple[int, ...]
) -> None:
    """With two findings expected by chance among 84 pairs, 1.98 standard errors are asked for."""
    network, rows = coins_that_agree(size, excess)
    n, share = 1280.0, 0.25 * (1.0 + excess / 10.0)
    z = n * (4.0 * share - 1.0) / np.sqrt(16.0 * n * share - n * (4.0 * share) ** 2)
    assert (z > -ndtri(2.0 / 84)) == bool(found)
    assert mined_variables(network, rows, np.ones(len(rows.codes)), ()) == found


def test_what_the_mixture_explains_counts_less() -> None:
    network, rows = coins_that_agree(2, 4.0)
    # Rows where both agree are made by something else to such a part that nothing is left.
    agree = rows.codes[:, 0] == rows.codes[:, 1]
    relative = np.where(agree, 10.0 / 14.0, 10.0 / 6.0)
    assert mined_variables(network, rows, relative, ()) == ()


def test_one_variable_makes_no_pair() -> None:
    network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    rows = collapse(np.array([[0], [1], [1]]), network.cardinalities)
    # Its two states exclude each other.
    assert mined_variables(network, rows, np.ones(len(rows.codes)), ()) == ()
    same = collapse(np.array([[0], [0]]), network.cardinalities)
    assert mined_variables(network, same, np.ones(1), ()) == ()
