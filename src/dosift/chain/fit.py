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

Floats = NDArray[np.float64]

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
    weights : ndarray, shape (n_targets,)
        Of the targets that are drawn; in the long run the share of the time that each holds.
    rate : float
        Of switching, in a typical step: the target is drawn anew in time `t` with probability
        ``1 - exp(-rate * t)``.
    sums : ChainSums
        At these.
    converged : bool
    """

    weights: Floats
    rate: float
    sums: ChainSums
    converged: bool

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
        return float(self.weights @ self.sums.entries)


def fit_chain(
    rows: ChainRows, weights: Floats, rate: float = START_RATE, *, n_cycles: int = _MOST_CYCLES
) -> ChainFit:
    """Fit weights and rate of switching by maximum likelihood.

    Parameters
    ----------
    rows : ChainRows
    weights : ndarray, shape (n_targets,)
        To begin with; positive, summing to one.
    rate : float, default=0.05
        To begin with.
    n_cycles : int, default=200
        Bound on the cycles of two steps and an extrapolation, for a fit that may be rough.

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
    exposures = _Exposures.of(rows)
    theta = _packed(np.maximum(weights, LEAST_WEIGHT), rate)
    sums = sum_chain(rows, *_unpacked(theta))
    for _ in range(n_cycles):
        one = _step(theta, sums, exposures)
        if _distance(theta, one, sums) < _CLOSE:
            return ChainFit(*_unpacked(theta), sums, True)
        middle = sum_chain(rows, *_unpacked(one))
        two = _step(one, middle, exposures)
        theta, sums = _extrapolated(rows, theta, one, two, middle)
    return ChainFit(*_unpacked(theta), sums, False)


def _extrapolated(
    rows: ChainRows, theta: Floats, one: Floats, two: Floats, middle: ChainSums
) -> tuple[Floats, ChainSums]:
    """Go on in the direction of two steps as far as their shrinking suggests."""
    change, bend = one - theta, two - 2.0 * one + theta
    size = float(np.linalg.norm(bend))
    length = 1.0 if size == 0 else float(np.linalg.norm(change)) / size
    if length > 1.0:
        far = _bounded(theta + 2.0 * length * change + length**2 * bend)
        found = sum_chain(rows, *_unpacked(far))
        if found.log_likelihood >= middle.log_likelihood:
            return far, found
    return two, sum_chain(rows, *_unpacked(two))


def _packed(weights: Floats, rate: float) -> Floats:
    logs = np.log(weights / weights.sum())
    return _bounded(np.append(logs, np.log(rate)))


def _bounded(theta: Floats) -> Floats:
    weights = np.exp(theta[:-1] - theta[:-1].max())
    weights = np.maximum(weights / weights.sum(), LEAST_WEIGHT)
    rate = np.clip(theta[-1], np.log(LEAST_RATE), np.log(LARGEST_RATE))
    return np.append(np.log(weights / weights.sum()), rate)


def _unpacked(theta: Floats) -> tuple[Floats, float]:
    return np.exp(theta[:-1]), float(np.exp(theta[-1]))


def _distance(theta: Floats, one: Floats, sums: ChainSums) -> float:
    """Squared length of a step, in units of what complete rows would tell."""
    weights, _ = _unpacked(theta)
    drawn = float(weights @ sums.entries)
    moved = _unpacked(one)[0] - weights
    return drawn * float((moved**2 / weights).sum()) + drawn * float((one[-1] - theta[-1]) ** 2)


@dataclass(frozen=True)
class _Exposures:
    """Distinct times between rows of the same chain, and the place of each step among them."""

    times: Floats
    place: NDArray[np.int64]
    inside: NDArray[np.bool_]
    numbers: Floats

    @classmethod
    def of(cls, rows: ChainRows) -> _Exposures:
        inside = np.isfinite(rows.exposure) & (rows.exposure > 0)
        times, place = np.unique(rows.exposure[inside], return_inverse=True)
        numbers = np.bincount(place, minlength=times.size).astype(np.float64)
        return cls(times, place, inside, numbers)


def _step(theta: Floats, sums: ChainSums, exposures: _Exposures) -> Floats:
    """Do the M step."""
    weights, rate = _unpacked(theta)
    drawn = np.maximum(weights * sums.entries, 0.0)
    logs = np.log(np.maximum(drawn / drawn.sum(), LEAST_WEIGHT))
    if not exposures.times.size:  # every row is a chain of its own
        return _bounded(np.append(logs, theta[-1]))
    switched = np.bincount(
        exposures.place, sums.switched[exposures.inside], exposures.times.size
    ).astype(np.float64)
    return _bounded(np.append(logs, np.log(_best_rate(rate, exposures, switched))))


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
