"""Targets of counts whose rows differ in size, by the search that knows nothing of counts."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.data import collapse
from dosift.data.configurations import Configurations
from dosift.likelihood.assignment import assign
from dosift.model.mechanism_network import MechanismNetwork
from dosift.search.engine import find_targets
from negative_binomial_counts import chain, learned
from poisson_counts import random_targets

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

_TRUE, _START = (0.08, 0.4, 2.8), (0.2, 0.6, 2.0)


def problem(
    seed: int, n_control: int = 2000
) -> tuple[MechanismNetwork, MechanismNetwork, Ints, Floats, Configurations]:
    """The truth; what control rows teach, with changes that are off; targets, weights, rows."""
    rng = np.random.default_rng(seed)
    n = 4 + seed % 2
    network = chain(n, rng, _TRUE)
    genes = MechanismNetwork(network.mechanisms[:n], network.libraries[:n])
    some, weights = random_targets(genes, 4 + seed % 3, 2, rng)
    targets = np.hstack([some, np.full((len(some), 1), -1, dtype=some.dtype)])
    values, _ = network.draw(targets, weights, 4000, rng)
    rows = collapse(values, network.cardinalities)
    return network, learned(network, n_control, _START, rng), targets, weights, rows


def as_pairs(targets: Ints, weights: Floats) -> dict[tuple[int, ...], float]:
    return {tuple(map(int, t)): float(w) for t, w in zip(targets, weights, strict=True)}


def nearest_true(network: MechanismNetwork, targets: Ints) -> Ints:
    """Name changes by the true fold next to what they were refined to."""
    out = np.full_like(targets, -1)
    for t, i in np.argwhere(targets >= 0):
        factor = network.libraries[i][int(targets[t, i])].factor
        out[t, i] = np.abs(np.log(factor / np.array(_TRUE))).argmin()
    return out


@pytest.mark.parametrize(
    "seed", [0, 3, 6, *(pytest.param(k, marks=pytest.mark.long) for k in (1, 2, 4, 5, 7))]
)
def test_targets_and_folds_are_found(seed: int) -> None:
    _, given, targets, weights, rows = problem(seed)
    result = find_targets(given, rows, max_size=2)
    refined = result.network
    found = as_pairs(nearest_true(refined, result.targets), result.weights)
    truth = as_pairs(targets, weights)
    assert set(found) == set(truth)
    assert len(result.targets) == len(truth)
    assert max(abs(found[target] - truth[target]) for target in truth) < 0.05
    for t, i in np.argwhere(result.targets >= 0):
        factor = refined.libraries[i][int(result.targets[t, i])].factor
        assert np.abs(np.log(factor / np.array(_TRUE))).min() < 0.2
    assert given.libraries[0][0].factor == _START[0]


@pytest.mark.parametrize("seed", range(4))
def test_each_step_of_em_raises_the_joint_likelihood(seed: int) -> None:
    _, network, targets, weights, rows = problem(seed, n_control=300)
    last = -np.inf
    for _ in range(12):
        found = assign(network, targets, weights, rows.codes)
        value = float(rows.counts @ found.log_probability) + network.log_prior()
        assert value >= last - 0.01  # the prior of the mechanisms is no part of it
        last = value
        posterior = found.posterior * rows.counts[:, None]
        weights = posterior.sum(axis=0) / posterior.sum()
        network = network.taught(rows.codes, targets, posterior, range(network.n_variables))
