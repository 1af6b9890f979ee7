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
    log_ratios : ndarray, shape (n_targets, n_targets)
        Covariance of the logarithms of the weights relative to the largest one. It takes into
        account that rows of one stretch are one draw.
    log_rate : float
        Of the logarithm of the rate; infinite where the rows do not bound it on both sides.
    widening : float
        The variance of that, over what it were if the weights were known; at least one.
    """

    log_ratios: Floats
    log_rate: float
    widening: float = 1.0

    def draw(self, weights: Floats, n_draws: int, rng: np.random.Generator) -> Floats:
        """Draw weights from their posterior, normal in the logarithms of their ratios.

        Parameters
        ----------
        weights : ndarray, shape (n_targets,)
            As fitted.
        n_draws : int
        rng : numpy.random.Generator

        Returns
        -------
        ndarray, shape (n_draws, n_targets)
        """
        values, vectors = np.linalg.eigh(self.log_ratios)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        logs = np.log(weights) + rng.standard_normal((n_draws, weights.size)) @ root.T
        drawn = np.exp(logs - logs.max(axis=1, keepdims=True))
        return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))

    def of_weights(self, weights: Floats) -> Floats:
        """Return the standard errors of the weights, shape (n_targets,).

        Parameters
        ----------
        weights : ndarray, shape (n_targets,)
            As fitted.
        """
        turn = np.diag(weights) - np.outer(weights, weights)
        variance = np.einsum("ij,jk,ik->i", turn, self.log_ratios, turn)
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


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
    own = np.zeros((m, m))
    own[np.ix_(rest, rest)] = covariance[: m - 1, : m - 1]
    if not is_bounded:
        return ChainErrors(own, np.inf)
    variance = float(covariance[-1, -1])
    return ChainErrors(own, float(np.sqrt(variance)), max(variance * information[-1, -1], 1.0))


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
        Rates at which the likelihood has not fallen by more than the tails are worth, widened by
        what the weights' own errors add. It begins at zero or has no end where the rows do not
        tell; where no switch is seen, its end is the rate under which none is as improbable as a
        tail.
    """
    inside = np.isfinite(rows.exposure)
    time = float(rows.exposure[inside].sum())
    tail = 0.5 * (1.0 - level)
    if time == 0:
        return Interval(fit.rate, 0.0, np.inf)
    if fit.rate < LEAST_RATE * _NEAR:
        return Interval(0.0, 0.0, float(-np.log(tail)) / time)
    fall = 0.5 * float(ndtri(tail)) ** 2 * errors.widening

    def above(log_rate: float) -> float:
        found = sum_chain(rows, fit.weights, float(np.exp(log_rate)))
        return found.log_likelihood - fit.log_likelihood + fall

    at = float(np.log(fit.rate))
    low, high = float(np.log(LEAST_RATE)), float(np.log(LARGEST_RATE))
    first = 0.0 if above(low) >= 0 else float(np.exp(brentq(above, low, at, xtol=1e-4)))
    last = np.inf if above(high) >= 0 else float(np.exp(brentq(above, at, high, xtol=1e-4)))
    return Interval(fit.rate, first, last)
