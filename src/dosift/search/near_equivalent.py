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


def likely_rivals(problem: SearchProblem, fit: Fit, max_size: int | None) -> list[tuple[int, Ints]]:
    """Find targets that a sample of the rows can hardly tell from a component.

    Parameters
    ----------
    problem : SearchProblem
        The sample.
    fit : Fit
        The final targets, with the weights that the sample gives.
    max_size : int, optional
        Largest number of variables that a target sets.

    Returns
    -------
    list of (int, ndarray)
        Positions of components, and what could stand in their place: more rows can only set them
        further apart.
    """
    pricer = NeighbourPricer(problem, max_size)
    found = []
    for k, component in enumerate(fit.targets):
        near = pricer.around(fit, component[None, :]).without(fit.keys).targets
        if len(near) == 0:
            continue
        loss = _estimated_losses(problem, fit, k, near)
        order = np.argsort(loss, kind="stable")[:_MOST]
        found += [(k, near[j]) for j in order if loss[j] < _WORTH_A_LOOK]
    return found


def _estimated_losses(problem: SearchProblem, fit: Fit, k: int, targets: Ints) -> Floats:
    """Estimate what replacing component k by each target loses, by the quadratic expansion."""
    added = problem.columns(targets) / fit.mixture[:, None]
    relative = fit.columns / fit.mixture[:, None] * fit.counts[:, None]
    return replacement_losses(
        k,
        fit.weights,
        fit.inverse_hessian,
        relative.sum(axis=0) - problem.n_rows,
        added.T @ relative,
        fit.counts @ added - problem.n_rows,
        fit.counts @ np.square(added),
    )


def replacement_losses(
    k: int,
    weights: Floats,
    inverse: Floats,
    own_slope: Floats,
    cross: Floats,
    slope: Floats,
    curvature: Floats,
) -> Floats:
    """Log-likelihood that replacing a component by each of some targets loses.

    By the quadratic expansion at the mixture's optimum.

    Parameters
    ----------
    k : int
        Position of the component.
    weights : ndarray, shape (n_components,)
    inverse : ndarray, shape (n_components, n_components)
        Inverse Hessian of the components.
    own_slope : ndarray, shape (n_components,)
        Sums of their likelihoods over the mixture's, less the number of rows; nearly zero.
    cross : ndarray, shape (n_targets, n_components)
        Information between targets and components.
    slope, curvature : ndarray, shape (n_targets,)
        The targets' own.

    Returns
    -------
    ndarray, shape (n_targets,)
        In nats, over all rows; infinite where the target would not take over.
    """
    projected = cross @ inverse
    schur = curvature - np.einsum("ks,ks->k", cross, projected)
    schur = np.maximum(schur, _LEAST_SCHUR * curvature)
    slope = slope - projected @ own_slope
    # With the target free the weight of the component is this, and has this variance.
    step = slope / schur
    weight = weights[k] - projected[:, k] * step
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
