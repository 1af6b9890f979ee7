"""Likelihood columns of rows in order of time, laid out for the passes of a chain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Bools, Floats, Ints

Kind = TypeVar("Kind", bound=np.generic)

#: Up to so many targets, parts of a chain are worked on side by side; that takes as many times the
#: arithmetic as there are targets, and saves the overhead of a step for each row.
_MOST_SIDE_BY_SIDE = 40


@dataclass(frozen=True)
class ChainRows:
    """Rows of one or many chains, cut into parts of equal length that are walked side by side.

    Chains follow each other: where one begins, the time since the row before is infinite, so that
    the target is drawn anew for certain, and nothing else needs to know of it. No part has rows of
    two batches; the last one of each batch is filled up with steps that change nothing.

    Attributes
    ----------
    columns : ndarray, shape (length, n_targets, n_parts)
        Likelihood of each target, on the scale of the row.
    exposure : ndarray, shape (length, n_parts)
        Time since the row before, in units of a typical step; infinite where a chain begins.
    log_scale : ndarray, shape (n_rows,)
        Logarithm of the scale of each row: that of its likeliest target.
    impossible : ndarray of bool, shape (n_rows,)
        Rows that no target can produce; they are passed over.
    place : ndarray of int64, shape (n_rows,)
        Position of each row among the steps of all parts, ``part * length + step``.
    batch : ndarray of int64, shape (n_parts,)
        The batch of each part.
    """

    columns: Floats
    exposure: Floats
    log_scale: Floats
    impossible: Bools
    place: NDArray[np.int64]
    batch: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        columns: Floats,
        index: Ints,
        exposure: Floats,
        log_reference: Floats | float = 0.0,
        n_parts: int | None = None,
        batch: Ints | None = None,
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
            Parts that are walked side by side, about; by default what is fastest.
        batch : ndarray of int, shape (n_rows,), optional
            The batch of each row, ascending; where another begins, so does a chain. All rows are of
            one by default.

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
        length = -(-n_rows // max(1, min(n_parts, n_rows)))
        place, part_batch = _places(n_rows, length, batch)
        n_parts = part_batch.size
        # One more row than there are, which every target produces: it fills up the parts.
        scaled = np.concatenate([scaled, np.ones((1, n_targets))])
        filled = np.full(length * n_parts, len(scaled) - 1)
        filled[place] = index
        own = np.ascontiguousarray(filled.reshape(n_parts, length).T)
        laid = np.empty((length, n_targets, n_parts))
        for j in range(n_targets):
            laid[:, j, :] = scaled[:, j][own]
        steps = np.zeros(length * n_parts)
        steps[place] = exposure
        return cls(
            laid,
            np.ascontiguousarray(steps.reshape(n_parts, length).T),
            np.asarray(log_row[index]),
            np.asarray(impossible[index]),
            place,
            part_batch,
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

    def of_parts(self, weights: Floats) -> Floats:
        """Weights of the targets in the batch of each part.

        Parameters
        ----------
        weights : ndarray, shape (n_targets,) or (n_batches, n_targets)

        Returns
        -------
        ndarray, shape (n_targets, n_parts) or (n_targets, 1)
        """
        return weights[:, None] if weights.ndim == 1 else weights.T[:, self.batch]

    def of_rows(self, weights: Floats) -> Floats:
        """Weights of the targets in the batch of each row.

        Parameters
        ----------
        weights : ndarray, shape (n_targets,) or (n_batches, n_targets)

        Returns
        -------
        ndarray, shape (n_rows, n_targets) or (1, n_targets)
        """
        if weights.ndim == 1 or len(weights) == 1:
            return weights.reshape(1, -1)
        return np.asarray(weights[self.batch[self.place // self.columns.shape[0]]])

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

    def only(self, targets: Bools) -> ChainRows:
        """Return the same rows with some of the targets.

        Parameters
        ----------
        targets : ndarray of bool, shape (n_targets,)
        """
        if targets.all():
            return self
        return replace(self, columns=np.ascontiguousarray(self.columns[:, targets]))

    def of_batch(self, batch: int) -> ChainRows:
        """Return the rows of one batch, as if there were no others.

        Parameters
        ----------
        batch : int
        """
        own = self.batch == batch
        length, n_parts = self.exposure.shape
        place = np.full(length * n_parts, -1)
        place[np.repeat(own, length)] = np.arange(length * int(own.sum()))
        place = place[self.place]
        rows = place >= 0
        return ChainRows(
            np.ascontiguousarray(self.columns[:, :, own]),
            np.ascontiguousarray(self.exposure[:, own]),
            self.log_scale[rows],
            self.impossible[rows],
            place[rows],
            np.zeros(int(own.sum()), dtype=np.int64),
        )

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
            return laid.T.reshape(-1)[self.place]
        moved = laid.transpose(2, 0, 1)
        return moved.reshape(-1, laid.shape[1])[self.place]

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


def _places(
    n_rows: int, length: int, batch: Ints | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lay rows out in parts of one batch each: where each row stands, and each part's batch."""
    if batch is None:
        return np.arange(n_rows), np.zeros(-(-n_rows // length), dtype=np.int64)
    batches, first, sizes = np.unique(batch, return_index=True, return_counts=True)
    n_parts = -(-sizes // length)
    start = np.cumsum(n_parts) - n_parts
    inside = np.arange(n_rows) - np.repeat(first, sizes)
    place = np.repeat(start * length, sizes) + inside
    return place.astype(np.int64), np.repeat(batches, n_parts).astype(np.int64)
