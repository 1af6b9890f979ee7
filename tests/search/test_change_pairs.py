"""Two numbers that are changed in few rows, where neither shows it alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.data import collapse
from dosift.learning.mechanisms import learn_mechanisms
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.search.change_pairs import change_pairs
from dosift.search.changes import ChangeFinder
from dosift.search.library import find_changes

Floats = NDArray[np.float64]
N = 6


def drawn(seed: int, n_rows: int, share: float, away: float = 1.9) -> tuple[Floats, Floats]:
    """Control rows and a pool, of which a share has the first and the last variable set."""
    rng = np.random.default_rng([3, seed])
    rows = rng.normal(size=(2, n_rows, N))
    rows[:, :, 2] += 0.8 * rows[:, :, 1]
    hit = rng.random(n_rows) < share
    for i in (0, N - 1):
        rows[1, hit, i] = away + 0.3 * rng.normal(size=hit.sum())
    return rows[0], rows[1]


def learned(control: Floats) -> MechanismNetwork:
    names = [Variable(f"x{i}", kind="continuous") for i in range(N)]
    return learn_mechanisms(names, control, [(), (), (1,), (), (), ()])


def pairs_of(seed: int, n_rows: int, share: float) -> list[set[int]]:
    control, pool = drawn(seed, n_rows, share)
    network = learned(control)
    values, ones = network.working(pool), np.ones(n_rows)
    nothing = np.full(N, -1)
    found = change_pairs(network, values, ones, ones, nothing, np.log(N))
    return [set(one.variables) for one in found]


def seen_alone(network: MechanismNetwork, values: Floats, i: int) -> bool:
    """Whether a variable's own density pays for a change of it."""
    mechanism, library = network.mechanisms[i], network.libraries[i]
    finder = ChangeFinder(mechanism, library, values, np.ones(len(values)), np.log(N))
    return bool(finder.found(fixed=True))


def test_a_pair_is_found_that_neither_variable_pays_for() -> None:
    hidden = 0
    for seed in range(5):
        control, pool = drawn(seed, 8_000, 0.012)
        network = learned(control)
        values = network.working(pool)
        hidden += not any(seen_alone(network, values, i) for i in (0, N - 1))
        assert {0, N - 1} in pairs_of(seed, 8_000, 0.012)
    assert hidden >= 3


def test_rows_that_nothing_was_done_to_hold_no_pairs() -> None:
    assert [pairs_of(seed, 2_000, 0.0) for seed in range(20)] == [[]] * 20


def with_shared_noise(seed: int, n_rows: int, hit: float = 0.0) -> tuple[MechanismNetwork, Floats]:
    """Rows where the first and the last variable share noise, which the graph does not show.

    In some rows of the pool one of the two is shifted, and in a share of it the first and the
    second variable are set.
    """
    rng = np.random.default_rng([4, seed])
    rows = rng.normal(size=(2, n_rows, N))
    rows[:, :, -1] = 0.8 * rows[:, :, 0] + 0.6 * rows[:, :, -1]
    which = rng.choice([0, N - 1, -1], size=n_rows, p=[0.03, 0.03, 0.94])
    for i in (0, N - 1):
        rows[1, which == i, i] += 1.5
    rows[1, rng.random(n_rows) < hit, :2] = 2.2
    names = [Variable(f"x{i}", kind="continuous") for i in range(N)]
    network = learn_mechanisms(names, rows[0], [()] * N)
    return network, network.working(rows[1])


def pairs_in(network: MechanismNetwork, values: Floats) -> list[set[int]]:
    """Look for pairs beside the shifts of one variable, which the mixture knows of."""
    ones, nothing = np.ones(len(values)), np.full(N, -1)
    shifted = np.exp(1.5 * values[:, [0, N - 1]] - 0.5 * 1.5**2).sum(axis=1)
    relative = 1.0 / (0.94 + 0.03 * shifted)
    found = change_pairs(network, values, ones, relative, nothing, np.log(N))
    return [set(one.variables) for one in found]


def test_noise_that_control_rows_share_as_well_is_no_pair() -> None:
    found = 0
    for seed in range(8):
        network, values = with_shared_noise(seed, 8_000)
        assert {0, N - 1} not in pairs_in(network, values)
        # Without control rows nobody knows.
        found += {0, N - 1} in pairs_in(replace(network, control=None), values)
    assert found >= 2


def test_a_pair_is_found_beside_shared_noise() -> None:
    for seed in range(3):
        network, values = with_shared_noise(seed, 8_000, 0.02)
        assert {0, 1} in pairs_in(network, values)


def test_what_a_target_changes_already_is_not_paired() -> None:
    control, pool = drawn(0, 8_000, 0.02)
    network = learned(control)
    ones, target = np.ones(len(pool)), np.full(N, -1)
    target[0] = 0
    values = network.working(pool)
    found = change_pairs(network, values, ones, ones, target, np.log(N))
    assert all(0 not in one.variables for one in found)


def test_the_search_brings_the_pair_in_with_its_numbers() -> None:
    control, pool = drawn(1, 8_000, 0.012)
    network = learned(control)
    rows = collapse(network.working(pool), network.cardinalities)
    result = find_changes(network, rows, look_around=False)
    sets = [set(np.flatnonzero(target >= 0).tolist()) for target in result.targets]
    assert sets == [set(), {0, N - 1}]
    assert result.weights[1] == pytest.approx(0.012, abs=0.004)
    for i in (0, N - 1):
        change = result.network.libraries[i][int(result.targets[1, i])]
        assert network.scales[i].user(np.array([change.mean]))[0] == pytest.approx(1.9, abs=0.2)  # type: ignore[union-attr]
