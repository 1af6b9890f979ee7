"""How far each row of a unit speaks against having the target of the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dosift.data.configurations import sizes_of
from dosift.data.units import summed
from dosift.likelihood.assignment import Assignment
from dosift.model.arrays import Floats

#: Largest logarithm of evidence; many times as much is still in range.
_LARGEST_LOG = 600.0


def evidence_against(rows: Assignment, first: NDArray[np.int64]) -> Floats:
    """Evidence of each row against having the target of the other rows of its unit.

    How much likelier the row and the others are as two units than as one. Given the others, that
    is the mixture over the distribution of one more row of theirs: an e-value, whose expectation is
    1 at most where the row is one of theirs, whatever their target is.

    Parameters
    ----------
    rows : Assignment
        Of the rows, each by itself.
    first : ndarray of int64, shape (n_units,)
        Position of each unit's first row.

    Returns
    -------
    ndarray, shape (n_rows,)
        1 for a row alone, and where no target can produce the row, or the others.

    Examples
    --------
    >>> columns = np.array([[1.0, 4.0], [1.0, 4.0], [1.0, 0.0]])
    >>> rows = Assignment(columns, columns.mean(axis=1), np.array([0.5, 0.5]), np.zeros(3))
    >>> evidence_against(rows, np.array([0])).round(2).tolist()
    [2.5, 2.5, 8.5]
    """
    size = sizes_of(first, len(rows.mixture))
    unit = np.repeat(np.arange(first.size), size)
    impossible = ~(rows.columns > 0)
    logs = np.log(np.where(impossible, 1.0, rows.columns))
    n_impossible = summed(impossible.astype(np.float64), first)[unit]
    whole = summed(logs, first)[unit]
    others = np.where(n_impossible - impossible > 0, -np.inf, whole - logs)
    whole = np.where(n_impossible > 0, -np.inf, whole)
    with np.errstate(divide="ignore", invalid="ignore"):
        prior = np.log(np.broadcast_to(rows.weights, logs.shape))
        apart = np.log(rows.mixture) + np.logaddexp.reduce(prior + others, axis=1)
        log_evidence = apart - np.logaddexp.reduce(prior + whole, axis=1)
    says_nothing = (size[unit] == 1) | np.isneginf(apart)
    return np.exp(np.minimum(np.where(says_nothing, 0.0, log_evidence), _LARGEST_LOG))
