"""Control and mixture rows teach a learned network together.

With tables estimated from control rows alone, their errors are read as extra components. Here the
tables are parameters too: the joint objective is the log-likelihood of the mixture rows, plus that
of the control rows, plus the logarithm of the Dirichlet prior. It is raised by turns: weights by
the convex solver, tables by a step of EM, in which a row counts towards the mechanism of variable i
in proportion to the posterior of the targets that leave i alone. Components are dropped under the
joint objective, where the tables may take over what a component explained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.data.configurations import Configurations
from dosift.learning.tables import tables_of
from dosift.likelihood.assignment import Assignment, assign
from dosift.likelihood.rates import family_counts
from dosift.model.network import ControlCounts, Network
from dosift.search.constraints import Constraints, solve_constrained
from dosift.search.moves import merges

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Rise of the joint objective (nats, all rows) in one step of EM at which the tables are left.
_EM_RISE = 0.02
_EM_STEPS = 60
#: Smallest rise of the joint score that counts as one.
_LEAST_RISE = 1e-3
#: Estimated loss beyond its cost (nats) up to which dropping a component is tried. The estimate
#: holds the tables; with many rows those can take over far more than that lets expect.
_DROP_SLACK = 100.0


@dataclass(frozen=True)
class JointFit:
    """Targets, weights and tables that were fitted together.

    Attributes
    ----------
    network : Network
        With the refined tables.
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
        Positive, but for required targets.
    score : float
        Joint objective less the description length of the targets, in nats.
    found : Assignment
        Likelihoods and posteriors at the end.
    """

    network: Network
    targets: Ints
    weights: Floats
    score: float
    found: Assignment


class JointFitter:
    """Fits weights and tables together for given targets.

    Parameters
    ----------
    network : Network
        Learned: it remembers its control counts and prior.
    configurations : Configurations
        The mixture rows.
    constraints : Constraints, optional
        What is known about targets, in the network's order of variables.
    learners : sequence of int, optional
        Variables whose tables are taught; all by default.
    """

    def __init__(
        self,
        network: Network,
        configurations: Configurations,
        constraints: Constraints | None = None,
        learners: Sequence[int] | None = None,
    ) -> None:
        self._constraints = constraints or Constraints.none(network.cardinalities)
        if network.control is None:
            raise ValueError("the network does not remember control counts")
        self._control: ControlCounts = network.control
        self._configurations = configurations
        self._learners = range(network.n_variables) if learners is None else learners
        self._score = self._constraints.score(
            configurations.total, network.cardinalities, np.arange(network.n_variables)
        )

    def fit(self, network: Network, targets: Ints, weights: Floats) -> JointFit:
        """Raise the joint objective from a start until a step of EM hardly helps.

        Parameters
        ----------
        network : Network
            Tables to start from.
        targets : ndarray of int, shape (n_targets, n_variables)
        weights : ndarray, shape (n_targets,)

        Returns
        -------
        JointFit
        """
        network, weights, value, found = self._weigh(network, targets, weights)
        for _ in range(_EM_STEPS):
            before = value
            network, weights, value, found = self._weigh(
                self._teach(network, targets, found), targets, weights
            )
            if value - before < _EM_RISE:
                break
        kept = (weights > 0) | self._constraints.protects(targets)
        score = value - float(self._score.costs(targets[kept]).sum())
        found = Assignment(
            found.columns[:, kept], found.mixture, weights[kept], found.log_reference
        )
        return JointFit(network, targets[kept], weights[kept], score, found)

    def simplify(self, fit: JointFit) -> JointFit:
        """Drop and merge components while that raises the joint score.

        Where control rows hardly show a parent configuration that a target makes frequent, the
        extensions of the target by the states of the child stand in for the unknown table; no
        single drop leads back, since only all of them together explain those rows.
        """
        while True:
            fit = self.prune(fit)
            better = self._merged(fit)
            if better is None:
                return fit
            fit = better

    def _merged(self, fit: JointFit) -> JointFit | None:
        for move in merges(fit.targets):
            keep = np.ones(fit.weights.size, dtype=bool)
            keep[list(move.dropped)] = False
            keep |= self._constraints.protects(fit.targets)
            allowed = self._constraints.permits(move.added).all()
            if keep.all() or not allowed or not (len(move.added) or self._free(fit)[keep].any()):
                continue
            trial = self.fit(
                fit.network,
                np.concatenate([fit.targets[keep], move.added]),
                np.append(fit.weights[keep], np.full(len(move.added), fit.weights[~keep].sum())),
            )
            if trial.score > fit.score + _LEAST_RISE:
                return trial
        return None

    def prune(self, fit: JointFit) -> JointFit:
        """Drop components while that raises the joint score."""
        while fit.weights.size > 1:
            better = None
            for s in self._droppable(fit):
                keep = np.arange(fit.weights.size) != s
                trial = self.fit(fit.network, fit.targets[keep], fit.weights[keep])
                if trial.score > fit.score + _LEAST_RISE:
                    better = trial
                    break
            if better is None:
                return fit
            fit = better
        return fit

    def _droppable(self, fit: JointFit) -> NDArray[np.int64]:
        """Components by the estimated net loss of dropping them at fixed tables."""
        scale = np.sqrt(self._configurations.counts) / fit.found.mixture
        scaled = fit.found.columns * scale[:, None]
        inverse = np.linalg.pinv(scaled.T @ scaled, hermitian=True)
        loss = fit.weights**2 / (2 * np.maximum(np.diag(inverse), 1e-300))
        net = loss - self._score.costs(fit.targets)
        net[self._constraints.protects(fit.targets)] = np.inf
        if self._free(fit).sum() <= 1:
            net[:] = np.inf  # what known weights leave must go somewhere
        order = np.argsort(net, kind="stable")
        return np.asarray(order[net[order] < _DROP_SLACK], dtype=np.int64)

    def _free(self, fit: JointFit) -> NDArray[np.bool_]:
        """Whether the weight of each target is estimated."""
        return np.isnan(self._constraints.fixed(fit.targets))

    def _weigh(
        self, network: Network, targets: Ints, start: Floats
    ) -> tuple[Network, Floats, float, Assignment]:
        """Best weights at given tables, and the joint objective there."""
        codes, counts = self._configurations.codes, self._configurations.counts
        found = assign(network, targets, start, codes)
        accuracy = _EM_RISE / 10 / self._configurations.total
        fixed = self._constraints.fixed(targets)
        solution = solve_constrained(found.columns, counts, fixed, start, accuracy)
        found = Assignment(found.columns, solution.mixture, solution.weights, found.log_reference)
        value = float(counts @ found.log_probability) + log_prior(network, self._control)
        return network, solution.weights, value, found

    def _teach(self, network: Network, targets: Ints, found: Assignment) -> Network:
        """One step of EM for the tables."""
        codes, counts = self._configurations.codes, self._configurations.counts
        posterior = found.posterior * counts[:, None]
        counted = [
            self._control.counts[i]
            + family_counts(network, i, codes, posterior @ (targets[:, i] < 0))
            for i in self._learners
        ]
        tables = list(network.tables)
        for i, new in zip(self._learners, tables_of(counted, self._control.prior), strict=True):
            # Without a prior, a parent configuration that nobody saw keeps what it had.
            tables[i] = np.where(np.isnan(new), tables[i], new)
        return network.with_tables(tables)


def log_prior(network: Network, control: ControlCounts) -> float:
    """Log-likelihood of the control rows plus the logarithm of the prior, up to a constant.

    Parameters
    ----------
    network : Network
    control : ControlCounts

    Returns
    -------
    float
        In nats.
    """
    total = 0.0
    for table, counts in zip(network.tables, control.counts, strict=True):
        with np.errstate(divide="ignore"):
            logs = np.log(table)
        weight = counts + control.prior
        used = weight > 0
        total += float(weight[used] @ logs[used])
    return total
