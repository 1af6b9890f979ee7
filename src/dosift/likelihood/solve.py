"""Maximum-likelihood weights of given targets, batch by batch, from sums over the rows.

The convex problem and the certificate of :mod:`dosift.likelihood.weights`; only gradient and
information, whose size is that of the targets, are asked for. All batches take their steps side by
side, so that one pass over the rows serves them all.

Known weights make it the same problem over changed columns: with the known part of the density
``F = sum_known w_t L_t`` and the weight ``S`` that is left, the free weights are ``S u`` with u on
the simplex, and the density is ``sum_t u_t (F + S L_t)``. The sums change linearly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood.evidence import Evidence
from dosift.likelihood.weight_sums import WeightSums
from dosift.likelihood.weights import nonnegative_quadratic
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.network import Network

#: Passes over the rows after which the solver gives up and says so, and halvings of a step.
_MAX_PASSES, _MAX_HALVINGS = 200, 12
#: Share of the slope that it began with by which a step may overshoot the minimum.
_OVERSHOOT = 0.5
#: Least weight that a target starts from, so that it may grow.
_LEAST_START = 1e-6


@dataclass(frozen=True)
class Solution:
    """Weights, and what was summed at them.

    Attributes
    ----------
    weights : ndarray, shape (n_batches, n_targets)
        Non-negative, those of a batch summing to one.
    sums : WeightSums
    gap : ndarray, shape (n_batches,)
        Over the free weights that are allowed, in nats a row.
    converged : ndarray of bool, shape (n_batches,)
        Whether the gap asked for was reached.
    """

    weights: Floats
    sums: WeightSums
    gap: Floats
    converged: Bools


@dataclass(frozen=True)
class _Free:
    """The free weights of a batch: a point u of the simplex stands for ``map @ u``."""

    map: Floats
    index: NDArray[np.int64]
    known: Floats
    #: Whether all weights are free, so that the map is the identity.
    is_whole: bool = False

    def weights(self, point: Floats) -> Floats:
        """Return the weights of all targets at a point."""
        if self.is_whole:
            return point
        if not point.size:
            return np.nan_to_num(self.known)
        # A known weight is what was given, to the last bit.
        return np.asarray(np.where(np.isnan(self.known), self.map @ point, self.known))

    def start(self, weights: Floats) -> Floats:
        """Return a point near given weights, from which every free target can grow."""
        u = np.maximum(weights[self.index], _LEAST_START)
        return np.asarray(u / u.sum() if u.size else u)

    def gradient(self, sums: WeightSums, b: int) -> Floats:
        own = sums.gradient[b] if self.is_whole else self.map.T @ sums.gradient[b]
        return np.asarray(own / max(sums.n_possible[b], 1e-300))

    def direction(self, sums: WeightSums, b: int, point: Floats) -> Floats:
        """Change of u that maximises the quadratic model under ``u >= 0``."""
        gradient = self.gradient(sums, b)
        working = ((point > 0) | (gradient > 1.0)).nonzero()[0]
        if self.is_whole:
            hessian = sums.information[b][working[:, None], working] / sums.n_possible[b]
        else:
            some = self.map[:, working]
            hessian = some.T @ sums.information[b] @ some / sums.n_possible[b]
        # H u is the gradient when all the weight lies in the working set.
        aim = nonnegative_quadratic(hessian, 2.0 * gradient[working] - 1.0, point[working])
        out = np.zeros_like(point)
        out[working] = aim - point[working]
        return out


def solve(
    evidence: Evidence,
    network: Network,
    targets: Ints,
    start: Floats,
    gap: float,
    *,
    allowed: Bools | None = None,
    fixed: Floats | None = None,
    max_passes: int = _MAX_PASSES,
    all_possible: bool = False,
    least: float = -np.inf,
) -> Solution:
    """Maximise the likelihood of each batch over the weights of given targets.

    Parameters
    ----------
    evidence : Evidence
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    start : ndarray, shape (n_batches, n_targets)
        Weights to start from; zeros may grow.
    gap : float
        Optimality gap at which to stop, in nats a row.
    allowed : ndarray of bool, shape (n_batches, n_targets), optional
        Which targets each batch may have; all by default.
    fixed : ndarray, shape (n_targets,), optional
        Known weights, NaN where the weight is to be found.
    max_passes : int
        Bound on the passes over the rows.
    all_possible : bool
        Whether weights are of use only if they make all rows possible; otherwise any are returned.
    least : float
        Log-density (nats, all rows) below which the weights are of no use: it ends where the gap
        shows that none reaches it.

    Returns
    -------
    Solution
    """
    start = np.atleast_2d(start)
    may = np.ones(start.shape, dtype=bool) if allowed is None else allowed
    known = np.full(len(targets), np.nan) if fixed is None else fixed
    free = [_free(known, row) for row in may]
    points = [part.start(row) for part, row in zip(free, start, strict=True)]
    weights = np.array([part.weights(u) for part, u in zip(free, points, strict=True)])
    sums = evidence.weigh(network, targets, weights)
    steps = np.ones(len(free))
    directions: list[Floats | None] = [None] * len(free)
    active = np.array([u.size > 1 for u in points])
    if all_possible and sums.n_impossible.any():
        active[:] = False
    for _ in range(max_passes - 1):
        for b in np.flatnonzero(active).tolist():
            if directions[b] is None:
                if _gap(free[b], sums, b) <= gap or sums.n_possible[b] == 0:
                    active[b] = False
                else:
                    directions[b], steps[b] = free[b].direction(sums, b, points[b]), 1.0
        if not active.any() or (least > -np.inf and _highest(free, sums) < least):
            break
        trial = weights.copy()
        moved = list(points)
        for b in np.flatnonzero(active).tolist():
            direction = directions[b]
            assert direction is not None
            u = np.maximum(points[b] + steps[b] * direction, 0.0)
            moved[b] = u / u.sum()
            trial[b] = free[b].weights(moved[b])
        found = evidence.weigh(network, targets, trial)
        for b in np.flatnonzero(active).tolist():
            direction = directions[b]
            assert direction is not None
            if _is_better(free[b], found, sums, direction, b):
                points[b], weights[b], directions[b] = moved[b], trial[b], None
                sums = _with_batch(sums, found, b)
            else:
                steps[b] *= 0.5
                active[b] = steps[b] > 0.5**_MAX_HALVINGS  # rounding stops progress
    gaps = np.array([_gap(part, sums, b) for b, part in enumerate(free)])
    return Solution(weights, sums, gaps, gaps <= gap)


def _free(known: Floats, may: Bools) -> _Free:
    free = np.flatnonzero(np.isnan(known) & may)
    rest = 1.0 - float(np.nansum(known))
    of = np.zeros((known.size, free.size))
    of[free, np.arange(free.size)] = rest
    is_known = ~np.isnan(known)
    of[is_known] += known[is_known][:, None]
    return _Free(of, free, known, bool(free.size == known.size))


def _gap(free: _Free, sums: WeightSums, b: int) -> float:
    if free.map.shape[1] == 0:
        return 0.0
    return max(float(free.gradient(sums, b).max()) - 1.0, 0.0)


def _highest(free: list[_Free], sums: WeightSums) -> float:
    """Log-density, of all rows that are possible now, that no weights exceed."""
    if sums.n_impossible.any():
        return np.inf
    gaps = [_gap(part, sums, b) for b, part in enumerate(free)]
    return float((sums.log_density + sums.n_possible * gaps).sum())


def _is_better(free: _Free, new: WeightSums, old: WeightSums, direction: Floats, b: int) -> bool:
    """Whether a step brings more, and does not go far beyond the best point along its line."""
    if new.n_impossible[b] > old.n_impossible[b]:
        return False
    begin = float(direction @ (1.0 - free.gradient(old, b)))
    end = float(direction @ (1.0 - free.gradient(new, b)))
    # Close to the optimum the slope is far more exact than a difference of log-likelihoods.
    return end <= -_OVERSHOOT * begin or bool(new.log_density[b] > old.log_density[b])


def _with_batch(sums: WeightSums, new: WeightSums, b: int) -> WeightSums:
    """Take over the sums of one batch."""
    if len(sums.n_possible) == 1:
        return new
    parts = {}
    for name in ("gradient", "information", "log_density", "n_possible", "n_impossible"):
        part = getattr(sums, name).copy()
        part[b] = getattr(new, name)[b]
        parts[name] = part
    return replace(sums, **parts)
