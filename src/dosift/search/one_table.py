"""One table taught together with the weights, all other tables being known.

What :class:`dosift.search.joint.JointFitter` does for all tables, for a single one of a known
network it takes only the columns of the targets that leave the variable alone, times the ratio of
the new table to the old.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.data.configurations import Configurations
from dosift.likelihood.factors import MechanismFactors
from dosift.likelihood.weights import MAX_ITERATIONS, solve_weights
from dosift.model.network import Network
from dosift.search.moves import merges
from dosift.search.score import Score

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Rise of the objective (nats, all rows) in one step of EM at which the table is left, and the most
#: steps.
EM_RISE = 0.02
_EM_STEPS = 60
#: Quadratic models of the weights in a step, while a rougher rise will do.
_ROUGH_ITERATIONS = 1
#: Smallest rise of the score that counts as one.
_LEAST_RISE = 1e-3
#: Estimated loss beyond its cost (nats) up to which dropping a component is tried.
_DROP_SLACK = 15.0
#: The same beyond which it stays whatever the table becomes.
_SURELY_NEEDED = 100.0


@dataclass(frozen=True)
class TableFit:
    """Targets, weights and a table that were fitted together.

    Attributes
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
        Positive.
    table : ndarray, shape (n_parent_configurations, n_states)
    log_likelihood : float
        Relative to that of the undisturbed network, in nats.
    score : float
        With the pseudo-counts' part, less the description length of the targets.
    inverse : ndarray, shape (n_targets, n_targets)
        Of the curvature in the weights at the table found.
    """

    targets: Ints
    weights: Floats
    table: Floats
    log_likelihood: float
    score: float
    inverse: Floats


class OneTableFitter:
    """Fits weights and the table of one variable together for given targets.

    Parameters
    ----------
    network : Network
        Without structural zeros.
    rows : Configurations
        The mixture rows.
    variable : int
    score : Score
    pseudo_count : float
        Of every entry of the table.
    """

    def __init__(
        self,
        network: Network,
        rows: Configurations,
        variable: int,
        score: Score,
        pseudo_count: float,
    ) -> None:
        self._factors = MechanismFactors(network, rows.codes)
        self._counts = rows.counts
        self._variable = variable
        self._score = score
        self._pseudo_count = pseudo_count
        self._old = network.tables[variable]
        parent_rows = network.parent_rows(variable, rows.codes)
        self._cell = parent_rows * self._old.shape[1] + rows.codes[:, variable]
        self._columns: dict[bytes, Floats] = {}

    def fit(self, targets: Ints, weights: Floats, table: Floats, rise: float = EM_RISE) -> TableFit:
        """Raise the objective from a start until a step of EM hardly helps.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)
        weights : ndarray, shape (n_targets,)
        table : ndarray, shape (n_parent_configurations, n_states)
        rise : float
            Rise of the objective in a step (nats, all rows) that is not worth another.

        Returns
        -------
        TableFit
        """
        base = self.columns(targets)
        alone = np.flatnonzero(targets[:, self._variable] < 0)
        columns = base.copy(order="F")
        most = MAX_ITERATIONS if rise <= EM_RISE else _ROUGH_ITERATIONS
        accuracy = rise / 10 / self._counts.sum()
        value = -np.inf
        for _ in range(_EM_STEPS + 1):
            before = value
            ratio = (table / self._old).ravel()[self._cell]
            columns[:, alone] = base[:, alone] * ratio[:, None]
            found = solve_weights(columns, self._counts, weights, accuracy, most)
            weights = found.weights
            if np.isneginf(found.log_likelihood):  # some rows need a target that is not there
                nothing = np.zeros((weights.size, weights.size))
                return TableFit(targets, weights, table, -np.inf, -np.inf, nothing)
            pseudo = self._pseudo_count * float(np.log(table).sum())
            value = found.log_likelihood + pseudo
            if value - before < rise:
                break
            share = (columns[:, alone] @ weights[alone]) / found.mixture
            family = np.bincount(self._cell, self._counts * share, minlength=table.size)
            counted = family.reshape(table.shape) + self._pseudo_count
            last, table = table, counted / counted.sum(axis=1, keepdims=True)
        else:
            table = last  # that of the weights
        kept = weights > 0
        scaled = columns[:, kept] * (np.sqrt(self._counts) / found.mixture)[:, None]
        inverse = np.linalg.pinv(scaled.T @ scaled, hermitian=True)
        score = value - float(self._score.costs(targets[kept]).sum())
        return TableFit(
            targets[kept], weights[kept], table, found.log_likelihood, score, np.asarray(inverse)
        )

    def simplify(self, fit: TableFit) -> TableFit:
        """Drop and merge components while that raises the score."""
        while True:
            better = self._dropped(fit) or self._merged(fit)
            if better is None:
                return fit
            fit = better

    def least_cost(self, fit: TableFit) -> float:
        """Cost of the components that :meth:`simplify` will hardly drop."""
        needed = self._losses(fit) >= _SURELY_NEEDED
        return float(self._score.costs(fit.targets[needed]).sum())

    def columns(self, targets: Ints) -> Floats:
        """Likelihoods of targets with the table as it was, relative to the network's.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        ndarray, shape (n_configurations, n_targets), column-major
        """
        out = np.empty((self._counts.size, len(targets)), order="F")
        for k, target in enumerate(targets):
            key = target.tobytes()
            if key not in self._columns:
                self._columns[key] = self._factors.column(target)
            out[:, k] = self._columns[key]
        return out

    def _losses(self, fit: TableFit) -> Floats:
        """Estimated net loss of dropping each component at the table as it is."""
        loss = fit.weights**2 / (2 * np.maximum(np.diag(fit.inverse), 1e-300))
        return np.asarray(loss - self._score.costs(fit.targets))

    def _dropped(self, fit: TableFit) -> TableFit | None:
        net = self._losses(fit)
        order = np.argsort(net, kind="stable")
        for s in order[net[order] < _DROP_SLACK]:
            if fit.weights.size < 2:
                return None
            keep = np.arange(fit.weights.size) != s
            trial = self.fit(fit.targets[keep], fit.weights[keep], fit.table)
            if trial.score > fit.score + _LEAST_RISE:
                return trial
        return None

    def _merged(self, fit: TableFit) -> TableFit | None:
        for move in merges(fit.targets):
            keep = np.ones(fit.weights.size, dtype=bool)
            keep[list(move.dropped)] = False
            if not (keep.any() or len(move.added)):
                continue
            freed = np.full(len(move.added), fit.weights[~keep].sum())
            targets = np.concatenate([fit.targets[keep], move.added])
            trial = self.fit(targets, np.append(fit.weights[keep], freed), fit.table)
            if trial.score > fit.score + _LEAST_RISE:
                return trial
        return None
