"""Regressions of continuous and discrete variables on their parents, from control rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from dosift.learning.noise import choose_noise
from dosift.model.features import Feature, design
from dosift.model.linear import LinearMechanism
from dosift.model.logistic import LogisticMechanism
from dosift.model.mechanism import Floats, Mechanism, Values, log_prior
from dosift.model.noise import LEAST_SD

#: Rows on which noise is chosen and fits come to rest; with more, all rows then refine the fit.
MOST_ROWS = 20_000
#: Steps of a fit at most, on a sample and on all rows, and the rise that ends it.
_STEPS, _LAST_STEPS, _RISE = 60, 3, 1e-4
#: What the noise's variance is expected to be before any row, and rows that this is worth.
_PRIOR_VARIANCE, _PRIOR_ROWS = 0.1, 1.0
#: Nats beyond the criterion by which a width that changes has to be better.
_CLEARLY = 2.0
#: Spread of the mean, in standard deviations of the column, below which no width follows it.
_LEAST_AXIS = 0.02

_M = TypeVar("_M", bound=Mechanism)


def learn_regression(
    values: Values,
    weights: Floats,
    variable: int,
    parents: tuple[int, ...],
    features: Sequence[Feature],
) -> LinearMechanism:
    """Fit the regression of a number on its parents, with the noise that the rows ask for.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n_variables)
        On the working scales.
    weights : ndarray, shape (n_rows,)
    variable : int
    parents : tuple of int
    features : sequence of Feature

    Returns
    -------
    LinearMechanism

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = learn_regression(rng.standard_t(3, size=(3000, 1)), np.ones(3000), 0, (), ())
    >>> found.noise.n_parts > 1
    True
    """
    some, their = _sample(values, weights)
    plain = at_rest(_start(variable, parents, tuple(features), some, their), some, their)
    best, most = plain, _criterion(plain, some, their)
    for candidate in (_with_slope(plain, some, their), plain):
        found = _with_noise(candidate, some, their)
        score = _criterion(found, some, their) - _CLEARLY * (found.n_free > plain.n_free)
        if score > most:
            best, most = found, score
    return best if some is values else at_rest(best, values, weights, _LAST_STEPS)


def learn_logistic(
    values: Values,
    weights: Floats,
    start: LogisticMechanism,
) -> LogisticMechanism:
    """Fit a logistic regression.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n_variables)
        On the working scales.
    weights : ndarray, shape (n_rows,)
    start : LogisticMechanism

    Returns
    -------
    LogisticMechanism
    """
    some, their = _sample(values, weights)
    found = at_rest(start, some, their)
    return found if some is values else at_rest(found, values, weights, _LAST_STEPS)


def at_rest(mechanism: _M, values: Values, weights: Floats, steps: int = _STEPS) -> _M:
    """Fit a mechanism until a step hardly helps.

    Parameters
    ----------
    mechanism : Mechanism
    values : ndarray, shape (n_rows, n_variables)
    weights : ndarray, shape (n_rows,)
    steps : int
        At most so many.

    Returns
    -------
    Mechanism
    """
    before = -np.inf
    for _ in range(steps):
        mechanism = mechanism.fitted(mechanism.statistics(values, weights))
        value = float(weights @ mechanism.log_density(values)) + log_prior(mechanism)
        if value - before < _RISE:
            break
        before = value
    return mechanism


def _sample(values: Values, weights: Floats) -> tuple[Values, Floats]:
    """Return rows at equal distances if there are very many."""
    if len(values) <= MOST_ROWS:
        return values, weights
    rows = np.linspace(0, len(values) - 1, MOST_ROWS).astype(np.int64)
    return values[rows], weights[rows]


def _criterion(mechanism: LinearMechanism, values: Values, weights: Floats) -> float:
    """Log-likelihood less what the parameters cost."""
    log = float(weights @ mechanism.log_density(values))
    return log - 0.5 * mechanism.n_free * float(np.log(max(float(weights.sum()), 2.0)))


def _start(
    variable: int,
    parents: tuple[int, ...],
    features: tuple[Feature, ...],
    values: Values,
    weights: Floats,
) -> LinearMechanism:
    """Return a regression with a prior for its noise, from the residuals of least squares."""
    mechanism = LinearMechanism.untaught(variable, parents, features)
    mechanism = mechanism.fitted(mechanism.statistics(values, weights))
    x = design(features, values)
    residual = values[:, variable] - x @ mechanism.coefficients
    number = float(weights.sum())
    square = x.T @ (x * weights[:, None])
    # Coefficients that rows determine use rows up, others stay at their prior.
    spent = float(np.linalg.matrix_rank(square, hermitian=True))
    rest = max(number - spent, 0.0)
    expected = float(weights @ np.square(residual)) + _PRIOR_ROWS * _PRIOR_VARIANCE
    sd = max(float(np.sqrt(expected / (rest + _PRIOR_ROWS))), LEAST_SD)
    noise = replace(mechanism.noise, sds=np.array([sd]), expected=sd, spent=2.0 * spent)
    return replace(mechanism, noise=noise)


def _with_slope(plain: LinearMechanism, values: Values, weights: Floats) -> LinearMechanism:
    """Return a regression whose noise widens with the mean, if that is clearly so."""
    x, number = design(plain.features, values), float(weights.sum())
    mean = x @ plain.coefficients
    centre = float(weights @ mean) / number
    spread = float(np.sqrt(weights @ np.square(mean - centre) / number))
    if not plain.features or spread < _LEAST_AXIS:
        return plain
    axis = plain.coefficients / spread
    axis[0] -= centre / spread
    away = np.square((values[:, plain.variable] - mean) / plain.noise.sds[0]) - 1.0
    pull = weights * away * (x @ axis)
    # The score test of no slope, whatever the fourth moment.
    evidence = float(pull.sum()) ** 2 / max(float((pull * away) @ (x @ axis)), 1e-300)
    if evidence < np.log(max(number, 2.0)) + 2.0 * _CLEARLY:
        return plain
    return at_rest(replace(plain, axis=axis), values, weights)


def _with_noise(mechanism: LinearMechanism, values: Values, weights: Floats) -> LinearMechanism:
    """Return a regression with the noise that its residuals ask for."""
    base = mechanism.noise
    found = choose_noise(mechanism.residuals(values) / base.sds[0], weights)
    if found.n_parts == 1:
        return mechanism
    noise = replace(found.scaled(float(base.sds[0])), expected=base.expected, spent=base.spent)
    coefficients = mechanism.coefficients.copy()
    coefficients[0] -= noise.mean
    return at_rest(replace(mechanism, noise=noise, coefficients=coefficients), values, weights)
