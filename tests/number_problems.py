"""Random linear-Gaussian problems with hidden changes, and what control rows teach of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.learning.mechanisms import learn_mechanisms
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable

Floats = NDArray[np.float64]
#: Kind, what the variable is set to or shifted by, and the noise's factor or deviation.
Hidden = dict[int, tuple[str, float, float]]


@dataclass(frozen=True)
class NumberProblem:
    """A linear system, control rows, a pool, and what was done to its rows."""

    slopes: Floats
    parents: tuple[tuple[int, ...], ...]
    control: Floats
    pool: Floats
    targets: tuple[Hidden, ...]
    weights: Floats
    component: NDArray[np.int64]

    @property
    def sets(self) -> set[frozenset[int]]:
        """The sets of variables that were touched."""
        return {frozenset(target) for target in self.targets}

    def learned(self, factor: float = 1.0, added: float = 0.0) -> MechanismNetwork:
        """Mechanisms of the true graph, from the control rows in other units."""
        variables = [Variable(f"x{i}", kind="continuous") for i in range(len(self.parents))]
        return learn_mechanisms(variables, self.control * factor + added, self.parents)


def drawn(slopes: Floats, n_rows: int, target: Hidden, rng: np.random.Generator) -> Floats:
    """Draw rows under a target."""
    rows = np.zeros((n_rows, len(slopes)))
    for i in range(len(slopes)):
        kind, value, sd = target.get(i, ("none", 0.0, 1.0))
        mean = rows @ slopes[i] if kind != "set" else np.zeros(n_rows)
        rows[:, i] = mean + value + sd * rng.normal(size=n_rows)
    return rows


def number_problem(
    seed: int,
    kind: str = "set",
    size: tuple[float, float] = (1.5, 3.0),
    spread: float = 0.3,
    n: int = 6,
    n_rows: int = 3000,
    n_targets: int = 4,
) -> NumberProblem:
    """Make a problem: distances and spreads in standard deviations of the control rows."""
    rng = np.random.default_rng(seed)
    present = np.tril(rng.random((n, n)) < 2.0 / (n - 1), -1)
    signs = rng.choice([-1.0, 1.0], size=(n, n))
    slopes = np.where(present, rng.uniform(0.5, 1.0, (n, n)) * signs, 0.0)
    control = drawn(slopes, n_rows, {}, rng)
    sd = control.std(axis=0)
    targets: list[Hidden] = [{}]
    while len(targets) <= n_targets:
        chosen = rng.choice(n, size=int(rng.integers(1, 3)), replace=False)
        target: Hidden = {}
        for i in map(int, chosen):
            away = float(rng.choice([-1.0, 1.0]) * rng.uniform(*size) * sd[i])
            target[i] = (kind, away, spread * float(sd[i]) if kind == "set" else 1.0)
        if all(set(target) != set(other) for other in targets):
            targets.append(target)
    weights = 0.4 * rng.dirichlet(np.full(n_targets + 1, 3.0)) + 0.6 / (n_targets + 1)
    component = rng.choice(n_targets + 1, size=n_rows, p=weights)
    pool = np.zeros((n_rows, n))
    for k, target in enumerate(targets):
        rows = np.flatnonzero(component == k)
        pool[rows] = drawn(slopes, rows.size, target, rng)
    return NumberProblem(
        slopes=slopes,
        parents=tuple(tuple(map(int, np.flatnonzero(row))) for row in present),
        control=control,
        pool=pool,
        targets=tuple(targets),
        weights=weights,
        component=component.astype(np.int64),
    )
