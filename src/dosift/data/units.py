"""Units: rows that were hit by the same intervention.

The rows of a unit stand together, and a unit is where its first row is. One row a unit is the plain
case and needs none of this.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


def summed(values: Floats, first: NDArray[np.int64] | None) -> Floats:
    """Sum the rows of each unit.

    Parameters
    ----------
    values : ndarray, shape (n_rows, ...)
    first : ndarray of int64, shape (n_units,), or None
        Without it every row is a unit.

    Returns
    -------
    ndarray, shape (n_units, ...)

    Examples
    --------
    >>> summed(np.array([1.0, 2.0, 4.0]), np.array([0, 2])).tolist()
    [3.0, 4.0]
    """
    if first is None:
        return values
    return np.asarray(np.add.reduceat(values, first, axis=0), dtype=np.float64)


def common_state(codes: Ints, first: NDArray[np.int64], n_states: int) -> Ints:
    """Find the state that all rows of a unit have.

    Parameters
    ----------
    codes : ndarray of int, shape (n_rows,)
        -1 for a value that fits any state.
    first : ndarray of int64, shape (n_units,)
    n_states : int

    Returns
    -------
    ndarray of int, shape (n_units,)
        `n_states` where rows differ, -1 where every value fits any state.

    Examples
    --------
    >>> common_state(np.array([1, 1, 0, 1, -1, 0, -1]), np.array([0, 2, 4, 6]), 2).tolist()
    [1, 2, 0, -1]
    """
    highest = np.maximum.reduceat(codes, first)
    lowest = np.minimum.reduceat(np.where(codes < 0, n_states, codes), first)
    return np.where((lowest == highest) | (highest < 0), highest, n_states)


def design_effect(first: NDArray[np.int64], n_rows: int, correlation: float) -> Floats:
    """Say for how much each row of a unit counts, where rows of a unit go together.

    Parameters
    ----------
    first : ndarray of int64, shape (n_units,)
    n_rows : int
    correlation : float
        Within units.

    Returns
    -------
    ndarray, shape (n_units,)
        ``1 / (1 + (m - 1) r)`` for units of m rows (Kish, 1965).

    Examples
    --------
    >>> design_effect(np.array([0, 1]), 4, 0.5).tolist()
    [1.0, 0.5]
    """
    size = np.diff(first, append=n_rows)
    return np.asarray(1.0 / (1.0 + (size - 1.0) * correlation))
