"""Screens of variables: gains and deviations against sums written out."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.special import ndtri

from dosift.data import collapse
from dosift.data.configurations import Configurations
from dosift.likelihood.rates import variable_rate
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.model.noise import Noise
from dosift.search import screening
from dosift.search.screening import (
    _change_gain,
    _Component,
    _largest_deviation,
    _screen_changes,
    _threshold,
    likelihood_gain,
    screen_families,
    screen_variables,
    wanted_variables,
)
from plain_sums import toy_network

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 0.95, 0.99, 1 - 1e-4)


def test_the_threshold_is_passed_by_so_many_by_chance() -> None:
    assert _threshold(4.0, 100) == pytest.approx(-ndtri(0.04))
    # Of few tests three in ten at most.
    assert _threshold(4.0, 5) == _threshold(4.0, 0) == pytest.approx(-ndtri(0.3))


def test_the_gain_of_one_state_in_a_share_of_the_rows() -> None:
    table = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    family = np.array([[20.0, 30.0, 50.0], [5.0, 40.0, 60.0]])
    expected = 0.0
    for share in SHARES:
        for state in range(3):
            value = 0.0
            for u in range(2):
                for a in range(3):
                    mixed = (1.0 - share) * table[u, a] + share * (a == state)
                    value += family[u, a] * np.log(mixed / table[u, a])
            expected = max(expected, value)
    assert likelihood_gain(table, family) == pytest.approx(expected)
    # Parent configurations without rows do not matter.
    more = np.vstack([table, [1.0, 0.0, 0.0]]), np.vstack([family, np.zeros(3)])
    assert likelihood_gain(*more) == pytest.approx(expected)


def numbers() -> tuple[MechanismNetwork, Configurations]:
    own = tuple(LinearMechanism(i, (), (), np.zeros(1), Noise.normal(1.0)) for i in range(3))
    library = Changes((Shift(2.0), SetNormal(-1.0, 0.2)))
    network = MechanismNetwork(own, (library, library, Changes(())))
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 3))
    values[:30, 1] += 2.0
    return network, collapse(values, network.cardinalities)


def test_the_gain_of_one_change_in_a_share_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    network, rows = numbers()
    for i in range(2):
        mechanism = network.mechanisms[i]
        own = mechanism.log_density(rows.codes)
        expected = 0.0
        for change in network.libraries[i][:]:
            ratio = np.exp(change.applied(mechanism).log_density(rows.codes) - own)
            for share in SHARES:
                expected = max(expected, float(rows.counts @ np.log1p(share * (ratio - 1.0))))
        assert _change_gain(network, i, rows) == pytest.approx(expected)
    # Half the square of what four of four changes pass by chance.
    least = 0.5 * ndtri(0.3) ** 2
    chosen = tuple(i for i in range(2) if _change_gain(network, i, rows) > least)
    assert _screen_changes(network, rows) == chosen
    monkeypatch.setattr(screening, "SCREEN_FROM", 2)
    assert screen_variables(network, rows) == chosen  # type: ignore[arg-type]
    assert 1 in chosen


def test_deviations_in_standard_errors_inside_a_component() -> None:
    network = toy_network(2)
    rng = np.random.default_rng(1)
    codes = np.stack([rng.integers(k, size=300) for k in network.cardinalities], axis=1)
    rows = collapse(codes, network.cardinalities)
    ratio = rng.uniform(0.0, 2.0, rows.counts.size) * (rows.codes[:, 2] == 0)
    weight, n = 0.4, rows.total
    some = np.flatnonzero(ratio)
    first = rows.counts[some] * ratio[some]
    component = _Component(some, first, first * ratio[some], weight)
    i = 1
    table = network.tables[i]
    row_of = rows.codes[some][:, 0]
    state = rows.codes[some][:, i]
    largest = 0.0
    for a in range(3):
        here = state == a
        inverse = 1.0 / table[row_of, state]
        gradient = float((first * inverse)[here].sum())
        seen = float((first * ratio[some] * inverse**2)[here].sum())
        expected = float((first * ratio[some] / table[row_of, a]).sum())
        z = (gradient - n) / np.sqrt(max(seen, expected) - gradient**2 / n)
        largest = max(largest, abs(z))
    family = np.zeros_like(table)
    np.add.at(family, (row_of, state), weight * first)
    largest = max(largest, np.sqrt(2.0 * likelihood_gain(table, family)))
    assert _largest_deviation(network, i, rows, [component]) == pytest.approx(largest)


def wide_network(n: int) -> Network:
    states = {f"x{i}": ["0", "1"] for i in range(n)}
    return Network.from_tables(states, {}, {name: [0.5, 0.5] for name in states})


def test_of_many_variables_those_that_are_off_are_chosen() -> None:
    network = wide_network(25)
    even = np.array([[500.0, 500.0]])
    # Four of fifty states pass by chance: 1.4 standard errors.
    families = [even] * 25
    families[3] = np.array([[480.0, 520.0]])
    families[8] = np.array([[470.0, 530.0]])
    z = [2 * 20 / np.sqrt(1000.0), 2 * 30 / np.sqrt(1000.0)]
    assert z[0] < -ndtri(0.08) < z[1]
    assert screen_families(network, families) == (8,)
    assert screen_variables(wide_network(24), None) == tuple(range(24))  # type: ignore[arg-type]


def test_variables_that_are_off_inside_a_component_are_wanted() -> None:
    network = wide_network(4)
    cells = np.array(list(product([0, 1], repeat=4)))
    rows = collapse(cells, network.cardinalities)
    # Of do() and do(x0 = 0), half each; and x2 is 1 a little too often.
    counts = np.where(rows.codes[:, 0] == 0, 150.0, 50.0) * (0.92 + 0.16 * rows.codes[:, 2])
    rows = replace(rows, counts=counts)
    columns = np.stack([np.ones(len(rows.codes)), 2.0 * (rows.codes[:, 0] == 0)], axis=1)
    weights = np.array([0.5, 0.5])
    ratios = columns / (columns @ weights)[:, None]
    assert wanted_variables(network, rows, ratios, weights, (0,)) == (2,)
    assert wanted_variables(network, rows, ratios, weights, (0, 2)) == ()


def test_either_sign_is_enough_and_what_cannot_be_judged_stays() -> None:
    states = {f"x{i}": ["0", "1"] for i in range(25)}
    tables = {name: np.array([[0.5, 0.5]]) for name in states}
    # One parent configuration makes a state rare, and drowns what the other shows; or tells all.
    tables["x1"] = np.array([[0.999, 0.001], [0.5, 0.5]])
    tables["x2"] = np.array([[0.999, 0.001], [0.3, 0.7]])
    network = Network.from_tables(states, {"x1": ["x0"], "x2": ["x0"]}, tables)
    families = [np.array([[500.0, 500.0]])] * 25
    families[1] = np.array([[995.0, 5.0], [500.0, 500.0]])
    families[2] = np.array([[999.0, 1.0], [260.0, 740.0]])
    families[3] = np.zeros((1, 2))
    z, gain = [], []
    for i in (1, 2):
        rate = variable_rate(network.tables[i], families[i])
        z.append(rate.value_rates[1] / rate.value_std_errors[1])
        gain.append(likelihood_gain(network.tables[i], families[i]))
    bar = -ndtri(4.0 / 50.0)
    assert z[0] < bar < z[1]
    assert gain[1] < 0.5 * bar**2 < gain[0] < bar**2
    assert screen_families(network, families) == (1, 2, 3)


def test_rows_that_only_a_change_explains_ask_for_it() -> None:
    states = {"a": ["0", "1"], "b": ["0", "1"]}
    network = Network.from_tables(states, {}, {"a": [1.0, 0.0], "b": [0.5, 0.5]})
    rows = collapse(np.array([[0, 0], [0, 1], [1, 0]]), network.cardinalities)
    assert _change_gain(network, 0, rows) == np.inf
    assert np.isfinite(_change_gain(network, 1, rows))
    # A row that counts for nothing asks for nothing.
    none = replace(rows, counts=np.where(rows.codes[:, 0] == 1, 0.0, rows.counts))
    assert np.isfinite(_change_gain(network, 0, none))
