"""The noise that the residuals of control rows ask for.

One normal distribution; two or three of the same mean, which make heavy tails; or two with means of
their own. Chosen by the Bayesian information criterion.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dosift.model.mechanism import Floats
from dosift.model.noise import Noise

#: Residuals are summed up by so many points, of which so many at each end stand for one row each.
_POINTS, _ENDS = 400, 60
#: Standard errors of skewness and kurtosis within which residuals are taken for normal ones.
_NEARLY_NORMAL = 2.0
#: Steps of EM, and the rise of the log-likelihood that ends it.
_STEPS, _RISE = 150, 1e-3
#: Spread of the mean, in standard deviations of the column, below which no width follows it.
LEAST_AXIS = 0.02
#: Steps of Newton's method for the slope of the width.
_SLOPE_STEPS = 8
#: Nats beyond the criterion by which more parts have to be better.
_CLEARLY = 2.0


def summed_up(residuals: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Let few points stand for many residuals.

    Parameters
    ----------
    residuals, weights : ndarray, shape (n_rows,)

    Returns
    -------
    points, weights : ndarray, shape (n_points,)
        Ascending. Those at the ends are single residuals, others the mean of neighbours.

    Examples
    --------
    >>> points, weights = summed_up(np.arange(10_000.0), np.ones(10_000))
    >>> points.size, points[:2].tolist(), float(weights.sum())
    (400, [0.0, 1.0], 10000.0)
    """
    order = np.argsort(residuals, kind="stable")
    residuals, weights = residuals[order], weights[order]
    n = residuals.size
    if n <= _POINTS:
        return residuals, weights
    inner = np.linspace(_ENDS, n - _ENDS, _POINTS - 2 * _ENDS + 1).astype(np.int64)[:-1]
    starts = np.concatenate([np.arange(_ENDS), inner, np.arange(n - _ENDS, n)])
    mass = np.add.reduceat(weights, starts)
    kept = mass > 0
    points = np.add.reduceat(residuals * weights, starts)[kept] / mass[kept]
    return points, mass[kept]


def log_likelihood_of_residuals(residuals: Floats, weights: Floats) -> float:
    """Log-likelihood of residuals under the noise that they ask for, less what it costs.

    Parameters
    ----------
    residuals : ndarray, shape (n_rows,)
    weights : ndarray, shape (n_rows,)

    Returns
    -------
    float
        Relative to the best normal distribution's cost.

    Examples
    --------
    >>> round(log_likelihood_of_residuals(np.array([-1.0, 1.0]), np.ones(2)), 3)
    -2.838
    """
    return _chosen(residuals, weights)[1]


def slope_of_width(residuals: Floats, along: Floats, weights: Floats) -> float:
    """Fit by how much the logarithm of the residuals' width rises along an axis.

    Parameters
    ----------
    residuals : ndarray, shape (n_rows,)
    along : ndarray, shape (n_rows,)
        Position of each row, of mean 0 and standard deviation 1.
    weights : ndarray, shape (n_rows,)

    Returns
    -------
    float
        0 unless it is clearly another one.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> along = rng.normal(size=4000)
    >>> residuals = rng.normal(size=4000) * np.exp(0.3 * along)
    >>> round(slope_of_width(residuals, along, np.ones(4000)), 1)
    0.3
    >>> slope_of_width(rng.normal(size=4000), along, np.ones(4000))
    0.0
    """
    number, square = float(weights.sum()), np.square(residuals)
    mean = float(weights @ square) / number if number > 0 else 0.0
    if mean <= 0.0:
        return 0.0
    away = square / mean - 1.0
    pull = weights * away * along
    # The score test of no slope, whatever the fourth moment.
    evidence = float(pull.sum()) ** 2 / max(float((pull * away) @ along), 1e-300)
    if evidence < np.log(max(number, 2.0)) + 2.0 * _CLEARLY:
        return 0.0
    slope = 0.0
    for _ in range(_SLOPE_STEPS):
        shared = weights * square * np.exp(-2.0 * slope * along)
        shared /= shared.sum()
        first, second = float(shared @ along), float(shared @ np.square(along))
        step = (number * first - float(weights @ along)) / number
        slope += float(np.clip(step / max(2.0 * (second - first**2), 1.0), -0.3, 0.3))
    return slope


