"""The unit of each row, as it is given beside the variables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.data.factorise import texts_at
from dosift.data.side_columns import SideColumn, side_column
from dosift.errors import InputError

Floats = NDArray[np.float64]


def units_of(column: SideColumn) -> NDArray[np.int64]:
    """Give each unit a number; a row without one is a unit of its own.

    Parameters
    ----------
    column : SideColumn
        What was given as the unit of each row.

    Returns
    -------
    ndarray of int64, shape (n_rows,)
        In the order of the texts, then rows without one in their own order.
    """
    alone = column.index < 0
    occurs = np.zeros(len(column.texts) + 1, dtype=bool)
    occurs[column.index] = True
    occurs[-1] = False  # where rows without a unit are
    out = (np.cumsum(occurs) - 1)[column.index]
    out[alone] = int(occurs.sum()) + np.arange(int(alone.sum()))
    return np.asarray(out)


def check_units(
    column: SideColumn,
    unit: NDArray[np.int64],
    batch: SideColumn | None,
    weight: Floats | None,
) -> None:
    """Refuse units whose rows are in several batches, or have several weights.

    Parameters
    ----------
    column : SideColumn
        Of units.
    unit : ndarray of int64, shape (n_rows,)
        From :func:`units_of`.
    batch : SideColumn or None
    weight : ndarray, shape (n_rows,), or None

    Raises
    ------
    InputError
        Naming the unit and two of its rows.
    """
    if batch is not None:
        row, other = _differing(unit, batch.index)
        if row >= 0:
            raise InputError(
                f"{column.name}: unit {_named(column, row)!r} is in batch "
                f"{batch.texts[batch.index[other]]!r} in data row {other + 1} and in "
                f"{batch.texts[batch.index[row]]!r} in data row {row + 1}; the rows of a unit were "
                "hit by the same intervention, so give units of one batch each",
                path=column.path,
            )
    if weight is not None:
        row, other = _differing(unit, weight)
        if row >= 0:
            raise InputError(
                f"{column.name}: unit {_named(column, row)!r} has sample_weight "
                f"{weight[other]:g} in data row {other + 1} and {weight[row]:g} in data row "
                f"{row + 1}; a unit counts as a whole, so give its rows one weight",
                path=column.path,
            )


def label_of_units(
    column: SideColumn, unit: NDArray[np.int64], labels: SideColumn | None
) -> NDArray[np.int64]:
    """Take the label of one row of a unit for that of all its rows.

    Parameters
    ----------
    column : SideColumn
        Of units.
    unit : ndarray of int64, shape (n_rows,)
    labels : SideColumn or None

    Returns
    -------
    ndarray of int64, shape (n_rows,)
        Positions of texts, -1 where no row of the unit has a label.

    Raises
    ------
    InputError
        If rows of a unit have different labels.
    """
    assert labels is not None
    given = np.flatnonzero(labels.index >= 0)
    row, other = _differing(unit[given], labels.index[given])
    if row >= 0:
        row, other = int(given[row]), int(given[other])
        raise InputError(
            f"{column.name}: unit {_named(column, row)!r} has the label "
            f"{labels.texts[labels.index[other]]!r} in data row {other + 1} and "
            f"{labels.texts[labels.index[row]]!r} in data row {row + 1}; the rows of a unit were "
            "hit by the same intervention, so correct one of them",
            path=labels.path,
        )
    own = np.full(int(unit.max(initial=-1)) + 1, -1, dtype=np.int64)
    own[unit[given]] = labels.index[given]
    return np.asarray(own[unit])


def _named(column: SideColumn, row: int) -> str:
    return str(column.texts[int(column.index[row])])


def _differing(unit: NDArray[np.int64], values: NDArray[np.generic]) -> tuple[int, int]:
    """Find the first row that differs from the first one of its unit, and that; -1 if none does."""
    _, first = np.unique(unit, return_index=True)
    of_first = np.zeros(int(unit.max(initial=-1)) + 1, dtype=np.int64)
    of_first[unit[first]] = first
    differs = values != values[of_first[unit]]
    if not differs.any():
        return -1, -1
    row = int(differs.argmax())
    return row, int(of_first[unit[row]])


def texts_of_units(values: pl.Series, name: str, path: str | Path | None) -> pl.Series:
    """Take a part of a column of units for texts, without an object of Python for each.

    Parameters
    ----------
    values : polars.Series
    name : str
        What it is called in messages.
    path : str, Path or None

    Returns
    -------
    polars.Series
        Of strings; null where it is missing or empty.
    """
    if values.dtype.is_integer() or values.dtype == pl.String:
        texts = values.cast(pl.String)
        return texts.set(texts == "", None)
    column = side_column(values, len(values), name, path)
    return texts_at(column.texts, column.index)


def column_of_units(parts: Sequence[pl.Series], name: str, path: str | Path | None) -> SideColumn:
    """Put parts of a column of units together.

    Parameters
    ----------
    parts : sequence of polars.Series
        From :func:`texts_of_units`, in the order of the rows.
    name : str
    path : str, Path or None

    Returns
    -------
    SideColumn

    Examples
    --------
    >>> import polars as pl
    >>> parts = [texts_of_units(pl.Series(own), "unit", None) for own in ([2, 1, None], [10, 2, 1])]
    >>> found = column_of_units(parts, "unit", None)
    >>> found.texts, found.index.tolist()
    (('1', '10', '2'), [2, 0, -1, 1, 2, 0])
    """
    whole = pl.concat(list(parts))
    known = whole.drop_nulls().unique().sort()
    position = whole.cast(pl.Enum(known)).to_physical().cast(pl.Int64).fill_null(-1)
    return SideColumn(tuple(known.to_list()), position.to_numpy(), name, path)
