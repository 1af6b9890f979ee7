"""A choice among targets by the quadratic expansion of the likelihood: no row is looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood.weight_sums import WeightSums
from dosift.likelihood.weights import nonnegative_quadratic
from dosift.model.arrays import Bools, Floats


def choose(
    sums: WeightSums,
    weights: Floats,
    costs: Floats,
    protected: Bools | None = None,
    fixed: Floats | None = None,
) -> tuple[NDArray[np.int64], Floats]:
    """Choose among components and other targets, by the quadratic expansion of the likelihood.

    All of them are weighed together, and then dropped one after the other, the one that is missed
    least first, as long as the log-likelihood less the costs of those that are left rises.

    Parameters
    ----------
    sums : WeightSums
        At `weights`, for the components and the others after them, in one batch.
    weights : ndarray, shape (n_components,)
    costs : ndarray, shape (n_targets,)
        Description length of each target, in nats.
    protected : ndarray of bool, shape (n_targets,), optional
        Targets that must stay.
    fixed : ndarray, shape (n_targets,), optional
        Known weights, NaN where there is none.

    Returns
    -------
    chosen : ndarray of int64
        Positions of those that stay, ascending.
    weights : ndarray
        Theirs, to start from.

    Examples
    --------
    >>> gradient, information = np.array([[100.0, 130.0]]), np.diag([100.0, 100.0])[None]
    >>> sums = WeightSums(gradient, information, np.zeros(1), np.array([100.0]), np.zeros(1))
    >>> chosen, start = choose(sums, np.array([1.0]), np.array([2.0, 2.0]))
    >>> chosen.tolist(), start.round(2).tolist()
    ([0, 1], [0.77, 0.23])
    """
    n = costs.size
    now = np.zeros(n)
    now[: weights.size] = weights
    known = np.zeros(n, dtype=bool) if fixed is None else ~np.isnan(fixed)
    stays = known if protected is None else known | protected
    information, gradient = sums.information[0], sums.gradient[0]
    # The slope at w of l(w) + N (1 - sum(w)), whose free maximum sums to one. Known weights do
    # not move.
    linear = gradient - sums.n_possible[0] + information @ np.where(known, 0.0, now)
    free = ~known
    alive = free.copy()
    value, best = _value(information, linear, alive, now)
    alive = free & ((best > 0) | stays)
    value -= float(costs[alive].sum())
    while alive.sum() > 1:
        trials = []
        for k in np.flatnonzero(alive & ~stays):
            fewer = alive.copy()
            fewer[k] = False
            trial, weighed = _value(information, linear, fewer, best)
            paid = (weighed > 0) | (fewer & stays)
            trials.append((trial - float(costs[paid].sum()), -int(k), weighed))
        highest = max(trials, key=lambda trial: trial[:2], default=None)
        if highest is None or highest[0] <= value:
            break
        value, _, best = highest
        alive = free & ((best > 0) | stays)
    best = np.where(known, now, best)
    chosen = np.flatnonzero(alive | known)
    return chosen, best[chosen] / best[chosen].sum()


def _value(
    information: Floats, linear: Floats, alive: Bools, start: Floats
) -> tuple[float, Floats]:
    """Maximise ``linear w - w' information w / 2`` over non-negative weights of some targets."""
    some = np.flatnonzero(alive)
    part = information[np.ix_(some, some)]
    scale = 1.0 / np.sqrt(np.maximum(np.diag(part), 1e-300))
    solved = nonnegative_quadratic(
        part * scale * scale[:, None], linear[some] * scale, start[some] / scale
    )
    out = np.zeros_like(linear)
    out[some] = solved * scale
    return float(linear @ out - 0.5 * out @ information @ out), out
