"""Joint improvement on the full rows: add, swap, merge, split and drop under one score.

Every move is "add some targets, re-fit, and drop what no longer earns its cost": adding one
target and dropping none is an *add*, dropping one is a *swap*, dropping several is a *merge*;
adding the extensions of a target and dropping it is a *split*. A quadratic model of the
likelihood ranks the moves, and the best ones are tried exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.search.pricing import NeighbourPricer, Priced
from dosift.search.problem import Fit, SearchProblem
from dosift.search.prune import drop_losses, prune

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Candidates, by gradient in standard errors, whose columns are made for the quadratic model.
_SHORTLIST = 80
#: Lowest gradient, in standard errors, at which a candidate may still be of use (a merge costs
#: likelihood and saves description length).
_LOWEST_Z = -3.0
#: Moves tried exactly in each round.
_TRIALS = 6
#: Estimated gain (nats) below which a move is not tried.
_LEAST_PROMISE = -2.0
#: Rise of the score (nats) that counts as one.
_LEAST_RISE = 1e-4
#: Bound on rounds, far above what problems need.
_MAX_ROUNDS = 200


@dataclass(frozen=True)
class Move:
    """Targets to add, and the rise of the score that the quadratic model promises."""

    targets: Ints
    promise: float


def rank_moves(problem: SearchProblem, fit: Fit, priced: Priced) -> list[Move]:
    """Rank candidate targets by the promised rise of the score.

    The quadratic model at the optimum gives, for adding a target with gradient D and Schur
    complement S, the gain ``N^2 (D - 1)^2 / (2 S)``, the weights afterwards, and what each old
    component would then be worth; those worth less than they cost are counted as dropped.
    """
    z = priced.z_scores(problem.n_rows)
    order = np.argsort(-z, kind="stable")
    order = order[z[order] > _LOWEST_Z][:_SHORTLIST]
    if order.size == 0:
        return []
    targets = priced.targets[order]
    slope = problem.n_rows * (priced.gradient[order] - 1.0)
    scale = np.sqrt(problem.counts) / fit.mixture
    candidates = problem.columns(targets) * scale[:, None]
    cross = candidates.T @ (fit.columns * scale[:, None])
    projected = cross @ fit.inverse_hessian
    own = priced.curvature[order]
    schur = np.maximum(own - np.einsum("km,km->k", cross, projected), 1e-9 * own)
    step = np.maximum(slope, 0.0) / schur
    gain = 0.5 * np.maximum(slope, 0.0) * step
    old_costs = problem.score.costs(fit.targets)
    weights_after = fit.weights[None, :] - projected * step[:, None]
    inverse_after = np.diag(fit.inverse_hessian)[None, :] + projected**2 / schur[:, None]
    loss = np.maximum(weights_after, 0.0) ** 2 / (2 * inverse_after)
    saved = np.maximum(old_costs[None, :] - loss, 0.0).sum(axis=1)
    promise = gain - problem.score.costs(targets) + saved
    best = np.argsort(-promise, kind="stable")
    return [Move(targets[k : k + 1], float(promise[k])) for k in best]


def apply_move(problem: SearchProblem, fit: Fit, added: Ints) -> Fit:
    """Add targets, re-fit, and prune."""
    targets = np.concatenate([fit.targets, added])
    start = np.concatenate([0.98 * fit.weights, np.full(len(added), 0.02 / len(added))])
    return prune(problem, problem.fit(targets, start))


def improve(problem: SearchProblem, fit: Fit, max_size: int | None = None) -> Fit:
    """Apply moves until none of those tried raises the score.

    Parameters
    ----------
    problem : SearchProblem
    fit : Fit
        Where to start.
    max_size : int, optional
        Largest number of variables that a target sets.

    Returns
    -------
    Fit
    """
    pricer = NeighbourPricer(problem, max_size)
    fit = prune(problem, fit)
    for _ in range(_MAX_ROUNDS):
        better = _single_moves(problem, pricer, fit) or _repairs(problem, pricer, fit)
        if better is None:
            return fit
        fit = better
    return fit


def _single_moves(problem: SearchProblem, pricer: NeighbourPricer, fit: Fit) -> Fit | None:
    moves = rank_moves(problem, fit, pricer.price(fit))
    return _first_better(problem, fit, fit, moves)


def _first_better(
    problem: SearchProblem, reference: Fit, start: Fit, moves: list[Move]
) -> Fit | None:
    deficit = reference.score - start.score
    for move in moves[:_TRIALS]:
        if move.promise < deficit + _LEAST_PROMISE:
            return None
        trial = apply_move(problem, start, move.targets)
        if trial.score > reference.score + _LEAST_RISE:
            return trial
    return None


def _repairs(problem: SearchProblem, pricer: NeighbourPricer, fit: Fit) -> Fit | None:
    """Drop one component first, then add what the likelihood wants in its place."""
    if fit.weights.size < 2:
        return None
    order = np.argsort(drop_losses(fit) - problem.score.costs(fit.targets), kind="stable")
    for worst in order[:_TRIALS]:
        keep = np.arange(fit.weights.size) != worst
        without = problem.fit(fit.targets[keep], fit.weights[keep])
        if np.isneginf(without.log_likelihood):
            continue  # rows that only this component can produce
        moves = rank_moves(problem, without, pricer.price(without, around=fit.targets))
        moves = [m for m in moves if not np.array_equal(m.targets[0], fit.targets[worst])]
        better = _first_better(problem, fit, without, moves[:2])
        if better is not None:
            return better
    return None
