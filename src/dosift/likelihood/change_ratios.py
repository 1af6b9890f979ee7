"""What each change of one variable does to the likelihood of each row.

One object for each variable, of one of two kinds with the same operations. Where a row fits one
change at most, as with do's, one number a row says all (:class:`StateRatios`); in general there is
one for each row and change (:class:`DenseRatios`).
"""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Bools, Floats, Ints, Values
from dosift.model.mechanism import Library, Mechanism

Rows = NDArray[np.int64]

#: Nats by which a row may speak for the likeliest of a variable's mechanisms and against another.
_MOST_EVIDENCE = 50.0
#: The same for a unit of several rows.
_MOST_EVIDENCE_OF_UNITS = 150.0


class ChangeRatios(Protocol):
    """Likelihood ratios of the changes of one variable on rows."""

    n_changes: int
    #: Whether a row fits one of the changes at most.
    is_exclusive: bool

    def fits(self, change: int, rows: Rows | None = None) -> Bools:
        """Tell which of some rows (all by default) a change can produce."""

    def ratio(self, change: int, rows: Rows) -> Floats:
        """Density under a change over that without, in rows that the change fits."""

    def log_ratio(self, change: int, rows: Rows) -> Floats:
        """Logarithm of :meth:`ratio`, also where that is out of range."""

    def sums(self, rows: Rows, first: Floats, second: Floats) -> tuple[Floats, Floats]:
        """Sum weighted ratios over rows, for all changes at once.

        Parameters
        ----------
        rows : ndarray of int
        first, second : ndarray, shape (n_selected,)

        Returns
        -------
        tuple of ndarray, shape (n_changes,)
            Sums of `first` times the ratio, and of `second` times its square.
        """

    def reachable(self) -> Ints:
        """Positions of the changes that fit some row."""


class StateRatios:
    """Ratios of changes of which a row fits one at most.

    Parameters
    ----------
    only : ndarray of int, shape (n_rows,)
        The change that each row fits; -1 for a value that is summed out, which fits all, and
        `n_changes` for a unit whose rows differ, which fits none.
    inverse : ndarray, shape (n_rows,)
        Its ratio, one over the density without a change.
    log_factor : ndarray, shape (n_rows,)
        Less its logarithm.
    n_changes : int
    """

    is_exclusive = True
    __slots__ = ("_has_open", "_inverse", "_log_factor", "_only", "n_changes")

    def __init__(
        self, only: Ints, inverse: Floats, log_factor: Floats, n_changes: int, has_open: bool
    ) -> None:
        self.n_changes = n_changes
        self._only, self._inverse, self._log_factor = only, inverse, log_factor
        self._has_open = has_open

    def fits(self, change: int, rows: Rows | None = None) -> Bools:
        """Tell which rows have the state."""
        only = self._only if rows is None else self._only[rows]
        agrees: Bools = only == change
        if self._has_open:
            agrees |= only < 0
        return agrees

    def ratio(self, change: int, rows: Rows) -> Floats:
        """Return ``1 / p``."""
        out: Floats = self._inverse[rows]
        return out

    def log_ratio(self, change: int, rows: Rows) -> Floats:
        """Return ``-log p``."""
        out: Floats = -self._log_factor[rows]
        return out

    def sums(self, rows: Rows, first: Floats, second: Floats) -> tuple[Floats, Floats]:
        """Sum by state."""
        inverse, only = self._inverse[rows], self._only[rows]
        k = self.n_changes
        # Units whose rows differ fit none and come last, with a ratio of zero.
        sums = np.bincount(only, weights=first * inverse, minlength=k)[:k]
        inverse *= inverse
        squares = np.bincount(only, weights=second * inverse, minlength=k)[:k]
        return np.asarray(sums, dtype=np.float64), np.asarray(squares, dtype=np.float64)

    def reachable(self) -> Ints:
        """Positions of the states that some row has."""
        out: Ints = np.unique(self._only)
        return out[out < self.n_changes]


