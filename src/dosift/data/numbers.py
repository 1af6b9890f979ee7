"""Encode tables of numbers and states: what a network of any mechanisms is fitted to."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.data.further import further_columns
from dosift.data.messages import check_names, notice_of_extra
from dosift.data.number_columns import reader_of
from dosift.data.parts import Parts
from dosift.data.side_columns import SideColumn, TextCodes, check_named, side_column
from dosift.errors import ExtraColumnsWarning, InputError
from dosift.model.network import Variable

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Numbers:
    """Rows as numbers in the users' units, in the input's order.

    Attributes
    ----------
    variables : tuple of Variable
        A discrete one with the states that were given or found, in the order of their codes.
    values : ndarray of float64, shape (n_rows, n_variables)
        Column-major; codes of states where a variable is discrete; NaN where a value is missing.
    beside : dict of str to SideColumn
        The columns that were asked for beside the variables.
    library : str
        The library of the table, as in :class:`~dosift.data.Encoded`.
    path : str or Path, optional
        The file, for messages.
    further : tuple of SideColumn
        What the first rows hold in further columns
        (:func:`~dosift.data.further.further_columns`).
    """

    variables: tuple[Variable, ...]
    values: Floats
    beside: Mapping[str, SideColumn] = field(default_factory=dict)
    library: str = "polars"
    path: str | Path | None = None
    further: tuple[SideColumn, ...] = ()

    @property
    def lowest(self) -> Floats:
        """Smallest value of each variable, NaN where all are missing."""
        return np.asarray(np.fmin.reduce(self.values, axis=0))

    @property
    def highest(self) -> Floats:
        """Largest value of each variable, NaN where all are missing."""
        return np.asarray(np.fmax.reduce(self.values, axis=0))

    def recoded(self, variables: Sequence[Variable]) -> Numbers:
        """Return the same rows with codes of other lists of states.

        Parameters
        ----------
        variables : sequence of Variable
            The same, with at least the same states, in whatever order.

        Returns
        -------
        Numbers
        """
        if all(a.states == b.states for a, b in zip(self.variables, variables, strict=True)):
            return replace(self, variables=tuple(variables))
        values = self.values.copy(order="F")
        recode(values, self.variables, variables)
        return replace(self, variables=tuple(variables), values=values)


def recode(values: Floats, old: Sequence[Variable], new: Sequence[Variable]) -> None:
    """Give states, in place, the codes that they have in other lists of them.

    Parameters
    ----------
    values : ndarray of float64, shape (n_rows, n_variables)
    old, new : sequence of Variable
        The new ones have at least the same states, in whatever order.
    """
    for i, (before, after) in enumerate(zip(old, new, strict=True)):
        if before.states != after.states:
            # The last entry is what position -1, a missing value, picks.
            table = np.array([*(after.states.index(s) for s in before.states), np.nan])
            values[:, i] = table[np.nan_to_num(values[:, i], nan=-1).astype(np.int64)]


def read_numbers(
    source: Any,
    variables: Sequence[Variable],
    *,
    is_control: bool = False,
    grows: Iterable[str] = (),
    free: Iterable[str] = (),
    beside: Iterable[str] = (),
    ignore: Iterable[str] = (),
    layer: str | None = None,
    place: str | None = None,
    first_row: int = 1,
) -> Numbers:
    """Read (where a path is given) and encode a table of any kinds of columns.

    Parameters
    ----------
    source : dataframe, mapping of columns, ndarray, str or Path
        Any table that narwhals takes, or a file or folder for :func:`~dosift.read_rows`, which is
        read a part at a time. An array only where no variable is discrete, in their order.
    variables : sequence of Variable
        Names and kinds; a discrete one with the states that are known.
    is_control : bool, default=False
        Whether these are control rows: values must not be missing, and all states of discrete
        columns in `grows` are taken for such.
    grows : iterable of str
        Discrete variables that get the states that only this table shows.
    free : iterable of str
        Those of them whose new states may be decimal numbers though no known one is.
    beside : iterable of str
        Columns that are no variables, of which the texts are taken.
    ignore : iterable of str
        Columns that are no variables, about which there is no notice.
    layer : str, optional
        Of a .h5ad file, the layer to read.
    place : str, optional
        What a table in memory is called in messages.
    first_row : int, default=1
        Number of its first row in them.

    Returns
    -------
    Numbers

    Raises
    ------
    InputError
        If the table cannot be read, has no rows, lacks a column, or holds a value that its
        column's kind has not; with file, column, row and value.

    Warns
    -----
    ExtraColumnsWarning
        If there are columns that were not asked for; they are ignored.

    Examples
    --------
    >>> variables = (Variable("a", kind="continuous"), Variable("b", ("no", "yes")))
    >>> read_numbers({"a": ["1.5", ""], "b": ["yes", "no"]}, variables).values.tolist()
    [[1.5, 1.0], [nan, 0.0]]
    """
    rows = NumberParts(
        source, variables, is_control, grows, free, beside, ignore, layer, place, first_row
    )
    found: list[list[Floats]] = [[] for _ in rows.readers]
    codes: dict[str, list[NDArray[np.int32]]] = {name: [] for name in rows.named}
    for columns, of_named in rows:
        for own, column in zip(found, columns, strict=True):
            own.append(column)
        for name, column_codes in of_named.items():
            codes[name].append(column_codes)
    rows.check()
    values = np.empty((rows.n_rows, len(found)), order="F")
    for i, parts in enumerate(found):
        np.concatenate(parts, out=values[:, i])
        parts.clear()
    return Numbers(
        rows.variables,
        values,
        {name: _side(name, rows.texts[name].texts, codes[name], rows.path) for name in codes},
        "numpy" if isinstance(source, np.ndarray) else rows.library,
        rows.path,
        rows.further,
    )


class NumberParts:
    """Rows of a table of any kinds of columns, encoded a part at a time, once.

    Parameters
    ----------
    source, variables, is_control, grows, free, beside, ignore, layer, place, first_row
        As for :func:`read_numbers`.

    Attributes
    ----------
    readers : list
        One for each variable; those of discrete ones know the states found so far.
    named : list of str
        Columns beside the variables.
    texts : dict of str to TextCodes
        What was found in them.
    n_rows : int
        So far.
    library : str
        Of the table, as in :class:`~dosift.data.Encoded`.
    further : tuple of SideColumn
        As in :class:`Numbers`.
    """

    def __init__(
        self,
        source: Any,
        variables: Sequence[Variable],
        is_control: bool = False,
        grows: Iterable[str] = (),
        free: Iterable[str] = (),
        beside: Iterable[str] = (),
        ignore: Iterable[str] = (),
        layer: str | None = None,
        place: str | None = None,
        first_row: int = 1,
    ) -> None:
        names = [name for variable in variables for name in variable.columns]
        self._names, self.named = list(dict.fromkeys(names)), list(dict.fromkeys(beside))
        may, freely = frozenset(grows), frozenset(free)
        self.readers = [
            reader_of(v, is_control, v.name in may, v.name in freely) for v in variables
        ]
        wanted = tuple(dict.fromkeys([*self._names, *self.named]))
        self._parts = Parts(_table(source, variables), wanted, layer, place, first_row)
        self._ignored = frozenset(ignore)
        self._extra: dict[str, None] = {}
        self.texts = {name: TextCodes() for name in self.named}
        self.n_rows, self.library = 0, "polars"
        self.further: tuple[SideColumn, ...] = ()

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables, with the states found so far."""
        return tuple(reader.variable for reader in self.readers)

    @property
    def path(self) -> str | Path | None:
        """The file, for messages."""
        return self._parts.path

    def __iter__(self) -> Iterator[tuple[list[Floats], dict[str, NDArray[np.int32]]]]:
        """Yield the columns of a part, and the codes of those beside them."""
        for part in self._parts:
            columns = [*part.columns, *part.others]
            check_names(columns, self._names, part.path)
            check_named(columns, self.named, part.path)
            self._extra |= dict.fromkeys(part.others)
            self.further = self.further or further_columns(part.beside)
            self.library = part.library
            self.n_rows += part.n_rows
            if not part.n_rows:
                continue
            found = [reader.read(part) for reader in self.readers]
            codes = {}
            for name in self.named:
                own = side_column(part.columns[name], part.n_rows, f"column {name!r}", part.path)
                codes[name] = self.texts[name].add(own)
            yield found, codes

    def check(self) -> None:
        """Refuse a table without rows, and tell of columns that were not asked for."""
        if not self.n_rows:
            raise InputError("the table has no rows", path=self.path)
        _tell_extra([name for name in self._extra if name not in self._ignored], self.path)


