"""Do rows that follow each other go together? Then they may be of units, or in order of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Rows that are looked at, from the beginning, and the fewest that say anything.
_MOST, _LEAST = 200_000, 50
#: Standard errors from which neighbours are said to go together, and the least share of the
#: agreement that could be.
_LEAST_Z, _LEAST_SHARE = 8.0, 0.02


def neighbours_agree(configuration: NDArray[np.int64]) -> float | None:
    """Measure how much more often rows that follow each other are equal than rows far apart.

    Parameters
    ----------
    configuration : ndarray of int64, shape (n_rows,)
        Position of each row, in the order of the input, among distinct ones; -1 for rows of weight
        zero.

    Returns
    -------
    float or None
        Share of neighbours that agree beyond chance, of those that do not by chance; None where
        this is no more than chance, or the rows are sorted.

    Notes
    -----
    Under independence the number of equal neighbours has about the mean and the variance of a
    binomial with the probability that two rows are equal.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.integers(0, 9, 2000)
    >>> neighbours_agree(rows), round(neighbours_agree(np.repeat(rows, 2)), 2)
    (None, 0.5)
    """
    rows = configuration[configuration >= 0][:_MOST]
    if rows.size < _LEAST or _is_sorted(rows):
        return None
    share = np.bincount(rows) / rows.size
    chance = float(np.square(share).sum())
    agree = float((rows[1:] == rows[:-1]).mean())
    if chance >= 1.0:
        return None
    error = np.sqrt(chance * (1.0 - chance) / (rows.size - 1))
    beyond = (agree - chance) / (1.0 - chance)
    return beyond if agree - chance > _LEAST_Z * error and beyond > _LEAST_SHARE else None


def _is_sorted(rows: NDArray[np.int64]) -> bool:
    """Whether equal rows stand together, as in a table that somebody sorted or counted."""
    n_runs = 1 + int((rows[1:] != rows[:-1]).sum())
    return n_runs == np.unique(rows).size
