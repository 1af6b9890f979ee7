"""Columns of the rows that are no variables: the batch of each row, or its label."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.data.factorise import (
    UnusableColumnError,
    factorise,
    is_missing,
    text_of,
    text_series,
)
from dosift.errors import InputError


@dataclass(frozen=True)
class SideColumn:
    """The texts of a column.

    Attributes
    ----------
    texts : tuple of str
        The distinct texts, sorted.
    index : ndarray of int64, shape (n_rows,)
        Position of each row's text; -1 where it is missing or empty.
    name : str
        What the column is called in messages.
    path : str, Path or None
        The file that it came from.
    """

    texts: tuple[str, ...]
    index: NDArray[np.int64]
    name: str
    path: str | Path | None = None

    def check_complete(self, what: str) -> None:
        """Refuse rows whose text is missing; `what` says what it is."""
        missing = self.index < 0
        if missing.any():
            raise InputError(
                f"{self.name} is empty in data row {int(missing.argmax()) + 1} "
                f"({int(missing.sum())} such row(s)); every row needs its {what}",
                path=self.path,
            )

    def positions(self, known: Sequence[str]) -> NDArray[np.int64]:
        """Find each row's text among known ones.

        Parameters
        ----------
        known : sequence of str

        Returns
        -------
        ndarray of int64, shape (n_rows,)
            -1 where it is missing.

        Raises
        ------
        InputError
            If a row has a text that is not known.
        """
        rank = {text: k for k, text in enumerate(known)}
        for text in self.texts:
            if text not in rank:
                row = int((self.index == self.texts.index(text)).argmax()) + 1
                raise InputError(
                    f"{self.name} has the batch {text!r} in data row {row}, which was not among "
                    "those that the mixture was fitted to; leave the batch out for the pooled "
                    "weights",
                    path=self.path,
                )
        table = np.array([*(rank[text] for text in self.texts), -1], dtype=np.int64)
        return np.asarray(table[self.index])


def side_column(
    values: object, n_rows: int, name: str, path: str | Path | None = None
) -> SideColumn:
    """Take one value for each row for texts.

    Parameters
    ----------
    values : series, array or sequence
    n_rows : int
        How many there must be.
    name : str
        What they are, for messages.
    path : str or Path, optional
        The file that they came from.

    Returns
    -------
    SideColumn

    Raises
    ------
    InputError
        If there is not one text or number for each row.

    Examples
    --------
    >>> column = side_column(["b", None, "a", 1.0], 4, "batch")
    >>> column.texts, column.index.tolist()
    (('1', 'a', 'b'), [2, -1, 1, 0])
    """
    column = values if isinstance(values, SideColumn) else _texts_of(values, name, path)
    if column.index.size != n_rows:
        raise InputError(f"{name} has {column.index.size} value(s) for {n_rows} row(s)", path=path)
    return column


def check_named(columns: Sequence[str], names: Sequence[str], path: str | Path | None) -> None:
    """Refuse a table that lacks a column which was asked for by name.

    Raises
    ------
    InputError
        With the name that was meant, if one is alike.
    """
    for name in names:
        if name not in columns:
            near = difflib.get_close_matches(name, list(columns), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"they are {', '.join(columns)}"
            raise InputError(f"there is no column {name!r} in the rows; {hint}", path=path)


class TextCodes:
    """Codes of texts that come in parts: each new text gets the next number.

    Attributes
    ----------
    texts : list of str
        In the order of the codes.

    Examples
    --------
    >>> codes = TextCodes()
    >>> first = codes.add(side_column(["b", "b", None], 3, "batch"))
    >>> first.tolist(), codes.add(side_column(["a", "b"], 2, "batch")).tolist(), codes.texts
    ([0, 0, -1], [1, 0], ['b', 'a'])
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._place: dict[str, int] = {}

    def add(self, column: SideColumn) -> NDArray[np.int32]:
        """Return the codes of the next part; -1 where a text is missing."""
        for text in column.texts:
            if text not in self._place:
                self._place[text] = len(self.texts)
                self.texts.append(text)
        # The last entry is what index -1, a missing text, picks.
        place = np.array([*(self._place[text] for text in column.texts), -1], dtype=np.int32)
        return np.asarray(place[column.index])


def _texts_of(values: object, name: str, path: str | Path | None) -> SideColumn:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InputError(f"{name} is {values!r}; give one value for each row", path=path)
    series: Any = values
    if not isinstance(values, nw.Series):
        if isinstance(values, np.ndarray) and values.dtype.kind == "M":
            values = values.astype("datetime64[us]")  # nanoseconds would become whole numbers
        if isinstance(values, np.ndarray | list | tuple):
            series = text_series([_plain(v) for v in np.asarray(values, dtype=object).ravel()])
        try:
            series = nw.from_native(series, series_only=True)
        except TypeError:
            listed = [_plain(value) for value in values]
            series = nw.from_native(text_series(listed), series_only=True)
    try:
        index, distinct = factorise(series)
    except (UnusableColumnError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{name} holds {error}; give texts", path=path) from None
    texts = [None if is_missing(v) or v == "" else text_of(_plain(v)) for v in distinct]
    ordered = sorted({text for text in texts if text is not None})
    rank = {text: k for k, text in enumerate(ordered)}
    # The last entry is what index -1, a missing value, picks.
    table = np.array([-1 if t is None else rank[t] for t in texts] + [-1], dtype=np.int64)
    return SideColumn(tuple(ordered), table[index], name, path)


def _plain(value: Any) -> Any:
    """Return a whole number as such; missing values make columns of integers to decimals."""
    if isinstance(value, float | np.floating) and np.isfinite(value) and value == int(value):
        return int(value)
    return value
