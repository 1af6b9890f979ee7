"""Targets that may be in the mixture besides those that were found.

A target is undecided if, brought in alone next to the components, its posterior odds are not
negligible. The odds follow the log-likelihood's quadratic model with a prior that is stated in
:mod:`dosift.inference.weight_posterior`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr

from dosift.likelihood.evidence import Evidence
from dosift.likelihood.weight_sums import Comparison
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.network import Network
from dosift.search.elimination import inverse_of
from dosift.search.pricing import Priced
from dosift.search.score import Score

#: Logarithm of the posterior odds below which a target is not undecided.
LEAST_LOG_ODDS = -5.0
#: Number of undecided targets, and of targets whose odds are computed, at most.
_MOST, _LOOKED_AT = 64, 400
#: Targets whose odds take a pass over rows that are not held, at most.
_BY_PASSES = 24
#: Entries (configurations times targets) that may be looked at.
_ENTRIES = 4_000_000
#: Least Schur complement of a target, relative to its curvature.
_LEAST_SCHUR = 1e-9
#: Curvature that stands for zero: that of a target that makes no row at hand likely.
_LEAST_CURVATURE = 1e-300
#: Standard errors below zero from which the tail of the normal distribution has its own formula.
_FAR_BELOW = -30.0


@dataclass(frozen=True)
class Undecided:
    """Targets that may be in the mixture besides the components.

    Attributes
    ----------
    targets : ndarray of int, shape (n_undecided, n_variables)
        The most probable first.
    log_prior_odds : ndarray, shape (n_undecided,)
        Of being in the mixture, before the rows are seen.
    component_log_prior_odds : ndarray, shape (n_components,)
        The same for the components themselves.
    """

    targets: Ints
    log_prior_odds: Floats
    component_log_prior_odds: Floats


def find_undecided(
    evidence: Evidence,
    network: Network,
    targets: Ints,
    weights: Floats,
    priced: Priced,
    score: Score,
    protected: Bools,
) -> Undecided:
    """Choose the targets that may be in the mixture besides the components.

    Parameters
    ----------
    evidence : Evidence
        In one batch.
    network : Network
    targets : ndarray of int, shape (n_components, n_variables)
        Of the final mixture.
    weights : ndarray, shape (n_components,)
        Converged.
    priced : Priced
        Targets that are no components.
    score : Score
        Over the network's variables.
    protected : ndarray of bool, shape (n_components,)
        Components that are there by assumption.

    Returns
    -------
    Undecided
    """
    own = np.log(len(targets)) - score.names(targets)
    own[protected] = np.inf
    if len(priced.targets) == 0:
        return Undecided(np.asarray(targets[:0], dtype=np.int16), np.empty(0), own)
    priced = priced[_not_hopeless(len(targets), priced, score, evidence.total)]
    length = _BY_PASSES
    if evidence.held is not None:
        length = int(np.clip(_ENTRIES // max(len(evidence.held), 1), _MOST // 4, _LOOKED_AT))
    kept = likeliest(targets, priced, score, evidence.total, length)
    others = priced.targets[kept]
    prior = np.log(len(targets)) - score.names(others)
    odds = log_odds(evidence.compare(network, targets, weights, others), evidence.total, prior)
    order = np.argsort(-odds, kind="stable")[:_MOST]
    order = order[odds[order] > LEAST_LOG_ODDS]
    return Undecided(others[order], prior[order], own)


def _not_hopeless(n_components: int, priced: Priced, score: Score, n_rows: float) -> Bools:
    """Leave out targets whose odds are negligible whatever their curvature.

    Where the slope is negative, the integral over the weight is less than one over its size.
    """
    rate = float(n_components)
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


def log_odds(found: Comparison, n_rows: float, prior: Floats) -> Floats:
    """Posterior log-odds of each target alone, all other weights at their best.

    Parameters
    ----------
    found : Comparison
        Of the targets with the components, in one batch.
    n_rows : float
    prior : ndarray, shape (n_targets,)
        Log-odds before the rows are seen.

    Returns
    -------
    ndarray, shape (n_targets,)
    """
    rate = float(found.own.shape[1])
    cross, curvature = found.cross[0], found.curvature[0]
    projected = cross @ inverse_of(found.own_information[0])
    schur = curvature - np.einsum("ks,ks->k", cross, projected)
    schur = np.maximum(schur, _LEAST_SCHUR * curvature)
    slope = found.gradient[0] - n_rows - projected @ (found.own[0] - n_rows) - rate
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
    root = np.sqrt(np.maximum(curvature, _LEAST_CURVATURE))
    z = slope / root
    # Far below zero, where z^2 / 2 and the logarithm would cancel, erfcx is their difference.
    near = np.maximum(z, _FAR_BELOW)
    body = 0.5 * near * near + log_ndtr(near)
    tail = np.log(0.5 * erfcx(np.maximum(-z, 1.0) / np.sqrt(2.0)))
    out: Floats = 0.5 * np.log(2 * np.pi) - np.log(root) + np.where(z < _FAR_BELOW, tail, body)
    return out
