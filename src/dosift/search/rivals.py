"""Targets that the rows can hardly tell from a component."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.search.pricing import NeighbourPricer
from dosift.search.problem import Fit, SearchProblem

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Log-likelihood (nats) that replacing a component by a rival may lose at most.
LARGEST_LOSS = 10.0
#: Rivals of a component, at most; estimated loss up to which the exact one is computed.
_MOST, _WORTH_A_LOOK = 3, 20.0
#: Least Schur complement of a target, relative to its curvature.
_LEAST_SCHUR = 1e-9


@dataclass(frozen=True)
class Rival:
    """A target that may stand in the place of a component.

    Attributes
    ----------
    component : int
        Position of the component.
    target : ndarray of int, shape (n_variables,)
    loss : float
        Log-likelihood (nats, all rows) that replacing the component by it loses, all weights
        being estimated again; negative if the rows prefer it, and the score does not.
    """

    component: int
    target: Ints
    loss: float


def find_rivals(
    problem: SearchProblem, fit: Fit, sample: SearchProblem, max_size: int | None
) -> list[Rival]:
    """Find the targets one step from each component that could replace it.

    Parameters
    ----------
    problem : SearchProblem
        All rows.
    fit : Fit
        The final mixture.
    sample : SearchProblem
        All rows or a sample of them, on which losses are estimated first.
    max_size : int, optional
        Largest number of variables that a target sets.

    Returns
    -------
    list of Rival
        Of each component in turn, the closest first.
    """
    by_quick = fit if sample is problem else sample.fit(fit.targets, fit.weights)
    if len(by_quick.targets) < len(fit.targets):
        by_quick, sample = fit, problem  # the sample does not support every component
    scale = problem.n_rows / sample.n_rows
    pricer = NeighbourPricer(sample, max_size)
    rivals = []
    for k, component in enumerate(fit.targets):
        near = pricer.around(by_quick, component[None, :]).without(fit.keys).targets
        if len(near) == 0:
            continue
        loss = scale * _estimated_losses(sample, by_quick, k, near)
        found = [
            Rival(k, near[j], _loss(problem, fit, k, near[j]))
            for j in np.argsort(loss, kind="stable")[:_MOST]
            if loss[j] < _WORTH_A_LOOK
        ]
        rivals += sorted((r for r in found if r.loss < LARGEST_LOSS), key=lambda r: r.loss)
    return rivals


def _estimated_losses(problem: SearchProblem, fit: Fit, k: int, targets: Ints) -> Floats:
    """Estimate what replacing component k by each target loses, by the quadratic expansion."""
    inverse, n_rows = fit.inverse_hessian, problem.n_rows
    added = problem.columns(targets) / fit.mixture[:, None]
    relative = fit.columns / fit.mixture[:, None] * fit.counts[:, None]
    cross = added.T @ relative
    projected = cross @ inverse
    curvature = fit.counts @ np.square(added)
    schur = curvature - np.einsum("ks,ks->k", cross, projected)
    schur = np.maximum(schur, _LEAST_SCHUR * curvature)
    slope = fit.counts @ added - n_rows - projected @ (relative.sum(axis=0) - n_rows)
    # With the target free the weight of the component is this, and has this variance.
    step = slope / schur
    weight = fit.weights[k] - projected[:, k] * step
    variance = inverse[k, k] + projected[:, k] ** 2 / schur
    loss: Floats = weight**2 / (2.0 * variance) - 0.5 * slope * step
    # Its own weight once the component is gone.
    remaining = step + projected[:, k] / schur / variance * weight
    return np.where(remaining > 0, loss, np.inf)


def _loss(problem: SearchProblem, fit: Fit, k: int, target: Ints) -> float:
    others = np.arange(len(fit.targets)) != k
    targets = np.concatenate([fit.targets[others], target[None, :]])
    replaced = problem.fit(targets, np.append(fit.weights[others], fit.weights[k]))
    return float(fit.log_likelihood - replaced.log_likelihood)
