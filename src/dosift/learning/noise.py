"""The noise that the residuals of control rows ask for.

One normal distribution; two or three of the same mean, which make heavy tails; or two with means of
their own. Chosen by the Bayesian information criterion.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dosift.model.arrays import Floats
from dosift.model.noise import PRIOR_ROWS, Noise, parts_of_sums

#: Residuals are summed up by so many points, of which so many at each end stand for one row each.
_POINTS, _ENDS = 400, 60
#: Standard errors of skewness and kurtosis within which residuals are taken for normal ones.
#: What has to pay for two more parameters is more standard errors off than that.
_NEARLY_NORMAL = 3.0
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
        for starts in _starts(points, mass):
            for found, log in _em(starts, points, mass):
                score = log - 0.5 * (found.n_free - 1) * float(np.log(number))
                if score > most:
                    best, most = found, score
    score = most - _CLEARLY * (best.n_parts == 1) - number * float(np.log(sd))
    return replace(best.scaled(sd), expected=sd), score


def _starts(points: Floats, mass: Floats) -> list[list[Noise]]:
    """Noises from which EM starts, together those that are alike."""
    zeros = np.zeros(3)
    two = [
        Noise(np.array([0.7, 0.3]), zeros[:2], np.array([0.6, 1.6])),
        Noise(np.array([0.95, 0.05]), zeros[:2], np.array([0.8, 4.0])),
    ]
    three = Noise(np.array([0.5, 0.4, 0.1]), zeros, np.array([0.4, 1.0, 2.5]))
    total = np.cumsum(mass) / mass.sum()
    apart = []
    for share in (0.1, 0.5, 0.9):
        low = total <= share
        groups = (low, ~low) if share >= 0.5 else (~low, low)
        if not all(group.any() for group in groups):
            continue
        means = [float(np.average(points[group], weights=mass[group])) for group in groups]
        shares = np.array([mass[group].sum() for group in groups]) / mass.sum()
        both = np.array([0.0, means[1] - means[0]])
        apart.append(Noise(shares, both, np.full(2, 0.5), has_means=True))
    return [starts for starts in (two, [three], apart) if starts]


def _em(starts: list[Noise], points: Floats, mass: Floats) -> list[tuple[Noise, float]]:
    """Fit noises of the same form and their intercepts; the noises, and the log-likelihoods."""
    form = starts[0]
    shares, means, sds = (
        np.stack([getattr(one, name) for one in starts]) for name in ("shares", "means", "sds")
    )
    centre = -np.array([one.mean for one in starts])
    log = np.full(len(starts), -np.inf)
    going = np.arange(len(starts))
    for _ in range(_STEPS):
        share, mean, sd = shares[going], means[going], sds[going]
        residual = points - centre[going, None]
        logs = (residual[:, None] - mean[:, :, None]) / sd[:, :, None]
        np.square(logs, out=logs)
        logs *= -0.5
        logs += np.log(share / sd)[:, :, None]
        most = logs.max(axis=1)
        logs -= most[:, None]
        parts = np.exp(logs, out=logs)
        sums = parts.sum(axis=1)
        now = (np.log(sums) + most) @ mass
        rises = now - log[going] >= _RISE
        log[going] = now
        if not rises.all():
            going, parts, sums, residual = (one[rises] for one in (going, parts, sums, residual))
            mean, sd = mean[rises], sd[rises]
            if not going.size:
                break
        parts *= (mass / sums)[:, None]
        numbers, precision = parts.sum(axis=2), 1.0 / np.square(sd)
        first = (parts @ residual[:, :, None])[:, :, 0]
        pull = (precision * (first - mean * numbers)).sum(axis=1)
        move = (pull / (precision * numbers).sum(axis=1))[:, None]
        square = (parts @ np.square(residual)[:, :, None])[:, :, 0]
        square += move * (move * numbers - 2.0 * first)
        first -= move * numbers
        centre[going] += move[:, 0]
        shares[going], means[going], sds[going] = parts_of_sums(
            (square, first, numbers, numbers), numbers + PRIOR_ROWS, sd, form.expected,
            form.has_means,
        )  # fmt: skip
    constant = 0.5 * float(mass.sum()) * float(np.log(2.0 * np.pi))
    return [
        (replace(form, shares=shares[k], means=means[k], sds=sds[k]), float(log[k]) - constant)
        for k in range(len(starts))
    ]


def _is_nearly_normal(residuals: Floats, weights: Floats) -> bool:
    """Tell whether third and fourth moments are those of a normal distribution."""
    number = float(weights.sum())
    if number < 8.0:
        return True
    centred = residuals - float(weights @ residuals) / number
    square = np.square(centred)
    variance = float(weights @ square) / number
    if variance <= 0.0:
        return True
    skew = float(weights @ (square * centred)) / number / variance**1.5
    kurtosis = float(weights @ np.square(square)) / number / variance**2 - 3.0
    errors = abs(skew) / np.sqrt(6.0 / number), abs(kurtosis) / np.sqrt(24.0 / number)
    return bool(max(errors) < _NEARLY_NORMAL)
