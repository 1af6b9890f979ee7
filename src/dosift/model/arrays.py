"""Names of the arrays that stand in every signature, and what is done to any of them.

What their axes mean is the same everywhere: ``docs/architecture.md`` says it under "Array
conventions".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Likelihoods, weights, counts of rows, sums.
Floats = NDArray[np.float64]
#: Targets, codes of states, positions.
Ints = NDArray[np.integer]
#: Masks.
Bools = NDArray[np.bool_]
#: Rows of values, shape (n_rows, n_variables): state codes (-1 for a missing one), or numbers
#: (NaN for a missing one).
Values = NDArray[Any]


def distinct(rows: Ints, weights: Floats) -> tuple[Ints, Floats]:
    """Take rows that are the same for one, with the sum of their weights.

    Parameters
    ----------
    rows : ndarray of int, shape (n_rows, n_columns)
        Targets, say.
    weights : ndarray, shape (n_rows,)

    Returns
    -------
    rows : ndarray of int, shape (n_distinct, n_columns)
        In lexicographic order.
    weights : ndarray, shape (n_distinct,)

    Examples
    --------
    >>> rows, weights = distinct(np.array([[1, 0], [-1, 2], [1, 0]]), np.array([0.25, 0.5, 0.25]))
    >>> rows.tolist(), weights.tolist()
    ([[-1, 2], [1, 0]], [0.5, 0.5])
    """
    every, place = np.unique(rows, axis=0, return_inverse=True)
    return every, np.bincount(place.ravel(), weights, len(every)).astype(np.float64)
