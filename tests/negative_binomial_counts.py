"""Networks of negative binomial counts whose rows differ in size, for tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dosift.learning.count_mechanisms import learn_counts
from dosift.model.count_features import LogRate, Scaled
from dosift.model.counts import Fold, NegativeBinomialMechanism
from dosift.model.covariate import CovariateMechanism
from dosift.model.known_rows import ControlRows
from dosift.model.mechanism import Changes, Mechanism
from dosift.model.mechanism_network import MechanismNetwork

Floats = NDArray[np.float64]

#: Logarithm of the typical size.
SIZE = 7.0


def gene(
    variable: int, parents: tuple[int, ...], offset: int, rng: np.random.Generator, mean: float
) -> NegativeBinomialMechanism:
    """Make a count that depends on counts of others for their size, all of about one mean."""
    slopes = rng.uniform(0.2, 0.6, len(parents)) * rng.choice([-1.0, 1.0], len(parents))
    centre = float(np.log1p(mean))
    return NegativeBinomialMechanism(
        variable,
        (*parents, offset),
        tuple(Scaled(LogRate(p, offset, SIZE), centre, 1.0) for p in parents),
        (float(np.log(mean * rng.uniform(0.7, 1.4))), *map(float, slopes)),
        dispersion=float(rng.uniform(0.05, 0.3)),
        offset=offset,
        offset_centre=SIZE,
    )


def chain(
    n: int, rng: np.random.Generator, factors: tuple[float, ...], mean: float = 30.0
) -> MechanismNetwork:
    """Make a random network of counts with up to two parents each; the last column is the size."""
    mechanisms: list[Mechanism] = []
    for i in range(n):
        parents = rng.choice(i, size=min(i, int(rng.integers(1, 3))), replace=False)
        mechanisms.append(gene(i, tuple(map(int, np.sort(parents))), n, rng, mean))
    sizes = SIZE + rng.uniform(-0.55, 0.55, 500)
    mechanisms.append(CovariateMechanism(n, tuple(sizes.tolist())))
    library = Changes(tuple(Fold(factor) for factor in factors))
    return MechanismNetwork(tuple(mechanisms), (*(library,) * n, Changes(())))


def learned(
    network: MechanismNetwork, n_rows: int, factors: tuple[float, ...], rng: np.random.Generator
) -> MechanismNetwork:
    """Learn the mechanisms from control rows; the changes are off, and free."""
    n = network.n_variables - 1
    nothing = np.full((1, n + 1), -1, dtype=np.int16)
    values, _ = network.draw(nothing, np.ones(1), n_rows, rng)
    control = ControlRows(values, np.ones(n_rows))
    mechanisms = [
        learn_counts(
            values, control.weights, i, [p for p in network.parents[i] if p != n], offset=n
        )
        for i in range(n)
    ]
    library = Changes(tuple(Fold(factor) for factor in factors))
    depth = CovariateMechanism.of_column(n, values[:, n])
    return MechanismNetwork((*mechanisms, depth), (*(library,) * n, Changes(())), control)