class DenseRatios:
    """Ratios of any changes.

    Parameters
    ----------
    log_ratio : ndarray, shape (n_rows, n_changes)
        Minus infinity where a change does not fit a row.
    """

    is_exclusive = False

    def __init__(self, log_ratio: Floats) -> None:
        self._log_ratio = log_ratio
        self.n_changes = int(log_ratio.shape[1])

    @cached_property
    def _ratio(self) -> Floats:
        # Only who sums over all changes needs all at once, which take as much room as the rows.
        return np.exp(self._log_ratio)

    @property
    def log_ratio_of_all(self) -> Floats:
        """Logarithms of all ratios, shape (n_rows, n_changes)."""
        return self._log_ratio

    def restricted(self, rows: Rows) -> DenseRatios:
        """Return the ratios of some rows."""
        return DenseRatios(np.asfortranarray(self._log_ratio[rows]))

    def largest_log(self) -> Floats:
        """Logarithm of the largest ratio of each row, 0 at least, shape (n_rows,)."""
        out: Floats = self._log_ratio.max(axis=1, initial=0.0)
        return out

    def fits(self, change: int, rows: Rows | None = None) -> Bools:
        """Tell which rows have a positive density under a change."""
        log_ratio = self._log_ratio[:, change]
        out: Bools = ~np.isneginf(log_ratio if rows is None else log_ratio[rows])
        return out

    def ratio(self, change: int, rows: Rows) -> Floats:
        """Return the ratios of one change."""
        if "_ratio" in self.__dict__:
            known: Floats = self._ratio[rows, change]
            return known
        out: Floats = np.exp(self._log_ratio[rows, change])
        return out

    def log_ratio(self, change: int, rows: Rows) -> Floats:
        """Return the logarithms of the ratios of one change."""
        out: Floats = self._log_ratio[rows, change]
        return out

    def sums(self, rows: Rows, first: Floats, second: Floats) -> tuple[Floats, Floats]:
        """Sum by a matrix product."""
        ratio = self._ratio if rows.size == len(self._ratio) else self._ratio[rows]
        return first @ ratio, second @ np.square(ratio)

    def reachable(self) -> Ints:
        """Positions of the changes that fit some row."""
        out: Ints = np.flatnonzero(~np.isneginf(self._log_ratio).all(axis=0))
        return out


def dense_ratios(
    mechanism: Mechanism, library: Library, values: Values
) -> tuple[Floats, DenseRatios]:
    """Compute what each change of a variable does to the likelihood of each row.

    A row of a count of thousands may be e^1000 times likelier under one mechanism than under
    another, and no number holds the square of that. So densities are raised to e^-50 of that of the
    likeliest mechanism, which leaves them normalised to within e^-50 for each change, keeps apart
    what is likely from what is not, and forgets only the order of what is hopeless.

    Parameters
    ----------
    mechanism : Mechanism
    library : Library
    values : ndarray, shape (n_rows, n_variables)

    Returns
    -------
    log_factor : ndarray, shape (n_rows,)
        Log-density without a change; minus infinity where it is zero.
    ratios : DenseRatios
        Relative to that; to 1 where it is zero.
    """
    logs = np.empty((len(values), len(library) + 1), order="F")
    logs[:, -1] = mechanism.log_density(values)
    for position, change in enumerate(library[:]):
        logs[:, position] = change.applied(mechanism).log_density(values)
    least = logs.max(axis=1, keepdims=True) - _MOST_EVIDENCE
    np.maximum(logs, least, out=logs, where=~np.isneginf(logs))
    log_factor = logs[:, -1].copy()
    base = np.where(np.isneginf(log_factor), 0.0, log_factor)
    return log_factor, DenseRatios(np.asfortranarray(logs[:, :-1] - base[:, None]))


def of_units(
    log_factor: Floats,
    ratios: DenseRatios,
    first: NDArray[np.int64],
    share: Floats | float = 1.0,
) -> tuple[Floats, DenseRatios]:
    """Bring the rows of each unit together, whose densities multiply.

    Parameters
    ----------
    log_factor : ndarray, shape (n_units,)
        Log-density without a change, summed over the rows of each unit.
    ratios : DenseRatios
        Of rows.
    first : ndarray of int64, shape (n_units,)
    share : ndarray, shape (n_units,), or float
        For how much each row of a unit counts.

    Returns
    -------
    log_factor : ndarray, shape (n_units,)
    ratios : DenseRatios
        Densities are raised to e^-150 of that of the likeliest mechanism, as those of rows are to
        e^-50.
    """
    logs = np.add.reduceat(ratios.log_ratio_of_all, first, axis=0)
    logs *= np.reshape(share, (-1, 1))
    best = logs.max(axis=1, initial=0.0)
    least = best - _MOST_EVIDENCE_OF_UNITS
    np.maximum(logs, least[:, None], out=logs, where=~np.isneginf(logs))
    # Without a change the ratio is 1, its logarithm 0.
    own = np.maximum(0.0, least)
    return log_factor + own, DenseRatios(np.asfortranarray(logs - own[:, None]))
