"""The fit check: the test behind it, which pairs it takes, and what it notices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency, kstest

from dosift.checks.fit_check import (
    MISFIT_LEVEL,
    FitCheck,
    _compare,
    check_counts,
    compared,
    homogeneity_p_value,
    joint_counts,
)
from dosift.data import collapse
from dosift.model import Network
from dosift.model.random_problems import random_network
from dosift.model.simulate import sample_codes


def draw(network: Network, n_rows: int, seed: int) -> np.ndarray:
    nothing = np.full((1, network.n_variables), -1)
    codes, _ = sample_codes(network, nothing, np.ones(1), n_rows, np.random.default_rng(seed))
    return codes


def check_fit(
    network: Network, rows: np.ndarray, counts: np.ndarray, simulated: np.ndarray
) -> FitCheck:
    sizes = network.cardinalities
    pairs, families = compared(network)
    collapsed = collapse(rows, sizes, counts)
    observed = [joint_counts(network, group, collapsed) for group in (*pairs, *families)]
    return check_counts(network, observed, collapse(simulated, sizes), compared(network))


def test_the_p_value_is_that_of_the_contingency_table() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = rng.integers(20, 80, size=6), rng.integers(300, 500, size=6)
        expected = chi2_contingency(np.stack([first, second]), correction=False).pvalue
        found = homogeneity_p_value(first.astype(float), second.astype(float))
        assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("many_states", [False, True])
def test_rows_that_lack_a_value_are_not_counted(
    many_states: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if many_states:  # cells are then found by sorting
        monkeypatch.setattr("dosift.checks.fit_check._SMALL_TABLE", 0)
    network = random_network(3, random_state=2)
    rng = np.random.default_rng(2)
    rows = rng.integers(-1, 3, size=(20, 3))
    sizes, counts = network.cardinalities, rng.integers(1, 9, size=20).astype(float)
    cells, found = joint_counts(network, (2, 0), collapse(rows, sizes, counts))
    expected = np.zeros(9)
    for row, count in zip(rows, counts, strict=True):
        if row[2] >= 0 and row[0] >= 0:
            expected[3 * row[2] + row[0]] += count
    assert cells.tolist() == np.flatnonzero(expected).tolist()
    assert found.tolist() == expected[cells].tolist()


def test_p_values_are_uniform_where_the_model_holds() -> None:
    rng = np.random.default_rng(1)
    shares = np.array([0.4, 0.3, 0.2, 0.0999, 0.0001])
    values = [
        homogeneity_p_value(
            rng.multinomial(800, shares).astype(float), rng.multinomial(8000, shares).astype(float)
        )
        for _ in range(500)
    ]
    assert kstest(values, "uniform").pvalue > 1e-3


def test_rare_cells_are_pooled() -> None:
    # Alone, each of the rare cells would have an expected count far below 5.
    assert homogeneity_p_value(np.array([990.0, 10.0]), np.array([9990.0, 10.0])) < 1e-6
    spread = np.zeros(11)
    spread[0], spread[1:] = 990.0, 1.0
    reference = np.zeros(11)
    reference[0], reference[1:] = 9990.0, 1.0
    assert homogeneity_p_value(spread, reference) < 1e-6


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([0.0, 0.0], [5.0, 5.0]),
        ([5.0, 5.0], [0.0, 0.0]),
        ([100.0, 0.0], [1000.0, 0.0]),
        ([1.0, 2.0], [2.0, 1.0]),
    ],
)
def test_too_little_to_compare_is_no_misfit(first: list[float], second: list[float]) -> None:
    assert homogeneity_p_value(np.array(first), np.array(second)) == 1.0


def test_rows_of_the_network_itself_fit() -> None:
    alarms = 0
    for seed in range(30):
        network = random_network(5, random_state=seed)
        rows = draw(network, 3000, seed + 100)
        check = check_fit(network, rows, np.ones(3000), draw(network, 50_000, seed + 200))
        assert check.n_pairs == 10
        assert check.fits == (check.p_value >= MISFIT_LEVEL)
        alarms += not check.fits
    assert alarms <= 1


def test_counts_are_repetitions() -> None:
    network = random_network(4, random_state=1)
    rows, simulated = draw(network, 2000, 0), draw(network, 20_000, 1)
    whole = check_fit(network, rows, np.ones(2000), simulated)
    collapsed = collapse(rows, network.cardinalities)
    assert check_fit(network, collapsed.codes, collapsed.counts, simulated) == whole


def test_a_dependence_that_the_network_lacks_is_found_and_named() -> None:
    network = Network.from_tables(
        {name: ["0", "1"] for name in "abc"}, {}, {name: [0.5, 0.5] for name in "abc"}
    )
    rows = draw(network, 2000, 0)
    rows[:400, 2] = rows[:400, 0]
    check = check_fit(network, rows, np.ones(2000), draw(network, 50_000, 1))
    assert not check.fits
    assert [deviation.variables for deviation in check.worst] == [(0, 2)]
    assert check.worst[0].p_value == check.p_value < MISFIT_LEVEL
    # A fifth of the rows has c = a, which half of them would have had by chance.
    assert check.worst[0].distance == pytest.approx(0.1, abs=0.03)
    assert check.suspects == (0, 2)


def test_the_worst_pairs_come_first_and_are_few() -> None:
    names = [f"v{i}" for i in range(8)]
    network = Network.from_tables(
        {name: ["0", "1"] for name in names}, {}, {name: [0.5, 0.5] for name in names}
    )
    rows = np.repeat(draw(network, 2000, 0)[:, :1], 8, axis=1)
    check = check_fit(network, rows, np.ones(2000), draw(network, 50_000, 1))
    assert len(check.worst) == 10
    p_values = [deviation.p_value for deviation in check.worst]
    assert p_values == sorted(p_values)


def test_wide_networks_are_compared_along_their_edges() -> None:
    alarms = 0
    for seed in range(10):
        network = random_network(40, random_state=seed, max_parents=2)
        rows, simulated = draw(network, 1000, seed), draw(network, 20_000, seed + 100)
        check = check_fit(network, rows, np.ones(1000), simulated)
        roots = sum(not parents for parents in network.parents)
        assert check.n_pairs == len(network.edges) + roots
        assert check.n_mechanisms == sum(len(parents) > 1 for parents in network.parents)
        alarms += not check.fits
    # One in a hundred is expected; more than two of ten has a probability near 1e-4.
    assert alarms <= 2


def test_a_single_variable_is_compared_with_itself() -> None:
    network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    simulated = draw(network, 50_000, 0)
    even, odd = np.array([500.0, 500.0]), np.array([900.0, 100.0])
    codes = np.array([[0], [1]])
    assert check_fit(network, codes, even, simulated).fits
    worst = check_fit(network, codes, odd, simulated).worst[0]
    assert worst.variables == (0, 0)
    assert worst.distance == pytest.approx(0.4, abs=0.01)


def test_a_mechanism_whose_pairs_all_agree_is_found_by_its_family() -> None:
    # c is a xor b more often than the network says: each pair still looks independent.
    tables = {"a": [0.5, 0.5], "b": [0.5, 0.5], "c": np.full((4, 2), 0.5)}
    graph = {"c": ["a", "b"]}
    network = Network.from_tables({name: ["0", "1"] for name in "abc"}, graph, tables)
    rows = draw(network, 4000, 0)
    rows[:800, 2] = rows[:800, 0] ^ rows[:800, 1]
    check = check_fit(network, rows, np.ones(4000), draw(network, 50_000, 1))
    assert check.worst == ()
    assert check.n_mechanisms == 1
    assert [deviation.variables for deviation in check.mechanisms] == [(0, 1, 2)]
    assert check.mechanisms[0].distance == pytest.approx(0.1, abs=0.03)
    assert not check.fits


def test_how_far_a_mechanism_is_off_is_a_mean_over_its_parents() -> None:
    """Two states of the parent, three of the child; under one of the two the child is another."""
    network = Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1", "2"]},
        {"b": ["a"]},
        {"a": [[0.5, 0.5]], "b": np.full((2, 3), 1 / 3)},
    )
    moved = Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1", "2"]},
        {"b": ["a"]},
        {"a": [[0.5, 0.5]], "b": [[0.5, 0.4, 0.1], [1 / 3, 1 / 3, 1 / 3]]},
    )
    rows, drawn = (
        collapse(one, network.cardinalities)
        for one in (draw(moved, 20_000, 0), draw(network, 100_000, 1))
    )
    counts = joint_counts(network, (0, 1), rows)
    found = _compare(network, (0, 1), counts, drawn, 1, conditional=True)
    assert found.p_value < 1e-6
    assert found.distance == pytest.approx(0.5 * (1 / 3 - 0.1), abs=0.015)
