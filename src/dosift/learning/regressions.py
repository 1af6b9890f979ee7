"""Regressions of continuous and discrete variables on their parents, from control rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from dosift.learning.noise import LEAST_AXIS, choose_noise, slope_of_width
from dosift.learning.widths import widths_of_states
from dosift.model.arrays import Floats, Values
from dosift.model.features import Feature, design
from dosift.model.linear import MOST_AXIS, LinearMechanism
from dosift.model.logistic import LogisticMechanism
from dosift.model.mechanism import Mechanism, log_prior
from dosift.model.noise import LEAST_SD

#: Rows on which noise is chosen and fits come to rest; with more, all rows then refine the fit.
MOST_ROWS = 20_000
#: Steps of a fit at most, the rise that ends it, and steps on all rows after a sample.
_STEPS, _RISE, _LAST_STEPS = 60, 1e-2, 2
#: What the noise's variance is expected to be before any row, and rows that this is worth.
_PRIOR_VARIANCE, _PRIOR_ROWS = 0.1, 1.0
#: Nats beyond the criterion by which a width that changes has to be better.
_CLEARLY = 2.0
#: Score statistic of skewness and kurtosis up to which noise is normal at a glance: half of it is
#: about what another noise could gain, and that costs more.
_NORMAL = 12.0

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
    best = _best([(plain, 0), *_alternatives(plain, some, their)], some, their)
    return best if some is values else _refined(best, values, weights)


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
    return found if some is values else _refined(found, values, weights)


def has_plain_noise(mechanism: LinearMechanism, values: Values, weights: Floats) -> bool:
    """Tell at a glance whether rows ask for no other noise than a normal one of one width.

    Parameters
    ----------
    mechanism : LinearMechanism
        Fitted to the rows, with such noise.
    values : ndarray, shape (n_rows, n_variables)
    weights : ndarray, shape (n_rows,)

    Returns
    -------
    bool
        By the score tests of skewness and kurtosis, and of a width that follows the mean or
        states.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = [rng.normal(size=(500, 1)), rng.standard_t(3, size=(500, 1))]
    >>> plain = LinearMechanism.untaught(0, (), ())
    >>> [has_plain_noise(plain, one / one.std(), np.ones(500)) for one in noise]
    [True, False]
    """
    residual = mechanism.residuals(values) / mechanism.noise.sds[0]
    number = max(float(weights.sum()), 1.0)
    skewness = float(weights @ residual**3) / number
    kurtosis = float(weights @ residual**4) / number - 3.0
    if number * (skewness**2 / 6.0 + kurtosis**2 / 24.0) > _NORMAL:
        return False
    return not _with_slope(mechanism, values, weights)


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


def _refined(mechanism: _M, values: Values, weights: Floats) -> _M:
    """Fit a mechanism that is nearly at rest to all rows."""
    for _ in range(_LAST_STEPS):
        mechanism = mechanism.fitted(mechanism.statistics(values, weights))
    return mechanism


def _sample(values: Values, weights: Floats) -> tuple[Values, Floats]:
    """Return rows at equal distances if there are very many."""
    if len(values) <= MOST_ROWS:
        return values, weights
    rows = np.linspace(0, len(values) - 1, MOST_ROWS).astype(np.int64)
    return values[rows], weights[rows]


def _alternatives(
    plain: LinearMechanism, values: Values, weights: Floats
) -> Iterator[tuple[LinearMechanism, int]]:
    """Return regressions with other noise, as far as residuals hint at it.

    With each the number of its parameters that it does not count itself.
    """
    for base, more in ((plain, 0), *_with_slope(plain, values, weights)):
        found = _with_noise(base, values, weights)
        if found is not plain:
            yield found, more


def _best(
    candidates: Sequence[tuple[LinearMechanism, int]], values: Values, weights: Floats
) -> LinearMechanism:
    """Return the first unless others are clearly better by the criterion, or the best of these."""
    if len(candidates) == 1:
        return candidates[0][0]
    each = 0.5 * float(np.log(max(float(weights.sum()), 2.0)))
    scores = [criterion(one, values, weights) - each * more for one, more in candidates]
    scores[0] += _CLEARLY
    return candidates[int(np.argmax(scores))][0]


def criterion(mechanism: Mechanism, values: Values, weights: Floats) -> float:
    """Log-likelihood of rows under a mechanism, less what its parameters cost, in nats.

    Parameters
    ----------
    mechanism : Mechanism
    values : ndarray, shape (n_rows, n_variables)
    weights : ndarray, shape (n_rows,)

    Returns
    -------
    float
    """
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


def _with_slope(
    plain: LinearMechanism, values: Values, weights: Floats
) -> list[tuple[LinearMechanism, int]]:
    """Return regressions whose noise widens with the mean, or by states, if that is clearly so.

    With each the number of its parameters that it does not count itself.
    """
    if not plain.features:
        return []
    x, number = design(plain.features, values), float(weights.sum())
    mean = x @ plain.coefficients
    residual = values[:, plain.variable] - mean
    out = []
    centre = float(weights @ mean) / number
    spread = float(np.sqrt(weights @ np.square(mean - centre) / number))
    if spread >= LEAST_AXIS:
        axis = plain.coefficients / spread
        axis[0] -= centre / spread
        along = np.clip(x @ axis, -MOST_AXIS, MOST_AXIS)
        slope = slope_of_width(residual, along, weights)
        if slope != 0.0:
            out.append((replace(plain, axis=axis, slope=slope), 0))
    found = widths_of_states(plain.features, residual, values, weights)
    if found is not None:
        more = found.n_groups - 2
        if found.gain > 0.5 * (1 + more) * float(np.log(max(number, 2.0))) + _CLEARLY:
            out.append((replace(plain, axis=found.axis, slope=found.slope), more))
    return [(at_rest(one, values, weights), more) for one, more in out]


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
