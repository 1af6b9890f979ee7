"""Several batches of rows that share targets, each with weights of its own.

What is common shows in the pool of all batches; what is rare in the pool may be common in one
batch. So targets are looked for in the pool and in each batch, and what was found anywhere is then
judged on all batches together: the sum of the batches' log-likelihoods, less half the logarithm of
the number of rows for every weight in a batch, less the name of every target, which is paid once,
less a price for the pattern of the batches that it occurs in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from dosift.data.configurations import Configurations
from dosift.errors import InputError
from dosift.likelihood.factors import MechanismFactors
from dosift.model.network import Network
from dosift.search.constraints import Constraints
from dosift.search.engine import PreparedSearch, find_targets, prepare
from dosift.search.problem import Fit
from dosift.search.prune import drop_losses, prune

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Progress = Callable[[str, int, "int | None"], None]

#: Estimated net loss (nats) of dropping a target from all batches up to which it is tried, since
#: the other targets may take its place.
_SLACK = 10.0
#: Smallest rise of the joint score that counts as one.
_LEAST_RISE = 1e-3
#: Share of the description length of a target's pattern that is charged, by experiment: at full
#: price batches lose targets that they share with others, for nothing targets are invented.
_PATTERN = 0.5
#: Rounds in which weights in single batches are judged again, with what the others teach.
_ROUNDS = 3


@dataclass(frozen=True)
class BatchWeights:
    """Targets in common, and the weights that each batch gives them.

    Attributes
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
        In the network's order of variables.
    weights : ndarray, shape (n_batches, n_targets)
        Zero where a target does not occur in a batch.
    gap : float
        Largest optimality gap of a batch over its own targets, in nats a row.
    converged : bool
    score : float
        The joint score, in nats.
    """

    targets: Ints
    weights: Floats
    gap: float
    converged: bool
    score: float


def find_in_batches(
    network: Network,
    batches: Sequence[Configurations],
    shared: Ints,
    constraints: Constraints,
    *,
    max_size: int | None = None,
    gap: float,
    progress: Progress,
) -> BatchWeights:
    """Find what the batches have in common, and their weights.

    Parameters
    ----------
    network : Network
        With the tables as they are to be used.
    batches : sequence of Configurations
    shared : ndarray of int, shape (n_shared, n_variables)
        Targets found in the pool.
    constraints : Constraints
        Without known weights.
    max_size : int, optional
        Largest number of variables that a target sets.
    gap : float
        Optimality gap of the final weights, in nats a row.
    progress : callable
        Called with a stage's name, the steps done and the steps in all.

    Returns
    -------
    BatchWeights
    """
    nothing: Ints = np.empty((0, network.n_variables), dtype=np.int16)
    listed = constraints.candidates
    if listed is not None:
        listed = np.concatenate([listed, constraints.required])
    # What is required may be absent from a batch.
    inside = replace(constraints, required=nothing, candidates=listed)
    found = [np.asarray(shared, dtype=np.int16), constraints.required.astype(np.int16)]
    for number, batch in enumerate(batches):
        progress("searching batches", number, len(batches))
        own = find_targets(
            network,
            batch,
            max_size=max_size,
            refine=False,
            constraints=inside,
            look_around=False,
        )
        found.append(own.targets.astype(np.int16))
    union = np.unique(np.concatenate(found), axis=0)
    progress("joining batches", 0, None)
    joint = _Joint(network, batches, union, constraints)
    joint.settle()
    joint.drop_targets()
    joint.settle()
    return joint.result(gap)


class _Joint:
    """Which targets occur in which batches, raised by dropping weights and whole targets.

    Parameters
    ----------
    network : Network
    batches : sequence of Configurations
    targets : ndarray of int, shape (n_targets, n_variables)
    constraints : Constraints
    """

    def __init__(
        self,
        network: Network,
        batches: Sequence[Configurations],
        targets: Ints,
        constraints: Constraints,
    ) -> None:
        self._targets = targets
        is_set = np.flatnonzero((targets >= 0).any(axis=0))
        variables = tuple(int(i) for i in is_set) or (0,)
        batches = [_of_possible_rows(network, batch, targets) for batch in batches]
        self._prepared = [prepare(network, batch, variables) for batch in batches]
        n_rows = sum(batch.total for batch in batches)
        every = np.arange(network.n_variables)
        score = constraints.score(n_rows, network.cardinalities, every)
        # The name alone: weights are paid for in each batch.
        self._names = score.costs(targets) - 0.5 * np.log(max(n_rows, 2.0))
        self._per_weight = np.array([0.5 * np.log(max(batch.total, 2.0)) for batch in batches])
        self._protected = constraints.protects(targets)
        self._alive = np.ones(len(targets), dtype=bool)
        self._weights = np.zeros((len(batches), len(targets)))
        self._logs = np.full(len(batches), -np.inf)
        self._losses = np.zeros_like(self._weights)
        for b in range(len(batches)):
            self._put(b, self._fitted(b, self._alive, np.zeros(len(targets))))

    def settle(self) -> None:
        """Judge the weights of each batch again, at the price that all batches together set."""
        for _ in range(_ROUNDS):
            before = self.score()
            kept = self._state()
            for b in range(len(self._prepared)):
                self._put(b, self._fitted(b, self._alive, self._pattern_costs()))
            if self.score() <= before + _LEAST_RISE:
                self._restore(kept)
                return

    def drop_targets(self) -> None:
        """Drop whole targets while that raises the joint score."""
        tried: set[int] = set()
        while True:
            worst = self._next(tried)
            if worst is None:
                return
            before, kept = self.score(), self._state()
            where = np.flatnonzero(self._weights[:, worst] > 0)
            self._alive = self._alive.copy()
            self._alive[worst] = False
            self._weights[:, worst] = 0.0
            for b in where:
                self._put(int(b), self._fitted(int(b), self._alive, self._pattern_costs()))
            if self.score() > before + _LEAST_RISE:
                tried.clear()
            else:
                self._restore(kept)
                tried.add(worst)

    def _next(self, tried: set[int]) -> int | None:
        """Name the target that dropping should cost least, None if no more is worth a trial."""
        present = self._weights > 0
        saved = present * self._per_weight[:, None]
        net = (self._losses - saved).sum(axis=0) - self._target_costs(present.sum(axis=0))
        net[~self._alive | self._protected] = np.inf
        net[list(tried)] = np.inf
        if self._alive.sum() <= 1:
            return None
        worst = int(net.argmin())
        return worst if net[worst] < _SLACK else None

    def score(self) -> float:
        """Return the joint score, in nats."""
        present = self._weights > 0
        weights = float(((present.sum(axis=1) - 1) * self._per_weight).sum())
        named = self._target_costs(present.sum(axis=0))[present.any(axis=0)]
        return float(self._logs.sum()) - weights - float(named.sum())

    def _target_costs(self, n_present: NDArray[np.int64]) -> Floats:
        """Name of each target, and the pattern of the batches that it occurs in."""
        n = len(self._prepared)
        choose = gammaln(n + 1) - gammaln(n_present + 1) - gammaln(n - n_present + 1)
        return np.asarray(self._names + _PATTERN * (choose + np.log(n + 1)))

    def _pattern_costs(self) -> Floats:
        """Price of one more batch in each target's pattern, never negative."""
        n_present = np.maximum((self._weights > 0).sum(axis=0), 1)
        n = len(self._prepared)
        return np.asarray(_PATTERN * np.maximum(np.log((n - n_present + 1) / n_present), 0.0))

    def _fitted(self, b: int, allowed: NDArray[np.bool_], pattern: Floats) -> Fit:
        """Weights of a batch over some targets, less those that do not earn their cost."""
        prepared = self._prepared[b]
        chosen = np.flatnonzero(allowed)
        targets = prepared.from_network(self._targets[chosen])
        position = {t.tobytes(): k for t, k in zip(targets, chosen, strict=True)}
        fit = prepared.problem.fit(targets)
        index = [position[t.tobytes()] for t in fit.targets]
        return prune(prepared.problem, fit, self._per_weight[b] + pattern[index])

    def _put(self, b: int, fit: Fit) -> None:
        targets = self._prepared[b].from_network(self._targets)
        position = {t.tobytes(): k for k, t in enumerate(targets)}
        index = [position[t.tobytes()] for t in fit.targets]
        self._weights[b], self._losses[b] = 0.0, 0.0
        self._weights[b, index] = fit.weights
        self._logs[b] = fit.log_likelihood
        self._losses[b, index] = drop_losses(fit) if np.isfinite(fit.log_likelihood) else np.inf

    def _state(self) -> tuple[NDArray[np.bool_], Floats, Floats, Floats]:
        return self._alive.copy(), self._weights.copy(), self._logs.copy(), self._losses.copy()

    def _restore(self, state: tuple[NDArray[np.bool_], Floats, Floats, Floats]) -> None:
        self._alive, self._weights, self._logs, self._losses = state

    def result(self, gap: float) -> BatchWeights:
        """Solve the weights of what is left to the gap asked for."""
        kept = np.flatnonzero((self._weights > 0).any(axis=0) | self._protected)
        weights = np.zeros((len(self._prepared), kept.size))
        gaps, converged = [], True
        for b, prepared in enumerate(self._prepared):
            own = np.flatnonzero(self._weights[b, kept] > 0)
            solved = _solved(prepared, self._targets[kept[own]], self._weights[b, kept[own]], gap)
            weights[b, own] = solved[0]
            gaps.append(solved[1])
            converged &= solved[2]
        return BatchWeights(self._targets[kept], weights, max(gaps), converged, self.score())


def _of_possible_rows(network: Network, batch: Configurations, targets: Ints) -> Configurations:
    """Leave out the rows that no target can produce, which speak for none."""
    columns = MechanismFactors(network, batch.codes).columns(targets)
    possible = (columns > 0).any(axis=1)
    if possible.all():
        return batch
    if not possible.any():
        raise InputError(
            "no row of a batch can come from the targets that are permitted; allow more, or leave "
            "the batch out"
        )
    nothing = np.empty(0, dtype=np.int64)
    codes = np.asfortranarray(batch.codes[possible])
    return Configurations(codes, batch.counts[possible], nothing)


def _solved(
    prepared: PreparedSearch, targets: Ints, start: Floats, gap: float
) -> tuple[Floats, float, bool]:
    """Weights of targets in one batch, in their order, with the gap and whether it is reached."""
    codes = prepared.from_network(targets)
    fit = prepared.problem.fit(codes, start, gap=gap)
    found = {t.tobytes(): w for t, w in zip(fit.targets, fit.weights, strict=True)}
    weights = np.array([found.get(t.tobytes(), 0.0) for t in codes])
    return weights, fit.gap, fit.converged
