"""Working scales chosen by control rows.

A column of numbers is taken as it is, by its logarithm where all values are positive, or by its
log odds where all lie between 0 and 1: on the scale on which its regression on its parents makes
the control rows likeliest, densities brought to the column's own units. A column is taken as it is
unless another scale is clearly better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dosift.learning.noise import LEAST_AXIS, log_likelihood_of_residuals, slope_of_width
from dosift.model.arrays import Floats
from dosift.model.features import Feature, design
from dosift.model.linear import MOST_AXIS
from dosift.model.scale import LEAST_SHARE, Scale

#: Spread up to which a column is constant, relative to its size.
_LEAST_SPREAD = 1e-12
#: Nats by which another scale has to be better, at least and for each row: many rows show that no
#: scale is exact, and one that hardly differs extrapolates worse than the plain one.
_CLEARLY, _CLEARLY_A_ROW = 6.0, 0.005
#: Nats by which the logarithm of what lies between 0 and 1 has to be better than log odds.
_FOR_SHARES = 2.0
#: Least residual variance, in units of the column's.
_LEAST_VARIANCE = 1e-12


def is_constant(column: Floats) -> bool:
    """Tell whether a column has one value only, but for rounding.

    Parameters
    ----------
    column : ndarray, shape (n_rows,)

    Returns
    -------
    bool
    """
    if not column.size:
        return True
    low, high = float(column.min()), float(column.max())
    return high - low <= _LEAST_SPREAD * max(abs(low), abs(high))


def standardised(column: Floats, weights: Floats, scale: Scale) -> Scale:
    """Return a scale with the mean and standard deviation that a column has on it.

    Parameters
    ----------
    column : ndarray, shape (n_rows,)
        In the users' units.
    weights : ndarray, shape (n_rows,)
    scale : Scale
        Of which the form is taken.

    Returns
    -------
    Scale
        With a spread of 1 where the column is constant.

    Examples
    --------
    >>> standardised(np.array([1.0, 3.0]), np.ones(2), Scale("raw"))
    Scale(form='raw', centre=2.0, spread=1.0, added=0.0)
    """
    used = weights > 0
    bent, weights = scale.bent(column[used]), weights[used]
    if is_constant(bent):
        return Scale(scale.form, float(bent[0]) if bent.size else 0.0, 1.0, scale.added)
    share = weights / weights.sum()
    centre = float(share @ bent)
    away = bent - centre
    unit = float(np.abs(away).max())  # the square of a tiny number would be 0
    spread = unit * float(np.sqrt(share @ np.square(away / unit)))
    return Scale(scale.form, centre, spread, scale.added)


def forms_of(lowest: float, highest: float) -> tuple[str, ...]:
    """Forms of scales that a column of numbers may have, by its smallest and largest value.

    Parameters
    ----------
    lowest, highest : float

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> forms_of(-1.0, 2.0), forms_of(0.5, 2.0), forms_of(0.1, 0.9)
    (('raw',), ('raw', 'log'), ('raw', 'log', 'logit'))
    """
    if not lowest > 0.0:
        return ("raw",)
    is_share = lowest >= LEAST_SHARE and highest <= 1.0 - LEAST_SHARE
    return ("raw", "log", "logit") if is_share else ("raw", "log")


def choose_scale(
    column: Floats,
    weights: Floats,
    working: Floats,
    features: Sequence[Feature],
    lowest: float = np.inf,
    highest: float = -np.inf,
) -> Scale:
    """Choose the working scale of a column of numbers.

    Parameters
    ----------
    column : ndarray, shape (n_rows,)
        Control rows, in the users' units.
    weights : ndarray, shape (n_rows,)
    working : ndarray, shape (n_rows, n_variables)
        Control rows on the working scales of the parents.
    features : sequence of Feature
        What the regression on the parents is linear in.
    lowest, highest : float, optional
        Smallest and largest value of the column in other rows that are to be on the scale.

    Returns
    -------
    Scale
        Centred and scaled by the control rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> latency = np.exp(rng.normal(size=500))
    >>> choose_scale(latency, np.ones(500), np.empty((500, 0)), ()).form
    'log'
    """
    return best_scale(column, weights, working, features, lowest, highest)[0]


def best_scale(
    column: Floats,
    weights: Floats,
    working: Floats,
    features: Sequence[Feature],
    lowest: float = np.inf,
    highest: float = -np.inf,
) -> tuple[Scale, float]:
    """Choose the working scale of a column, and say how likely that makes it.

    Parameters
    ----------
    column, weights, working, features, lowest, highest
        As for :func:`choose_scale`.

    Returns
    -------
    scale : Scale
    log_likelihood : float
        Of the column, in its own units, by a regression on the features; 0 for a constant.
    """
    used = weights > 0
    column, weights, x = column[used], weights[used], design(features, working[used])
    raw = standardised(column, weights, Scale("raw"))
    if is_constant(column):
        return raw, 0.0
    forms = forms_of(min(lowest, float(column.min())), max(highest, float(column.max())))
    found = [standardised(column, weights, Scale(form)) for form in forms]
    clearly = clear_gain(weights)
    scores = [_score(column, weights, x, scale) for scale in found]
    # Small shares have the same logarithm as log odds, and what drives them up tells these apart.
    scores[2:] = [score + _FOR_SHARES for score in scores[2:]]
    best = int(np.argmax(scores))
    chosen = best if scores[best] > scores[0] + clearly else 0
    return found[chosen], scores[chosen]


def clear_gain(weights: Floats) -> float:
    """Return the nats by which another form must be likelier to be taken.

    Parameters
    ----------
    weights : ndarray, shape (n_rows,)
    """
    return max(_CLEARLY, _CLEARLY_A_ROW * float(weights.sum()))


def _score(column: Floats, weights: Floats, x: Floats, scale: Scale) -> float:
    """Log-likelihood of a column, in its own units, by a regression on a working scale."""
    own = scale.working(column)
    root = np.sqrt(weights)
    found = np.linalg.lstsq(x * root[:, None], own * root, rcond=None)[0]
    mean = x @ found
    residual = own - mean
    number, least = float(weights.sum()), float(np.sqrt(_LEAST_VARIANCE))
    spread = max(float(np.sqrt(weights @ np.square(residual) / number)), least)
    log = log_likelihood_of_residuals(residual / spread, weights)
    # Noise that grows is no reason by itself for another scale: a regression may have it.
    along = mean - float(weights @ mean) / number
    width = float(np.sqrt(weights @ np.square(along) / number))
    if width > LEAST_AXIS:
        along = np.clip(along / width, -MOST_AXIS, MOST_AXIS)
        slope = slope_of_width(residual, along, weights)
        if slope != 0.0:
            even = residual * np.exp(-slope * along) / spread
            other = log_likelihood_of_residuals(even, weights) - slope * float(weights @ along)
            log = max(log, other - 0.5 * float(np.log(max(number, 2.0))))
    return log - number * float(np.log(spread)) + float(weights @ scale.log_slope(column))


def bounds(values: ArrayLike | None, n_variables: int, fill: float) -> Floats:
    """Return one bound for each variable, where none or a missing one is given a fill.

    Parameters
    ----------
    values : array-like, shape (n_variables,), optional
    n_variables : int
    fill : float

    Returns
    -------
    ndarray, shape (n_variables,)
    """
    if values is None:
        return np.full(n_variables, fill)
    own = np.asarray(values, dtype=np.float64)
    return np.where(np.isnan(own), fill, own)
