"""Distinct values of a column, whichever dataframe library holds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


class UnusableColumnError(Exception):
    """A column holds nested or binary values."""


def factorise(column: Any) -> tuple[NDArray[np.int64], Sequence[Any]]:
    """Find the distinct values of a column and each row's position among them.

    Parameters
    ----------
    column : narwhals.Series

    Returns
    -------
    index : ndarray of int64, shape (n_rows,)
        Position of each row's value; -1 for a missing value that is not among the distinct ones.
    values : sequence
        The distinct values, which may hold a missing one.

    Raises
    ------
    UnusableColumnError
        If the values are nested or binary.

    Examples
    --------
    >>> import narwhals as nw, polars as pl
    >>> index, values = factorise(nw.from_native(pl.Series(["b", "a", "b"]), series_only=True))
    >>> index.tolist(), values
    ([0, 1, 0], ['b', 'a'])
    """
    native = column.to_native()
    if isinstance(native, pl.Series):
        return _factorise_polars(native)
    if column.implementation.is_pyarrow():
        try:
            return _factorise_polars(pl.Series(pl.from_arrow(native)))
        except (TypeError, ValueError, pl.exceptions.PolarsError):
            raise UnusableColumnError(f"values of type {native.type}") from None
    return _factorise_pandas(column.to_pandas())


def _factorise_polars(series: pl.Series) -> tuple[NDArray[np.int64], Sequence[Any]]:
    if series.dtype in {pl.Categorical, pl.Enum}:
        series = series.cast(pl.String)
    elif series.dtype == pl.Object:
        series = text_series(series.to_list())
    elif series.dtype.is_nested() or series.dtype == pl.Binary:
        raise UnusableColumnError(f"values of type {series.dtype}")
    distinct = series.unique(maintain_order=True)
    positions = pl.Series(range(len(distinct)), dtype=pl.Int64)
    index = series.replace_strict(distinct, positions, return_dtype=pl.Int64)
    return index.to_numpy(), distinct.to_list()


def _factorise_pandas(series: Any) -> tuple[NDArray[np.int64], Sequence[Any]]:
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        return series.cat.codes.to_numpy(dtype=np.int64), series.cat.categories.tolist()
    if series.dtype == object:
        kind = pd.api.types.infer_dtype(series, skipna=True)
        if kind == "string":
            # pandas takes texts for the same that differ after a zero character only.
            texts = series.where(series.notna(), None).tolist()
            return _factorise_polars(pl.Series(texts, dtype=pl.String))
        if kind not in {"integer", "floating", "mixed-integer-float", "boolean"}:
            # pandas takes 1 and True for the same value; their texts differ.
            is_missing = series.isna().to_numpy()
            texts = [text_of(value) for value in series.tolist()]
            series = pd.Series(texts, dtype=object).mask(is_missing)
    index, distinct = pd.factorize(series)
    return np.asarray(index, dtype=np.int64), distinct.tolist()


def is_missing(value: Any) -> bool:
    """Whether a value stands for a missing one in some library: None, NaN, NA or NaT."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def text_of(value: Any) -> str:
    """Return the text of a value; of an integer that Python refuses to print, in hexadecimal."""
    try:
        return str(value)
    except ValueError:
        return hex(value)


def text_series(values: Iterable[Any]) -> pl.Series:
    """Return the text of each value, with null for a missing one."""
    texts = [None if is_missing(value) else text_of(value) for value in values]
    # Half of a surrogate pair, which no file can hold, becomes its escape.
    return pl.Series(
        [t if t is None else t.encode(errors="backslashreplace").decode() for t in texts],
        dtype=pl.String,
    )


def texts_at(texts: Sequence[str], index: NDArray[np.integer]) -> pl.Series:
    """Return the text at each position.

    Parameters
    ----------
    texts : sequence of str
    index : ndarray of int, shape (n,)
        Positions among the texts; a negative one has none.

    Returns
    -------
    polars.Series
        Null where there is no text.

    Examples
    --------
    >>> texts_at(["low", "high"], np.array([1, -1, 0])).to_list()
    ['high', None, 'low']
    """
    known = pl.Series([*texts, None], dtype=pl.String)
    return known.gather(np.where(index < 0, len(texts), index))
