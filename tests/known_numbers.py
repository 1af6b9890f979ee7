"""Small linear problems with hidden interventions, for tests of the search over graphs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dosift.data.configurations import Configurations, collapse
from dosift.graphs.dag import Parents
from dosift.learning.mechanisms import learn_mechanisms
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NumberProblem:
    """Control rows, a pool, and what made them: each of some sets of variables is set at once."""

    graph: Parents
    sets: tuple[tuple[int, ...], ...]
    control: Floats
    pool: Floats

    @property
    def names(self) -> list[str]:
        return [f"x{i}" for i in range(len(self.graph))]

    def network(self, graph: Parents | None = None) -> MechanismNetwork:
        """Learn from control rows, by default without edges."""
        variables = [Variable(name, kind="continuous") for name in self.names]
        return learn_mechanisms(variables, self.control, graph or [()] * len(self.graph))

    def rows(self, network: MechanismNetwork) -> Configurations:
        return collapse(network.working(self.pool), network.cardinalities)


@cache
def number_problem(
    seed: int, n: int = 4, n_rows: int = 1_000, n_edges: int = 4, n_targets: int = 3
) -> NumberProblem:
    """Draw a network with coefficients of .7 to 1.2 and targets that set one variable each."""
    rng = np.random.default_rng([17, seed, n])
    pairs = [(a, b) for b in range(n) for a in range(b)]
    chosen = [pairs[k] for k in rng.choice(len(pairs), n_edges, replace=False)]
    order = rng.permutation(n)
    lines = {
        (int(order[a]), int(order[b])): rng.uniform(0.7, 1.2) * rng.choice([-1, 1])
        for a, b in chosen
    }
    hit = sorted(rng.choice(n, n_targets, replace=False).tolist())
    means = {i: rng.uniform(1.5, 2.5) * rng.choice([-1, 1]) for i in hit}

    def draw(which: NDArray[np.int64]) -> Floats:
        x = np.zeros((which.size, n))
        for i in order.tolist():
            x[:, i] = rng.normal(size=which.size)
            for (p, child), line in lines.items():
                if child == i:
                    x[:, i] += line * x[:, p]
            if i in means:
                is_set = which == hit.index(i) + 1
                x[is_set, i] = rng.normal(means[i], 0.3, is_set.sum())
        return x

    component = rng.choice(n_targets + 1, n_rows, p=[0.4, *[0.6 / n_targets] * n_targets])
    graph = tuple(tuple(sorted(p for p, child in lines if child == i)) for i in range(n))
    nothing = np.zeros(n_rows, dtype=np.int64)
    return NumberProblem(graph, tuple((i,) for i in hit), draw(nothing), draw(component))
