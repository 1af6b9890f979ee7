"""A mixture and the mechanisms of one graph, fitted together, roughly and fast.

The score that graphs are compared by is the joint penalised log-likelihood: that of control and
mixture rows at the best mechanisms, targets and weights, less the description length of the
targets, less half the logarithm of the number of rows for each free parameter of the mechanisms
(BIC). Under a wrong graph the search for targets is slow, because dozens of components are invented
for the rows that a missing edge would explain; but a rough fit ranks graphs as well, and keeps the
true targets better. So here a mixture begins from one splitting of the rows, or from that of
another graph, is raised by EM, and loses what the quadratic model does not miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.graphs.dag import Edit, Parents
from dosift.graphs.families import Families, Family
from dosift.model.network import Network
from dosift.search.constraints import Constraints
from dosift.search.elimination import inverse_of, survivors
from dosift.search.engine import TargetSearch

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Steps of EM, and the rise (nats) that is not worth another.
_EM_STEPS, _EM_RISE = 40, 0.3
#: Steps of EM by which an edit is ranked.
_QUICK_STEPS = 15
#: Rounds of the search for further targets, from one splitting and from a neighbour's mixture.
_COLD_ROUNDS, _WARM_ROUNDS = 2, 1
_TINY = 1e-300


@dataclass(frozen=True)
class GraphFit:
    """What one graph makes of the rows.

    Attributes
    ----------
    graph : Parents
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    families : tuple of Family
    ratios : ndarray, shape (n_rows, n_targets)
        Likelihoods of the targets, relative to the undisturbed network.
    density : ndarray, shape (n_rows,)
        Of the mixture, likewise.
    score : float
        The joint penalised log-likelihood, in nats.
    """

    graph: Parents
    targets: Ints
    weights: Floats
    families: tuple[Family, ...]
    ratios: Floats
    density: Floats
    score: float


class GraphFitter:
    """Fits mixtures under graphs.

    Parameters
    ----------
    families : Families
        Control and mixture rows.
    constraints : Constraints
        What is known about targets.
    max_size : int, optional
        Largest number of variables that a target sets.
    """

    def __init__(
        self, families: Families, constraints: Constraints, max_size: int | None = None
    ) -> None:
        self.families = families
        self.constraints = constraints
        self.max_size = max_size
        self._counts = families.rows.counts
        network = families.network(tuple(() for _ in range(families.n_variables)))
        every = np.arange(families.n_variables)
        self._cost = constraints.score(families.rows.total, network.n_changes, every)
        self._half_log = 0.5 * float(np.log(families.n_rows))
        self._settled: dict[tuple[int, tuple[int, ...]], float] = {}

    # One graph.

    def cold(self, graph: Parents) -> GraphFit:
        """Fit from one splitting of the rows."""
        learned = self._learned(graph)
        listed = self.constraints.candidates
        start = self._split(graph, learned) if listed is None else self._listed(listed)
        fit = self.between(graph, np.unique(start, axis=0), None, learned)
        return self._grown(self._pruned(fit), _COLD_ROUNDS)

    def _split(self, graph: Parents, learned: tuple[Family, ...]) -> Ints:
        """Return the targets that one splitting of the rows gives, and "no intervention"."""
        prepared, begun = self._search(graph, learned).begun()
        n = self.families.n_variables
        nothing: Ints = np.full((1, n), -1, dtype=np.int16)
        if not self.constraints.permits(nothing).all():
            nothing = nothing[:0]
        whole, _ = prepared.problem.whole(begun)
        return np.concatenate([prepared.to_network(whole, n), nothing])

    def _listed(self, candidates: Ints) -> Ints:
        """Return all targets that may be, where they are listed."""
        sizes = (candidates >= 0).sum(axis=1)
        some = candidates if self.max_size is None else candidates[sizes <= self.max_size]
        known = self.constraints
        return np.concatenate([some, known.required, known.known]).astype(np.int16)

    def warm(self, graph: Parents, near: GraphFit) -> GraphFit:
        """Fit from the mixture of another graph."""
        learned = tuple(
            near.families[i] if row == near.graph[i] else self.families.learned(i, row)
            for i, row in enumerate(graph)
        )
        fit = self.between(graph, near.targets, near.weights, learned)
        return self._grown(self._pruned(fit), _WARM_ROUNDS)

    def between(
        self,
        graph: Parents,
        targets: Ints,
        weights: Floats | None = None,
        learned: tuple[Family, ...] | None = None,
    ) -> GraphFit:
        """Raise weights and mechanisms for given targets, by EM.

        Parameters
        ----------
        graph : Parents
        targets : ndarray of int, shape (n_targets, n_variables)
        weights : ndarray, shape (n_targets,), optional
            To start from; equal ones by default.
        learned : tuple of Family, optional
            To start from; those of control rows by default.

        Returns
        -------
        GraphFit
        """
        now = self._learned(graph) if learned is None else learned
        w = np.full(len(targets), 1 / len(targets)) if weights is None else weights / weights.sum()
        is_set = targets >= 0
        taught = np.flatnonzero(is_set.any(axis=0))
        # What no target sets, every row teaches.
        settled = {
            i: self.families.learned(i, row, self._counts)
            for i, row in enumerate(graph)
            if i not in set(taught.tolist())
        }
        now = tuple(settled.get(i, family) for i, family in enumerate(now))
        before = -np.inf
        for step in range(_EM_STEPS):
            ratios = self._ratios(now, targets)
            density = np.maximum(ratios @ w, _TINY)
            value = self._value(now, density)
            if value - before < _EM_RISE or step == _EM_STEPS - 1:
                break
            before = value
            posterior = ratios * (self._counts / density)[:, None] * w
            w = posterior.sum(axis=0)
            w /= w.sum()
            elsewhere = posterior @ is_set[:, taught]
            changed = dict(settled)
            for k, i in enumerate(taught.tolist()):
                alone = np.maximum(self._counts - elsewhere[:, k], 0.0)
                changed[i] = self.families.learned(i, graph[i], alone)
            now = tuple(changed[i] for i in range(len(graph)))
        score = value - self._cost.total(targets) - self._price(now)
        return GraphFit(graph, targets, w, now, ratios, density, score)

    def of_network(self, network: Network) -> tuple[Family, ...]:
        """Return the mechanisms of a network as families."""
        return tuple(
            self.families.given(i, row, network.tables[i]) for i, row in enumerate(network.parents)
        )

    def _learned(self, graph: Parents) -> tuple[Family, ...]:
        return tuple(self.families.learned(i, row) for i, row in enumerate(graph))

    def _price(self, learned: Sequence[Family]) -> float:
        return self._half_log * sum(family.n_free for family in learned)

    def _value(self, learned: Sequence[Family], density: Floats) -> float:
        logs = np.log(density)
        for family in learned:
            logs += family.log_density
        return float(self._counts @ logs) + sum(family.control for family in learned)

    def _ratios(self, learned: Sequence[Family], targets: Ints) -> Floats:
        """Likelihoods of targets relative to "no intervention"."""
        codes = self.families.rows.codes
        out = np.ones((len(codes), len(targets)), order="F")
        for i in np.flatnonzero((targets >= 0).any(axis=0)).tolist():
            inverse = np.exp(-learned[i].log_density)
            for t in np.flatnonzero(targets[:, i] >= 0).tolist():
                out[:, t] *= np.where(codes[:, i] == targets[t, i], inverse, 0.0)
        return out

    def _search(self, graph: Parents, learned: tuple[Family, ...]) -> TargetSearch:
        network = self.families.network(graph, learned)
        return TargetSearch(network, self.families.rows, self.max_size, _silent, self.constraints)

    def _pruned(self, fit: GraphFit) -> GraphFit:
        """Drop what the quadratic model does not miss, all at once and then one by one."""
        while len(fit.targets) > 1:
            relative = fit.ratios / fit.density[:, None]
            information = (relative * self._counts[:, None]).T @ relative
            inverse = inverse_of(information)
            savings = self._cost.savings(fit.targets)
            protected = self.constraints.protects(fit.targets)
            protected |= ~np.isnan(self.constraints.fixed(fit.targets))
            kept = survivors(fit.weights, inverse, savings, protected)
            if kept.size == len(fit.targets):
                return fit
            trial = self._some(fit, kept)
            if trial.score < fit.score:
                margins = fit.weights**2 / (2 * np.diag(inverse)) - savings
                margins[protected] = np.inf
                trial = self._some(fit, np.delete(np.arange(margins.size), margins.argmin()))
                if trial.score < fit.score:
                    return fit
            fit = trial
        return fit

    def _some(self, fit: GraphFit, kept: NDArray[np.int64]) -> GraphFit:
        return self.between(fit.graph, fit.targets[kept], fit.weights[kept], fit.families)

    def _grown(self, fit: GraphFit, rounds: int) -> GraphFit:
        """Bring in what the likelihood clearly asks for, in a few rounds."""
        search = self._search(fit.graph, fit.families)
        prepared, found = search.improved(fit.targets, fit.weights, rounds)
        whole, weights = prepared.problem.whole(found)
        targets = prepared.to_network(whole, self.families.n_variables)
        trial = self._pruned(self.between(fit.graph, targets, weights, fit.families))
        return trial if trial.score > fit.score else fit

    # Its neighbours.

    def quick_gains(self, fit: GraphFit, some: Sequence[Edit], steps: int = _QUICK_STEPS) -> Floats:
        """Estimate the rise of the score that each edit brings, with the same targets.

        Only the families that change are learned anew, together with the weights, by some steps of
        EM. The components that a wrong graph made necessary stay, so that the estimates are too
        low; their order is what counts.

        Parameters
        ----------
        fit : GraphFit
        some : sequence of Edit
        steps : int
            Of EM.

        Returns
        -------
        ndarray, shape (n_edits,)
            In nats.
        """
        return np.array([self.quick_gain(fit, edit.graph, edit.changed, steps) for edit in some])

    def quick_gain(
        self, fit: GraphFit, graph: Parents, changed: Sequence[int], n_steps: int = _QUICK_STEPS
    ) -> float:
        """Estimate the rise of the score under any other graph; see :meth:`quick_gains`.

        Parameters
        ----------
        fit : GraphFit
        graph : Parents
        changed : sequence of int
            Positions of the variables whose parents differ.
        n_steps : int
            Of EM.

        Returns
        -------
        float
            In nats.
        """
        counts = self._counts
        sets = fit.targets[:, list(changed)] >= 0
        if not sets.any():
            # Every row teaches these families: no mixture comes between.
            return sum(self._worth(i, graph[i]) - self._worth(i, fit.graph[i]) for i in changed)
        patterns, of = np.unique(sets, axis=0, return_inverse=True)
        of = of.ravel()
        members = [np.flatnonzero(of == k) for k in range(len(patterns))]
        old = [fit.families[i] for i in changed]
        weights = fit.weights.copy()
        ratios = [fit.ratios[:, m] for m in members]
        mass = [part @ weights[m] for part, m in zip(ratios, members, strict=True)]
        factors = np.ones((len(counts), len(patterns)))
        density = fit.density
        for _ in range(n_steps):
            shares = [counts * f * m / density for f, m in zip(factors.T, mass, strict=True)]
            new = []
            for k, i in enumerate(changed):
                alone = sum((s for s, p in zip(shares, patterns, strict=True) if not p[k]), 0.0)
                new.append(self.families.learned(i, graph[i], np.broadcast_to(alone, counts.shape)))
            steps = [
                np.exp(one.log_density - was.log_density) for one, was in zip(new, old, strict=True)
            ]
            for g, pattern in enumerate(patterns):
                own = members[g]
                weights[own] *= ratios[g].T @ (counts * factors[:, g] / density)
                mass[g] = ratios[g] @ weights[own]
                factors[:, g] = 1.0
                for step, is_set in zip(steps, pattern, strict=True):
                    if not is_set:
                        factors[:, g] *= step
            total = weights.sum()
            weights /= total
            mass = [m / total for m in mass]
            density = np.maximum(
                sum((f * m for f, m in zip(factors.T, mass, strict=True)), 0.0), _TINY
            )
        rise = float(counts @ (np.log(density) - np.log(fit.density)))
        rise += sum(one.control for one in new) - sum(one.control for one in old)
        return rise - self._price(new) + self._price(old)

    def _worth(self, i: int, parents: tuple[int, ...]) -> float:
        """Score a family that no target touches, once."""
        if (i, parents) not in self._settled:
            family = self.families.learned(i, parents, self._counts)
            value = float(self._counts @ family.log_density) + family.control
            self._settled[i, parents] = value - self._price([family])
        return self._settled[i, parents]


def _silent(stage: str, done: int, total: int | None) -> None:
    return
