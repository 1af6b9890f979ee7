"""Backward elimination: drop the components that do not earn their cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dosift.search.problem import Fit, SearchProblem

Floats = NDArray[np.float64]

#: How far above its cost the estimated loss of a component may be for the exact loss to be tried.
_SLACK = 3.0
#: Exact trials of single drops without success after which pruning stops.
_TRIALS = 3


def drop_losses(fit: Fit) -> Floats:
    """Estimated loss of log-likelihood when one component is dropped and the rest re-fitted.

    Returns
    -------
    ndarray, shape (n_targets,)
        ``w^2 / (2 * inverse Hessian diagonal)``, in nats.
    """
    diagonal = np.maximum(np.diag(fit.inverse_hessian), 1e-300)
    out: Floats = fit.weights**2 / (2 * diagonal)
    return out


def survivors(fit: Fit, costs: Floats, protected: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Components left when all that seem not to earn their cost are dropped in turn.

    Uses the quadratic model only: after each drop the other weights move to the new minimum, so
    that of several near-equal components one stays.
    """
    kept = np.arange(fit.weights.size)
    weights = fit.weights.copy()
    inverse = fit.inverse_hessian.copy()
    while kept.size > 1:
        net = weights**2 / (2 * np.maximum(np.diag(inverse), 1e-300)) - costs[kept]
        net[weights <= 0] = -np.inf
        net[protected[kept]] = np.inf
        worst = int(net.argmin())
        if net[worst] >= 0:
            break
        column = inverse[:, worst]
        weights = weights - column * (weights[worst] / column[worst])
        inverse = inverse - np.outer(column, column) / column[worst]
        keep = np.arange(kept.size) != worst
        kept, weights, inverse = kept[keep], weights[keep], inverse[np.ix_(keep, keep)]
    return kept


def prune(problem: SearchProblem, fit: Fit, costs: Floats | None = None) -> Fit:
    """Drop components while that raises the score.

    Parameters
    ----------
    problem : SearchProblem
    fit : Fit
        Where to start.
    costs : ndarray, shape (n_targets,), optional
        What each component must earn, in nats; by default its cost in the score.

    Returns
    -------
    Fit
        No single drop raises the score any more (as far as exact trials of the most promising
        drops tell).
    """
    if np.isneginf(fit.log_likelihood):
        return fit  # some rows are impossible: there is no curvature to go by
    price = (
        dict(zip((t.tobytes() for t in fit.targets), costs, strict=True))
        if costs is not None
        else None
    )

    def cost_of(current: Fit) -> Floats:
        if price is None:
            return problem.score.savings(current.targets)
        return np.array([price[t.tobytes()] for t in current.targets])

    def value(current: Fit) -> float:
        if price is None:
            return current.log_likelihood - problem.score.total(current.targets)
        return current.log_likelihood - float(cost_of(current).sum())

    protects = problem.constraints.protects
    kept = survivors(fit, cost_of(fit), protects(fit.targets))
    if kept.size < fit.weights.size:
        trial = problem.fit(fit.targets[kept], fit.weights[kept])
        if value(trial) >= value(fit):
            fit = trial
    while fit.weights.size > 1:
        net = drop_losses(fit) - cost_of(fit)
        net[protects(fit.targets)] = np.inf
        order = np.argsort(net, kind="stable")[:_TRIALS]
        for worst in order:
            if net[worst] > _SLACK:
                return fit
            keep = np.arange(fit.weights.size) != worst
            trial = problem.fit(fit.targets[keep], fit.weights[keep])
            if value(trial) > value(fit):
                fit = trial
                break
        else:
            return fit
    return fit