def choose_noise(residuals: Floats, weights: Floats) -> Noise:
    """Choose the noise of a regression by its residuals.

    Parameters
    ----------
    residuals : ndarray, shape (n_rows,)
    weights : ndarray, shape (n_rows,)

    Returns
    -------
    Noise

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> choose_noise(rng.normal(size=2000), np.ones(2000)).n_parts
    1
    >>> choose_noise(rng.standard_t(3, size=2000), np.ones(2000)).n_parts > 1
    True
    """
    return _chosen(residuals, weights)[0]


def _chosen(residuals: Floats, weights: Floats) -> tuple[Noise, float]:
    """Return the best noise, and its log-likelihood less the cost of parameters beyond one."""
    number = float(weights.sum())
    variance = float(weights @ np.square(residuals)) / number if number > 0 else 0.0
    sd = max(float(np.sqrt(variance)), float(np.finfo(np.float64).tiny) ** 0.5)
    best = Noise.normal(1.0)
    most = -0.5 * number * (float(np.log(2.0 * np.pi)) + 1.0) + _CLEARLY
    if not _is_nearly_normal(residuals, weights):
        points, mass = summed_up(residuals / sd, weights)
        for start in _starts(points, mass):
            found, log = _em(start, points, mass)
            score = log - 0.5 * (found.n_free - 1) * float(np.log(number))
            if score > most:
                best, most = found, score
    score = most - _CLEARLY * (best.n_parts == 1) - number * float(np.log(sd))
    return replace(best.scaled(sd), expected=sd), score


def _starts(points: Floats, mass: Floats) -> list[Noise]:
    """Noises from which EM starts."""
    zeros = np.zeros(3)
    starts = [
        Noise(np.array([0.7, 0.3]), zeros[:2], np.array([0.6, 1.6])),
        Noise(np.array([0.95, 0.05]), zeros[:2], np.array([0.8, 4.0])),
        Noise(np.array([0.5, 0.4, 0.1]), zeros, np.array([0.4, 1.0, 2.5])),
    ]
    total = np.cumsum(mass) / mass.sum()
    for share in (0.1, 0.5, 0.9):
        low = total <= share
        groups = (low, ~low) if share >= 0.5 else (~low, low)
        if not all(group.any() for group in groups):
            continue
        means = [float(np.average(points[group], weights=mass[group])) for group in groups]
        shares = np.array([mass[group].sum() for group in groups]) / mass.sum()
        apart = np.array([0.0, means[1] - means[0]])
        starts.append(Noise(shares, apart, np.full(2, 0.5), has_means=True))
    return starts


def _em(noise: Noise, points: Floats, mass: Floats) -> tuple[Noise, float]:
    """Fit a noise and an intercept; the noise, and the log-likelihood."""
    centre, before, log = -noise.mean, -np.inf, -np.inf
    for _ in range(_STEPS):
        residual = points - centre
        logs = -0.5 * np.square((residual[:, None] - noise.means) / noise.sds)
        logs += np.log(noise.shares / noise.sds)
        most = logs.max(axis=1)
        parts = np.exp(logs - most[:, None])
        sums = parts.sum(axis=1)
        log = float(mass @ (np.log(sums) + most))
        if log - before < _RISE:
            break
        before = log
        parts *= (mass / sums)[:, None]
        numbers, precision = parts.sum(axis=0), 1.0 / np.square(noise.sds)
        first = residual @ parts
        move = float(precision @ (first - noise.means * numbers) / (precision @ numbers))
        square = np.square(residual) @ parts - 2.0 * move * first + move**2 * numbers
        first -= move * numbers
        products = np.stack([square, first, first, numbers], axis=1).reshape(-1, 2, 2)
        centre, noise = centre + move, noise.fitted(products, numbers)
    return noise, log - 0.5 * float(mass.sum()) * float(np.log(2.0 * np.pi))


def _is_nearly_normal(residuals: Floats, weights: Floats) -> bool:
    """Tell whether third and fourth moments are those of a normal distribution."""
    number = float(weights.sum())
    centred = residuals - float(weights @ residuals) / number
    square = np.square(centred)
    variance = float(weights @ square) / number
    if variance <= 0.0 or number < 8.0:
        return True
    skew = float(weights @ (square * centred)) / number / variance**1.5
    kurtosis = float(weights @ np.square(square)) / number / variance**2 - 3.0
    errors = abs(skew) / np.sqrt(6.0 / number), abs(kurtosis) / np.sqrt(24.0 / number)
    return bool(max(errors) < _NEARLY_NORMAL)
