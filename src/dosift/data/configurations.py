"""Distinct rows of state codes with their multiplicities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Code of a missing value, and of a variable that a target leaves alone.
MISSING = -1

#: Keys are combined as long as they stay below this.
_LARGEST_KEY = 2**62
#: Key spaces up to this many times the number of rows are counted without sorting.
_DENSE_FACTOR = 4


@dataclass(frozen=True)
class Configurations:
    """Rows collapsed to distinct configurations with counts.

    Attributes
    ----------
    codes : ndarray, shape (n_configurations, n_variables)
        Distinct rows of state codes (or numbers) in lexicographic order, so that the order of the
        input rows leaves no trace. ``MISSING`` (-1) stands for a missing value.
    counts : ndarray of float64, shape (n_configurations,)
        How often (or with what total sample weight) each one occurs; all positive.
    inverse : ndarray of int64, shape (n_rows,)
        For each input row, the position of its configuration; -1 for a row of weight zero whose
        configuration no other row has.
    """

    codes: NDArray[Any]
    counts: NDArray[np.float64]
    inverse: NDArray[np.int64]

    @property
    def total(self) -> float:
        """Number of rows (or total sample weight)."""
        return float(self.counts.sum())


def collapse(
    codes: NDArray[Any],
    cardinalities: NDArray[np.int64],
    sample_weight: ArrayLike | None = None,
) -> Configurations:
    """Collapse rows to distinct configurations.

    Parameters
    ----------
    codes : ndarray, shape (n_rows, n_variables)
        State codes, -1 for missing; or numbers, NaN for missing (also among codes in a table of
        numbers).
    cardinalities : ndarray of int, shape (n_variables,)
        Number of states of each variable; 0 where its values are numbers, which are ranked.
    sample_weight : array-like, shape (n_rows,), optional
        Non-negative weights of the rows; 1 each by default.

    Returns
    -------
    Configurations

    Examples
    --------
    >>> rows = collapse(np.array([[1, 0], [0, 1], [1, 0]]), np.array([2, 2]))
    >>> rows.codes.tolist(), rows.counts.tolist(), rows.inverse.tolist()
    ([[0, 1], [1, 0]], [1.0, 2.0], [1, 0, 1])
    >>> collapse(np.array([[2.5], [-1e9], [2.5]]), np.array([0])).codes.ravel().tolist()
    [-1000000000.0, 2.5]
    """
    n_rows = codes.shape[0]
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    key, size = _row_keys(codes, cardinalities)
    if size <= _DENSE_FACTOR * max(n_rows, 1):
        occurs = np.zeros(size, dtype=bool)
        occurs[key] = True
        rank_of = np.cumsum(occurs) - 1
        inverse = rank_of[key]
        first = np.empty(int(occurs.sum()), dtype=np.int64)
        first[inverse[::-1]] = np.arange(n_rows - 1, -1, -1)
    else:
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    counts = np.bincount(inverse, weights=weight, minlength=first.size).astype(np.float64)
    distinct = codes[first]
    if weight is not None and counts.size and counts.min() <= 0:
        kept = counts > 0
        position = np.where(kept, np.cumsum(kept) - 1, MISSING)
        distinct, counts, inverse = distinct[kept], counts[kept], position[inverse]
    return Configurations(np.asfortranarray(distinct), counts, inverse.astype(np.int64))


def systematic_sample(configurations: Configurations, n_rows: int) -> Configurations:
    """Keep a systematic sample of the rows: every so many-th in lexicographic order.

    No chance is involved, and the counts of every prefix of the variables stay in proportion, to
    within one row.

    Parameters
    ----------
    configurations : Configurations
    n_rows : int
        Rows to keep; with fewer rows than that nothing is left out.

    Returns
    -------
    Configurations
        Without an `inverse`.

    Examples
    --------
    >>> rows = collapse(np.array([[0], [0], [0], [1], [2], [2]]), np.array([3]))
    >>> few = systematic_sample(rows, 3)
    >>> few.codes.ravel().tolist(), few.counts.tolist()
    ([0, 2], [2.0, 1.0])
    """
    total = configurations.total
    if total <= n_rows:
        return configurations
    passed = np.floor(np.cumsum(configurations.counts) * (n_rows / total) + 0.5)
    counts = np.diff(passed, prepend=0.0)
    kept = counts > 0
    nothing = np.empty(0, dtype=np.int64)
    return Configurations(configurations.codes[kept], counts[kept], nothing)


def _row_keys(
    codes: NDArray[Any], cardinalities: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]:
    """One integer for each row, in the lexicographic order of the rows, and their bound.

    Columns are combined in mixed radix; when the key would overflow it is replaced by its rank
    among the keys seen so far, which keeps the order.
    """
    key = np.zeros(codes.shape[0], dtype=np.int64)
    size = 1
    for j, k in enumerate(cardinalities):
        column = codes[:, j]
        n_states = int(k)
        if n_states == 0:
            distinct, column = np.unique(column, return_inverse=True)
            n_states = int(distinct.size)
        elif np.issubdtype(column.dtype, np.floating):
            column = np.nan_to_num(column, nan=MISSING).astype(np.int64)
        lowest = MISSING if column.size and column.min() < 0 else 0
        radix = n_states - lowest
        if size * radix >= _LARGEST_KEY:
            ranks, key = np.unique(key, return_inverse=True)
            size = int(ranks.size)
            if size == key.size:
                break  # all rows differ already, and their order is settled
        key *= radix
        key += column
        if lowest:
            key -= lowest
        size *= radix
        if n_states == key.size and not k:
            break
    return key, size
