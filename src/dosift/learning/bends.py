"""Regressions that may bend where control rows end.

Of what a mechanism does beyond the range of its parents control rows say nothing: a line goes on,
or it does not. If it does not, the error reads as a change of the child in all rows that a change
of the parent drove there. So each slope may be another one beyond the range: it is expected to be
the same, give or take a share of it, and mixture rows teach it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from dosift.model.arrays import Floats, Values
from dosift.model.features import Beyond, Feature, Indicator, Product
from dosift.model.linear import COEFFICIENT_SD, LinearMechanism

#: Share of a slope by which it is expected to change beyond the range; a slope so weak that it is
#: less than a part of the noise for each standard deviation of the parent may as well end there;
#: and one that does not show may begin there, by a smaller part of it.
_BEND, _WEAK, _NEW = 0.2, 0.3, 0.1
#: Standard deviations of a parent beyond the range from which a bend is thought of.
_FAR = 0.25


def with_bends(
    mechanism: LinearMechanism, values: Values, weights: Floats, lows: Floats, highs: Floats
) -> LinearMechanism:
    """Let a regression bend where other rows go beyond those that it was learned from.

    Parameters
    ----------
    mechanism : LinearMechanism
    values : ndarray, shape (n_rows, n_variables)
        Control rows, on the working scales.
    weights : ndarray, shape (n_rows,)
    lows, highs : ndarray, shape (n_variables,)
        Smallest and largest values of the other rows, on the working scales; infinite where they
        are not known.

    Returns
    -------
    LinearMechanism
        The same on the control rows.

    Examples
    --------
    >>> from dosift.learning.regressions import learn_regression
    >>> from dosift.model.features import Plain
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=500)
    >>> values, weights = np.stack([x, x + 0.1 * rng.normal(size=500)], axis=1), np.ones(500)
    >>> line = learn_regression(values, weights, 1, (0,), (Plain(0),))
    >>> bent = with_bends(line, values, weights, values.min(axis=0), np.array([9.0, 9.0]))
    >>> len(bent.features), bent.coefficients.round(2)[1:].tolist()
    (3, [1.0, 0.0, 0.0])
    """
    used = weights > 0
    inside = values[used]
    far = (lows < inside.min(axis=0) - _FAR) | (highs > inside.max(axis=0) + _FAR)
    bends: list[Feature] = []
    for feature, slope in zip(mechanism.features, mechanism.coefficients[1:], strict=True):
        if slope != 0.0 and far[list(feature.columns)].any() and _is_number(feature):
            size, noise = abs(float(slope)), mechanism.noise.sd
            expected = max(_BEND * size, min(size, _WEAK * noise), _NEW * noise)
            bends += _bends_of(feature, expected, inside, lows, highs)
    if not bends:
        return mechanism
    none = np.zeros(len(bends))
    bent = replace(
        mechanism,
        features=(*mechanism.features, *bends),
        coefficients=np.append(mechanism.coefficients, none),
        axis=None if mechanism.axis is None else np.append(mechanism.axis, none),
    )
    if mechanism.covariance is not None:
        # Were rows unsure where they have not been taught yet, all else would explain them better.
        bent = replace(bent, covariance=np.pad(mechanism.covariance, (0, len(bends))))
    return bent


def _is_number(feature: Feature) -> bool:
    """Tell whether a feature has a range, as indicators and what is crossed with them have not."""
    return not isinstance(feature, Indicator | Product)


def _bends_of(
    feature: Feature, expected: float, inside: Values, lows: Floats, highs: Floats
) -> Iterator[Feature]:
    found = feature(inside)
    low, high = float(found.min()), float(found.max())
    below, above = _reached(feature, inside, lows, highs)
    scale = expected / COEFFICIENT_SD
    if below < low - _FAR:
        yield Beyond(feature, low, -scale)
        yield from [Beyond(feature, 0.5 * (low + below), -scale)] if np.isfinite(below) else []
    if above > high + _FAR:
        yield Beyond(feature, high, scale)
        yield from [Beyond(feature, 0.5 * (high + above), scale)] if np.isfinite(above) else []


def _reached(feature: Feature, inside: Values, lows: Floats, highs: Floats) -> tuple[float, float]:
    """Range of a feature in the other rows, as far as it is known."""
    columns: Sequence[int] = feature.columns
    if len(columns) > 1:
        return -np.inf, np.inf
    ends = np.repeat(inside[:1], 2, axis=0)
    ends[:, columns[0]] = lows[columns[0]], highs[columns[0]]
    if not np.isfinite(ends[:, columns[0]]).all():
        return np.inf, -np.inf
    found = np.sort(feature(ends))
    return float(found[0]), float(found[1])
