"""A table from anywhere, a part of the rows at a time, and its columns as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.data.anndata import read_cells
from dosift.data.encode import as_frame
from dosift.data.factorise import text_series
from dosift.data.lazy import tables_of
from dosift.data.read import RowFiles
from dosift.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Some rows of a table.

    Attributes
    ----------
    columns : dict of str to narwhals.Series
    n_rows : int
    path : str or Path, optional
        The file that they came from.
    first_row : int
        Number, in that file, of the first of them.
    library : str
        The library of the table, as in :class:`~dosift.data.Encoded`.
    others : tuple of str
        Columns that were not asked for.
    beside : dict of str to narwhals.Series
        The first values of those, in the first part of a file.
    """

    columns: dict[str, Any]
    n_rows: int
    path: str | Path | None = None
    first_row: int = 1
    library: str = "polars"
    others: tuple[str, ...] = ()
    beside: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Parts:
    """A table, to be gone through a part at a time, as often as wanted.

    Attributes
    ----------
    source : dataframe, mapping of columns, str or Path
        Whatever narwhals takes, or a file or folder for :func:`~dosift.read_rows`.
    names : tuple of str, optional
        Columns to decode where the others need not be; all if left out.
    layer : str, optional
        Of a .h5ad file, the layer to read.
    place : str, optional
        What a table that is no file is called in messages.
    first_row : int
        Number of its first row in them.

    Examples
    --------
    >>> table = Parts({"a": [1.5, 2.5], "b": ["x", "y"]})
    >>> [(list(part.columns), part.n_rows) for part in table]
    [(['a', 'b'], 2)]
    """

    source: Any
    names: tuple[str, ...] | None = None
    layer: str | None = None
    place: str | None = None
    first_row: int = 1

    @property
    def path(self) -> str | Path | None:
        """The file, for messages."""
        return self.source if isinstance(self.source, str | Path) else None

    def __iter__(self) -> Iterator[Part]:
        if self.layer is not None and not str(self.path or "").lower().endswith(".h5ad"):
            raise InputError(f"a layer, {self.layer!r}, can be chosen for .h5ad files only")
        if self.path is None:
            yield from self._table()
        else:
            yield from self._files(self.path)

    def _table(self) -> Iterator[Part]:
        source, others = _narrowed(self.source, self.names)
        first = self.first_row
        for frame in tables_of(source):
            part = self._part(*as_frame(frame, None), self.place, first)
            yield replace(part, others=(*part.others, *others))
            first += part.n_rows

    def _files(self, path: str | Path) -> Iterator[Part]:
        files = RowFiles.at(path)
        if files.kind == "h5ad":
            cells = read_cells(path, self.names, self.layer)
            yield self._part(*as_frame(cells.frame(), path), path, 1)
            return
        for file in files.files:
            first = 1
            known = files.columns(file)
            wanted = None
            if known is not None and self.names is not None:
                wanted = [name for name in known if name in set(self.names)]
            others = tuple(name for name in known or () if wanted and name not in wanted)
            head = as_frame(files.head_of(file, others), file)[0] if others else None
            beside = {} if head is None else {name: head.get_column(name) for name in others}
            for frame in files.frames_of(file, wanted or None):
                part = self._part(*as_frame(frame, file), file, first)
                if wanted:
                    part = replace(part, others=(*part.others, *others), beside=beside)
                yield part
                first += frame.height

    def _part(self, frame: Any, library: str, path: str | Path | None, first_row: int) -> Part:
        names = [str(name) for name in frame.columns]
        if len(set(names)) < len(names):
            repeated = next(name for name in names if names.count(name) > 1)
            raise InputError(f"column {repeated!r} stands there twice; keep one of them", path=path)
        columns, others = {}, {}
        wanted = set(names if self.names is None else self.names)
        for name, own in zip(names, frame.columns, strict=True):
            if name in wanted:
                columns[name] = frame.get_column(own)
            else:
                others[name] = frame.get_column(own)
        return Part(columns, len(frame), path, first_row, library, tuple(others), others)


def _narrowed(source: Any, names: Sequence[str] | None) -> tuple[Any, tuple[str, ...]]:
    """Leave out columns of a lazy table that need not be collected; and name them."""
    frame = nw.from_native(source, pass_through=True)
    if names is None or not isinstance(frame, nw.LazyFrame):
        return source, ()
    wanted = set(names)
    known = frame.collect_schema().names()
    kept = [name for name in known if name in wanted]
    others = tuple(name for name in known if name not in wanted)
    return (frame.select(kept).to_native(), others) if kept else (source, ())


@dataclass(frozen=True)
class Parsed:
    """A part of a column, read as numbers.

    Attributes
    ----------
    values : ndarray of float64, shape (n_rows,)
        NaN where a value is missing or no number.
    others : ndarray of int64
        Rows whose values are no numbers: texts, booleans, dates.
    texts : polars.Series, optional
        The values as texts, where they did not come as numbers.
    """

    values: Floats
    others: NDArray[np.int64]
    texts: pl.Series | None = None

    def text(self, row: int) -> str:
        """Return the text of a value."""
        return str(self.values[row]) if self.texts is None else str(self.texts[row])


_NONE = np.empty(0, dtype=np.int64)


def parse(column: Any) -> Parsed:
    """Read a column as numbers.

    Parameters
    ----------
    column : narwhals.Series
        Null, NaN (also as a text) and empty texts are missing; texts are numbers if they are
        written like ``-1.5`` or ``2e-3``, with or without spaces around; booleans are not.

    Returns
    -------
    Parsed

    Examples
    --------
    >>> import narwhals as nw, polars as pl
    >>> found = parse(nw.from_native(pl.Series(["1.5", "", "x"]), series_only=True))
    >>> found.values.tolist(), found.others.tolist()
    ([1.5, nan, nan], [2])
    """
    if column.dtype.is_numeric() and not str(column.dtype).startswith("Complex"):
        values = column.cast(nw.Float64).to_numpy()
        return Parsed(np.asarray(values, dtype=np.float64), _NONE)
    texts = _texts(column)
    values = texts.cast(_float64(), strict=False)
    if (values.is_null() & texts.is_not_null() & (texts != "")).any():
        stripped = texts.str.strip_chars()
        values = stripped.cast(_float64(), strict=False)
        is_other = values.is_null() & stripped.is_not_null() & (stripped != "")
        others = np.flatnonzero(is_other.fill_null(False).to_numpy())
    else:
        others = _NONE
    return Parsed(values.fill_null(np.nan).to_numpy(), others, texts)


def _float64() -> Any:
    return pl.Float64


def _texts(column: Any) -> pl.Series:
    """Return the values of a column as texts."""
    native = column.to_native()
    if isinstance(native, pl.Series):
        if native.dtype == pl.String:
            return native
        if native.dtype in {pl.Categorical, pl.Enum}:
            return native.cast(pl.String)
    elif column.dtype in (nw.Categorical, nw.Enum):
        column = column.cast(nw.String)
    listed = column.to_list()
    if column.dtype == nw.String:
        try:
            return pl.Series(listed, dtype=pl.String)
        except (TypeError, UnicodeError, pl.exceptions.PolarsError):
            pass  # missing values of other types, or halves of surrogate pairs
    return text_series(listed)
