"""Intervals of weights that take the targets and the network as given, to be compared with.

By the observed information; what choosing the targets and learning the network add is not in them.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from dosift.model.arrays import Floats


def weight_covariance(columns: Floats, mixture: Floats, counts: Floats) -> Floats:
    """Covariance of the maximum-likelihood weights on the simplex.

    The inverse of the observed information ``sum_r c_r L_rs L_rt / (L w)_r^2``, projected on
    changes of the weights that sum to zero.

    Parameters
    ----------
    columns : ndarray, shape (n_configurations, n_targets)
        Likelihoods of the targets with positive weight.
    mixture : ndarray, shape (n_configurations,)
        ``columns @ weights``.
    counts : ndarray, shape (n_configurations,)

    Returns
    -------
    ndarray, shape (n_targets, n_targets)

    Examples
    --------
    A share of 0.8 among 100 rows that tell the two targets apart for certain:

    >>> import numpy as np
    >>> columns = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> cov = weight_covariance(columns, columns @ [0.8, 0.2], np.array([80.0, 20.0]))
    >>> np.sqrt(np.diag(cov)).round(4)
    array([0.04, 0.04])
    """
    scaled = columns * (np.sqrt(counts) / mixture)[:, None]
    inverse = np.linalg.pinv(scaled.T @ scaled, hermitian=True)
    row_sums = inverse.sum(axis=1)
    total = float(row_sums.sum())
    if total <= 0.0:
        return np.zeros_like(inverse)
    out: Floats = inverse - np.outer(row_sums, row_sums) / total
    return out


def logit_interval(
    estimate: Floats, std_error: Floats, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Confidence interval of a share, symmetric on the logit scale, so that it stays in [0, 1].

    Parameters
    ----------
    estimate, std_error : ndarray
        Shares and their standard errors.
    level : float, default=0.95
        Confidence level in (0, 1).

    Returns
    -------
    low, high : ndarray
        NaN where the standard error is NaN.
    """
    z = float(ndtri(0.5 + level / 2))
    estimate = np.where(np.isnan(std_error), np.nan, estimate)
    interior = (estimate > 0.0) & (estimate < 1.0)
    safe = np.where(interior, estimate, 0.5)
    logit = np.log(safe / (1.0 - safe))
    half = z * std_error / (safe * (1.0 - safe))
    low = np.where(interior, 1.0 / (1.0 + np.exp(np.minimum(half - logit, 700.0))), estimate)
    high = np.where(interior, 1.0 / (1.0 + np.exp(np.minimum(-half - logit, 700.0))), estimate)
    return low, high
