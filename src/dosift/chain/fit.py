"""Weights and rate of switching of a chain, by maximum likelihood.

EM with squared extrapolation. What the E step expects is the likelihood's exact gradient, and the
fit stops when that is small beside what the rows can tell, not on a small change.

Source: L. E. Baum et al., "A maximization technique occurring in the statistical analysis of
probabilistic functions of Markov chains", Ann. Math. Statist. 41 (1970); R. Varadhan and C. Roland,
"Simple and globally convergent methods for accelerating the convergence of any EM algorithm",
Scand. J. Statist. 35 (2008).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.chain.rows import ChainRows
from dosift.chain.smooth import ChainSums, sum_chain
from dosift.model.arrays import Bools, Floats

#: Rates of switching that are told apart from "never" and "always", in a typical step.
LEAST_RATE, LARGEST_RATE = 1e-9, 15.0
#: Weights are not followed below this.
LEAST_WEIGHT = 1e-9
#: Squared distance to the optimum, in units of standard errors, at which a fit has converged.
_CLOSE = 1e-7
_MOST_CYCLES = 200
#: Of a fit that is given no rate: one switch in twenty rows.
START_RATE = 0.05
_MOST_NEWTON = 60


@dataclass(frozen=True)
class ChainFit:
    """A chain that was fitted.

    Attributes
    ----------
    weights : ndarray, shape (n_targets,) or (n_batches, n_targets)
        Of the targets that are drawn; in the long run the share of the time that each holds.
    rate : float
        Of switching, in a typical step: the target is drawn anew in time `t` with probability
        ``1 - exp(-rate * t)``.
    sums : ChainSums
        At these.
    converged : bool
    known : ndarray, of the shape of the weights
        Weights that were given, zero for targets that do not occur; NaN for those that were fitted.
    """

    weights: Floats
    rate: float
    sums: ChainSums
    converged: bool
    known: Floats

    @property
    def log_likelihood(self) -> float:
        """Of all rows, in nats."""
        return self.sums.log_likelihood

    @property
    def switching(self) -> float:
        """Probability that the target is drawn anew in a typical step."""
        return float(-np.expm1(-self.rate))

    @property
    def n_drawn(self) -> float:
        """Expected number of times that a target was drawn."""
        return float((self.weights * self.sums.entries).sum())

    def of_batch(self, rows: ChainRows, batch: int) -> ChainFit:
        """Return the fit in one batch, to the targets that occur there.

        Parameters
        ----------
        rows : ChainRows
            Of this batch, with these targets.
        batch : int
        """
        is_there = self.weights[batch] > 0
        weights, known = self.weights[batch, is_there], self.known[batch, is_there]
        sums = sum_chain(rows, weights, self.rate)
        return ChainFit(weights, self.rate, sums, self.converged, known)

    def only(self, targets: Bools) -> tuple[Floats, Floats]:
        """Return weights with which a fit to some of the targets begins, and the known ones.

        Parameters
        ----------
        targets : ndarray of bool, shape (n_targets,)

        Returns
        -------
        weights, known : ndarray, shape (n_kept,) or (n_batches, n_kept)
        """
        known = self.known[..., targets]
        return on_simplex(self.weights[..., targets], known), known


def on_simplex(weights: Floats, known: Floats) -> Floats:
    """Let weights sum to one, beside those that are known.

    Parameters
    ----------
    weights : ndarray, shape (n_targets,) or (n_batches, n_targets)
    known : ndarray, of the same shape
        NaN where weights are free.

    Returns
    -------
    ndarray, of the same shape
        No free weight is smaller than ``LEAST_WEIGHT``.

    Examples
    --------
    >>> on_simplex(np.array([1.0, 1.0, 9.0]), np.array([np.nan, np.nan, 0.4])).tolist()
    [0.3, 0.3, 0.4]
    """
    free = np.isnan(known)
    rest = 1.0 - np.nansum(known, axis=-1, keepdims=True)
    own = np.where(free, np.maximum(weights, 0.0), 0.0)
    total = own.sum(axis=-1, keepdims=True)
    own = np.where(free, np.maximum(own / np.where(total > 0, total, 1.0), LEAST_WEIGHT), 0.0)
    total = own.sum(axis=-1, keepdims=True)
    own *= rest / np.where(total > 0, total, 1.0)
    return np.asarray(np.where(free, own, known))


def fit_chain(
    rows: ChainRows,
    weights: Floats,
    rate: float = START_RATE,
    *,
    n_cycles: int = _MOST_CYCLES,
    known: Floats | None = None,
) -> ChainFit:
    """Fit weights and rate of switching by maximum likelihood.

    Parameters
    ----------
    rows : ChainRows
    weights : ndarray, shape (n_targets,) or (n_batches, n_targets)
        To begin with; summing to one (in each batch). Those of zero stay so.
    rate : float, default=0.05
        To begin with.
    n_cycles : int, default=200
        Bound on the cycles of two steps and an extrapolation, for a fit that may be rough.
    known : ndarray, of the shape of the weights, optional
        Weights that are given; NaN where they are free.

    Returns
    -------
    ChainFit

    Examples
    --------
    >>> seen = np.repeat([0, 1, 0, 1], 25)
    >>> exposure = np.r_[np.inf, np.ones(99)]
    >>> rows = ChainRows.of(np.array([[0.9, 0.1], [0.1, 0.9]]), seen, exposure)
    >>> found = fit_chain(rows, np.array([0.5, 0.5]))
    >>> 0.02 < found.switching < 0.1
    True
    """
    nothing = np.where(weights > 0, np.nan, 0.0)
    space = _Space(nothing if known is None else known)
    exposures = _Exposures.of(rows)
    theta = space.packed(weights, rate)
    sums = sum_chain(rows, *space.unpacked(theta))
    for _ in range(n_cycles):
        one = _step(space, theta, sums, exposures)
        if _distance(space, theta, one, sums) < _CLOSE:
            return ChainFit(*space.unpacked(theta), sums, True, space.known)
        middle = sum_chain(rows, *space.unpacked(one))
        two = _step(space, one, middle, exposures)
        theta, sums = _extrapolated(rows, space, theta, one, two, middle)
    return ChainFit(*space.unpacked(theta), sums, False, space.known)


@dataclass(frozen=True)
class _Space:
    """Weights that are free, and the rate, as one array of logarithms."""

    known: Floats

    @property
    def free(self) -> Bools:
        return np.asarray(np.isnan(self.known))

    def packed(self, weights: Floats, rate: float) -> Floats:
        own = on_simplex(weights, self.known)[self.free]
        log_rate = np.clip(np.log(rate), np.log(LEAST_RATE), np.log(LARGEST_RATE))
        return np.append(np.log(own), log_rate)

    def unpacked(self, theta: Floats) -> tuple[Floats, float]:
        weights = self.known.copy()
        weights[self.free] = np.exp(theta[:-1])
        return weights, float(np.exp(theta[-1]))

    def bounded(self, theta: Floats) -> Floats:
        logs = np.full(self.known.shape, -np.inf)
        logs[self.free] = theta[:-1]
        # A batch in which nothing is free has no largest.
        largest = np.maximum(logs.max(axis=-1, keepdims=True), -1e300)
        rate = np.exp(np.clip(theta[-1], np.log(LEAST_RATE), np.log(LARGEST_RATE)))
        return self.packed(np.exp(logs - largest), float(rate))


def _extrapolated(
    rows: ChainRows, space: _Space, theta: Floats, one: Floats, two: Floats, middle: ChainSums
) -> tuple[Floats, ChainSums]:
    """Go on in the direction of two steps as far as their shrinking suggests."""
    change, bend = one - theta, two - 2.0 * one + theta
    size = float(np.linalg.norm(bend))
    length = 1.0 if size == 0 else float(np.linalg.norm(change)) / size
    if length > 1.0:
        far = space.bounded(theta + 2.0 * length * change + length**2 * bend)
        found = sum_chain(rows, *space.unpacked(far))
        if found.log_likelihood >= middle.log_likelihood:
            return far, found
    return two, sum_chain(rows, *space.unpacked(two))


def _distance(space: _Space, theta: Floats, one: Floats, sums: ChainSums) -> float:
    """Squared length of a step, in units of what complete rows would tell."""
    weights, _ = space.unpacked(theta)
    drawn = np.broadcast_to((weights * sums.entries).sum(axis=-1, keepdims=True), weights.shape)
    free = space.free
    moved = (space.unpacked(one)[0] - weights)[free]
    by_weights = float((drawn[free] * moved**2 / weights[free]).sum())
    return by_weights + float((weights * sums.entries).sum()) * float((one[-1] - theta[-1]) ** 2)


@dataclass(frozen=True)
class _Exposures:
    """Distinct times between rows of the same chain, and the place of each step among them."""

    times: Floats
    place: NDArray[np.int64]
    inside: Bools
    numbers: Floats

    @classmethod
    def of(cls, rows: ChainRows) -> _Exposures:
        inside = np.isfinite(rows.exposure) & (rows.exposure > 0)
        times, place = np.unique(rows.exposure[inside], return_inverse=True)
        numbers = np.bincount(place, minlength=times.size).astype(np.float64)
        return cls(times, place, inside, numbers)


def _step(space: _Space, theta: Floats, sums: ChainSums, exposures: _Exposures) -> Floats:
    """Do the M step."""
    weights, rate = space.unpacked(theta)
    drawn = weights * sums.entries
    if exposures.times.size:  # otherwise every row is a chain of its own
        switched = np.bincount(
            exposures.place, sums.switched[exposures.inside], exposures.times.size
        ).astype(np.float64)
        rate = _best_rate(rate, exposures, switched)
    return space.packed(drawn, rate)


def _best_rate(rate: float, exposures: _Exposures, switched: Floats) -> float:
    """Rate under which so many switches are most probable.

    The sum of ``switched * log(1 - exp(-rate * t)) - (n - switched) * rate * t`` is concave in the
    rate; its derivative is solved for zero by Newton's step in the logarithm, kept in bounds.
    """
    t, held = exposures.times, exposures.numbers - switched
    low, high = np.log(LEAST_RATE), np.log(LARGEST_RATE)
    x = float(np.clip(np.log(rate), low, high))
    for _ in range(_MOST_NEWTON):
        u = np.exp(x) * t
        # u / (exp(u) - 1), which goes to 1 and to 0.
        odds = np.where(u < 500.0, u / np.expm1(np.minimum(u, 500.0)), 0.0)
        slope = float(switched @ odds - held @ u)
        if slope > 0:
            low = x
        else:
            high = x
        curve = float(switched @ (odds * (1.0 - u - odds)) - held @ u)
        new = x - slope / curve if curve < 0 else 0.5 * (low + high)
        if not low < new < high:
            new = 0.5 * (low + high)
        if abs(new - x) < 1e-12:
            break
        x = new
    return float(np.exp(x))
