"""Rows of numbers that are too many to hold, kept in a temporary file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.data.lazy import is_lazy
from dosift.data.numbers import NumberParts, Numbers, recode
from dosift.data.read import RowFiles
from dosift.data.side_columns import SideColumn
from dosift.data.stored import StoredBlocks
from dosift.data.working import to_working
from dosift.errors import InputError
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.utils.threads import available_threads

Floats = NDArray[np.float64]
Progress = Callable[[str, int, "int | None"], None]


@dataclass(frozen=True)
class StoredNumbers:
    """Rows as numbers in a temporary file, in the input's order.

    Attributes
    ----------
    variables : tuple of Variable
        As of :class:`~dosift.data.numbers.Numbers`.
    rows : StoredBlocks
        In the users' units, until :meth:`to_working` brings them to the scales of a network.
    lowest, highest : ndarray, shape (n_variables,)
        Smallest and largest value of each variable; NaN where all are missing.
    named : tuple of (str or None, str or None)
        Columns of the batch and of the label that stand beside the variables.
    path : str or Path, optional
        The file, for messages.
    """

    variables: tuple[Variable, ...]
    rows: StoredBlocks
    lowest: Floats
    highest: Floats
    named: tuple[str | None, str | None] = (None, None)
    path: str | Path | None = None

    def held(self) -> Numbers:
        """Hold the rows in memory after all; the file is removed."""
        blocks = list(self.rows)
        values = np.concatenate([block.values for block in blocks])
        beside, own = {}, self.rows.beside
        for name, texts, kind in zip(
            self.named, (own.batches, own.labels), ("batch", "label"), strict=True
        ):
            if name is not None:
                index = [_index(getattr(block, kind), len(block)) for block in blocks]
                column = np.concatenate(index)
                beside[name] = SideColumn(texts, column, f"column {name!r}", self.path)
        self.rows.close()
        return Numbers(
            self.variables,
            np.asfortranarray(values),
            beside,
            self.rows.library,
            self.path,
            self.rows.further,
        )

    def recoded(self, variables: Sequence[Variable]) -> StoredNumbers:
        """Give states, in the file, the codes that they have in other lists of them.

        Parameters
        ----------
        variables : sequence of Variable
            The same, with at least the same states, in whatever order.

        Returns
        -------
        StoredNumbers
        """
        if any(a.states != b.states for a, b in zip(self.variables, variables, strict=True)):

            def moved(values: Floats, first: int) -> Floats:
                out = values.copy(order="F")
                recode(out, self.variables, variables)
                return out

            self.rows.rewrite(moved)
        return replace(self, variables=tuple(variables))

    def to_working(self, network: MechanismNetwork) -> StoredBlocks:
        """Bring rows, in the file, to the working scales of a network.

        Parameters
        ----------
        network : MechanismNetwork

        Returns
        -------
        StoredBlocks

        Raises
        ------
        InputError
            If a value has no place on its scale, or a function that the user named has no value
            there.
        """

        def moved(values: Floats, first: int) -> Floats:
            own = Numbers(network.variables, values, path=self.path)
            return to_working(own, network, first + 1)

        self.rows.rewrite(moved)
        return self.rows


def _index(column: NDArray[Any] | None, n_rows: int) -> NDArray[np.int64]:
    if column is None:
        return np.full(n_rows, -1, dtype=np.int64)
    return np.asarray(column, dtype=np.int64)


def is_many(source: Any) -> bool:
    """Tell rows that are not to be held as they are: large files, and tables that engines hold.

    Parameters
    ----------
    source : object

    Examples
    --------
    >>> is_many({"a": [1.5]})
    False
    """
    if isinstance(source, str | Path):
        files = RowFiles.at(source)
        return files.kind != "h5ad" and files.is_large
    return is_lazy(source)


def store_numbers(
    source: Any,
    variables: Sequence[Variable],
    *,
    is_control: bool = False,
    batch: str | None = None,
    labels: str | None = None,
    grows: Iterable[str] = (),
    free: Iterable[str] = (),
    ignore: Iterable[str] = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> StoredNumbers:
    """Read a table of any kinds of columns in parts, and keep its values in a temporary file.

    Parameters
    ----------
    source : str, Path, or table that an engine holds
    variables, is_control, grows, free, ignore
        As for :func:`~dosift.data.numbers.read_numbers`.
    batch, labels : str, optional
        Columns that hold the batch and the label of each row.
    threads : int, optional
        Blocks that are worked on at a time later; by default what the machine has, four at most.
    progress : callable, optional
        Called with a stage's name, the rows done and the rows in all (or None).

    Returns
    -------
    StoredNumbers
        Eight bytes for each value.

    Raises
    ------
    InputError
        As reading says, or if the temporary folder has no room.

    Warns
    -----
    ExtraColumnsWarning
        If there are columns that were not asked for; they are ignored.

    Examples
    --------
    >>> import polars as pl
    >>> variables = (Variable("a", kind="continuous"), Variable("b", ("no", "yes")))
    >>> table = pl.LazyFrame({"a": ["1.5", ""], "b": ["yes", "no"]})
    >>> found = store_numbers(table, variables)
    >>> found.rows.n_rows, found.lowest.tolist(), next(iter(found.rows)).values.tolist()
    (2.0, [1.5, 0.0], [[1.5, 1.0], [nan, 0.0]])
    """
    named = [name for name in (batch, labels) if name is not None]
    parts = NumberParts(source, variables, is_control, grows, free, named, ignore)
    path = parts.path
    files = RowFiles.at(path) if path is not None else None
    expected = None if files is None else files.n_rows()
    blocks = StoredBlocks(
        len(variables),
        np.dtype(np.float64),
        threads or available_threads(),
        expected,
        n_beside=len(named),
    )
    lowest, highest = np.full(len(variables), np.nan), np.full(len(variables), np.nan)
    for columns, codes in parts:
        for i, column in enumerate(columns):
            lowest[i] = np.fmin(lowest[i], np.fmin.reduce(column))
            highest[i] = np.fmax(highest[i], np.fmax.reduce(column))
        blocks.append(np.column_stack([*columns, *(codes[name] for name in named)]))
        if progress is not None:
            progress("reading", parts.n_rows, expected)
    try:
        parts.check()
        texts = {name: parts.texts[name].texts for name in named}
        if batch is not None and not texts[batch]:
            raise InputError(f"column {batch!r} is empty; every row needs its batch", path=path)
    except BaseException:
        blocks.close()
        raise
    blocks.finish([texts[n] if n is not None else () for n in (batch, labels)] if named else ())
    blocks.library, blocks.further = parts.library, parts.further
    return StoredNumbers(parts.variables, blocks, lowest, highest, (batch, labels), path)
