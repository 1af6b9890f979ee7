"""Rows of numbers with missing values, held against exact densities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.likelihood.assignment import assign
from dosift.likelihood.completions import complete
from dosift.model.features import Plain
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal, Shift
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
    np.testing.assert_allclose(found[:, 0], wanted[:, 0], atol=0.2)
    mixture = np.log(np.exp(wanted) @ weights)
    error = np.log(np.exp(found) @ weights) - mixture
    assert abs(error.mean()) < 0.01
    assert np.sqrt(np.square(error).mean()) < 0.05


def test_debug() -> None:
    for seed in range(6):
        for share in (0.05, 0.2, 0.4):
            rng = np.random.default_rng(seed)
            network = linear_network(rng, 6, 2.0)
            targets = some_targets(rng, 6)
            weights = rng.dirichlet(np.ones(len(targets)))
            values, _ = network.draw(targets, weights, 400, rng)
            values = with_gaps(rng, values, share)
            values = values[~np.isnan(values).all(axis=1)]
            import time

            t = time.time()
            found = log_columns(network, targets, values)
            t = time.time() - t
            wanted = exact(network, targets, values)
            mixture = np.log(np.exp(wanted) @ weights)
            error = np.log(np.exp(found) @ weights) - mixture
            print(
                seed,
                share,
                round(t, 2),
                len(complete(network, values).codes) / len(values),
                "base",
                np.abs(found[:, 0] - wanted[:, 0]).max(),
                "mix",
                error.mean(),
                np.abs(error).max(),
                np.sqrt((error**2).mean()),
            )
