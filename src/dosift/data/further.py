"""Columns that nobody named: what the first rows hold in them, for those who look for units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np

from dosift.data.side_columns import SideColumn, side_column
from dosift.errors import InputError

#: Rows and columns that are looked at, from the beginning.
FIRST_ROWS = 20_000
_MOST_COLUMNS = 20


def further_columns(columns: Mapping[str, Any]) -> tuple[SideColumn, ...]:
    """Take the first values of columns that are neither variables nor named.

    Parameters
    ----------
    columns : mapping of str to narwhals.Series

    Returns
    -------
    tuple of SideColumn
        Those of texts and whole numbers, which may name something, of the first rows.

    Examples
    --------
    >>> import narwhals as nw
    >>> import polars as pl
    >>> frame = nw.from_native(pl.DataFrame({"clone": ["b", "a"], "age": [3.5, 1.25]}))
    >>> [(c.name, c.texts) for c in further_columns({n: frame[n] for n in frame.columns})]
    [('clone', ('a', 'b'))]
    """
    found = []
    for name in list(columns)[:_MOST_COLUMNS]:
        first = columns[name].head(FIRST_ROWS)
        if not _names_things(first):
            continue
        try:
            found.append(side_column(first, len(first), name))
        except InputError:
            continue  # lists, dates and the like: no variable, and nobody named it
    return tuple(found)


def _names_things(column: Any) -> bool:
    """Whether values are texts or whole numbers."""
    kind = column.dtype
    if kind in {nw.String, nw.Categorical, nw.Enum, nw.Object}:
        return True
    if kind.is_float():
        values = column.drop_nulls().to_numpy()
        return bool(np.isfinite(values).all() and (values == np.floor(values)).all())
    return bool(kind.is_integer())
