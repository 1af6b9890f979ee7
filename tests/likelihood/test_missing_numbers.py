"""Rows of numbers with missing values, held against exact densities."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.likelihood.assignment import assign
from dosift.likelihood.completions import complete
from dosift.model.categorical import CategoricalMechanism, States
from dosift.model.count_features import LogRate
from dosift.model.counts import CountChanges, Fold, NegativeBinomialMechanism
from dosift.model.features import Indicator, Plain
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import Gain, SetNormal, SetPoint, Shift
from dosift.model.mechanism import Changes, Mechanism
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.noise import Noise

Floats = NDArray[np.float64]


def linear_network(rng: np.random.Generator, n: int, degree: float) -> MechanismNetwork:
    """A random linear network with a set and a shift for every variable."""
    mechanisms: list[Mechanism] = []
    libraries = []
    for i in range(n):
        parents = tuple(int(p) for p in np.flatnonzero(rng.random(i) < degree / max(i, 1)))
        slopes = rng.choice([-1.0, 1.0], len(parents)) * rng.uniform(0.4, 0.9, len(parents))
        coefficients = np.append(rng.normal(), slopes)
        sd = rng.uniform(0.2, 0.8)
        features = tuple(Plain(p) for p in parents)
        mechanisms.append(
            LinearMechanism(i, parents, features, coefficients, Noise.normal(float(sd)))
        )
        changes = (SetNormal(float(rng.normal(0, 3)), 0.3), Shift(float(rng.normal(0, 2))))
        libraries.append(Changes(changes))
    return MechanismNetwork(tuple(mechanisms), tuple(libraries))


def moments(network: MechanismNetwork, target: Any) -> tuple[Floats, Floats]:
    """Mean and covariance of all variables under a target, where all is linear and normal."""
    n = network.n_variables
    mean, spread = np.zeros(n), np.zeros((n, n))
    for i in network.order:
        mechanism: Any = network.mechanisms[i]
        if target[i] >= 0:
            mechanism = network.libraries[i][int(target[i])].applied(mechanism)
        slopes = np.zeros(n)
        slopes[list(mechanism.parents)] = mechanism.coefficients[1:]
        mean[i] = mechanism.coefficients[0] + mechanism.offset + slopes @ mean
        spread[i] = slopes @ spread
        spread[i, i] = mechanism.noise.sd * mechanism.factor
    return mean, spread @ spread.T


def exact(network: MechanismNetwork, targets: Any, values: Floats) -> Floats:
    """Log-density of what rows show, shape (n_rows, n_targets)."""
    out = np.empty((len(values), len(targets)))
    for t, target in enumerate(targets):
        mean, covariance = moments(network, target)
        for r, row in enumerate(values):
            seen = np.flatnonzero(~np.isnan(row))
            away = row[seen] - mean[seen]
            own = covariance[np.ix_(seen, seen)]
            square = away @ np.linalg.solve(own, away)
            out[r, t] = -0.5 * (square + np.linalg.slogdet(2 * np.pi * own)[1])
    return out


def with_gaps(rng: np.random.Generator, values: Floats, share: float) -> Floats:
    out = values.copy()
    out[rng.random(values.shape) < share] = np.nan
    return out


def log_columns(network: MechanismNetwork, targets: Any, values: Floats) -> Floats:
    weights = np.full(len(targets), 1.0 / len(targets))
    found = assign(network, targets, weights, values)  # type: ignore[arg-type]
    with np.errstate(divide="ignore"):
        return np.log(found.columns) + found.log_reference[:, None]


def some_targets(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    targets = np.full((2 * n + 3, n), -1)
    for i in range(n):
        targets[2 * i + 1, i], targets[2 * i + 2, i] = 0, 1
    for t in (-1, -2):
        i, j = rng.choice(n, 2, replace=False)
        targets[t, i], targets[t, j] = rng.integers(2), rng.integers(2)
    return targets


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("share", [0.05, 0.2, 0.4])
def test_what_a_row_shows_has_its_exact_density(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    network = linear_network(rng, 6, 2.0)
    targets = some_targets(rng, 6)
    weights = rng.dirichlet(np.ones(len(targets)))
    values, _ = network.draw(targets, weights, 400, rng)
    values = with_gaps(rng, values, share)
    values = values[~np.isnan(values).all(axis=1)]
    wanted, found = exact(network, targets, values), log_columns(network, targets, values)
    mixture = np.log(np.exp(wanted) @ weights)
    error = np.log(np.exp(found) @ weights) - mixture
    assert abs(error.mean()) < 0.02
    assert np.sqrt(np.square(error).mean()) < 0.15


def mixed_network() -> MechanismNetwork:
    """A state, a number, a count and a number in a chain, and a state that hangs on the number."""
    noise = Noise(np.array([0.8, 0.2]), np.zeros(2), np.array([0.4, 1.2]))
    mechanisms: tuple[Mechanism, ...] = (
        CategoricalMechanism(0, (), (), np.array([[0.7, 0.3]])),
        LinearMechanism(1, (0,), (Indicator(0, 1),), np.array([0.0, 1.0]), noise),
        NegativeBinomialMechanism(2, (1,), (Plain(1),), (1.5, 0.6), dispersion=0.2),
        LinearMechanism(3, (2,), (LogRate(2),), np.array([0.0, 0.8]), Noise.normal(0.3)),
    )
    libraries = (
        States(("off", "on")),
        Changes((SetNormal(2.0, 0.2), SetPoint(-1.0, 0.01))),
        CountChanges((Fold(0.2),)),
        Changes((Gain(0.5, -1.0),)),
    )
    return MechanismNetwork(mechanisms, libraries)


def by_brute_force(network: MechanismNetwork, targets: Any, row: Floats) -> Floats:
    """Log-density of what a row shows, by a fine grid, shape (n_targets,)."""
    grid = np.concatenate(
        [np.linspace(-6.0, 7.0, 2601), -1.0 + np.linspace(-0.00495, 0.00495, 100)]
    )
    width = np.concatenate([np.full(2601, 0.005), np.full(100, 0.0001)])
    states = [0, 1] if np.isnan(row[0]) else [row[0]]
    counts = np.arange(120.0) if np.isnan(row[2]) else np.array([row[2]])
    out = []
    for target in targets:
        at_point = target[1] == 1
        a, w = (grid[2601:], width[2601:]) if at_point else (grid[:2601], width[:2601])
        if not np.isnan(row[1]):
            a, w = np.array([row[1]]), np.ones(1)
        total = 0.0
        for state, count in product(states, counts):
            values = np.tile(row, (a.size, 1))
            values[:, 0], values[:, 1], values[:, 2] = state, a, count
            log = np.zeros(a.size)
            for i, mechanism in enumerate(network.mechanisms):
                now = mechanism
                if target[i] >= 0:
                    now = network.libraries[i][int(target[i])].applied(mechanism)
                with np.errstate(divide="ignore"):
                    log += now.log_density(values)
            total += float(w @ np.exp(log))
        out.append(total)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(out))


@pytest.mark.parametrize(
    "lacking",
    [[1], [0, 1], *(pytest.param(o, marks=pytest.mark.long) for o in ([2], [1, 2], [0, 1, 2]))],
    ids=str,
)
def test_states_numbers_and_counts_are_summed_out_together(lacking: list[int]) -> None:
    network = mixed_network()
    targets = np.array(
        [[-1, -1, -1, -1], [-1, 0, -1, -1], [-1, -1, 0, -1], [-1, -1, -1, 0], [-1, 1, -1, -1]]
    )
    weights = np.full(5, 0.2)
    rng = np.random.default_rng(3)
    values, _ = network.draw(targets, weights, 300, rng)
    some = values[:12].copy()
    some[:, lacking] = np.nan
    found = log_columns(network, targets, some)
    wanted = np.array([by_brute_force(network, targets, row) for row in some])
    near = wanted > wanted.max(axis=1, keepdims=True) - 3.0
    assert np.abs(found[near] - wanted[near]).max() < 0.3
    mixture = np.log(np.exp(found) @ weights) - np.log(np.exp(wanted) @ weights)
    assert abs(mixture.mean()) < 0.04


def test_what_nothing_depends_on_stays_open() -> None:
    rng = np.random.default_rng(0)
    network = linear_network(rng, 4, 1.5)
    values, _ = network.draw(np.full((1, 4), -1), np.ones(1), 50, rng)
    leaves = [i for i in range(4) if all(i not in parents for parents in network.parents)]
    values[:, leaves] = np.nan
    found = complete(network, values)
    assert len(found.codes) == 50
    assert found.log_weight is None
    assert np.isnan(found.codes[:, leaves]).all()


def test_a_row_gets_the_same_points_whatever_others_there_are() -> None:
    rng = np.random.default_rng(1)
    network = linear_network(rng, 5, 2.0)
    targets = some_targets(rng, 5)
    values, _ = network.draw(targets[:1], np.ones(1), 60, rng)
    values = with_gaps(rng, values, 0.3)
    order = rng.permutation(60)
    together = log_columns(network, targets, values)
    with np.errstate(invalid="ignore"):
        difference = log_columns(network, targets, values[order])[:10] - together[order[:10]]
        alone = log_columns(network, targets, values[order[:10]]) - together[order[:10]]
    for off in (difference, alone):
        assert np.abs(np.nan_to_num(off)).max() < 1e-6


def test_points_under_a_change_that_was_not_foreseen_do_without() -> None:
    """Far from all that the points were laid for, densities are still right to a few tenths."""
    rng = np.random.default_rng(5)
    network = linear_network(rng, 3, 2.0)
    plain = replace(network, libraries=tuple(Changes(()) for _ in range(3)))
    values, _ = network.draw(np.full((1, 3), -1), np.ones(1), 200, rng)
    values[:, 0] = np.nan
    nothing = np.full((1, 3), -1)
    one, other = (log_columns(which, nothing, values) for which in (network, plain))
    assert np.abs(one - other).max() < 0.2
    np.testing.assert_allclose(other, exact(network, nothing, values), atol=0.01)
