"""Moves of the search and the quadratic model that ranks them.

Every move is "add a target, drop some, and re-fit": dropping none is an *add*, dropping one a
*swap*, dropping several a *merge*. With the log-likelihood replaced by its quadratic model at the
current optimum, all of them are judged for many candidates at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.search.pricing import Priced
from dosift.search.problem import Fit, SearchProblem

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Components that one move may drop.
_MOST_DROPS = 6
#: Newton steps along the direction of a move.
_LINE_STEPS = 6
#: Least density of a row along the direction, relative to that before.
_LEAST_DENSITY = 1e-6
#: Share of a row's density that others may hold when a component explains it alone.
_SOLE = 1e-9
#: Smallest diagonal entry of the inverse Hessian after drops, relative to that before them.
_FLOOR = 1e-9


@dataclass(frozen=True)
class Move:
    """Targets to add, components to drop, and the rise of the score that the model promises."""

    added: Ints
    dropped: tuple[int, ...]
    promise: float


def rank_moves(problem: SearchProblem, fit: Fit, priced: Priced) -> list[Move]:
    """Rank "add this target, drop those components" by the promised rise of the score.

    At the optimum over the targets T with inverse Hessian G, adding a target of gradient
    ``N (D - 1)`` and Schur complement S gains ``N^2 (D - 1)^2 / (2 S)`` and bends the inverse
    Hessian; holding component s at zero then loses ``w_s^2 / (2 G_ss)``. Components are dropped
    greedily, all candidates side by side, and each candidate remembers its best stage.

    Parameters
    ----------
    problem : SearchProblem
    fit : Fit
        The current mixture.
    priced : Priced
        Candidates.

    Returns
    -------
    list of Move
        By descending promise, one for each candidate.
    """
    n_candidates, m = len(priced.targets), fit.weights.size
    if n_candidates == 0:
        return []
    weights, inverse, gain, needed = _augmented(problem, fit, priced)
    every = np.arange(n_candidates)
    costs = problem.score.costs(fit.targets)
    value = gain - problem.score.costs(priced.targets)
    best = np.where(weights[:, m] > 0, value, -np.inf)
    best_stage = np.zeros(n_candidates, dtype=np.int64)
    dropped = np.empty((n_candidates, min(_MOST_DROPS, m)), dtype=np.int64)
    alive = np.ones((n_candidates, m), dtype=bool)
    # Near-equal components make entries of the bent inverse vanish; a floor keeps them apart.
    floor = _FLOOR * np.einsum("kss->ks", inverse)
    for stage in range(dropped.shape[1]):
        diagonal = np.maximum(np.einsum("kss->ks", inverse), floor)
        net = np.where(alive & ~needed, weights[:, :m] ** 2 / (2 * diagonal[:, :m]) - costs, np.inf)
        worst = net.argmin(axis=1)
        possible = net[every, worst] < np.inf
        if not possible.any():
            break
        dropped[:, stage] = worst
        value = np.where(possible, value - net[every, worst], -np.inf)
        alive[every, worst] = False
        column = inverse[every, :, worst]
        pivot = diagonal[every, worst]
        weights = weights - column * (weights[every, worst] / pivot)[:, None]
        inverse = inverse - column[:, :, None] * (column / pivot[:, None])[:, None, :]
        better = (value > best) & (weights[:, m] > 0)
        best = np.where(better, value, best)
        best_stage[better] = stage + 1
    order = np.argsort(-best, kind="stable")
    return [
        Move(
            priced.targets[k : k + 1],
            tuple(int(s) for s in dropped[k, : best_stage[k]]),
            float(best[k]),
        )
        for k in order
        if best[k] > -np.inf
    ]


def merges(fit: Fit) -> list[Move]:
    """Propose to replace components that differ in one variable by what they have in common.

    Where the parents of a variable hardly vary inside a target, its extensions by the states of
    that variable imitate it; no single step leads from the imitation back.

    Returns
    -------
    list of Move
        For each common target of two or more components: drop them all, or all but one.
    """
    children: dict[bytes, tuple[Ints, list[int]]] = {}
    for s, target in enumerate(fit.targets):
        for j in np.flatnonzero(target >= 0):
            parent = target.copy()
            parent[j] = -1
            children.setdefault(parent.tobytes(), (parent, []))[1].append(s)
    moves = []
    for key, (parent, members) in children.items():
        if len(members) < 2 or key in fit.keys:
            continue
        moves.append(Move(parent[None, :], tuple(members), 0.0))
        moves += [
            Move(parent[None, :], tuple(s for s in members if s != kept), 0.0) for kept in members
        ]
    return moves


def _augmented(
    problem: SearchProblem, fit: Fit, priced: Priced
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Weights, inverse Hessian and gain after adding each candidate, and who is needed then.

    The direction of the move is that of the quadratic model; its length and its gain are exact
    along that direction, because a candidate that alone explains some rows gains far more than
    its curvature at weight zero lets expect.

    Returns
    -------
    weights : ndarray, shape (n_candidates, m + 1)
        The candidate's own weight comes last.
    inverse : ndarray, shape (n_candidates, m + 1, m + 1)
    gain : ndarray, shape (n_candidates,)
    needed : ndarray of bool, shape (n_candidates, m)
        Whether some row would be impossible without the component, even with the candidate.
    """
    m = fit.weights.size
    relative = fit.columns / fit.mixture[:, None]
    candidates = problem.columns(priced.targets) / fit.mixture[:, None]
    cross = candidates.T @ (relative * problem.counts[:, None])
    projected = cross @ fit.inverse_hessian
    change = candidates - relative @ projected.T
    shift = 1.0 - projected.sum(axis=1)
    step, gain, schur = _line_search(change, problem.counts, shift * problem.n_rows)
    weights = np.empty((len(step), m + 1))
    weights[:, :m] = fit.weights - projected * step[:, None]
    weights[:, m] = step
    inverse = np.empty((len(step), m + 1, m + 1))
    inverse[:, :m, :m] = (
        fit.inverse_hessian + projected[:, :, None] * (projected / schur[:, None])[:, None, :]
    )
    inverse[:, :m, m] = inverse[:, m, :m] = -projected / schur[:, None]
    inverse[:, m, m] = 1.0 / schur
    alone = relative * fit.weights > 1.0 - _SOLE
    needed = (candidates == 0.0).T.astype(np.float32) @ alone.astype(np.float32) > 0
    return weights, inverse, gain, needed


def _line_search(
    change: Floats, counts: Floats, slope_cost: Floats
) -> tuple[Floats, Floats, Floats]:
    """Maximise ``sum_r c_r log(1 + d y_rk) - cost_k d`` over d, for each column k of y.

    Newton's method, damped so that no row loses more than nine tenths of its density in a step.

    Returns
    -------
    step, gain, curvature : ndarray, shape (n_columns,)
        The curvature is that at the maximum.
    """
    step = np.zeros(change.shape[1])
    inside = np.ones_like(change)
    for _ in range(_LINE_STEPS):
        ratio = change / inside
        slope = counts @ ratio - slope_cost
        curvature = np.maximum(counts @ (ratio * ratio), 1e-300)
        move = slope / curvature
        lowest = (ratio * move).min(axis=0)
        move *= np.where(lowest < -0.9, 0.9 / np.maximum(-lowest, 0.9), 1.0)
        # A weight is at most one; beyond that the direction is rounding.
        step = np.clip(step + move, -1.0, 1.0)
        inside = np.maximum(1.0 + change * step, _LEAST_DENSITY)
    gain = counts @ np.log(inside) - slope_cost * step
    ratio = change / inside
    return step, gain, np.maximum(counts @ (ratio * ratio), 1e-300)
