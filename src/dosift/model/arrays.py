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

#: Multiplications up to which libraries of linear algebra multiply matrices as they stand; of more
#: they make blocks first, which takes as long as the product itself where there are few columns.
_AS_THEY_STAND = 900_000
#: Entries of a product up to which that is so.
_FEW_ENTRIES = 1200


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


def product_of_tall(left: Floats, right: Floats, weights: Floats | None = None) -> Floats:
    """Multiply matrices of many rows and few columns, in parts of rows that are quick.

    Parameters
    ----------
    left : ndarray, shape (n_rows, n_left)
    right : ndarray, shape (n_rows, n_right)
    weights : ndarray, shape (n_rows,), optional
        Of the rows; 1 by default.

    Returns
    -------
    ndarray, shape (n_left, n_right)
        ``left.T @ diag(weights) @ right``.

    Examples
    --------
    >>> product_of_tall(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [1.0]])).tolist()
    [[4.0], [6.0]]
    """
    n_rows, n_entries = len(left), left.shape[1] * right.shape[1]
    step = max(_AS_THEY_STAND // max(n_entries, 1), 1) if n_entries <= _FEW_ENTRIES else n_rows
    out = np.zeros((left.shape[1], right.shape[1]))
    for start in range(0, n_rows, max(step, 1)):
        rows = slice(start, start + step)
        own = left[rows] if weights is None else left[rows] * weights[rows, None]
        out += own.T @ right[rows]
    return out
