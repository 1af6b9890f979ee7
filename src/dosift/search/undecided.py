"""Targets that may be in the mixture besides those that were found.

A target is a candidate if, brought in alone next to the components, its posterior odds are not
negligible. The odds follow the log-likelihood's quadratic model with a prior that is stated in
:mod:`dosift.inference.weight_posterior`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from dosift.search.pricing import Priced
from dosift.search.problem import Fit, SearchProblem
from dosift.search.score import Score

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Logarithm of the posterior odds below which a target is no candidate.
LEAST_LOG_ODDS = -5.0
#: Number of candidates, and of targets whose odds are computed, at most.
_MOST, _LOOKED_AT = 64, 400
#: Entries (configurations times targets) that may be looked at.
_ENTRIES = 4_000_000
#: Least Schur complement of a target, relative to its curvature.
_LEAST_SCHUR = 1e-9


@dataclass(frozen=True)
class Candidates:
    """Targets that may be in the mixture besides the components.

    Attributes
    ----------
    targets : ndarray of int, shape (n_candidates, n_variables)
        The most probable first.
    log_prior_odds : ndarray, shape (n_candidates,)
        Of being in the mixture, before the rows are seen.
    component_log_prior_odds : ndarray, shape (n_components,)
        The same for the components themselves.
    """

    targets: Ints
    log_prior_odds: Floats
    component_log_prior_odds: Floats


def find_candidates(problem: SearchProblem, fit: Fit, priced: Priced) -> Candidates:
    """Choose the targets that may be in the mixture besides the components.

    Parameters
    ----------
    problem : SearchProblem
    fit : Fit
        The final mixture, with converged weights.
    priced : Priced
        Targets that are no components.

    Returns
    -------
    Candidates
    """
    m = len(fit.targets)
    own = np.log(m) - problem.score.names(fit.targets)
    own[problem.constraints.protects(fit.targets)] = np.inf  # they are there by assumption
    if len(priced.targets) == 0:
        return Candidates(fit.targets[:0], np.empty(0), own)
    priced = priced[_possible_candidates(fit, priced, problem.score, problem.n_rows)]
    length = int(np.clip(_ENTRIES // max(problem.counts.size, 1), _MOST // 4, _LOOKED_AT))
    kept = likeliest(fit.targets, priced, problem.score, problem.n_rows, length)
    prior = np.log(m) - problem.score.names(priced.targets[kept])
    relative = fit.columns / fit.mixture[:, None]
    added = problem.columns(priced.targets[kept]) / fit.mixture[:, None]
    odds = log_odds(problem.counts, relative, added, fit.inverse_hessian, prior)
    order = np.argsort(-odds, kind="stable")[:_MOST]
    order = order[odds[order] > LEAST_LOG_ODDS]
    return Candidates(priced.targets[kept[order]], prior[order], own)


def _possible_candidates(
    fit: Fit, priced: Priced, score: Score, n_rows: float
) -> NDArray[np.bool_]:
    """Leave out targets whose odds are negligible whatever their curvature.

    Where the slope is negative, the integral over the weight is less than one over its size.
    """
    rate = float(len(fit.targets))
    prior = np.log(rate) - score.names(priced.targets)
    slope = n_rows * (priced.gradient - 1.0) - rate
    most = prior + np.log(rate) - np.log(np.maximum(-slope, 1e-300))
    return np.asarray((slope >= 0) | (most > LEAST_LOG_ODDS))


def likeliest(
    targets: Ints, priced: Priced, score: Score, n_rows: float, most: int
) -> NDArray[np.int64]:
    """Choose the priced targets that look likeliest to be in the mixture.

    Parameters
    ----------
    targets : ndarray of int, shape (n_components, n_variables)
    priced : Priced
        Targets that are no components.
    score : Score
    n_rows : float
    most : int

    Returns
    -------
    ndarray of int
        Positions of at most so many, the likeliest first.
    """
    prior = np.log(len(targets)) - score.names(priced.targets)
    slope = n_rows * (priced.gradient - 1.0)
    z = slope / np.sqrt(np.maximum(priced.curvature, 1e-300))
    quick = prior + np.where(z > 0, 0.5 * z * z, z)
    return np.argsort(-quick, kind="stable")[:most]


def candidates_from_sums(
    targets: Ints, others: Ints, score: Score, sums: tuple[Floats, Floats], n_rows: float
) -> Candidates:
    """Choose candidates by sums over rows that are not held.

    Parameters
    ----------
    targets : ndarray of int, shape (n_components, n_variables)
        The components, with converged weights.
    others : ndarray of int, shape (n_others, n_variables)
        Those that may be candidates.
    score : Score
    sums : tuple of ndarray
        Gradient and information, summed over the rows, of the components and then the others.
    n_rows : float

    Returns
    -------
    Candidates
    """
    m = len(targets)
    gradient, information = sums
    own = np.log(m) - score.names(targets)
    prior = np.log(m) - score.names(others)
    inverse = np.asarray(np.linalg.pinv(information[:m, :m], hermitian=True), dtype=np.float64)
    odds = log_odds_from_sums(gradient, information, inverse, n_rows, prior)
    kept = np.argsort(-odds, kind="stable")[:_MOST]
    kept = kept[odds[kept] > LEAST_LOG_ODDS]
    return Candidates(others[kept], prior[kept], own)


def log_odds_from_sums(
    gradient: Floats, information: Floats, inverse_hessian: Floats, n_rows: float, prior: Floats
) -> Floats:
    """Posterior log-odds of each target alone, as :func:`log_odds`, from sums over the rows.

    Parameters
    ----------
    gradient : ndarray, shape (n_components + n_targets,)
        Sums of the likelihoods over that of the mixture.
    information : ndarray, shape (n_components + n_targets, n_components + n_targets)
        Sums of their products.
    inverse_hessian : ndarray, shape (n_components, n_components)
    n_rows : float
    prior : ndarray, shape (n_targets,)

    Returns
    -------
    ndarray, shape (n_targets,)
    """
    m = len(inverse_hessian)
    rate = float(m)
    cross = information[m:, :m]
    projected = cross @ inverse_hessian
    curvature = np.diag(information)[m:]
    schur = curvature - np.einsum("ks,ks->k", cross, projected)
    schur = np.maximum(schur, _LEAST_SCHUR * curvature)
    slope = gradient[m:] - n_rows - projected @ (gradient[:m] - n_rows) - rate
    return np.asarray(log_evidence(slope, schur) + prior + np.log(rate))


def log_odds(
    counts: Floats, relative: Floats, added: Floats, inverse_hessian: Floats, prior: Floats
) -> Floats:
    """Posterior log-odds of each target alone, all other weights at their best.

    Parameters
    ----------
    counts : ndarray, shape (n_configurations,)
    relative : ndarray, shape (n_configurations, n_components)
        Likelihoods of the components over that of the mixture.
    added : ndarray, shape (n_configurations, n_targets)
        The same of the targets.
    inverse_hessian : ndarray, shape (n_components, n_components)
        Of minus the log-likelihood in the components' weights.
    prior : ndarray, shape (n_targets,)
        Log-odds before the rows are seen.

    Returns
    -------
    ndarray, shape (n_targets,)
    """
    n_rows, rate = float(counts.sum()), float(relative.shape[1])
    relative = relative * counts[:, None]
    cross = added.T @ relative
    projected = cross @ inverse_hessian
    curvature = counts @ np.square(added)
    schur = curvature - np.einsum("ks,ks->k", cross, projected)
    schur = np.maximum(schur, _LEAST_SCHUR * curvature)
    slope = counts @ added - n_rows - projected @ (relative.sum(axis=0) - n_rows) - rate
    return np.asarray(log_evidence(slope, schur) + prior + np.log(rate))


def log_evidence(slope: Floats, curvature: Floats) -> Floats:
    """Logarithm of the integral over ``w >= 0`` of ``exp(slope w - curvature w^2 / 2)``.

    Parameters
    ----------
    slope, curvature : ndarray
        Of equal shapes; the curvature positive.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> import numpy as np
    >>> log_evidence(np.array([0.0]), np.array([2 * np.pi])).round(6)  # half a normal density
    array([-0.693147])
    """
    root = np.sqrt(curvature)
    z = slope / root
    out: Floats = 0.5 * np.log(2 * np.pi) - np.log(root) + 0.5 * z * z + log_ndtr(z)
    return out
