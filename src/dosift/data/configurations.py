"""Distinct rows of state codes with their multiplicities."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    first : ndarray of int64, shape (n_configurations,), or None
        Where rows come in units, a configuration is a distinct unit: the rows of `codes` from here
        to where the next one begins (:mod:`dosift.data.units`).
    place : ndarray of int64, shape (n_rows,), or None
        For each input row of a unit, a row of `codes` that is equal, in the distinct unit that
        its own is; -1 as for `inverse`.
    """

    codes: NDArray[Any]
    counts: NDArray[np.float64]
    inverse: NDArray[np.int64]
    first: NDArray[np.int64] | None = None
    place: NDArray[np.int64] | None = None

    @property
    def total(self) -> float:
        """Number of rows, or of units (or total sample weight)."""
        return float(self.counts.sum())

    def some(self, which: NDArray[np.int64]) -> Configurations:
        """Return some of the configurations, without an `inverse`.

        Parameters
        ----------
        which : ndarray of int64
            Positions.
        """
        nothing = np.empty(0, dtype=np.int64)
        if self.first is None:
            return Configurations(self.codes[which], self.counts[which], nothing)
        rows, first = rows_of(self.first, len(self.codes), which)
        return Configurations(self.codes[rows], self.counts[which], nothing, first)

    @property
    def apart(self) -> Configurations:
        """The rows of units, each by itself."""
        if self.first is None:
            return self
        size = sizes_of(self.first, len(self.codes))
        return Configurations(self.codes, np.repeat(self.counts, size), np.empty(0, dtype=np.int64))

    def collapsed(self, cardinalities: NDArray[np.int64]) -> Configurations:
        """Return the distinct ones, where these are not that yet.

        Parameters
        ----------
        cardinalities : ndarray of int, shape (n_variables,)
            As for :func:`collapse`.
        """
        if self.first is None:
            return collapse(self.codes, cardinalities, self.counts)
        size = sizes_of(self.first, len(self.codes))
        unit = np.repeat(np.arange(size.size), size)
        return collapse_units(self.codes, unit, cardinalities, self.counts)


def sizes_of(first: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
    """Count the rows of each unit.

    Parameters
    ----------
    first : ndarray of int64, shape (n_units,)
        Position of each unit's first row.
    n_rows : int

    Returns
    -------
    ndarray of int64, shape (n_units,)

    Examples
    --------
    >>> sizes_of(np.array([0, 2, 3]), 7).tolist()
    [2, 1, 4]
    """
    return np.diff(first, append=n_rows)


def rows_of(
    first: NDArray[np.int64], n_rows: int, units: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the rows of some units.

    Parameters
    ----------
    first : ndarray of int64, shape (n_units,)
    n_rows : int
    units : ndarray of int64, shape (n_selected,)

    Returns
    -------
    rows : ndarray of int64
        Positions, unit by unit in the order asked for.
    first : ndarray of int64, shape (n_selected,)
        Where each of these units begins among them.

    Examples
    --------
    >>> rows, first = rows_of(np.array([0, 2, 3]), 7, np.array([2, 0]))
    >>> rows.tolist(), first.tolist()
    ([3, 4, 5, 6, 0, 1], [0, 4])
    """
    size = sizes_of(first, n_rows)[units]
    starts = np.cumsum(size) - size
    rows = np.arange(int(size.sum())) + np.repeat(first[units] - starts, size)
    return rows, starts


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
    distinct = _picked(codes, first)
    if weight is not None and counts.size and counts.min() <= 0:
        kept = counts > 0
        position = np.where(kept, np.cumsum(kept) - 1, MISSING)
        distinct, counts, inverse = distinct[kept], counts[kept], position[inverse]
    return Configurations(np.asfortranarray(distinct), counts, inverse.astype(np.int64, copy=False))


def collapse_units(
    codes: NDArray[Any],
    unit: NDArray[np.int64],
    cardinalities: NDArray[np.int64],
    weight: NDArray[np.float64] | None = None,
) -> Configurations:
    """Collapse units that have the same rows, in whatever order.

    Parameters
    ----------
    codes : ndarray, shape (n_rows, n_variables)
        As for :func:`collapse`.
    unit : ndarray of int64, shape (n_rows,)
        The unit of each row, from 0; none is without rows.
    cardinalities : ndarray of int, shape (n_variables,)
    weight : ndarray, shape (n_units,), optional
        Non-negative weights; 1 each by default.

    Returns
    -------
    Configurations
        Distinct units, small ones first, and of each size in lexicographic order of their sorted
        rows, so that no order of the input leaves a trace. `inverse` has for each input row the
        position of its unit. If every unit has one row, plain configurations.

    Examples
    --------
    >>> rows = np.array([[0, 1], [1, 1], [1, 1], [0, 1], [0, 0]])
    >>> found = collapse_units(rows, np.array([0, 0, 1, 1, 2]), np.array([2, 2]))
    >>> found.codes.tolist(), found.first.tolist(), found.counts.tolist()
    ([[0, 0], [0, 1], [1, 1]], [0, 1], [1.0, 2.0])
    >>> found.inverse.tolist()
    [1, 1, 1, 1, 0]
    """
    n_units = int(unit.max(initial=-1)) + 1
    size = np.bincount(unit, minlength=n_units)
    weight = np.ones(n_units) if weight is None else weight
    if unit.size == n_units:
        return collapse(codes, cardinalities, weight[unit])
    distinct = collapse(codes, cardinalities)
    rank = distinct.inverse
    order = np.lexsort((rank, unit))
    begins = np.cumsum(size) - size
    ranks = rank[order]
    place = np.full(n_units, MISSING, dtype=np.int64)
    parts, lengths, counts, n_before = [], [], [], 0
    for m in np.unique(size):
        own = np.flatnonzero(size == m)
        table = ranks[begins[own][:, None] + np.arange(m)]
        found = collapse(table, np.full(m, len(distinct.codes)), weight[own])
        place[own] = np.where(found.inverse < 0, MISSING, n_before + found.inverse)
        parts.append(found.codes.ravel())
        lengths.append(np.full(found.counts.size, m))
        counts.append(found.counts)
        n_before += found.counts.size
    length = np.concatenate(lengths)
    first = np.cumsum(length) - length
    inverse, within = place[unit], np.empty_like(unit)
    within[order] = np.arange(unit.size) - begins[unit[order]]
    return Configurations(
        _picked(distinct.codes, np.concatenate(parts)),
        np.concatenate(counts),
        inverse,
        first,
        np.where(inverse < 0, MISSING, first[inverse] + within),
    )


def _picked(codes: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Take rows, column by column, so that no second copy is made to get the order."""
    out = np.empty((rows.size, codes.shape[1]), dtype=codes.dtype, order="F")
    for i, column in enumerate(codes.T):
        out[:, i] = column[rows]
    return out


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
    kept = np.flatnonzero(counts > 0)
    return replace(configurations.some(kept), counts=counts[kept])


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
