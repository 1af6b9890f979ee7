"""Likelihood columns of rows in order of time, laid out for the passes of a chain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Kind = TypeVar("Kind", bound=np.generic)

#: Up to so many targets, parts of a chain are worked on side by side; that takes as many times the
#: arithmetic as there are targets, and saves the overhead of a step for each row.
_MOST_SIDE_BY_SIDE = 40


@dataclass(frozen=True)
class ChainRows:
    """Rows of one or many chains, cut into parts of equal length that are walked side by side.

    Chains follow each other: where one begins, the time since the row before is infinite, so that
    the target is drawn anew for certain, and nothing else needs to know of it. The last part is
    filled up with steps that change nothing.

    Attributes
    ----------
    columns : ndarray, shape (length, n_targets, n_parts)
        Likelihood of each target in row ``part * length + step``, on the scale of the row.
    exposure : ndarray, shape (length, n_parts)
        Time since the row before, in units of a typical step; infinite where a chain begins.
    log_scale : ndarray, shape (n_rows,)
        Logarithm of the scale of each row: that of its likeliest target.
    impossible : ndarray of bool, shape (n_rows,)
        Rows that no target can produce; they are passed over.
    """

    columns: Floats
    exposure: Floats
    log_scale: Floats
    impossible: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        columns: Floats,
        index: Ints,
        exposure: Floats,
        log_reference: Floats | float = 0.0,
        n_parts: int | None = None,
    ) -> ChainRows:
        """Lay rows out.

        Parameters
        ----------
        columns : ndarray, shape (n_distinct, n_targets)
            Likelihoods of the targets in each distinct row; not negative.
        index : ndarray of int, shape (n_rows,)
            The distinct row that each row in order of time is.
        exposure : ndarray, shape (n_rows,)
            Time since the row before, in units of a typical step; positive, and infinite in the
            first row of each chain.
        log_reference : ndarray, shape (n_distinct,), or float, default=0
            Logarithm by which the likelihoods of each distinct row must be multiplied.
        n_parts : int, optional
            Parts that are walked side by side; by default what is fastest.

        Returns
        -------
        ChainRows

        Examples
        --------
        >>> rows = ChainRows.of(np.eye(2), np.array([0, 0, 1]), np.array([np.inf, 1.0, 1.0]))
        >>> rows.n_rows, rows.n_targets
        (3, 2)
        """
        index = np.asarray(index)
        n_rows, n_targets = index.size, columns.shape[1]
        largest = columns.max(axis=1)
        impossible = largest <= 0
        scaled = np.where(
            impossible[:, None], 1.0, columns / np.where(impossible, 1.0, largest)[:, None]
        )
        log_row = np.where(
            impossible, 0.0, np.log(np.where(impossible, 1.0, largest)) + log_reference
        )
        if n_parts is None:
            n_parts = int(np.sqrt(n_rows)) if n_targets <= _MOST_SIDE_BY_SIDE else 1
        n_parts = max(1, min(n_parts, n_rows))
        length = -(-n_rows // n_parts)
        n_parts = -(-n_rows // length)
        padding = length * n_parts - n_rows
        # One more row than there are, which every target produces: it fills up the last part.
        scaled = np.concatenate([scaled, np.ones((1, n_targets))])
        place = np.concatenate([index, np.full(padding, len(scaled) - 1)]).reshape(n_parts, length)
        laid = np.empty((length, n_targets, n_parts))
        for j in range(n_targets):
            laid[:, j, :] = scaled[:, j][place.T]
        steps = np.concatenate([exposure, np.zeros(padding)]).reshape(n_parts, length)
        return cls(
            laid,
            np.ascontiguousarray(steps.T),
            np.asarray(log_row[index]),
            np.asarray(impossible[index]),
        )

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.log_scale.size)

    @property
    def n_targets(self) -> int:
        """Number of targets."""
        return int(self.columns.shape[1])

    @property
    def n_parts(self) -> int:
        """Number of parts that are walked side by side."""
        return int(self.columns.shape[2])

    def log_largest(self, other: ChainRows) -> Floats:
        """Log-likelihood of the best target in each row, relative to that among other targets.

        Parameters
        ----------
        other : ChainRows
            The same rows.

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        gain = self.log_scale - other.log_scale
        return np.where(other.impossible, np.inf, gain)

    def only(self, targets: NDArray[np.bool_]) -> ChainRows:
        """Return the same rows with some of the targets.

        Parameters
        ----------
        targets : ndarray of bool, shape (n_targets,)
        """
        if targets.all():
            return self
        return replace(self, columns=np.ascontiguousarray(self.columns[:, targets]))

    def in_order(self, laid: NDArray[Kind]) -> NDArray[Kind]:
        """Bring values of steps and parts into the order of the rows.

        Parameters
        ----------
        laid : ndarray, shape (length, n_parts) or (length, n_targets, n_parts)

        Returns
        -------
        ndarray, shape (n_rows,) or (n_rows, n_targets)
        """
        if laid.ndim == 2:
            return laid.T.reshape(-1)[: self.n_rows]
        moved = laid.transpose(2, 0, 1)
        return moved.reshape(-1, laid.shape[1])[: self.n_rows]

    def switching(self, rate: float) -> Floats:
        """Probability that the target was drawn anew before each row.

        Parameters
        ----------
        rate : float
            Of switching, in a typical step.

        Returns
        -------
        ndarray, shape (length, n_parts)
            One where a chain begins.
        """
        return np.asarray(-np.expm1(-rate * self.exposure))
