"""Rows that are visited a block at a time, so that only sums over them need to be held.

Everything that a fit needs of its rows is a sum, or another summary of fixed size, over them. A
:class:`RowBlocks` takes a function of one :class:`Block` and brings its results together, whatever
holds the rows: memory, a temporary file, or the workers of a cluster. Missing values, the batch of
a row and its label are columns of a block, so that every task meets them in the same place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from dosift.data.configurations import Configurations, rows_of, sizes_of
from dosift.model.mechanism import has_missing
from dosift.utils.threads import reduce_in_threads

Ints = NDArray[np.integer]
Floats = NDArray[np.float64]
Part = TypeVar("Part")

#: Entries (rows times variables) of a block, and its least and greatest number of rows.
_BLOCK_ENTRIES, _LEAST_ROWS, _MOST_ROWS = 2**22, 2**12, 2**18
#: Rows that are summed over at a time.
_CHUNK_ROWS = 2**14


@dataclass(frozen=True)
class Block:
    """Some of the rows.

    Attributes
    ----------
    values : ndarray of int, shape (n_rows, n_variables)
        State codes in the network's order of variables; -1 for a missing value.
    counts : ndarray, shape (n_units,)
        How often each unit occurs, or its weight. Where rows do not come in units, every row is
        one.
    batch : ndarray of int, shape (n_units,), or None
        Position of each unit's batch; None where rows have no batches.
    label : ndarray of int, shape (n_units,), or None
        Position of each unit's label, -1 for one without; None where none has any.
    first : ndarray of int64, shape (n_units,), or None
        Position of each unit's first row; the others follow. None where every row is a unit.
    start : int or None
        Number of the units before, where the next pass brings the same ones in the same blocks.

    Examples
    --------
    >>> block = Block(np.array([[0, 1], [1, 1]]), np.ones(2))
    >>> len(block), block.part(slice(1)).values.tolist()
    (2, [[0, 1]])
    """

    values: Ints
    counts: Floats
    batch: Ints | None = None
    label: Ints | None = None
    first: NDArray[np.int64] | None = None
    start: int | None = None

    def __len__(self) -> int:
        return len(self.counts)

    def part(self, units: slice | NDArray[Any]) -> Block:
        """Return some of its units.

        Parameters
        ----------
        units : slice, ndarray of bool, or ndarray of int
        """
        batch = None if self.batch is None else self.batch[units]
        label = None if self.label is None else self.label[units]
        start = None
        if self.start is not None and isinstance(units, slice):
            start = self.start + (units.start or 0)
        if self.first is None:
            return Block(self.values[units], self.counts[units], batch, label, None, start)
        some = np.arange(len(self))[units]
        rows, first = rows_of(self.first, len(self.values), some)
        return Block(self.values[rows], self.counts[units], batch, label, first, start)

    @cached_property
    def unit(self) -> NDArray[np.int64]:
        """Position of each row's unit, shape (n_rows,)."""
        every = np.arange(len(self))
        if self.first is None:
            return every
        return np.repeat(every, sizes_of(self.first, len(self.values)))

    @cached_property
    def largest_unit(self) -> int:
        """Most rows of a unit."""
        if self.first is None:
            return 1
        return int(sizes_of(self.first, len(self.values)).max(initial=1))

    @property
    def row_counts(self) -> Floats:
        """How often each row occurs, or its weight, shape (n_rows,)."""
        return self.counts if self.first is None else self.counts[self.unit]

    @property
    def shared(self) -> Block:
        """Its rows, each a unit of its own, so that those of a unit count for one together.

        Whatever takes rows for independent errs on the safe side with these.
        """
        if self.first is None:
            return self
        size = sizes_of(self.first, len(self.values))
        apart = self.apart
        return replace(apart, counts=apart.counts / size[self.unit])

    def collapsed(self, cardinalities: NDArray[np.int64]) -> Configurations:
        """Return distinct rows, or units, without their batches and labels.

        Parameters
        ----------
        cardinalities : ndarray of int, shape (n_variables,)
            As for :func:`~dosift.data.configurations.collapse`.
        """
        nothing = np.empty(0, dtype=np.int64)
        own = Configurations(self.values, self.counts, nothing, self.first)
        return own.collapsed(cardinalities)

    @property
    def apart(self) -> Block:
        """Its rows, each a unit of its own."""
        if self.first is None:
            return self
        batch = None if self.batch is None else self.batch[self.unit]
        label = None if self.label is None else self.label[self.unit]
        return Block(self.values, self.row_counts, batch, label)

    @cached_property
    def has_missing(self) -> bool:
        """Whether any value is missing."""
        return has_missing(self.values)


