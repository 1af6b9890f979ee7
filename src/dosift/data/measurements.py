"""Tables of numbers, whichever library holds them, as columns of floats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.data.read import read_rows
from dosift.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measurements:
    """A table of numbers.

    Attributes
    ----------
    names : tuple of str
        Names of the columns; ``x0``, ``x1``, ... for an array.
    columns : list of ndarray of float64, each of shape (n_rows,)
        NaN where a value is missing.
    library : str
        ``"pandas"``, ``"polars"``, ``"pyarrow"``, another dataframe library, or ``"numpy"``.
    index : object
        The index of a pandas table, else None.
    """

    names: tuple[str, ...]
    columns: list[Floats]
    library: str
    index: Any = None


def as_measurements(data: Any) -> Measurements:
    """Take in a table of numbers.

    Parameters
    ----------
    data : dataframe, mapping of columns, 2-D array of numbers, or path
        Files are those of :func:`~dosift.read_rows`. Null, NaN and the empty text are missing.

    Returns
    -------
    Measurements

    Raises
    ------
    InputError
        If it is no such table, a column name stands there twice, or a value is no finite number.

    Examples
    --------
    >>> as_measurements({"a": ["1.5", ""]}).columns
    [array([1.5, nan])]
    """
    if hasattr(data, "toarray"):
        raise InputError(
            "sparse input is not supported; give the columns that the network needs as a dense "
            "array: matrix[:, columns].toarray()"
        )
    path = data if isinstance(data, str | Path) else None
    if path is not None:
        data = read_rows(path)
    elif isinstance(data, Mapping):
        data = _frame_of(data)
    try:
        frame = nw.from_native(data)
    except TypeError:
        return _from_array(data)
    except (ValueError, nw.exceptions.NarwhalsError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"the table cannot be used: {reason}", path=path) from None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise InputError(f"column {repeated!r} stands there twice; keep one of them", path=path)
    if len(frame) == 0:
        raise InputError("the table has 0 sample(s); at least 1 row is needed", path=path)
    columns = [
        _numbers(frame.get_column(column), name, path)
        for column, name in zip(frame.columns, names, strict=True)
    ]
    index = data.index if frame.implementation.is_pandas() else None
    return Measurements(tuple(names), columns, str(frame.implementation), index)


def _frame_of(columns: Mapping[Any, Any]) -> Any:
    try:
        return pl.DataFrame({str(name): pl.Series(values) for name, values in columns.items()})
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"the columns make no table of numbers: {reason}") from None


def _numbers(column: Any, name: str, path: str | Path | None) -> Floats:
    if not (column.dtype.is_numeric() or column.dtype in {nw.String, nw.Object}):
        raise InputError(
            f"column {name!r} holds values of type {column.dtype}, not numbers; leave it out",
            path=path,
        )
    try:
        if column.dtype.is_numeric():
            values = column.cast(nw.Float64).to_numpy()
        else:
            texts = [None if value is None or value == "" else value for value in column.to_list()]
            values = np.array([np.nan if t is None else float(t) for t in texts])
    except (TypeError, ValueError) as error:
        raise InputError(
            f"column {name!r} does not hold numbers: {error}; leave it out", path=path
        ) from None
    return _finite(np.asarray(values, dtype=np.float64), name, path)


def _finite(values: Floats, name: str, path: str | Path | None) -> Floats:
    infinite = np.isinf(values)
    if infinite.any():
        raise InputError(
            f"column {name!r} holds infinity in row {int(infinite.argmax()) + 1}; give finite "
            "numbers, or leave the value out as missing",
            path=path,
        )
    return values


def _from_array(data: Any) -> Measurements:
    """Take in an array, or whatever numpy makes one of."""
    try:
        raw = np.asarray(data)
        if np.iscomplexobj(raw):
            raise InputError("Complex data not supported; give real numbers")
        array = raw.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"the table does not hold numbers: {error}") from None
    if array.ndim != 2:
        raise InputError(
            f"a table of shape (n_rows, n_columns) is expected, this one has shape {array.shape}. "
            "Reshape your data: array.reshape(-1, 1) makes one column of it"
        )
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise InputError(
            f"0 sample(s) or 0 feature(s) (shape={array.shape}) while a minimum of 1 is required."
        )
    names = tuple(f"x{j}" for j in range(array.shape[1]))
    columns = [_finite(array[:, j], name, None) for j, name in enumerate(names)]
    return Measurements(names, columns, "numpy")
