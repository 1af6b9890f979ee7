"""The log-likelihood's quadratic model at a mixture, with room for one more target.

At the optimum over the targets T with inverse Hessian G, a target of gradient ``N (D - 1)`` and
Schur complement S gains ``N^2 (D - 1)^2 / (2 S)`` and bends the inverse Hessian; holding component
s at zero then loses ``w_s^2 / (2 G_ss)``. The model finds out which components a candidate makes
superfluous, for many candidates side by side. It is no judge of what that brings: a candidate that
alone explains some rows gains far more than its curvature at weight zero lets expect, and rows
that nothing else explains lose far more than the curvature at the optimum. That is computed from
the densities of the rows, a few steps of EM away from the model's weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Bools, Floats, Ints, product_of_tall
from dosift.search.problem import Fit, SearchProblem

#: Components that one move may drop.
_MOST_DROPS = 6
#: Steps of EM that correct the weights after drops, and the least weight they start from, as a
#: share of the smallest.
_EM_STEPS, _LEAST_WEIGHT = 2, 0.1
#: Least Schur complement of a candidate, relative to its curvature.
_LEAST_SCHUR = 1e-9
#: Newton steps along the direction of a move, and the rise (nats) that is not worth another.
_LINE_STEPS, _LINE_ACCURACY = 6, 1e-2
#: Least density of a row, relative to that before.
_LEAST_DENSITY = 1e-6
#: Share of a row's density that others may hold when a component explains it alone.
_SOLE = 1e-9
#: Smallest diagonal entry of the inverse Hessian after drops, relative to that before them.
_FLOOR = 1e-9


@dataclass(frozen=True)
class Augmented:
    """The mixture after adding one candidate, for many candidates side by side.

    Attributes
    ----------
    of : ndarray of int, shape (n_candidates,)
        Positions of the candidates in the model.
    weights : ndarray, shape (n_candidates, m + 1)
        The candidate's own weight comes last.
    inverse : ndarray, shape (n_candidates, m + 1, m + 1)
        Inverse Hessian.
    gain : ndarray, shape (n_candidates,)
        Rise of the log-likelihood.
    needed : ndarray of bool, shape (n_candidates, m)
        Whether some row would be impossible without the component, even with the candidate.
    """

    of: NDArray[np.int64]
    weights: Floats
    inverse: Floats
    gain: Floats
    needed: Bools


class QuadraticModel:
    """The log-likelihood's quadratic model at a mixture, with room for one more target.

    At the optimum over the targets T with inverse Hessian G, a target of gradient ``N (D - 1)``
    and Schur complement S gains ``N^2 (D - 1)^2 / (2 S)`` and bends the inverse Hessian.

    Parameters
    ----------
    problem : SearchProblem
    fit : Fit
        The mixture.
    targets : ndarray of int, shape (n_candidates, n_variables)
        The targets that may join it.
    """

    def __init__(self, problem: SearchProblem, fit: Fit, targets: Ints) -> None:
        self._counts = problem.counts
        self._costs = problem.score.savings(fit.targets)
        self._fit = fit
        self._relative = fit.columns / fit.mixture[:, None]
        # Most targets can produce few of the rows.
        self._candidates = problem.lines(targets)
        self._candidates.data /= fit.mixture[self._candidates.indices]
        cross = self._candidates @ np.ascontiguousarray(self._relative * problem.counts[:, None])
        self._projected = cross @ fit.inverse_hessian
        curvature = self._candidates.power(2) @ problem.counts
        self._schur = np.maximum(
            curvature - np.einsum("ks,ks->k", cross, self._projected), _LEAST_SCHUR * curvature
        )
        gradient = self._candidates @ problem.counts
        # At the optimum the components' own gradients equal the number of rows.
        own = problem.counts @ self._relative
        self.slope = gradient - problem.n_rows - self._projected @ (own - problem.n_rows)
        self._needed = np.tile(problem.constraints.protects(fit.targets), (len(targets), 1))
        alone = self._relative > (1.0 - _SOLE) / np.maximum(fit.weights, 1e-300)
        if alone.any():
            possible = (self._candidates > 0).astype(np.float64)
            self._needed |= possible @ alone.astype(np.float64) < alone.sum(axis=0)

    def at_the_minimum(self) -> Augmented:
        """Where the model has its optimum."""
        step = np.clip(self.slope / self._schur, -1.0, 1.0)
        gain = self.slope * step - 0.5 * self._schur * step**2
        return self._augment(np.arange(step.size), step, gain, self._schur)

    def along_the_line(self, chosen: NDArray[np.int64]) -> Augmented:
        """Go in the model's direction, with length and gain exact along it.

        A candidate that alone explains some rows gains far more than its curvature at weight zero
        lets expect.

        Parameters
        ----------
        chosen : ndarray of int
            Positions of the candidates.
        """
        projected = self._projected[chosen]
        # Candidate by candidate in memory, as the columns are.
        change = self._columns(chosen) - (projected @ self._relative.T).T
        cost = (1.0 - projected.sum(axis=1)) * self._counts.sum()
        step, gain, schur = _line_search(change, self._counts, cost)
        return self._augment(chosen, step, gain, schur)

    def value_after(
        self, chosen: NDArray[np.int64], drops: Drops, stages: NDArray[np.int64]
    ) -> Floats:
        """Rise of the log-likelihood, plus the costs saved, after some drops.

        From the density of every row, a few steps of EM away from the weights of the model: a
        lower bound of what the exact optimum gives, and nearly equal to it.

        Parameters
        ----------
        chosen : ndarray of int, shape (n_chosen,)
            Positions of the candidates in `drops`, possibly repeated.
        drops : Drops
            What is dropped for each candidate.
        stages : ndarray of int, shape (n_chosen,)
            How many are dropped.

        Returns
        -------
        ndarray, shape (n_chosen,)
        """
        m = self._fit.weights.size
        weights = drops.weights[stages, chosen]
        smallest = self._fit.weights[self._fit.weights > 0].min()
        weights = np.maximum(weights, _LEAST_WEIGHT * smallest)
        gone = np.zeros((chosen.size, m), dtype=bool)
        for stage in range(drops.dropped.shape[1]):
            who = np.flatnonzero(stages > stage)
            gone[who, drops.dropped[chosen[who], stage]] = True
        weights[:, :m][gone] = 0.0
        weights /= weights.sum(axis=1, keepdims=True)
        candidates = self._columns(drops.of[chosen])
        shares = (self._counts / self._counts.sum())[:, None]
        for _ in range(_EM_STEPS):
            density = self._density(weights, candidates)
            ratio = shares / density
            weights[:, :m] *= product_of_tall(ratio, self._relative)
            weights[:, m] *= np.einsum("kr,kr->k", candidates.T, ratio.T)
        gain = self._counts @ np.log(self._density(weights, candidates))
        return np.asarray(gain + gone @ self._costs)

    def _columns(self, chosen: NDArray[np.int64]) -> Floats:
        """Likelihoods of candidates over those of the mixture, column by column in memory."""
        return np.asarray(self._candidates[chosen].toarray().T)

    def _density(self, weights: Floats, candidates: Floats) -> Floats:
        density: Floats = (weights[:, :-1] @ self._relative.T).T
        density += candidates * weights[:, -1]
        return _floored(density)

    def _augment(
        self, chosen: NDArray[np.int64], step: Floats, gain: Floats, schur: Floats
    ) -> Augmented:
        m = self._fit.weights.size
        projected = self._projected[chosen]
        weights = np.empty((len(step), m + 1))
        weights[:, :m] = self._fit.weights - projected * step[:, None]
        weights[:, m] = step
        inverse = np.empty((len(step), m + 1, m + 1))
        inverse[:, :m, :m] = (
            self._fit.inverse_hessian
            + projected[:, :, None] * (projected / schur[:, None])[:, None, :]
        )
        inverse[:, :m, m] = inverse[:, m, :m] = -projected / schur[:, None]
        inverse[:, m, m] = 1.0 / schur
        return Augmented(chosen, weights, inverse, gain, self._needed[chosen])


@dataclass(frozen=True)
class Drops:
    """What to drop for each candidate, one component after the other.

    Attributes
    ----------
    of : ndarray of int, shape (n_candidates,)
        Positions of the candidates in the model.
    dropped : ndarray of int, shape (n_candidates, n_stages - 1)
        Components in the order in which they go.
    weights : ndarray, shape (n_stages, n_candidates, m + 1)
        The model's weights after 0, 1, ... drops.
    values : ndarray, shape (n_stages, n_candidates)
        Rise of the score by the model; minus infinity where a stage is impossible.
    """

    of: NDArray[np.int64]
    dropped: NDArray[np.int64]
    weights: Floats
    values: Floats


def drop_greedily(state: Augmented, fit: Fit, problem: SearchProblem, targets: Ints) -> Drops:
    """Drop components one after the other, always the one that the model misses least."""
    weights, inverse = state.weights, state.inverse
    n_candidates, m = len(weights), fit.weights.size
    every = np.arange(n_candidates)
    costs = problem.score.savings(fit.targets)
    n_stages = min(_MOST_DROPS, m) + 1
    dropped = np.zeros((n_candidates, n_stages - 1), dtype=np.int64)
    alive = np.ones((n_candidates, m), dtype=bool)
    # Near-equal components make entries of the bent inverse vanish; a floor keeps them apart.
    floor = _FLOOR * np.einsum("kss->ks", inverse)
    value = state.gain - problem.score.additions(targets, fit.targets)
    all_weights = np.empty((n_stages, *weights.shape))
    values = np.empty((n_stages, n_candidates))
    for stage in range(n_stages):
        all_weights[stage] = weights
        values[stage] = np.where(weights[:, m] > 0, value, -np.inf)
        if stage == n_stages - 1:
            break
        diagonal = np.maximum(np.einsum("kss->ks", inverse), floor)
        loss = weights[:, :m] ** 2 / (2 * diagonal[:, :m]) - costs
        net = np.where(alive & ~state.needed, loss, np.inf)
        worst = net.argmin(axis=1)
        dropped[:, stage] = worst
        value = value - net[every, worst]
        alive[every, worst] = False
        column = inverse[every, :, worst]
        pivot = diagonal[every, worst]
        weights = weights - column * (weights[every, worst] / pivot)[:, None]
        inverse = inverse - column[:, :, None] * (column / pivot[:, None])[:, None, :]
    return Drops(state.of, dropped, all_weights, values)


def _floored(density: Floats) -> Floats:
    """Let no density be below the least, in place; to see that none is takes far less time."""
    if density.min(initial=np.inf) < _LEAST_DENSITY:
        np.maximum(density, _LEAST_DENSITY, out=density)
    return density


def _line_search(
    change: Floats, counts: Floats, slope_cost: Floats
) -> tuple[Floats, Floats, Floats]:
    """Maximise ``sum_r c_r log(1 + d y_rk) - cost_k d`` over d, for each column k of y.

    Newton's method, damped so that no row loses more than nine tenths of its density in a step.
    Returns each step and its gain, and the curvature at the maximum.
    """
    step = np.zeros(change.shape[1])
    inside, ratio, room = np.ones_like(change), change.copy(order="K"), np.empty_like(change)
    for _ in range(_LINE_STEPS):
        slope = counts @ ratio - slope_cost
        curvature = np.maximum(counts @ np.square(ratio, out=room), 1e-300)
        move = slope / curvature
        if float(np.max(slope * move)) < _LINE_ACCURACY:
            break
        # The ratio times the move, at its lowest.
        lowest = np.minimum(ratio.min(axis=0) * move, ratio.max(axis=0) * move)
        move *= np.where(lowest < -0.9, 0.9 / np.maximum(-lowest, 0.9), 1.0)
        # A weight is at most one; beyond that the direction is rounding.
        step = np.clip(step + move, -1.0, 1.0)
        np.multiply(change, step, out=inside)
        inside += 1.0
        _floored(inside)
        np.divide(change, inside, out=ratio)
    gain = counts @ np.log(inside, out=inside) - slope_cost * step
    return step, gain, np.maximum(counts @ np.square(ratio, out=room), 1e-300)
