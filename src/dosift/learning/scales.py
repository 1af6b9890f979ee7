"""Working scales chosen by control rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dosift.model.mechanism import Floats
from dosift.model.scale import Scale

#: Spread below which a column is constant, relative to its size.
_LEAST_SPREAD = 1e-9


def standardised(column: Floats, weights: NDArray[np.float64], scale: Scale) -> Scale:
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
    bent = scale.bent(column)
    total = float(weights.sum())
    centre = float(weights @ bent) / total
    spread = float(np.sqrt(weights @ np.square(bent - centre) / total))
    if not spread > _LEAST_SPREAD * max(abs(centre), np.finfo(np.float64).tiny):
        spread = 1.0
    return Scale(scale.form, centre, spread, scale.added)
