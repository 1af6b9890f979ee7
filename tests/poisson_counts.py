"""A toy mechanism for tests: Poisson counts, and changes that multiply the mean.

All that a new kind of variable needs: one mechanism, one change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from dosift.model.known_rows import ControlRows
from dosift.model.mechanism import Changes, Mechanism, Values
from dosift.model.mechanism_network import MechanismNetwork

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PoissonMechanism:
    """Counts whose log-mean is ``b_0 + sum_p b_p log(1 + v_p)``, times a known fold."""

    variable: int
    parents: tuple[int, ...]
    coefficients: tuple[float, ...]
    log_fold: float = 0.0
    is_positive = True

    @property
    def n_free(self) -> int:
        return len(self.coefficients)

    def _features(self, values: Values) -> Floats:
        parents = [np.log1p(values[:, p]) for p in self.parents]
        return np.stack([np.ones(len(values)), *parents], axis=1)

    def mean(self, values: Values) -> Floats:
        return np.exp(self._features(values) @ np.array(self.coefficients) + self.log_fold)

    def log_density(self, values: Values) -> Floats:
        own = values[:, self.variable]
        mean = self.mean(values)
        with np.errstate(invalid="ignore"):
            log = own * np.log(mean) - mean - gammaln(own + 1.0)
        out: Floats = np.where(np.isnan(own), 0.0, log)
        return out

    def draw(self, values: Values, rng: np.random.Generator) -> NDArray[np.int64]:
        return rng.poisson(self.mean(values))

    def statistics(self, values: Values, weights: Floats) -> Floats:
        """Gradient and information at the present coefficients, side by side."""
        x, mean = self._features(values), self.mean(values)
        gradient = x.T @ (weights * (values[:, self.variable] - mean))
        information = (x * (weights * mean)[:, None]).T @ x
        return np.concatenate([gradient[:, None], information], axis=1)

    def fitted(self, statistics: Floats) -> PoissonMechanism:
        """Take a step of Newton's method."""
        step = np.linalg.pinv(statistics[:, 1:], hermitian=True) @ statistics[:, 0]
        step *= min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-300))
        moved = np.array(self.coefficients) + step
        return replace(self, coefficients=tuple(moved.tolist()))

    def scores(self, values: Values) -> Floats:
        residual = values[:, self.variable] - self.mean(values)
        return self._features(values) * residual[:, None]


@dataclass(frozen=True)
class Fold:
    """Multiplies the mean; the factor is known, or free."""

    factor: float
    is_free: bool = False
    kind = "fold"
    keeps_mechanism = True
    kind = "fold"

    @property
    def n_free(self) -> int:
        return int(self.is_free)

    def applied(self, mechanism: Mechanism) -> PoissonMechanism:
        assert isinstance(mechanism, PoissonMechanism)
        return replace(mechanism, log_fold=mechanism.log_fold + float(np.log(self.factor)))

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> Fold:
        """Set the expected total to the one seen: the intercept's gradient and information."""
        expected = float(statistics[0, 1])
        if not self.is_free or expected <= 0:
            return self
        return replace(
            self, factor=self.factor * max(1.0 + float(statistics[0, 0]) / expected, 0.01)
        )

    def scores(self, mechanism: Mechanism, values: Values) -> Floats:
        changed = self.applied(mechanism)
        residual = values[:, changed.variable] - changed.mean(values)
        return residual[:, None] / self.factor * np.ones((1, self.n_free))

    def text(self, variable: str) -> str:
        return f"{variable}*{self.factor:.3g}"


def chain(
    n: int,
    rng: np.random.Generator,
    folds: tuple[float, ...] = (0.2, 0.5, 2.0, 5.0),
    free: bool = False,
    control: ControlRows | None = None,
    level: tuple[float, float] = (5.0, 15.0),
) -> MechanismNetwork:
    """Make a random network of counts: each variable has up to two parents before it."""
    mechanisms = []
    for i in range(n):
        parents = tuple(
            int(p)
            for p in np.sort(rng.choice(i, size=min(i, int(rng.integers(1, 3))), replace=False))
        )
        slopes = rng.uniform(0.2, 0.5, len(parents)) * rng.choice([-1.0, 1.0], len(parents))
        intercept = np.log(rng.uniform(*level)) - np.log1p(np.mean(level)) * slopes.sum()
        mechanisms.append(PoissonMechanism(i, parents, (float(intercept), *map(float, slopes))))
    library = Changes(tuple(Fold(factor, free) for factor in folds))
    return MechanismNetwork(tuple(mechanisms), (library,) * n, control)


def random_targets(
    network: MechanismNetwork, n_targets: int, max_size: int, rng: np.random.Generator
) -> tuple[NDArray[np.int16], Floats]:
    """Draw distinct targets, the first of them "left alone", and weights of at least 0.08."""
    found: dict[bytes, NDArray[np.int16]] = {}
    nothing = np.full(network.n_variables, -1, dtype=np.int16)
    found[nothing.tobytes()] = nothing
    while len(found) < n_targets:
        target = nothing.copy()
        size = int(rng.integers(1, max_size + 1))
        for i in rng.choice(network.n_variables, size=size, replace=False):
            target[i] = rng.integers(network.n_changes[i])
        found[target.tobytes()] = target
    weights = 0.08 + (1.0 - 0.08 * n_targets) * rng.dirichlet(np.ones(n_targets))
    return np.array(list(found.values())), weights
