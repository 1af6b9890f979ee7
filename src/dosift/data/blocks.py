"""Rows that are visited a block at a time, so that only sums over them need to be held.

Everything that a fit needs of very many rows is a sum, or another summary of fixed size, over
them. A :class:`RowBlocks` takes a function of one block (state codes and counts) and brings its
results together, whatever holds the rows: memory, a temporary file, or the workers of a cluster.
"""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dosift.errors import InputError

Ints = NDArray[np.integer]
Floats = NDArray[np.float64]
Part = TypeVar("Part")
Task = Callable[[Ints, Floats], Part]

#: Entries (rows times variables) of a block, and its least and greatest number of rows.
_BLOCK_ENTRIES, _LEAST_ROWS, _MOST_ROWS = 2**22, 2**12, 2**18
#: Rows that are summed over at a time.
_CHUNK_ROWS = 2**14


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


def available_threads() -> int:
    """Processors that this process may use, four at most."""
    try:
        n = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        n = os.cpu_count() or 1
    return min(n, 4)


class RowBlocks(ABC):
    """Rows as blocks of state codes with counts.

    Attributes
    ----------
    n_rows : float
        Number of rows, or their total count.
    n_variables : int
    library : str
        The library of the table that the rows came in, as for :class:`~dosift.data.Encoded`.
    """

    n_rows: float
    n_variables: int
    library: str = "polars"

    @abstractmethod
    def reduce(self, task: Task[Part], merge: Callable[[Part, Part], Part]) -> Part:
        """Apply a task to each block, and merge what comes of them.

        Parameters
        ----------
        task : callable
            Takes codes, shape (n_block_rows, n_variables), and counts, shape (n_block_rows,);
            picklable, and without effects, since it may be applied to a block again.
        merge : callable
            Takes what came of earlier blocks and of the next one.

        Returns
        -------
        object
        """

    def close(self) -> None:
        """Give back what was taken to keep the rows; they cannot be visited afterwards."""
        return

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
        >>> rows.sum(lambda codes, counts: (counts @ codes,))
        (array([2., 2.]),)
        """
        return self.reduce(_InChunks(task), _add)


@dataclass(frozen=True)
class _InChunks:
    """Applies a task to parts of a block that fit into a processor's cache, and adds up."""

    task: Task[tuple[Floats, ...]]

    def __call__(self, codes: Ints, counts: Floats) -> tuple[Floats, ...]:
        total = self.task(codes[:_CHUNK_ROWS], counts[:_CHUNK_ROWS])
        for start in range(_CHUNK_ROWS, len(codes), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            total = _add(total, self.task(codes[part], counts[part]))
        return total


class MemoryBlocks(RowBlocks):
    """Rows held in memory.

    Parameters
    ----------
    codes : ndarray of int, shape (n_rows, n_variables)
    counts : ndarray, shape (n_rows,), optional
        1 each by default.
    threads : int, default=1
        Blocks that are worked on at a time; the result does not depend on it.
    """

    def __init__(self, codes: Ints, counts: Floats | None = None, threads: int = 1) -> None:
        self._codes = codes
        self._counts = np.ones(len(codes)) if counts is None else counts
        self._threads = threads
        self.n_rows = float(self._counts.sum())
        self.n_variables = int(codes.shape[1])

    def __iter__(self) -> Iterator[tuple[Ints, Floats]]:
        step = block_rows(self.n_variables)
        for start in range(0, len(self._codes), step):
            yield self._codes[start : start + step], self._counts[start : start + step]

    def reduce(self, task: Task[Part], merge: Callable[[Part, Part], Part]) -> Part:
        """Apply a task to each block, and merge what comes of them."""
        return reduce_in_threads(iter(self), task, merge, self._threads)


class StoredBlocks(RowBlocks):
    """Rows in a temporary file that has no name, so that nothing of it ever stays.

    Parameters
    ----------
    n_variables : int
    dtype : dtype
        Of the codes, a signed integer.
    threads : int, default=1
        Blocks that are worked on at a time; the result does not depend on it.
    expected_rows : int, optional
        If known, whether there is room is checked before anything is written.

    Raises
    ------
    InputError
        If there is no room for the rows.
    """

    def __init__(
        self,
        n_variables: int,
        dtype: np.dtype[np.signedinteger],
        threads: int = 1,
        expected_rows: int | None = None,
    ) -> None:
        self.n_variables = n_variables
        self.n_rows = 0.0
        self._dtype = dtype
        self._threads = threads
        self._lengths: list[int] = []
        self._pending: list[Ints] = []
        self._counts: list[Floats] = []
        self._n_pending = 0
        try:
            if expected_rows is not None:
                _check_room(expected_rows * n_variables * dtype.itemsize)
            self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this
        except OSError as error:
            raise _no_room(error.strerror or str(error), None) from None

    @property
    def n_bytes(self) -> int:
        """Size of the file."""
        return sum(self._lengths) * self.n_variables * self._dtype.itemsize

    def append(self, codes: Ints, counts: NDArray[Any] | None = None) -> None:
        """Add rows at the end.

        Parameters
        ----------
        codes : ndarray of int, shape (n_new_rows, n_variables)
        counts : ndarray, shape (n_new_rows,), optional
            How often each one occurs, kept in memory; given always, or never.
        """
        if counts is not None:
            self._counts.append(np.asarray(counts, dtype=np.float64))
        self._pending.append(codes)
        self._n_pending += len(codes)
        step = block_rows(self.n_variables)
        while self._n_pending >= step:
            self._write(step)

    def finish(self) -> None:
        """Write what is still held; no more rows can follow."""
        if self._n_pending:
            self._write(self._n_pending)
        if self._counts:
            self._counts = [np.concatenate(self._counts)]
            self.n_rows = float(self._counts[0].sum())

    def _write(self, n_rows: int) -> None:
        together = np.concatenate(self._pending) if len(self._pending) > 1 else self._pending[0]
        block, rest = together[:n_rows], together[n_rows:]
        self._pending, self._n_pending = ([rest] if len(rest) else []), len(rest)
        try:
            # One column after the other, as they are worked on.
            self._file.write(np.ascontiguousarray(block.T, dtype=self._dtype).data)
            self._file.flush()
        except OSError as error:
            raise _no_room(error.strerror or str(error), None) from None
        self._lengths.append(n_rows)
        self.n_rows += n_rows

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def __iter__(self) -> Iterator[Ints]:
        """Yield the codes of one block after the other, in the order of the rows."""
        offset = 0
        for length in self._lengths:
            n_bytes = length * self.n_variables * self._dtype.itemsize
            self._file.seek(offset)
            data = self._file.read(n_bytes)
            if len(data) != n_bytes:
                raise InputError("the temporary file of rows was cut off; run again")
            offset += n_bytes
            yield np.frombuffer(data, self._dtype).reshape(self.n_variables, length).T

    def reduce(self, task: Task[Part], merge: Callable[[Part, Part], Part]) -> Part:
        """Apply a task to each block, and merge what comes of them."""
        return reduce_in_threads(self._with_counts(), task, merge, self._threads)

    def _with_counts(self) -> Iterator[tuple[Ints, Floats]]:
        first = 0
        for codes in self:
            part = slice(first, first + len(codes))
            yield codes, self._counts[0][part] if self._counts else np.ones(len(codes))
            first = part.stop


def reduce_in_threads(
    blocks: Iterable[tuple[Ints, Floats]],
    task: Task[Part],
    merge: Callable[[Part, Part], Part],
    threads: int,
) -> Part:
    """Apply a task to blocks, several at a time, and merge in the blocks' order.

    Parameters
    ----------
    blocks : iterable of (codes, counts)
        At least one.
    task, merge : callable
        As for :meth:`RowBlocks.reduce`.
    threads : int

    Returns
    -------
    object
        The same, to the last bit, whatever the number of threads.
    """
    # Threads of the linear algebra library under threads of ours took 25 times as long.
    with threadpool_limits(1):
        results = in_threads(lambda block: task(*block), blocks, threads)
        total = next(results)
        for result in results:
            total = merge(total, result)
    return total


Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def in_threads(
    work: Callable[[Item], Outcome], items: Iterable[Item], threads: int
) -> Iterator[Outcome]:
    """Map in order, with so many items under way at a time and no more held.

    Parameters
    ----------
    work : callable
    items : iterable
    threads : int

    Yields
    ------
    object
        Outcomes in the order of the items.
    """
    if threads <= 1:
        yield from map(work, items)
        return
    iterator = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        try:
            waiting: deque[Future[Outcome]] = deque(
                pool.submit(work, item) for item in islice(iterator, threads)
            )
            while waiting:
                outcome = waiting.popleft().result()
                for item in islice(iterator, 1):
                    waiting.append(pool.submit(work, item))
                yield outcome
        finally:
            pool.shutdown(cancel_futures=True)


def _add(one: tuple[Floats, ...], other: tuple[Floats, ...]) -> tuple[Floats, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _check_room(n_bytes: int) -> None:
    folder = tempfile.gettempdir()
    try:
        stats = os.statvfs(folder)
    except (AttributeError, OSError):  # Windows has no statvfs; writing will tell
        return
    free = stats.f_bavail * stats.f_frsize
    if free < n_bytes:
        raise _no_room(f"{free / 2**30:.1f} GiB are free", n_bytes)


def _no_room(reason: str, n_bytes: int | None) -> InputError:
    needed = "" if n_bytes is None else f", and {n_bytes / 2**30:.1f} GiB are needed"
    return InputError(
        f"the rows are kept in a temporary file while they are worked on, and it cannot be "
        f"written: {reason}{needed}; point the environment variable TMPDIR to a folder with room",
        path=tempfile.tempdir,
    )
