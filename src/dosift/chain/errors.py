"""How sure the weights and the rate of switching of a chain are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from dosift.chain.fit import LARGEST_RATE, LEAST_RATE, ChainFit
from dosift.chain.rows import ChainRows
from dosift.chain.smooth import ChainSums, sum_chain
from dosift.model.arrays import Bools, Floats

#: Step of the differences, in logarithms of weights and rate.
_STEP = 1e-4
#: Factor about the bounds of rates within which they are not told apart from the bounds.
_NEAR = 3.0
#: Expected draws of a target below which its weight is at its bound, zero.
_FEW_DRAWS = 0.5


@dataclass(frozen=True)
class ChainErrors:
    """Standard errors from the observed information.

    Attributes
    ----------
    log_ratios : ndarray, shape (n_batches, n_targets, n_targets)
        Covariance of the logarithms of the weights relative to the largest one of each batch. It
        takes into account that rows of one stretch are one draw.
    log_rate : float
        Of the logarithm of the rate; infinite where the rows do not bound it on both sides.
    widening : float
        The variance of that, over what it were if the weights were known and every row counted in
        full; at least one.
    fall : ndarray, shape (n_batches, n_targets)
        For weights at zero, by what the log-likelihood falls with each; zero for the others.
    known : ndarray, shape (n_batches, n_targets)
        Weights that were given; NaN for the others.
    """

    log_ratios: Floats
    log_rate: float
    widening: float
    fall: Floats
    known: Floats

    def draw(self, weights: Floats, n_draws: int, rng: np.random.Generator) -> Floats:
        """Draw weights from their posterior.

        Those above zero are normal in the logarithms of their ratios, those at zero exponential.

        Parameters
        ----------
        weights : ndarray, shape (n_targets,) or (n_batches, n_targets)
            As fitted.
        n_draws : int
        rng : numpy.random.Generator

        Returns
        -------
        ndarray, shape (n_batches, n_draws, n_targets)
        """
        own = np.atleast_2d(weights)
        return np.array([self._drawn(b, one, n_draws, rng) for b, one in enumerate(own)])

    def _drawn(self, b: int, weights: Floats, n: int, rng: np.random.Generator) -> Floats:
        values, vectors = np.linalg.eigh(self.log_ratios[b])
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        normal = rng.standard_normal((n, weights.size)) @ root.T
        with np.errstate(divide="ignore"):
            logs = np.log(weights) + normal
        inside = self._inside(b)
        drawn = np.where(inside, np.exp(logs - logs.max(axis=1, keepdims=True)), 0.0)
        known, fall = self.known[b], self.fall[b]
        given = np.where(np.isnan(known), 0.0, known)
        small = rng.standard_exponential((n, weights.size)) / np.where(fall > 0, fall, np.inf)
        # What is given and what is at zero leave the rest to the others.
        rest = np.maximum(1.0 - given.sum() - small.sum(axis=1, keepdims=True), 0.0)
        total = drawn.sum(axis=1, keepdims=True)
        out = given + small + drawn * rest / np.where(total > 0, total, 1.0)
        return np.asarray(out / out.sum(axis=1, keepdims=True))

    def _inside(self, b: int) -> Bools:
        """Targets whose weights are free and above zero."""
        return np.asarray(np.isnan(self.known[b]) & (self.fall[b] == 0))

    def of_weights(self, weights: Floats) -> Floats:
        """Return the standard errors of the weights.

        Parameters
        ----------
        weights : ndarray, shape (n_targets,) or (n_batches, n_targets)
            As fitted.

        Returns
        -------
        ndarray, of the same shape
        """
        out = np.empty(np.atleast_2d(weights).shape)
        for b, one in enumerate(np.atleast_2d(weights)):
            own = np.where(self._inside(b), one, 0.0)
            turn = np.diag(own) - np.outer(own, own) / max(float(own.sum()), 1e-300)
            variance = np.einsum("ij,jk,ik->i", turn, self.log_ratios[b], turn)
            fall = self.fall[b]
            variance += np.where(fall > 0, 1.0 / np.square(np.where(fall > 0, fall, 1.0)), 0.0)
            out[b] = np.sqrt(np.maximum(variance, 0.0))
        return out.reshape(weights.shape)


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


def chain_errors(rows: ChainRows, fit: ChainFit, power: float = 1.0) -> ChainErrors:
    """Find standard errors of a fit, weights and rate together.

    Parameters
    ----------
    rows : ChainRows
    fit : ChainFit
        A maximum of the likelihood.
    power : float, default=1
        What each row counts for.

    Returns
    -------
    ChainErrors

    Notes
    -----
    The score is exact (it is what the E step expects), and is differenced once; as many passes
    over the rows as there are parameters.
    """
    weights, known = np.atleast_2d(fit.weights), np.atleast_2d(fit.known)
    entries = np.atleast_2d(fit.sums.entries)
    fall = _falls(weights, entries, known)
    inside = np.isnan(known) & (fall == 0)
    # The largest weight of a batch is what is left over by the others.
    rest = inside.copy()
    rest[np.arange(len(weights)), np.where(inside, weights, -1.0).argmax(axis=1)] = False
    moved = np.argwhere(rest)
    is_bounded = LEAST_RATE * _NEAR < fit.rate < LARGEST_RATE / _NEAR
    n_free = len(moved) + is_bounded
    log_ratios = np.zeros((len(weights), weights.shape[1], weights.shape[1]))
    fall = fall * power
    if not n_free:
        return ChainErrors(log_ratios, np.inf, 1.0 / power, fall, known)
    base = _score(weights, fit.sums, inside)[rest]
    base = np.append(base, _rate_score(rows, fit.rate, fit.sums))
    information = np.empty((n_free, n_free))
    for k in range(n_free):
        own, rate = weights.copy(), fit.rate
        if k < len(moved):
            b, j = moved[k]
            own[b, j] *= np.exp(_STEP)
            total = weights[b, inside[b]].sum()
            own[b, inside[b]] *= total / own[b, inside[b]].sum()
        else:
            rate *= float(np.exp(_STEP))
        sums = sum_chain(rows, own.reshape(fit.weights.shape), rate)
        score = np.append(_score(own, sums, inside)[rest], _rate_score(rows, rate, sums))
        information[k] = (base - score)[:n_free] / _STEP
    information = 0.5 * (information + information.T) * power
    # Directions of which the rows say nothing would have no error at all in a plain inverse.
    values, vectors = np.linalg.eigh(information)
    values = np.maximum(values, 1e-9 * max(float(values.max()), 1e-9))
    covariance = (vectors / values) @ vectors.T
    for b in range(len(weights)):
        at, own_targets = np.flatnonzero(moved[:, 0] == b), moved[moved[:, 0] == b, 1]
        log_ratios[b][np.ix_(own_targets, own_targets)] = covariance[np.ix_(at, at)]
    if not is_bounded:
        return ChainErrors(log_ratios, np.inf, 1.0 / power, fall, known)
    variance = float(covariance[-1, -1])
    widening = max(variance * information[-1, -1], 1.0) / power
    return ChainErrors(log_ratios, float(np.sqrt(variance)), widening, fall, known)


def _falls(weights: Floats, entries: Floats, known: Floats) -> Floats:
    """By what the log-likelihood falls with each weight at zero."""
    free = np.isnan(known)
    own = np.where(free, weights, 0.0)
    share = own.sum(axis=1, keepdims=True)
    drawn = (own * entries).sum(axis=1, keepdims=True) / np.where(share > 0, share, 1.0)
    fall = drawn - entries
    is_few = free & (weights * entries < _FEW_DRAWS) & (fall > 0)
    # One that is all that is free is not at zero, whatever it is.
    is_few &= weights < own.max(axis=1, keepdims=True)
    return np.where(is_few, fall, 0.0)


def _score(weights: Floats, sums: ChainSums, inside: Bools) -> Floats:
    """Differentiate the log-likelihood by logarithms of ratios of weights."""
    drawn = np.where(inside, weights * np.atleast_2d(sums.entries), 0.0)
    own = np.where(inside, weights, 0.0)
    total = own.sum(axis=1, keepdims=True)
    shares = own / np.where(total > 0, total, 1.0)
    return np.asarray(drawn - shares * drawn.sum(axis=1, keepdims=True))


def _rate_score(rows: ChainRows, rate: float, sums: ChainSums) -> float:
    """Differentiate the log-likelihood by the logarithm of the rate."""
    inside = np.isfinite(rows.exposure) & (rows.exposure > 0)
    u = rate * rows.exposure[inside]
    switched = sums.switched[inside]
    odds = np.where(u < 500.0, u / np.expm1(np.minimum(u, 500.0)), 0.0)
    return float(switched @ odds - (1.0 - switched) @ u)


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
        return Interval(0.0, 0.0, float(-np.log(tail)) * errors.widening / time)
    fall = 0.5 * float(ndtri(tail)) ** 2 * errors.widening

    def above(log_rate: float) -> float:
        found = sum_chain(rows, fit.weights, float(np.exp(log_rate)))
        return found.log_likelihood - fit.log_likelihood + fall

    at = float(np.log(fit.rate))
    low, high = float(np.log(LEAST_RATE)), float(np.log(LARGEST_RATE))
    first = 0.0 if above(low) >= 0 else float(np.exp(brentq(above, low, at, xtol=1e-4)))
    last = np.inf if above(high) >= 0 else float(np.exp(brentq(above, at, high, xtol=1e-4)))
    return Interval(fit.rate, first, last)
