"""Intervals of the one-pass rates. Pure array code."""

from __future__ import annotations

from scipy.special import ndtri

from dosift.model.arrays import Floats


def normal_interval(
    estimate: Floats, std_error: Floats, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Confidence interval of a share by the normal approximation.

    For estimates that may come out below 0 or above 1, as the one-pass rates do; the interval
    is not cut off there, so that it always holds the estimate.

    Parameters
    ----------
    estimate, std_error : ndarray
        Shares and their standard errors.
    level : float, default=0.95
        Confidence level in (0, 1).

    Returns
    -------
    low, high : ndarray
        NaN where an argument is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = normal_interval(np.array([0.01, 0.5]), np.array([0.01, 0.1]))
    >>> low.round(3), high.round(3)
    (array([-0.01 ,  0.304]), array([0.03 , 0.696]))
    """
    half = float(ndtri(0.5 + level / 2)) * std_error
    return estimate - half, estimate + half
