"""Rows kept in a temporary file while they are worked on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Beside, Block, Floats, Ints, Part, RowBlocks, Task, block_rows
from dosift.data.side_columns import SideColumn
from dosift.errors import InputError
from dosift.utils.threads import reduce_in_threads


class StoredBlocks(RowBlocks):
    """Rows in a temporary file that has no name, so that nothing of it ever stays.

    Parameters
    ----------
    n_variables : int
    dtype : dtype
        Of the codes, a signed integer; or of numbers.
    threads : int, default=1
        Blocks that are worked on at a time; the result does not depend on it.
    expected_rows : int, optional
        If known, whether there is room is checked before anything is written.
    n_beside : int, default=0
        Columns that follow the variables: the batch, then the label. Their texts are known at the
        end only (:meth:`finish`), so their codes are those of first appearance until then.

    Raises
    ------
    InputError
        If there is no room for the rows.
    """

    is_here = True

    def __init__(
        self,
        n_variables: int,
        dtype: np.dtype[Any],
        threads: int = 1,
        expected_rows: int | None = None,
        n_beside: int = 0,
    ) -> None:
        self.n_variables = n_variables
        self._width = n_variables + n_beside
        self._places: list[Ints] = []
        #: The unit of each row, where rows have any.
        self.unit: SideColumn | None = None
        #: What the first rows hold in columns that nobody named.
        self.further: tuple[SideColumn, ...] = ()
        self.n_rows = 0.0
        self._dtype = dtype
        self._threads = threads
        self._lengths: list[int] = []
        self._pending: list[Ints] = []
        self._counts: list[Floats] = []
        self._n_pending = 0
        try:
            if expected_rows is not None:
                _check_room(expected_rows * self._width * dtype.itemsize)
            self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this
        except OSError as error:
            raise _no_room(error.strerror or str(error), None) from None

    @property
    def n_bytes(self) -> int:
        """Size of the file."""
        return sum(self._lengths) * self._width * self._dtype.itemsize

    def append(self, codes: Ints, counts: NDArray[Any] | None = None) -> None:
        """Add rows at the end.

        Parameters
        ----------
        codes : ndarray of int, shape (n_new_rows, n_variables + n_beside)
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

    def finish(self, texts: Sequence[Sequence[str]] = ()) -> None:
        """Write what is still held; no more rows can follow.

        Parameters
        ----------
        texts : sequence of sequence of str
            For the batch and the label, as far as there are such columns (an empty sequence stands
            for one that is not there), their texts in the order of the codes.
        """
        if texts:
            ordered = [tuple(sorted(names)) for names in texts]
            self.beside = Beside(*ordered)
            for names, sorted_names in zip(texts, ordered, strict=True):
                rank = {name: k for k, name in enumerate(sorted_names)}
                if names:  # the last entry is what -1, an empty field, picks
                    self._places.append(np.array([*(rank[n] for n in names), -1], np.int64))
        if self._n_pending:
            self._write(self._n_pending)
        if self._counts:
            self._counts = [np.concatenate(self._counts)]
            self.n_rows = float(self._counts[0].sum())

    def match(self, batches: Sequence[str]) -> None:
        """Let positions of batches be those among given ones.

        Parameters
        ----------
        batches : sequence of str

        Raises
        ------
        InputError
            If some row has another batch.
        """
        rank = {name: k for k, name in enumerate(batches)}
        for name in self.beside.batches:
            if name not in rank:
                raise InputError(
                    f"the rows have the batch {name!r}, which was not among those that the mixture "
                    "was fitted to; leave the batch out for the pooled weights"
                )
        moved = np.array([*(rank[name] for name in self.beside.batches), -1], dtype=np.int64)
        self._places[0] = moved[self._places[0]]
        self.beside = Beside(tuple(batches), self.beside.labels)

    def _write(self, n_rows: int) -> None:
        together = np.concatenate(self._pending) if len(self._pending) > 1 else self._pending[0]
        block, rest = together[:n_rows], together[n_rows:]
        self._pending, self._n_pending = ([rest] if len(rest) else []), len(rest)
        self._put(block)
        self._lengths.append(n_rows)
        self.n_rows += n_rows

    def _put(self, values: Ints) -> None:
        """Write one column after the other, as they are worked on."""
        try:
            self._file.write(np.ascontiguousarray(values.T, dtype=self._dtype).data)
            self._file.flush()
        except OSError as error:
            raise _no_room(error.strerror or str(error), None) from None

    def rewrite(self, changed: Callable[[Any, int], Any]) -> None:
        """Change the values of variables in the file.

        Parameters
        ----------
        changed : callable
            Takes the values of some rows, shape (n_rows, n_variables), and the position of the
            first of them, and returns others of the same shape.
        """
        offset = first = 0
        for codes, _ in self._stored():
            values = changed(codes[:, : self.n_variables], first)
            self._file.seek(offset)
            self._put(values)
            offset += codes.size * self._dtype.itemsize
            first += len(codes)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def __iter__(self) -> Iterator[Block]:
        """Yield one block after the other, in the order of the rows."""
        start = 0
        for codes, counts in self._stored():
            yield self._block(codes, counts, start)
            start += len(codes)

    def _block(self, codes: Ints, counts: Floats, start: int) -> Block:
        """Take codes for a block; those beside the variables get their final places."""
        n = self.n_variables
        beside = codes[:, n:].astype(np.int64) if self._places else codes[:, n:]
        found = [place[beside[:, j]] for j, place in enumerate(self._places)]
        batch = found.pop(0) if self.beside.batches else None
        label = found[0] if found else None
        return Block(codes[:, :n], counts, batch, label, start=start)

    def _stored(self) -> Iterator[tuple[Ints, Floats]]:
        """Yield what is in the file, block by block."""
        offset = first = 0
        for length in self._lengths:
            n_bytes = length * self._width * self._dtype.itemsize
            self._file.seek(offset)
            data = self._file.read(n_bytes)
            if len(data) != n_bytes:
                raise InputError("the temporary file of rows was cut off; run again")
            offset += n_bytes
            codes = np.frombuffer(data, self._dtype).reshape(self._width, length).T
            part = slice(first, first + length)
            counts = self._counts[0][part] if self._counts else np.ones(length)
            first = part.stop
            yield codes, counts

    def reduce(self, task: Task[Part], merge: Callable[[Part, Part], Part]) -> Part:
        """Apply a task to each block, and merge what comes of them."""
        return reduce_in_threads(iter(self), task, merge, self._threads)


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
