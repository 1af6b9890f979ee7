"""The time of each row: numbers, dates and timestamps, and texts of these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dosift.data.factorise import is_missing, text_series
from dosift.errors import InputError

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]

#: Microseconds of a second.
_MICROSECONDS = 1e6
#: How many characters of a value are shown.
_SHOWN = 40


@dataclass(frozen=True)
class Times:
    """The time of each row.

    Attributes
    ----------
    values : ndarray, shape (n_rows,)
        As numbers; of timestamps, seconds since the first one, of durations, seconds.
    shown : polars.Series
        As they were given, for tables.
    in_seconds : bool
        Whether the numbers are seconds.
    name : str
        What the column is called in messages.
    path : str or None
        The file that it came from.
    """

    values: Floats
    shown: pl.Series
    in_seconds: bool
    name: str
    path: str | None = None

    def __len__(self) -> int:
        return int(self.values.size)


def times_of(values: object, n_rows: int, name: str, path: str | Path | None = None) -> Times:
    """Read the time of each row.

    Parameters
    ----------
    values : series, array or sequence
        Numbers, dates, timestamps or durations; or texts of numbers, or of dates and timestamps
        as in ISO 8601 (``2026-03-01``, ``2026-03-01T12:00:00Z``).
    n_rows : int
        How many there must be.
    name : str
        What they are, for messages.
    path : str or Path, optional
        The file that they came from.

    Returns
    -------
    Times

    Raises
    ------
    InputError
        If there is not one time for each row, or some value is missing or no time.

    Examples
    --------
    >>> times_of(["2026-03-01", "2026-03-01T00:01:30"], 2, "time").values.tolist()
    [0.0, 90.0]
    >>> times_of([3, 1.5], 2, "time").values.tolist()
    [3.0, 1.5]
    """
    where = None if path is None else str(path)
    series = _series(values, name, where)
    if len(series) != n_rows:
        raise InputError(f"{name} has {len(series)} value(s) for {n_rows} row(s)", path=path)
    numbers, in_seconds = _numbers(series, name, where)
    if in_seconds:
        # Microseconds since 1970 are too large for all their digits to fit.
        whole = numbers.to_numpy()
        seconds = (whole - whole.min()) / _MICROSECONDS
        return Times(seconds.astype(np.float64), series, True, name, where)
    found = numbers.to_numpy().astype(np.float64)
    if not np.isfinite(found).all():
        _refuse(series, ~np.isfinite(found), "is not finite", name, where)
    return Times(found, series, False, name, where)


def _series(values: object, name: str, path: str | None) -> pl.Series:
    """Return a column as a polars series."""
    import narwhals as nw
    import polars as pl

    is_column = isinstance(values, nw.Series | Iterable) and not isinstance(values, str | bytes)
    if not is_column:
        raise InputError(f"{name} is {values!r}; give one value for each row", path=path)
    native: Any = values.to_native() if isinstance(values, nw.Series) else values
    try:
        if isinstance(native, pl.Series):
            series = native
        elif isinstance(native, np.ndarray | list | tuple):
            series = _of_values(list(np.asarray(native, dtype=object).ravel()))
            if isinstance(native, np.ndarray) and native.dtype != object:
                series = pl.Series(np.ravel(native))
        else:
            series = nw.from_native(native, series_only=True).to_polars()
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{name} cannot be read: {error}; give times", path=path) from None
    if isinstance(series.dtype, pl.Categorical | pl.Enum):
        series = series.cast(pl.String)
    return _of_values(series.to_list()) if series.dtype == pl.Object else series


def _of_values(values: list[Any]) -> pl.Series:
    """Return Python values as a series; of different kinds as texts."""
    import polars as pl

    plain = [
        None if is_missing(v) else v.item() if isinstance(v, np.generic) else v for v in values
    ]
    try:
        return pl.Series(plain)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return text_series(plain)


def _numbers(series: pl.Series, name: str, path: str | None) -> tuple[pl.Series, bool]:
    """Return times as numbers, or as whole microseconds, and whether they are the latter."""
    import polars as pl

    kind = series.dtype
    if kind == pl.String:
        empty = series.is_null() | (series.str.strip_chars() == "")
        if empty.any():
            _refuse(series, empty.to_numpy(), "is empty", name, path)
        return _of_texts(series, name, path)
    if series.null_count():
        _refuse(series, series.is_null().to_numpy(), "is empty", name, path)
    if kind.is_numeric():
        return series, False
    if kind.is_temporal():
        whole: Any = pl.Datetime("us")
        if isinstance(kind, pl.Duration) or kind == pl.Time:
            whole = pl.Duration("us")
        elif isinstance(kind, pl.Datetime) and kind.time_zone is not None:
            whole = pl.Datetime("us", "UTC")
        return series.cast(whole).cast(pl.Int64), True
    raise InputError(
        f"{name} holds values of type {kind}; give numbers, dates, timestamps or durations",
        path=path,
    )


def _of_texts(series: pl.Series, name: str, path: str | None) -> tuple[pl.Series, bool]:
    """Read texts as numbers, or as dates and timestamps."""
    import polars as pl

    texts = series.str.strip_chars()
    numbers = texts.cast(pl.Float64, strict=False)
    if not numbers.null_count():
        return numbers, False
    marked = texts.str.replace(r" ", "T", literal=True)
    marked = marked.str.replace(r"[zZ]$", "+00:00").str.replace(r"([+-]\d\d)(\d\d)$", "$1:$2")
    has_zone = marked.str.contains(r"T.*[+-]\d\d:\d\d$")
    short = marked.str.contains(r"T\d\d:\d\d([+-]\d\d:\d\d)?$")
    is_date = marked.str.contains(r"^\d{4}-\d\d-\d\d$")
    frame = pl.DataFrame({"text": marked, "zone": has_zone, "short": short, "date": is_date})
    own = pl.col("text")
    own = pl.when(pl.col("date")).then(own + "T00:00:00").otherwise(own)
    own = pl.when(pl.col("short")).then(own.str.replace(r"(T\d\d:\d\d)", "$1:00")).otherwise(own)
    found = frame.select(
        pl.coalesce(
            own.str.strptime(pl.Datetime("us", "UTC"), "%Y-%m-%dT%H:%M:%S%.f%:z", strict=False),
            own.str.strptime(
                pl.Datetime("us"), "%Y-%m-%dT%H:%M:%S%.f", strict=False
            ).dt.replace_time_zone("UTC"),
        )
    ).to_series()
    wrong = found.is_null().to_numpy()
    if wrong.any():
        what = "is no number, date or timestamp (as in 2026-03-01T12:00:00)"
        if numbers.is_not_null().sum() > len(series) // 2:
            wrong, what = numbers.is_null().to_numpy(), "is no number, as others are"
        _refuse(series, wrong, what, name, path)
    zoned = has_zone.to_numpy()
    if zoned.any() and not zoned.all():
        _refuse(series, ~zoned, "has no time zone, and others have one", name, path)
    return found.cast(pl.Int64), True


def _refuse(
    series: pl.Series, wrong: NDArray[np.bool_], what: str, name: str, path: str | None
) -> None:
    """Refuse values that are no times, and name the first."""
    row = int(wrong.argmax())
    value = series[row]
    empty = value is None or value == ""
    found = (
        f"{name} in data row {row + 1}"
        if empty
        else f"{name}: {str(value)[:_SHOWN]!r} in data row {row + 1}"
    )
    raise InputError(
        f"{found} {what} ({int(wrong.sum())} such row(s)); every row needs its time", path=path
    )
