"""Columns of targets that rows in blocks remember from one pass to the next, in a temporary file.

Of numbers, a column takes a density of each mechanism and each change in each row; a pass that
reads it again takes almost nothing. So the weights of given targets are solved, and mechanisms
taught, by one pass that computes and others that read.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from threading import Lock
from typing import IO

import numpy as np

from dosift.likelihood.columns import RowLikelihoods
from dosift.model.arrays import Ints
from dosift.model.network import Network

#: Targets whose columns are remembered, at most.
_MOST = 64


class ColumnStore:
    """The columns of some targets under one network.

    Parameters
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    """

    def __init__(self, network: Network, targets: Ints) -> None:
        self.network = network
        every = np.asarray(targets, dtype=np.int16)
        self.key = every.tobytes()
        self._place = {target.tobytes(): k for k, target in enumerate(every)}
        #: Where the columns of the rows from a position on begin in the file, and their number.
        self._kept: dict[int, tuple[int, int]] = {}
        self._end, self._lock = 0, Lock()
        self._file: IO[bytes] | None = None
        with contextlib.suppress(OSError):  # without room for it, all is computed again
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as this

    @staticmethod
    def takes(targets: Ints) -> bool:
        """Whether so many targets are remembered at all."""
        return len(targets) <= _MOST

    def has(self, network: Network, targets: Ints) -> bool:
        """Whether these are the columns of a network, and among them those of some targets."""
        every = np.asarray(targets, dtype=np.int16)
        return network is self.network and all(t.tobytes() in self._place for t in every)

    def close(self) -> None:
        """Remove the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def lend(self, rows: RowLikelihoods) -> bool:
        """Let rows know their columns, if they were kept.

        Parameters
        ----------
        rows : RowLikelihoods

        Returns
        -------
        bool
        """
        start = rows.block.start
        kept = None if start is None else self._kept.get(start)
        if kept is None or kept[1] != len(rows.block) or self._file is None:
            return False
        width = len(self._place) + 1
        data = os.pread(self._file.fileno(), 8 * width * kept[1], kept[0])
        found = np.frombuffer(data, np.float64).reshape(width, kept[1]).T
        rows.know(self._place, found[:, :-1], found[:, -1])
        return True

    def keep(self, rows: RowLikelihoods) -> None:
        """Keep the columns that rows have computed.

        Parameters
        ----------
        rows : RowLikelihoods
        """
        start, columns = rows.block.start, rows.last(self.key)
        if start is None or columns is None or self._file is None:
            return
        together = np.empty((len(self._place) + 1, len(columns)))
        together[:-1], together[-1] = columns.T, rows.log_scale
        with self._lock:
            offset, self._end = self._end, self._end + together.nbytes
        try:
            os.pwrite(self._file.fileno(), together.data, offset)
        except OSError:  # no room
            self.close()
            return
        self._kept[start] = (offset, len(columns))
