"""The negative binomial distribution by log-mean and dispersion, with derivatives.

A count y with mean m and dispersion a has the variance ``m + a m^2`` and

    log p(y) = sum of log(1 + a j) over j < y  +  y log m  -  (y + 1/a) log(1 + a m)  -  log y!

which is the Poisson distribution at a = 0. Written so, nothing cancels as a goes to 0 (J. F.
Lawless, "Negative binomial and mixed Poisson regression", Canadian Journal of Statistics 15, 1987).
The sums depend on y alone: they are tabled up to the largest count that occurs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.polynomial import polyval
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, polygamma

from dosift.model.arrays import Floats

Counts = NDArray[np.int64]

#: Counts from which on sums are not tabled but computed by special functions.
_TABLED = 2**14
_LOG_FACTORIALS = gammaln(np.arange(_TABLED) + 1.0)
#: Product of dispersion and mean below which a power series stands in for a difference of nearly
#: equal numbers, and the powers in that series: an error below 1e-17.
_SMALL, _POWERS = 0.01, np.arange(9.0)
_SIGNS = (-1.0) ** _POWERS
#: Inverse dispersion from which on Stirling's series is exact: an error below 1e-13.
_STIRLING = 100.0
#: Logarithms of the mean that densities are computed at; outside the nearest is taken.
LEAST_LOG_MEAN, LARGEST_LOG_MEAN = -40.0, 40.0


@dataclass(frozen=True)
class Derivatives:
    """Derivatives of the log-density by the log-mean e and the logarithm t of the dispersion.

    Each an array of shape (n_rows,): first `e`, `t`, then second ones.
    """

    e: Floats
    t: Floats
    ee: Floats
    et: Floats
    tt: Floats


def log_factorials(counts: Counts) -> Floats:
    """Return log y! of each count, from a table where it is not too large."""
    out: Floats = _LOG_FACTORIALS[np.minimum(counts, _TABLED - 1)]
    large = counts >= _TABLED
    if large.any():
        out[large] = gammaln(counts[large] + 1.0)
    return out


def log_density(counts: Counts, log_mean: Floats, dispersion: float) -> Floats:
    """Return the logarithm of the probability of each count.

    Parameters
    ----------
    counts : ndarray of int64, shape (n_rows,)
        Not negative.
    log_mean : ndarray, shape (n_rows,)
    dispersion : float
        Not negative; 0 is the Poisson distribution.

    Returns
    -------
    ndarray, shape (n_rows,)

    Examples
    --------
    >>> log_density(np.array([0, 2]), np.log([1.0, 2.0]), 1.0).round(4)  # 1/2 and 4/27
    array([-0.6931, -1.9095])
    >>> log_density(np.array([0, 2]), np.log([1.0, 2.0]), 0.0).round(4)  # e^-1 and 2 e^-2
    array([-1.    , -1.3069])
    """
    log_mean = np.clip(log_mean, LEAST_LOG_MEAN, LARGEST_LOG_MEAN)
    mean = np.exp(log_mean)
    out = counts * log_mean
    out -= log_factorials(counts)
    if dispersion == 0.0:
        out -= mean
        return out
    out += _log_rising(counts, dispersion)
    out -= (counts + 1.0 / dispersion) * np.log1p(dispersion * mean)
    return out


def log_zero(log_mean: Floats, dispersion: float) -> Floats:
    """Return the logarithm of the probability of the count 0."""
    mean = np.exp(np.clip(log_mean, LEAST_LOG_MEAN, LARGEST_LOG_MEAN))
    if dispersion == 0.0:
        return -mean
    return np.asarray(-np.log1p(dispersion * mean) / dispersion)


def derivatives(counts: Counts, log_mean: Floats, dispersion: float) -> Derivatives:
    """Return first and second derivatives of :func:`log_density`, in the same arguments.

    At dispersion 0 those by its logarithm are 0.
    """
    mean = np.exp(np.clip(log_mean, LEAST_LOG_MEAN, LARGEST_LOG_MEAN))
    a = dispersion
    product = a * mean
    inverse = 1.0 / (1.0 + product)
    residual = (counts - mean) * inverse
    ee = -mean * (1.0 + a * counts) * inverse * inverse
    if a == 0.0:
        nothing = np.zeros_like(mean)
        return Derivatives(residual, nothing, ee, nothing, nothing)
    first, second = _rising_derivatives(counts, a)
    h, slope = _remainder(product)
    share = mean * inverse
    by_a = first + mean * mean * h - counts * share
    by_aa = -second + mean**3 * slope + counts * share * share
    t = a * by_a
    return Derivatives(residual, t, ee, -residual * a * share, a * a * by_aa + t)


def _remainder(t: Floats) -> tuple[Floats, Floats]:
    """Return ``(log(1 + t) - t / (1 + t)) / t^2`` and its derivative."""
    small = t < _SMALL
    safe = np.where(small, 1.0, t)
    h = (np.log1p(safe) - safe / (1.0 + safe)) / (safe * safe)
    slope = 1.0 / (safe * (1.0 + safe) ** 2) - 2.0 * h / safe
    if small.any():
        near = t[small]
        h[small] = polyval(near, _SIGNS * (_POWERS + 1.0) / (_POWERS + 2.0))
        slope[small] = -polyval(near, _SIGNS * (_POWERS + 1.0) * (_POWERS + 2.0) / (_POWERS + 3.0))
    return h, slope


def _tabled(counts: Counts, terms: Floats) -> Floats:
    """Sum the first y terms for each count y."""
    sums = np.concatenate([[0.0], np.cumsum(terms)])
    out: Floats = sums[np.minimum(counts, len(sums) - 1)]
    return out


def _log_rising(counts: Counts, a: float) -> Floats:
    """Sum ``log(1 + a j)`` over j < y for each count y."""
    most = int(counts.max(initial=0))
    out = _tabled(counts, np.log1p(a * np.arange(min(most, _TABLED), dtype=np.float64)))
    if most > _TABLED:
        large = counts > _TABLED
        y, r = counts[large].astype(np.float64), 1.0 / a
        if r < _STIRLING:
            out[large] = gammaln(y + r) - gammaln(r) - y * np.log(r)
        else:
            end = r + y
            correction = (1.0 / end - 1.0 / r) / 12.0 - (end**-3.0 - r**-3.0) / 360.0
            out[large] = (end - 0.5) * np.log1p(a * y) - y + correction
    return out


def _rising_derivatives(counts: Counts, a: float) -> tuple[Floats, Floats]:
    """Sum ``j / (1 + a j)`` and its square over j < y for each count y."""
    most = int(counts.max(initial=0))
    j = np.arange(min(most, _TABLED), dtype=np.float64)
    terms = j / (1.0 + a * j)
    first, second = _tabled(counts, terms), _tabled(counts, terms * terms)
    if most > _TABLED:
        large = counts > _TABLED
        y = counts[large].astype(np.float64)
        exact = _by_gamma if a > 1.0 / _STIRLING else _by_integral
        first[large], second[large] = exact(y, a)
    return first, second


def _by_gamma(y: Floats, a: float) -> tuple[Floats, Floats]:
    """Return the sums of :func:`_rising_derivatives` by derivatives of the gamma function."""
    r = 1.0 / a
    psi = digamma(y + r) - digamma(r)
    psi_1 = polygamma(1, y + r) - polygamma(1, r)
    return r * (y - r * psi), r * r * (y - 2.0 * r * psi - r * r * psi_1)


def _by_integral(y: Floats, a: float) -> tuple[Floats, Floats]:
    """Return the same by Euler and Maclaurin's formula, where the dispersion is small."""
    t = a * y
    small = t < _SMALL
    safe = np.where(small, 1.0, t)
    log = np.log1p(safe)
    g = (safe - log) / safe**2
    k = (safe - 2.0 * log + safe / (1.0 + safe)) / safe**3
    if small.any():
        g[small] = polyval(t[small], _SIGNS / (_POWERS + 2.0))
        k[small] = polyval(t[small], _SIGNS * (_POWERS + 1.0) / (_POWERS + 3.0))
    end = y / (1.0 + t)
    first = y * y * g - 0.5 * end + ((1.0 + t) ** -2 - 1.0) / 12.0
    second = y**3 * k - 0.5 * end * end + y / (1.0 + t) ** 3 / 6.0
    return first, second
