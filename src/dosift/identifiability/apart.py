"""How far the components of a mixture of changed mechanisms are apart, by rows drawn from each.

Likelihood ratios of components need the variables that targets touch and no others, whatever the
mechanisms are; so this takes any network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import comb, log

import numpy as np

from dosift.likelihood.weights import solve_weights
from dosift.model.arrays import Floats, Ints
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork

#: Rows drawn from each component.
DRAWN = 4000
#: Nats within which densities are the same everywhere.
_SAME = 1e-9
#: Nats a row that cannot be told from none by so many rows.
_LEAST_LOSS = 1e-6
#: Steps by which a number of rows is found that pays for what it has to.
_STEPS = 60
#: Nats a row that stand for more: no row leaves a doubt.
_MOST = 50.0


@dataclass(frozen=True, eq=False)
class Components:
    """Components of a mixture, and rows drawn from each.

    Attributes
    ----------
    network : MechanismNetwork
        Its libraries hold the changes.
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    rows : tuple of ndarray, each of shape (DRAWN, n_variables)
        On the working scales.
    """

    network: MechanismNetwork
    targets: Ints
    weights: Floats
    rows: tuple[Floats, ...]

    @classmethod
    def drawn(cls, network: MechanismNetwork, targets: Ints, weights: Floats) -> Components:
        """Draw rows, the same ones for the same components.

        Parameters
        ----------
        network : MechanismNetwork
        targets : ndarray of int, shape (n_targets, n_variables)
        weights : ndarray, shape (n_targets,)

        Returns
        -------
        Components
        """
        rng = np.random.default_rng(0)
        one = np.ones(1)
        rows = tuple(network.draw(target[None], one, DRAWN, rng)[0] for target in targets)
        return cls(network, targets, weights, rows)

    @cached_property
    def log_ratios(self) -> tuple[Floats, ...]:
        """For the rows of each component the log-ratio of each component to the undisturbed one.

        Each of shape (DRAWN, n_targets).
        """
        return tuple(self._log_ratios(values) for values in self.rows)

    def _log_ratios(self, values: Floats) -> Floats:
        out = np.zeros((len(values), len(self.targets)))
        for i in np.flatnonzero((self.targets >= 0).any(axis=0)):
            mechanism, library = self.network.mechanisms[i], self.network.libraries[i]
            base = np.maximum(mechanism.log_density(values), -np.finfo(np.float64).max)
            for position in np.unique(self.targets[:, i]):
                if position >= 0:
                    changed = library[int(position)].applied(mechanism).log_density(values)
                    out[:, self.targets[:, i] == position] += (changed - base)[:, None]
        return out

    def nats(self, one: int, other: int) -> float:
        """Mean evidence of a row of one component for it and against another, in nats.

        At most 50, which leave no doubt.
        """
        logs = self.log_ratios[one]
        return float(np.clip(logs[:, one] - logs[:, other], -_MOST, _MOST).mean())

    def overlap(self, one: int, other: int) -> float:
        """Share of rows of two components that are put down to the wrong one at best.

        Where both have the same number of rows, and it is drawn by its probability: from 0 to .5.
        """
        wrong = []
        for a, b in ((one, other), (other, one)):
            logs = self.log_ratios[a]
            odds = np.clip(logs[:, b] - logs[:, a], -_MOST, _MOST)
            wrong.append(float((1.0 / (1.0 + np.exp(-odds))).mean()))
        return 0.5 * sum(wrong)

    def are_same(self, one: int, other: int) -> bool:
        """Whether two components have the same density everywhere."""
        return all(
            bool((np.abs(logs[:, one] - logs[:, other]) < _SAME).all())
            for logs in (self.log_ratios[one], self.log_ratios[other])
        )

    @cached_property
    def losses(self) -> Floats:
        """Nats a row of the mixture that each component is worth, shape (n_targets,).

        By which the expected log-likelihood falls without it, the others weighed anew.
        """
        logs = np.concatenate(self.log_ratios)
        counts = np.repeat(self.weights / DRAWN, DRAWN)
        used = counts > 0
        logs, counts = logs[used], counts[used]
        scaled = np.exp(np.clip(logs - logs.max(axis=1, keepdims=True), -_MOST, 0.0))
        whole = float(counts @ np.log(scaled @ self.weights))
        out = np.zeros(len(self.weights))
        for t in range(len(self.weights)):
            rest = np.delete(scaled, t, axis=1)
            if rest.shape[1]:
                found = solve_weights(rest, counts)
                out[t] = max(whole - float(counts @ np.log(rest @ found.weights)), 0.0)
        return out

    def rows_needed(self, t: int) -> int | None:
        """Least number of mixture rows with which the score keeps a component.

        Its loss has to pay half the logarithm of the number of rows for its weight and each number
        of its changes, and for being one of so many targets of its size.

        Parameters
        ----------
        t : int

        Returns
        -------
        int or None
            None where no number of rows is enough.
        """
        loss = float(self.losses[t])
        if loss < _LEAST_LOSS:
            return None
        touched = np.flatnonzero(self.targets[t] >= 0)
        free = 1 + sum(
            self.network.libraries[i][int(self.targets[t, i])].n_free
            for i in touched
            if isinstance(self.network.libraries[i], Changes)
        )
        names = log(comb(self.network.n_variables, len(touched)))
        rows = 2.0
        for _ in range(_STEPS):
            rows = max((0.5 * log(rows) * free + names) / loss, 2.0)
        return int(np.ceil(rows))
