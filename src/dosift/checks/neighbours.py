"""Rows that follow each other, or share a value of some column, may be of one unit.

Both questions are one: do the values of a variable go together within groups of rows? For rows i
and j of a group, k(i, j) is the centred kernel of a variable: the product of standardised ranks of
numbers, or for states the sum of (1[i in s] - p_s) (1[j in s] - p_s) over states s, in which rare
ones count for little. Where rows are independent, pairs are uncorrelated, and the sum over pairs
has mean 0 and as variance their number times that of k.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dosift.data.side_columns import SideColumn
from dosift.model.arrays import Bools, Floats

#: Rows that are looked at, from the beginning: as many as hold so many values, within bounds.
_MOST_VALUES, _FEWEST_ROWS, _MOST_ROWS = 500_000, 10_000, 50_000
#: The fewest rows, or pairs of rows, that say anything.
_LEAST = 50
#: Standard errors from which rows are said to go together, and the least correlation.
_LEAST_Z, _LEAST_SHARE = 6.0, 0.02
#: Rows that are this part of the table apart are in other units, or later in a series; that they
#: are nearly as much alike as neighbours, by this share, means that the table has few stretches.
_STRETCHES, _NEARLY = 20, 0.5
#: Units are many and small: the fewest of them, and the most rows in the mean.
_LEAST_GROUPS, _MOST_IN_GROUP = 20, 50.0


def rows_to_see(n_variables: int) -> int:
    """Give the number of rows, from the beginning, that are looked at.

    Parameters
    ----------
    n_variables : int

    Returns
    -------
    int

    Examples
    --------
    >>> rows_to_see(6), rows_to_see(200)
    (50000, 10000)
    """
    return min(max(_MOST_VALUES // max(n_variables, 1), _FEWEST_ROWS), _MOST_ROWS)


def neighbours_agree(values: NDArray[np.number], cardinalities: Sequence[int]) -> float | None:
    """Measure how far rows that follow each other go together.

    Parameters
    ----------
    values : ndarray of number, shape (n_rows, n_variables)
        In the order of the input: codes of states (-1: missing), or numbers (NaN: missing).
    cardinalities : sequence of int
        Number of states of each variable; 0 for numbers.

    Returns
    -------
    float or None
        The largest correlation of a variable in one row with that in the next; None where this
        is no more than chance, or the rows are sorted, or stand in a few long stretches, as tables
        that somebody put one below the other.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.integers(0, 3, (2000, 2))
    >>> neighbours_agree(rows, [3, 3]), round(neighbours_agree(np.repeat(rows, 2, 0), [3, 3]), 1)
    (None, 0.5)
    """
    rows = values[: rows_to_see(values.shape[1])]
    if len(rows) < _LEAST or _is_sorted(rows):
        return None
    found = [share for share in map(_along, _kernels(rows, cardinalities)) if share is not None]
    return max(found, default=None)


def like_units(
    values: NDArray[np.number], cardinalities: Sequence[int], columns: Sequence[SideColumn]
) -> tuple[str, float] | None:
    """Find the column whose values name rows that go together, as units would.

    Parameters
    ----------
    values : ndarray of number, shape (n_rows, n_variables)
        As for :func:`neighbours_agree`.
    cardinalities : sequence of int
    columns : sequence of SideColumn
        Columns that are no variables; of as many rows, or of the first of them.

    Returns
    -------
    tuple of str and float, or None
        The name of the column in which they go together most, with the largest correlation of
        a variable in two rows that share a value of it.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows, clone = np.repeat(rng.integers(0, 3, (500, 2)), 3, axis=0), np.arange(1500) // 3
    >>> column = SideColumn(tuple(map(str, range(500))), clone, "clone")
    >>> name, share = like_units(rows, [3, 3], [column])
    >>> name, round(share, 3)
    ('clone', 1.0)
    >>> shuffled = SideColumn(column.texts, rng.permutation(clone), "clone")
    >>> like_units(rows, [3, 3], [shuffled]) is None
    True
    """
    found = [(column.name, _within(values, cardinalities, column.index)) for column in columns]
    told = [(name, share) for name, share in found if share is not None]
    return max(told, key=lambda one: one[1], default=None)


def words_of_units(neighbours: float | None, like: tuple[str, float] | None) -> str:
    """Say that rows seem to come in units, and what to do; nothing if they do not.

    Parameters
    ----------
    neighbours : float or None
        From :func:`neighbours_agree`.
    like : tuple of str and float, or None
        From :func:`like_units`.

    Returns
    -------
    str

    Examples
    --------
    >>> words_of_units(None, ("clone", 0.31)).partition(":")[0]
    "rows with the same value of column 'clone' go together (correlation 0.31)"
    >>> words_of_units(None, None)
    ''
    """
    if like is not None:
        name, share = like
        return (
            f"rows with the same value of column {name!r} go together (correlation {share:.2f}): "
            f"if it names units whose rows share an intervention, say so (--unit {name}, "
            f"unit={name!r}), or the intervals are too narrow"
        )
    if neighbours is not None:
        return (
            f"rows that follow each other go together (correlation {neighbours:.2f}): if rows come "
            "in units, or in the order of time, name the column that says so (--unit, --time, "
            "unit=, time=), or the intervals are too narrow"
        )
    return ""


def _within(
    values: NDArray[np.number], cardinalities: Sequence[int], group: NDArray[np.int64]
) -> float | None:
    """Measure how far rows of a group go together; None if it is no more than chance."""
    n_rows = min(len(values), group.size)
    has = np.flatnonzero(group[:n_rows] >= 0)
    _, place, sizes = np.unique(group[has], return_inverse=True, return_counts=True)
    n_groups = sizes.size
    if n_groups < _LEAST_GROUPS or has.size > _MOST_IN_GROUP * n_groups or sizes.max() < 2:
        return None
    found = []
    for one in _kernels(values[has], cardinalities):
        # Twice the sum over pairs: the square of the sum, less the squares.
        squares = sum(float((np.bincount(place, own) ** 2).sum()) for own in one.own.T)
        total = (squares - float((one.own**2).sum())) / 2.0
        n_known = np.bincount(place, one.known)
        found.append(_correlation(one, total, float((n_known * (n_known - 1)).sum()) / 2.0))
    return max((share for share in found if share is not None), default=None)


class _Kernel(Protocol):
    """What makes k of a variable."""

    @property
    def own(self) -> Floats:
        """k(i, j) is the product of rows i and j of it; zero where a value is missing."""

    @property
    def known(self) -> Bools:
        """Rows with a value."""

    @property
    def itself(self) -> float:
        """Mean of k(i, i), the most that k of a pair can be in the mean."""

    @property
    def variance(self) -> float:
        """Of k(i, j) for independent rows."""

    def total(self, distance: int) -> float:
        """Sum k over rows that are so far apart."""


@dataclass(frozen=True)
class _OfNumbers:
    own: Floats
    known: Bools
    itself: float
    variance: float

    def total(self, distance: int) -> float:
        return float((self.own[:-distance] * self.own[distance:]).sum())


@dataclass(frozen=True)
class _OfStates:
    """k of states, which pairs of them say, so that pairs of rows need only be counted."""

    #: Position of each row's state, that of a missing value last.
    place: NDArray[np.int64]
    share: Floats
    known: Bools
    itself: float
    variance: float

    @property
    def own(self) -> Floats:
        return self._of_places[self.place]

    @property
    def _of_places(self) -> Floats:
        n = self.share.size
        return np.vstack([np.eye(n) - self.share, np.zeros((1, n))])

    def total(self, distance: int) -> float:
        rows = self._of_places
        of_pairs = rows @ rows.T
        together = self.place[:-distance] * len(rows) + self.place[distance:]
        return float(np.bincount(together, minlength=of_pairs.size) @ of_pairs.ravel())


def _kernels(values: NDArray[np.number], cardinalities: Sequence[int]) -> Iterator[_Kernel]:
    """Give the kernel of each variable that varies."""
    for column, n_states in zip(values.T, cardinalities, strict=True):
        known = column >= 0 if n_states else np.isfinite(column)
        if known.sum() < 2 or np.ptp(column[known]) <= 0:
            continue
        yield (_of_states if n_states else _of_numbers)(column, known)


def _of_states(column: NDArray[np.number], known: Bools) -> _Kernel:
    codes = np.where(known, column, 0).astype(np.int64)
    counts = np.bincount(codes, known)
    states = np.flatnonzero(counts)
    share = counts[states] / counts.sum()
    place = np.zeros(counts.size, dtype=np.int64)
    place[states] = np.arange(states.size)
    centred = np.eye(share.size) - share - share[:, None] + (share**2).sum()
    own = np.where(known, place[codes], states.size)
    return _OfStates(own, share, known, 1.0 - (share**2).sum(), share @ centred**2 @ share)


def _of_numbers(column: NDArray[np.number], known: Bools) -> _Kernel:
    # Ranks, for one far value would be all of a sum of products.
    rank = _ranks(column[known])
    own = np.zeros((len(column), 1))
    own[known, 0] = (rank - rank.mean()) / rank.std()
    return _OfNumbers(own, known, 1.0, 1.0)


def _ranks(values: NDArray[np.number]) -> Floats:
    """Rank values from 1 on, equal ones by the mean of their places."""
    # scipy.stats has this, and takes longer to load than most fits.
    _, place, numbers = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(numbers)
    return np.asarray((last - 0.5 * (numbers - 1))[place])


def _correlation(kernel: _Kernel, total: float, n_pairs: float) -> float | None:
    """Mean of k over pairs, as a share of the most; None where it is no more than chance."""
    if n_pairs < _LEAST:
        return None
    share = total / (n_pairs * kernel.itself)
    beyond = total / np.sqrt(n_pairs * kernel.variance)
    return float(share) if beyond > _LEAST_Z and share > _LEAST_SHARE else None


def _along(kernel: _Kernel) -> float | None:
    """Correlation of neighbours; None where rows far apart are nearly as much alike."""
    near = _correlation(kernel, *_at_distance(kernel, 1))
    if near is None:
        return None
    total, n_pairs = _at_distance(kernel, max(len(kernel.own) // _STRETCHES, 2))
    return near if total < _NEARLY * near * n_pairs * kernel.itself else None


def _at_distance(kernel: _Kernel, distance: int) -> tuple[float, float]:
    """Sum k over rows that are so far apart, and count the pairs that both have a value."""
    return kernel.total(distance), float((kernel.known[:-distance] & kernel.known[distance:]).sum())


def _is_sorted(rows: NDArray[np.number]) -> bool:
    """Whether equal rows stand together, or a column goes one way: somebody sorted the table."""
    differs = (rows[1:] != rows[:-1]).any(axis=1)
    n_runs = 1 + int(differs.sum())
    # Where most rows differ from the next, one look is saved.
    if n_runs <= len(rows) // 2 and n_runs == len(np.unique(rows, axis=0)):
        return True
    going = np.arange(rows.shape[1])
    for some in (rows[:_LEAST], rows):  # of most columns a few rows tell that they do not
        part = some[:, going]
        up = (part[1:] >= part[:-1]).all(axis=0) | (part[1:] <= part[:-1]).all(axis=0)
        going = going[up]
    return bool((rows[1:, going] != rows[:-1, going]).any())
