"""Rows in order of time, each unit's and each batch's apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.data.side_columns import SideColumn
from dosift.data.times import Times
from dosift.errors import InputError

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]
Kind = TypeVar("Kind", bound=np.generic)

#: Rows at one time are as far apart as this part of a typical step: they share a target as good as
#: for certain, and no row becomes impossible by it.
_AT_ONCE = 1e-6


@dataclass(frozen=True)
class RowOrder:
    """Rows in order of time, those of each unit together, and those of each batch.

    Attributes
    ----------
    place : ndarray of int64, shape (n_rows,)
        Position in the input of each row in this order.
    begins : ndarray of bool, shape (n_rows,)
        Whether a row is the first of its unit in its batch.
    exposure : ndarray, shape (n_rows,)
        Time since the row before, in typical steps; infinite where a unit or a batch begins.
    step : float
        The typical step, the median of the differences between times; one where no unit has two.
    times : Times
        In the input's order.
    unit : SideColumn or None
        In the input's order; None where all rows are of one.
    batch : ndarray of int64, shape (n_rows,), or None
        The batch of each row in this order, ascending; None where rows have none.
    """

    place: Positions
    begins: NDArray[np.bool_]
    exposure: Floats
    step: float
    times: Times
    unit: SideColumn | None = None
    batch: Positions | None = None

    @classmethod
    def of(
        cls, times: Times, unit: SideColumn | None = None, batch: Positions | None = None
    ) -> RowOrder:
        """Put rows in order.

        Parameters
        ----------
        times : Times
        unit : SideColumn, optional
            Without it, all rows are of one unit.
        batch : ndarray of int, shape (n_rows,), optional
            Position of each row's batch. Rows of a unit in several batches are series of their own.

        Returns
        -------
        RowOrder
            Rows of a unit at the same time stay in the input's order.

        Raises
        ------
        InputError
            If a row has no unit, or all times are the same.

        Examples
        --------
        >>> from dosift.data.side_columns import side_column
        >>> from dosift.data.times import times_of
        >>> order = RowOrder.of(times_of(side_column([5, 1, 3, 9], 4, "time")))
        >>> order.place.tolist(), order.exposure.tolist(), order.step
        ([1, 2, 0, 3], [inf, 1.0, 1.0, 2.0], 2.0)
        """
        if unit is not None:
            unit.check_complete("unit")
        own = np.zeros(len(times), dtype=np.int64) if unit is None else unit.index
        group = np.zeros(len(times), dtype=np.int64) if batch is None else np.asarray(batch)
        place = np.lexsort((times.values, own, group)).astype(np.int64)
        begins = np.append(True, (np.diff(own[place]) != 0) | (np.diff(group[place]) != 0))
        gaps = np.diff(times.values[place], prepend=0.0)
        inside = gaps[~begins]
        if inside.size and not (inside > 0).any():
            raise InputError(
                f"{times.name} is the same in all rows of a unit; give a column that says in which "
                "order they came",
                path=times.path,
            )
        step = float(np.median(inside[inside > 0])) if inside.size else 1.0
        exposure = np.where(begins, np.inf, np.maximum(gaps / step, _AT_ONCE))
        in_order = None if batch is None else group[place].astype(np.int64)
        return cls(place, begins, exposure, step, times, unit, in_order)

    @classmethod
    def even(cls, n_rows: int) -> RowOrder:
        """Return the order of rows that come one after the other.

        Parameters
        ----------
        n_rows : int

        Examples
        --------
        >>> RowOrder.even(3).exposure.tolist()
        [inf, 1.0, 1.0]
        """
        place = np.arange(n_rows)
        times = Times(place.astype(np.float64), pl.Series(place), False, "row")
        return cls(place, place == 0, np.where(place == 0, np.inf, 1.0), 1.0, times)

    def __len__(self) -> int:
        return int(self.place.size)

    @property
    def at_once(self) -> float:
        """Share of the rows that have the time of another one before them in their series."""
        inside = ~self.begins
        return float((self.exposure[inside] <= _AT_ONCE).sum() / max(len(self), 1))

    def windows(self, length: int) -> Positions:
        """Cut units into windows of so many rows each; the last of a unit may have fewer.

        Parameters
        ----------
        length : int

        Returns
        -------
        ndarray of int64, shape (n_rows,)
            The window of each row in order, from 0.

        Examples
        --------
        >>> from dosift.data.side_columns import side_column
        >>> from dosift.data.times import times_of
        >>> times = times_of(side_column([1, 2, 3, 4, 5], 5, "time"))
        >>> RowOrder.of(times).windows(2).tolist()
        [0, 0, 1, 1, 2]
        """
        starts = np.flatnonzero(self.begins)
        number = np.cumsum(self.begins) - 1
        inside = np.arange(len(self)) - starts[number]
        return np.cumsum(self.begins | (inside % length == 0)) - 1

    def check_like(self, in_seconds: bool) -> None:
        """Refuse times that cannot be held against those of a fit.

        Parameters
        ----------
        in_seconds : bool
            Whether those were timestamps.

        Raises
        ------
        InputError
            If these are numbers and those were timestamps, or the other way round.
        """
        if self.times.in_seconds != in_seconds:
            kinds = ("numbers", "dates or timestamps")
            raise InputError(
                f"{self.times.name} holds {kinds[self.times.in_seconds]}, and the mixture was "
                f"fitted to {kinds[in_seconds]}; give times of the same kind, or the rate of "
                "switching would be that of another clock",
                path=self.times.path,
            )

    def in_input_order(self, values: NDArray[Kind]) -> NDArray[Kind]:
        """Bring values of rows in this order back into the input's.

        Parameters
        ----------
        values : ndarray, shape (n_rows, ...)

        Returns
        -------
        ndarray, shape (n_rows, ...)
        """
        out = np.empty_like(values)
        out[self.place] = values
        return out
