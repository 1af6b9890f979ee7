"""Which columns of a table are measurements to be cut, and the table with them cut."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from dosift.data.discretizer import Discretizer
from dosift.data.measurements import as_measurements
from dosift.errors import DiscretizationWarning, InputError

#: Whole numbers with at most this many distinct values are states already.
MAX_DISCRETE = 20
_LISTED = 5

Tables = Sequence[tuple["pl.DataFrame", str | Path | None]]


def columns_to_cut(tables: Tables, named: Sequence[str] | None = None) -> list[str]:
    """Choose the columns that hold measurements.

    Parameters
    ----------
    tables : sequence of (polars.DataFrame, path or None)
        Rows, and control rows where there are some; a column is judged by all of them.
    named : sequence of str, optional
        The columns that are wanted; they are only looked for.

    Returns
    -------
    list of str
        In the order of the first table. Left out are texts, booleans, dates, whole numbers of at
        most 20 distinct values, columns that not all tables have, and columns without two
        different values.

    Raises
    ------
    InputError
        If a column that is named is missing or named twice, or there is none to cut.

    Warns
    -----
    DiscretizationWarning
        If a column of numbers is left as it is because one table lacks it.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"a": [0.5, 1.5], "b": [1, 2], "c": ["x", "y"]})
    >>> columns_to_cut([(frame, None)])
    ['a']
    """
    if named is not None:
        _check_named(tables, named)
        return list(named)
    first, path = tables[0]
    common = [name for name in first.columns if all(name in t.columns for t, _ in tables)]
    chosen = [name for name in common if _is_measured([frame[name] for frame, _ in tables])]
    absent = [n for n in first.columns if n not in common and _is_measured([first[n]])]
    if absent:
        warnings.warn(
            f"{len(absent)} column(s) of numbers are not in the control rows and stay as they are: "
            + ", ".join(map(repr, absent[:_LISTED])),
            DiscretizationWarning,
            stacklevel=2,
        )
    if not chosen:
        raise InputError(
            "no column holds measurements: texts, and whole numbers of at most "
            f"{MAX_DISCRETE} distinct values, are states already; name columns to cut them all the "
            "same (--columns A,B)",
            path=path,
        )
    return chosen


def numbers_of(frame: pl.DataFrame, names: Sequence[str], path: str | Path | None) -> pl.DataFrame:
    """Return columns as numbers.

    Parameters
    ----------
    frame : polars.DataFrame
    names : sequence of str
    path : str or Path, optional
        Where the table came from, for messages.

    Returns
    -------
    polars.DataFrame
        Of floats, NaN where a value is missing.

    Raises
    ------
    InputError
        If a column is missing or holds something else than finite numbers.
    """
    for name in names:
        if name not in frame.columns:
            raise InputError(f"column {name!r}, which is to be cut, is missing", path=path)
    try:
        table = as_measurements(frame.select(names))
    except InputError as error:
        raise error if error.path or path is None else InputError(str(error), path=path) from None
    return pl.DataFrame(dict(zip(table.names, table.columns, strict=True)))


def cut_columns(
    frame: pl.DataFrame, discretizer: Discretizer, path: str | Path | None = None
) -> pl.DataFrame:
    """Put states in the place of measurements; other columns stay as they are.

    Parameters
    ----------
    frame : polars.DataFrame
    discretizer : Discretizer
        Fitted.
    path : str or Path, optional
        Where the table came from, for messages.

    Returns
    -------
    polars.DataFrame
        With the columns of `frame`, in their order.

    Raises
    ------
    InputError
        As :func:`numbers_of`.

    Examples
    --------
    >>> import polars as pl
    >>> from dosift.data.discretizer import Discretizer
    >>> frame = pl.DataFrame({"unit": ["u", "v"], "a": [0.5, 1.5]})
    >>> cut_columns(frame, Discretizer(2).fit(frame.select("a"))).rows()
    [('u', 'low'), ('v', 'high')]
    """
    names = list(discretizer.thresholds_)
    states: pl.DataFrame = discretizer.transform(numbers_of(frame, names, path))
    return frame.with_columns(states.get_columns())


def _check_named(tables: Tables, named: Sequence[str]) -> None:
    if len(set(named)) < len(named) or not all(named):
        raise InputError("the columns to cut are named twice, or a name is empty")
    for frame, path in tables:
        for name in named:
            if name not in frame.columns:
                listed = ", ".join(map(repr, frame.columns[:12]))
                raise InputError(
                    f"there is no column {name!r} to cut; the columns are: {listed}", path=path
                )


def _is_measured(parts: Sequence[pl.Series]) -> bool:
    """Whether a column, seen in some tables, holds numbers that are no states."""
    values = []
    for part in parts:
        if part.dtype == pl.String:
            texts = part.unique().replace("", None).drop_nulls()
            numbers = texts.str.strip_chars().cast(pl.Float64, strict=False)
            if numbers.null_count():
                return False
            values.append(numbers)
        elif part.dtype.is_numeric():
            values.append(part.cast(pl.Float64).drop_nulls().unique())
        else:
            return False
    distinct = pl.concat(values).drop_nans().unique().to_numpy()
    if distinct.size < 2:
        return False
    is_whole = bool((distinct == np.round(distinct)).all())
    return not (is_whole and distinct.size <= MAX_DISCRETE)