Task = Callable[[Block], Part]


@dataclass(frozen=True)
class Beside:
    """What stands beside the variables of the rows.

    Attributes
    ----------
    batches : tuple of str
        Names of the batches, sorted; empty where rows have none.
    labels : tuple of str
        Texts of the labels, sorted; empty where no row has one.
    """

    batches: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def n_columns(self) -> int:
        """Columns that follow those of the variables where rows are held as one array."""
        return bool(self.batches) + bool(self.labels)

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of different entries of each of these columns."""
        sizes = [len(names) for names in (self.batches, self.labels) if names]
        return np.array(sizes, dtype=np.int64)

    def block(self, wide: Ints, counts: Floats, first: NDArray[np.int64] | None = None) -> Block:
        """Take an array of codes, variables first, for a block.

        Parameters
        ----------
        wide : ndarray of int, shape (n_rows, n_variables + n_columns)
            All rows of a unit have the same entries beside the variables.
        counts : ndarray, shape (n_units,)
        first : ndarray of int64, shape (n_units,), optional
            Position of each unit's first row, where rows come in units.
        """
        n = wide.shape[1] - self.n_columns
        of_unit = wide if first is None else wide[first]
        batch = _positions(of_unit[:, n]) if self.batches else None
        label = _positions(of_unit[:, -1]) if self.labels else None
        return Block(wide[:, :n], counts, batch, label, first)

    def wide(self, block: Block) -> Ints:
        """Return a block as one array of codes; the opposite of :meth:`block`."""
        block = block.apart
        columns = [c for c in (block.batch, block.label) if c is not None]
        if not columns:
            return block.values
        kind = np.result_type(block.values.dtype, np.int16, *(c.dtype for c in columns))
        whole = np.empty((len(block), block.values.shape[1] + len(columns)), kind, order="F")
        whole[:, : block.values.shape[1]] = block.values
        for j, column in enumerate(columns):
            whole[:, block.values.shape[1] + j] = column
        return whole


def _positions(column: NDArray[Any]) -> Ints:
    """Return a column of positions that is held with numbers as integers."""
    return column.astype(np.int32) if np.issubdtype(column.dtype, np.floating) else column


#: For rows without batches and labels.
NOTHING = Beside()


def block_rows(n_variables: int) -> int:
    """Choose the number of rows of a block.

    Parameters
    ----------
    n_variables : int

    Returns
    -------
    int

    Examples
    --------
    >>> block_rows(20), block_rows(1000)
    (209715, 4194)
    """
    return int(np.clip(_BLOCK_ENTRIES // max(n_variables, 1), _LEAST_ROWS, _MOST_ROWS))


class RowBlocks(ABC):
    """Rows as blocks of state codes with counts.

    Attributes
    ----------
    n_rows : float
        Number of rows, or their total count.
    n_variables : int
    library : str
        The library of the table that the rows came in, as for :class:`~dosift.data.Encoded`.
    beside : Beside
        Batches and labels.
    has_units : bool
        Whether some units have several rows.
    is_here : bool
        Whether rows are worked on in this process, block by block as before in each pass.
    """

    n_rows: float
    n_variables: int
    library: str = "polars"
    beside: Beside = NOTHING
    has_units: bool = False
    is_here: bool = False

    @abstractmethod
    def reduce(self, task: Task[Part], merge: Callable[[Part, Part], Part]) -> Part:
        """Apply a task to each block, and merge what comes of them.

        Parameters
        ----------
        task : callable
            Takes a :class:`Block`; picklable, and without effects, since it may be applied to a
            block again.
        merge : callable
            Takes what came of earlier blocks and of the next one.

        Returns
        -------
        object
        """

    def close(self) -> None:
        """Give back what was taken to keep the rows; they cannot be visited afterwards."""
        return

    def weighed(self, power: float) -> RowBlocks:
        """Return the same rows, each counting for a part of what it counted.

        Parameters
        ----------
        power : float
        """
        found = ChangedBlocks(self, partial(_weighed, power=power), self.n_rows * power)
        found.is_here = self.is_here
        return found

    def sum(self, task: Task[tuple[Floats, ...]]) -> tuple[Floats, ...]:
        """Add up the arrays that a task returns for each block.

        Parameters
        ----------
        task : callable
            As for :meth:`reduce`; returns a tuple of arrays, of the same shapes for every block.

        Returns
        -------
        tuple of ndarray

        Examples
        --------
        >>> import numpy as np
        >>> rows = MemoryBlocks(np.array([[0, 1], [1, 1], [1, 0]]))
        >>> rows.sum(lambda block: (block.counts @ block.values,))
        (array([2., 2.]),)
        """
        return self.reduce(_InChunks(task), _add)


@dataclass(frozen=True)
class _InChunks:
    """Applies a task to parts of a block that fit into a processor's cache, and adds up."""

    task: Task[tuple[Floats, ...]]

    def __call__(self, block: Block) -> tuple[Floats, ...]:
        step = _units_in(block, _CHUNK_ROWS)
        total = self.task(block.part(slice(step)))
        for start in range(step, len(block), step):
            total = _add(total, self.task(block.part(slice(start, start + step))))
        return total


