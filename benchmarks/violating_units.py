"""Problems of units with several rows: mixtures without exclusion, and units drawn from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import dosift
from dosift.model.network import Network
from dosift.model.simulate import sample_codes

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class UnitProblem:
    """A network, a mixture on it, and a seed for the units."""

    network: Network
    targets: Ints
    weights: Floats
    seed: list[int]

    def units(self, sizes: Ints) -> tuple[Ints, NDArray[np.int64], NDArray[np.int64]]:
        """Draw units of given sizes: their rows, where each begins, and the target of each."""
        rng = np.random.default_rng([*self.seed, len(sizes)])
        target = rng.choice(len(self.weights), len(sizes), p=self.weights)
        of_row = np.repeat(target, sizes)
        codes = np.empty((len(of_row), self.network.n_variables), dtype=np.int64)
        for t in range(len(self.weights)):
            rows = np.flatnonzero(of_row == t)
            one = self.targets[t : t + 1]
            codes[rows] = sample_codes(self.network, one, np.ones(1), len(rows), rng)[0]
        return codes, np.concatenate([[0], np.cumsum(sizes)[:-1]]), target


def draw_problem(n: int, k: int, seed: int, components: int = 8, size: int = 3) -> UnitProblem:
    """Draw a problem whose targets set at least one variable to all of its states.

    Parameters
    ----------
    n, k : int
        Variables, and states of each.
    seed : int
    components : int
        The target of no intervention is one of them.
    size : int
        Largest number of variables that a target sets.

    Returns
    -------
    UnitProblem
    """
    rng = np.random.default_rng([18, n, k, seed])
    network = dosift.random_network(n, n_states=k, max_parents=4, random_state=rng)
    while True:
        mixture = dosift.random_mixture(
            network, components - 1, max_size=min(size, n), exclusion=False, random_state=rng
        )
        if dosift.identifiability.exclusion(network, mixture).violated:
            break
    return UnitProblem(network, *mixture.to_codes(network), [18, n, k, seed])


def every_target(network: Network) -> NDArray[np.int64]:
    """List all targets, that of no intervention first."""
    shape = [int(k) + 1 for k in network.cardinalities]
    return np.indices(shape).reshape(len(shape), -1).T.astype(np.int64) - 1


def laws(network: Network, targets: Ints) -> tuple[Ints, Floats]:
    """List all configurations, and their probabilities under each target."""
    shape = [int(k) for k in network.cardinalities]
    cells = np.indices(shape).reshape(len(shape), -1).T
    law = np.ones((len(cells), len(targets)))
    for i in range(network.n_variables):
        own = network.tables[i][network.parent_rows(i, cells), cells[:, i]]
        is_set = cells[:, i, None] == targets[None, :, i]
        law *= np.where(targets[None, :, i] < 0, own[:, None], is_set)
    return cells, law
