"""P-values of components, for the hypothesis that a weight is zero.

Pure array code. They are those of likelihood-ratio tests for a target that was named before the
rows were seen; the targets of a fit were chosen with the same rows, and for them the posterior
probabilities of :mod:`dosift.inference.weight_posterior` are the calibrated statement.
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr

from dosift.likelihood.weights import solve_weights
from dosift.model.arrays import Floats

#: Signed roots beyond this are taken from the quadratic expansion (p < 1e-14 either way).
_EXACT_UP_TO = 8.0
#: Log-likelihood (nats, all rows) to which the restricted fits are solved.
_ACCURACY = 1e-3
#: Entries of the likelihood matrix up to which restricted fits are solved at all.
_ENTRIES = 20_000_000


def boundary_p_value(z: Floats) -> Floats:
    """P-value of "the weight is zero" against "it is positive", from a signed root.

    On the boundary the likelihood-ratio statistic is zero half of the time and chi-square with one
    degree of freedom otherwise (Chernoff 1954), so its signed root is compared with the upper tail
    of a normal distribution.

    Parameters
    ----------
    z : ndarray
        Estimates in standard errors, or signed roots of likelihood-ratio statistics.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> import numpy as np
    >>> boundary_p_value(np.array([0.0, 1.645])).round(3)
    array([0.5 , 0.05])
    """
    return np.asarray(np.exp(log_ndtr(-np.maximum(z, 0.0))))


def log_likelihood_losses(columns: Floats, counts: Floats, weights: Floats, z: Floats) -> Floats:
    """Loss of log-likelihood (nats, all rows) without a component, every other weight being free.

    Parameters
    ----------
    columns : ndarray, shape (n_configurations, n_targets)
        Likelihoods of components, then the undecided ones.
    counts : ndarray, shape (n_configurations,)
    weights : ndarray, shape (n_components,)
        Maximum-likelihood weights of the components.
    z : ndarray, shape (n_components,)
        Weights in standard errors, with all other targets free.

    Returns
    -------
    ndarray, shape (n_components,)
        Infinite where some rows need the component; NaN where it is not worked out, for the
        component is beyond doubt, or there are too many rows.

    Examples
    --------
    >>> columns = np.array([[1.0, 0.0], [1.0, 2.0]])
    >>> lost = log_likelihood_losses(columns, np.full(2, 50.0), np.array([0.9, 0.1]), np.full(2, 2))
    >>> float(lost[0])
    inf
    """
    out = np.full(weights.size, np.nan)
    if columns.size > _ENTRIES or weights.size == columns.shape[1] == 1:
        return out
    accuracy = _ACCURACY / float(counts.sum())
    start = np.zeros(columns.shape[1])
    start[: weights.size] = weights
    full: float | None = None
    for k in np.flatnonzero(z < _EXACT_UP_TO):
        if full is None:
            full = solve_weights(columns, counts, start, accuracy).log_likelihood
        others = np.arange(columns.shape[1]) != k
        rest = solve_weights(columns[:, others], counts, None, accuracy).log_likelihood
        out[k] = max(full - rest, 0.0)
    return out


def likelihood_ratio_p_values(z: Floats, losses: Floats) -> Floats:
    """P-values of "this weight is zero", every other target's weight being free.

    Parameters
    ----------
    z : ndarray, shape (n_components,)
        Weights in standard errors, with all other targets free.
    losses : ndarray, shape (n_components,)
        As of :func:`log_likelihood_losses`.

    Returns
    -------
    ndarray, shape (n_components,)

    Examples
    --------
    >>> likelihood_ratio_p_values(np.array([9.0, 2.0]), np.array([np.nan, 1.353])).round(3)
    array([0.  , 0.05])
    """
    return boundary_p_value(np.where(np.isnan(losses), z, np.sqrt(2.0 * losses)))
