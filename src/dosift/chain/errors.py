"""How sure the weights and the rate of switching of a chain are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri

from dosift.chain.fit import LARGEST_RATE, LEAST_RATE, ChainFit
from dosift.chain.rows import ChainRows
from dosift.chain.smooth import ChainSums, sum_chain

Floats = NDArray[np.float64]

#: Step of the differences, in logarithms of weights and rate.
_STEP = 1e-4
#: Factor about the bounds of rates within which they are not told apart from the bounds.
_NEAR = 3.0


@dataclass(frozen=True)
class ChainErrors:
    """Standard errors from the observed information.

    Attributes
    ----------
    covariance : ndarray, shape (n_targets, n_targets)
        Of the weights. It takes into account that rows of one stretch are one draw.
    log_rate : float
        Of the logarithm of the rate; infinite where the rows do not bound it on both sides.
    """

    covariance: Floats
    log_rate: float

    @property
    def weights(self) -> Floats:
        """Standard errors of the weights, shape (n_targets,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))


@dataclass(frozen=True)
class Interval:
    """A number between two others.

    Attributes
    ----------
    value, low, high : float
    """

    value: float
    low: float
    high: float


def chain_errors(rows: ChainRows, fit: ChainFit) -> ChainErrors:
    """Find standard errors of a fit, weights and rate together.

    Parameters
    ----------
    rows : ChainRows
    fit : ChainFit
        A maximum of the likelihood.

    Returns
    -------
    ChainErrors

    Notes
    -----
    The score is exact (it is what the E step expects), and is differenced once; as many passes
    over the rows as there are parameters.
    """
    logs, m = np.log(fit.weights), fit.weights.size
    is_bounded = LEAST_RATE * _NEAR < fit.rate < LARGEST_RATE / _NEAR
    free = m - 1 + is_bounded
    if not free:
        return ChainErrors(np.zeros((m, m)), np.inf)
    # The largest weight is what is left over by the others.
    last = int(fit.weights.argmax())
    rest = np.delete(np.arange(m), last)
    base = _score(rows, fit.weights, fit.rate, fit.sums, rest)
    information = np.empty((free, free))
    for k in range(free):
        moved, rate = logs.copy(), fit.rate
        if k < m - 1:
            moved[rest[k]] += _STEP
        else:
            rate *= float(np.exp(_STEP))
        weights = np.exp(moved)
        weights /= weights.sum()
        score = _score(rows, weights, rate, sum_chain(rows, weights, rate), rest)
        information[k] = (base - score)[:free] / _STEP
    information = 0.5 * (information + information.T)
    # Directions of which the rows say nothing would have no error at all in a plain inverse.
    values, vectors = np.linalg.eigh(information)
    values = np.maximum(values, 1e-9 * max(float(values.max()), 1e-9))
    covariance = (vectors / values) @ vectors.T
    # From log-ratios with the last weight to weights.
    turn = -np.outer(fit.weights, fit.weights[rest])
    turn[rest, np.arange(m - 1)] += fit.weights[rest]
    own = turn @ covariance[: m - 1, : m - 1] @ turn.T
    log_rate = float(np.sqrt(covariance[-1, -1])) if is_bounded else np.inf
    return ChainErrors(own, log_rate)


def _score(
    rows: ChainRows, weights: Floats, rate: float, sums: ChainSums, rest: NDArray[np.int64]
) -> Floats:
    """Differentiate the log-likelihood by log-ratios of weights, and by the log of the rate."""
    drawn = weights * sums.entries
    by_weight = drawn[rest] - weights[rest] * drawn.sum()
    inside = np.isfinite(rows.exposure) & (rows.exposure > 0)
    u = rate * rows.exposure[inside]
    switched = sums.switched[inside]
    odds = np.where(u < 500.0, u / np.expm1(np.minimum(u, 500.0)), 0.0)
    return np.append(by_weight, switched @ odds - (1.0 - switched) @ u)


def rate_interval(rows: ChainRows, fit: ChainFit, errors: ChainErrors, level: float) -> Interval:
    """Interval of the rate of switching, in a typical step.

    Parameters
    ----------
    rows : ChainRows
    fit : ChainFit
    errors : ChainErrors
    level : float
        In (0, 1).

    Returns
    -------
    Interval
        Normal in the logarithm of the rate. Where no switch is seen it goes from zero to the rate
        under which none is as improbable as the tail; where every step may be one, from where the
        likelihood has fallen as far as at the end of such an interval, to infinity.
    """
    inside = np.isfinite(rows.exposure)
    time = float(rows.exposure[inside].sum())
    tail = 0.5 * (1.0 - level)
    if not np.isfinite(errors.log_rate):
        if fit.rate < 1.0:
            return Interval(0.0, 0.0, float(-np.log(tail) / time) if time > 0 else np.inf)
        return Interval(fit.rate, _lower_end(rows, fit, tail) if time > 0 else 0.0, np.inf)
    half = float(-ndtri(tail)) * errors.log_rate
    return Interval(fit.rate, fit.rate * float(np.exp(-half)), fit.rate * float(np.exp(half)))


def _lower_end(rows: ChainRows, fit: ChainFit, tail: float) -> float:
    """Rate below the fitted one at which the likelihood has fallen by what a tail is worth."""
    wanted = fit.log_likelihood - 0.5 * float(ndtri(tail)) ** 2

    def above(log_rate: float) -> float:
        found = sum_chain(rows, fit.weights, float(np.exp(log_rate)))
        return found.log_likelihood - wanted

    low, high = float(np.log(LEAST_RATE)), float(np.log(fit.rate))
    if above(low) >= 0:
        return 0.0
    return float(np.exp(brentq(above, low, high, xtol=1e-3)))