def _tell_extra(extra: Sequence[str], path: str | Path | None) -> None:
    if extra:
        warnings.warn(notice_of_extra(extra, path), ExtraColumnsWarning, stacklevel=4)


def _side(
    name: str,
    texts: Sequence[str],
    codes: Sequence[NDArray[np.int32]],
    path: str | Path | None,
) -> SideColumn:
    """Put the parts of a column of texts together."""
    ordered = sorted(texts)
    rank = {text: k for k, text in enumerate(ordered)}
    place = np.array([*(rank[text] for text in texts), -1], dtype=np.int64)
    return SideColumn(tuple(ordered), place[np.concatenate(codes)], f"column {name!r}", path)


def _table(source: Any, variables: Sequence[Variable]) -> Any:
    """Give the columns of an array their names."""
    if isinstance(source, list):
        source = np.asarray(source)
    if not isinstance(source, np.ndarray):
        return source
    variables = [one for one in variables if not one.total_of]
    n = len(variables)
    if source.ndim != 2 or source.shape[1] != n:
        raise InputError(
            f"an array of rows must have shape (n_rows, {n}), one column for each variable; this "
            f"one has shape {source.shape}"
        )
    named = next((one.name for one in variables if one.kind == "discrete"), None)
    if named is not None:
        raise InputError(
            f"an array has no names of states, and variable {named!r} is discrete; give a dataframe"
        )
    return {one.name: source[:, i] for i, one in enumerate(variables)}
