"""A width of the noise for each state of discrete parents, where control rows ask for it.

In a conditional Gaussian the states of discrete parents choose the regression and its noise. One
width for all of them would be too narrow in some states, whose rows then look as if something had
been done to the variable there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dosift.learning.noise import LEAST_AXIS
from dosift.model.arrays import Floats, Values
from dosift.model.features import Feature, Indicator, Product, design

#: Rows by which the width of each group is expected to be that of all.
_PRIOR_ROWS = 5.0


@dataclass(frozen=True)
class Widths:
    """Widths of the noise by groups of rows, along one axis.

    Attributes
    ----------
    axis : ndarray, shape (1 + n_features,)
        What the logarithm of the width is linear in; of mean 0 in the rows, and at most 1.
    slope : float
        Of the logarithm along that axis.
    gain : float
        Rise of the log-likelihood, in nats.
    n_groups : int
    """

    axis: Floats
    slope: float
    gain: float
    n_groups: int


def is_of_states(feature: Feature) -> bool:
    """Whether a feature depends on states alone.

    Parameters
    ----------
    feature : Feature

    Returns
    -------
    bool
    """
    if isinstance(feature, Product):
        return all(map(is_of_states, feature.factors))
    return isinstance(feature, Indicator)


def widths_of_states(
    features: tuple[Feature, ...], residuals: Floats, values: Values, weights: Floats
) -> Widths | None:
    """Find how wide the noise is under each state of the discrete parents.

    Parameters
    ----------
    features : tuple of Feature
        Of the regression.
    residuals : ndarray, shape (n_rows,)
        Of a regression with one width.
    values : ndarray, shape (n_rows, n_variables)
    weights : ndarray, shape (n_rows,)

    Returns
    -------
    Widths or None
        None where no parent is discrete, or widths hardly differ.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> values = rng.integers(2, size=(4000, 1)).astype(float)
    >>> noise = rng.normal(size=4000) * np.where(values[:, 0] == 1, 2.0, 1.0)
    >>> found = widths_of_states((Indicator(0, 1),), noise, values, np.ones(4000))
    >>> apart = found.slope * found.axis[1]
    >>> round(float(np.exp(apart)), 1)
    2.0
    """
    own = [k for k, feature in enumerate(features, start=1) if is_of_states(feature)]
    if not own:
        return None
    x = design([features[k - 1] for k in own], values)
    # A row's states as bits, however many: distinct rows of a matrix take longer to find.
    bits = np.packbits(x[:, 1:] > 0, axis=1)
    packed = np.ascontiguousarray(bits).view(f"V{bits.shape[1]}").ravel()
    _, first, place = np.unique(packed, return_index=True, return_inverse=True)
    square = weights * np.square(residuals)
    number, squares = np.bincount(place, weights), np.bincount(place, square)
    whole = float(squares.sum() / number.sum())
    if first.size < 2 or whole <= 0.0:
        return None
    variance = (squares + _PRIOR_ROWS * whole) / (number + _PRIOR_ROWS)
    relative = np.log(variance / whole)
    gain = -0.5 * float(number @ relative + (squares / variance - number).sum())
    # Heavy tails make variances differ by chance.
    kurtosis = float(square @ np.square(residuals)) / number.sum() / whole**2
    gain /= max(0.5 * (kurtosis - 1.0), 1.0)
    root, groups = np.sqrt(number), x[first]
    line = np.linalg.lstsq(groups * root[:, None], 0.5 * relative * root, rcond=None)[0]
    along = groups @ line
    centre = float(number @ along / number.sum())
    slope = float(np.abs(along - centre).max())
    if slope < LEAST_AXIS:
        return None
    axis = np.zeros(1 + len(features))
    axis[own] = line[1:] / slope
    axis[0] = (line[0] - centre) / slope
    return Widths(axis, slope, gain, int(first.size))
