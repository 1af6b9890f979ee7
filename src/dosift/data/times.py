"""The time of each row: numbers, dates or timestamps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.data.side_columns import SideColumn
from dosift.errors import InputError

Floats = NDArray[np.float64]

#: Microseconds of a second.
_MICROSECONDS = 1e6
#: How many characters of a value are shown.
_SHOWN = 40
#: Whole numbers up to this are shown as such.
_MOST_WHOLE = 2.0**53


@dataclass(frozen=True)
class Times:
    """The time of each row.

    Attributes
    ----------
    values : ndarray, shape (n_rows,)
        As numbers; of timestamps, seconds since the first one.
    shown : polars.Series
        For tables: whole or decimal numbers, or timestamps (in UTC where they were given with a
        time zone).
    in_seconds : bool
        Whether the numbers are seconds.
    name : str
        What the column is called in messages.
    path : str, Path or None
        The file that it came from.
    """

    values: Floats
    shown: pl.Series
    in_seconds: bool
    name: str
    path: str | Path | None = None

    def __len__(self) -> int:
        return int(self.values.size)


def times_of(column: SideColumn) -> Times:
    """Read the time of each row.

    Parameters
    ----------
    column : SideColumn
        Texts of numbers, or of dates and timestamps as in ISO 8601 (``2026-03-01``,
        ``2026-03-01T12:00:00Z``).

    Returns
    -------
    Times

    Raises
    ------
    InputError
        If a row has no time, or some value is none.

    Examples
    --------
    >>> from dosift.data.side_columns import side_column
    >>> times_of(side_column(["2026-03-01", "2026-03-01T00:01:30"], 2, "time")).values.tolist()
    [0.0, 90.0]
    >>> times_of(side_column([3, 1.5], 2, "time")).shown.to_list()
    [3.0, 1.5]
    """
    if (column.index < 0).any():
        _refuse(column, column.index < 0, "is empty")
    texts = pl.Series(column.texts, dtype=pl.String).str.strip_chars()
    numbers = texts.cast(pl.Float64, strict=False)
    if not numbers.null_count():
        own = numbers.to_numpy()
        if not np.isfinite(own).all():
            _refuse(column, ~np.isfinite(own)[column.index], "is not finite")
        is_whole = np.abs(own).max(initial=0.0) < _MOST_WHOLE and (own == np.floor(own)).all()
        shown = numbers.cast(pl.Int64) if is_whole else numbers
        return Times(own[column.index], shown.gather(column.index), False, column.name, column.path)
    moments = _timestamps(column, texts, numbers)
    # Microseconds since 1970 are too large for all their digits to fit into a double.
    whole = moments.cast(pl.Int64).to_numpy()
    seconds = (whole - whole.min()) / _MICROSECONDS
    shown = moments.gather(column.index)
    return Times(seconds[column.index], shown, True, column.name, column.path)


def _timestamps(column: SideColumn, texts: pl.Series, numbers: pl.Series) -> pl.Series:
    """Read texts as dates and timestamps."""
    is_date = texts.str.contains(r"^\d{4}-\d\d-\d\d$")
    own = texts.str.replace(" ", "T", literal=True).str.replace(r"[zZ]$", "+00:00")
    own = own.str.replace(r"(T.*[+-]\d\d):?(\d\d)$", "$1:$2")
    own = pl.select(pl.when(is_date).then(texts + "T00:00:00").otherwise(own)).to_series()
    own = own.str.replace(r"T(\d\d:\d\d)([+-]\d\d:\d\d)?$", "T$1:00$2")
    zoned = own.str.contains(r"T.*[+-]\d\d:\d\d$").to_numpy()
    with_zone = own.str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", time_zone="UTC", strict=False
    )
    without = own.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    wrong = (with_zone.is_null() & without.is_null()).to_numpy()
    if wrong.any():
        what = "is no number, date or timestamp (as in 2026-03-01T12:00:00)"
        if numbers.is_not_null().sum() > len(texts) // 2:
            wrong, what = numbers.is_null().to_numpy(), "is no number, as others are"
        _refuse(column, wrong[column.index], what)
    if zoned.any() and not zoned.all():
        _refuse(column, ~zoned[column.index], "has no time zone, and others have one")
    return with_zone if zoned.all() else without


def _refuse(column: SideColumn, wrong: NDArray[np.bool_], what: str) -> None:
    """Refuse values that are no times, and name the first."""
    row = int(wrong.argmax())
    place = int(column.index[row])
    shown = "" if place < 0 else f": {column.texts[place][:_SHOWN]!r}"
    raise InputError(
        f"{column.name}{shown} in data row {row + 1} {what} ({int(wrong.sum())} such row(s)); "
        "every row needs its time",
        path=column.path,
    )