def _units_in(block: Block, n_rows: int) -> int:
    """Return how many of a block's units have about so many rows."""
    return max(n_rows * len(block) // max(len(block.values), 1), 1)


class MemoryBlocks(RowBlocks):
    """Rows held in memory.

    Parameters
    ----------
    codes : ndarray of int, shape (n_rows, n_variables + number of columns beside)
    counts : ndarray, shape (n_units,), optional
        1 each by default.
    threads : int, default=1
        Blocks that are worked on at a time; the result does not depend on it.
    beside : Beside, optional
        What the last columns of the codes are.
    first : ndarray of int64, shape (n_units,), optional
        Position of each unit's first row, where rows come in units.
    """

    is_here = True

    def __init__(
        self,
        codes: Ints,
        counts: Floats | None = None,
        threads: int = 1,
        beside: Beside | None = None,
        first: NDArray[np.int64] | None = None,
    ) -> None:
        self._codes, self._first = codes, first
        self.has_units = first is not None
        n_units = len(codes) if first is None else first.size
        self._counts = np.ones(n_units) if counts is None else counts
        self._threads = threads
        self.beside = beside or NOTHING
        self.n_rows = float(self._counts.sum())
        self.n_variables = int(codes.shape[1]) - self.beside.n_columns

    @classmethod
    def of_block(cls, block: Block, beside: Beside) -> MemoryBlocks:
        """Take a block for rows.

        Parameters
        ----------
        block : Block
        beside : Beside
            What its batches and labels are.
        """
        return cls(beside.wide(block), block.counts, beside=beside, first=block.first)

    @cached_property
    def whole(self) -> Block:
        """All rows as one block."""
        return self.beside.block(self._codes, self._counts, self._first)

    def weighed(self, power: float) -> MemoryBlocks:
        """Return the same rows, each counting for a part of what it counted."""
        out = copy(self)
        out.__dict__.pop("whole", None)
        out._counts = self._counts * power
        out.n_rows = self.n_rows * power
        return out

    def __iter__(self) -> Iterator[Block]:
        step = _units_in(self.whole, block_rows(self.n_variables))
        every = replace(self.whole, start=0)
        for start in range(0, len(every), step):
            yield every.part(slice(start, start + step))

    def reduce(self, task: Task[Part], merge: Callable[[Part, Part], Part]) -> Part:
        """Apply a task to each block, and merge what comes of them."""
        return reduce_in_threads(iter(self), task, merge, self._threads)


class ChangedBlocks(RowBlocks):
    """Rows of others, whose blocks are changed before a task sees them.

    Parameters
    ----------
    rows : RowBlocks
    change : callable
        Takes a :class:`Block` and returns another; picklable, and without effects.
    n_rows : float, optional
        Number of rows then; counted by a pass if it is not given.
    """

    def __init__(
        self, rows: RowBlocks, change: Callable[[Block], Block], n_rows: float | None = None
    ) -> None:
        self._rows, self._change = rows, change
        self.library, self.beside = rows.library, rows.beside
        self.n_variables, self.has_units = rows.n_variables, rows.has_units
        self.n_rows = float(self.sum(total)[0]) if n_rows is None else n_rows

    def reduce(self, task: Task[Part], merge: Callable[[Part, Part], Part]) -> Part:
        """Apply a task to each block, and merge what comes of them."""
        return self._rows.reduce(_AfterChange(self._change, task), merge)


@dataclass(frozen=True)
class _AfterChange(Generic[Part]):
    """Applies a task to what a block is changed to."""

    change: Callable[[Block], Block]
    task: Task[Part]

    def __call__(self, block: Block) -> Part:
        return self.task(self.change(block))


def _weighed(block: Block, power: float) -> Block:
    return replace(block, counts=block.counts * power)


def total(block: Block) -> tuple[Floats, ...]:
    """Return the number of rows, or their total count; a task for :meth:`RowBlocks.sum`."""
    return (np.asarray(block.counts.sum()),)


def _add(one: tuple[Floats, ...], other: tuple[Floats, ...]) -> tuple[Floats, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))
