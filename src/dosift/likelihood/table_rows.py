"""Likelihood ratios of do's on rows without missing values, from tables alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Block
from dosift.data.units import common_state, summed
from dosift.likelihood.cells import family_cells, inverse_table
from dosift.likelihood.factors import share_of_rows
from dosift.likelihood.remembered import remembered
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.network import Network

#: Positions of some rows, or all of them.
Rows = NDArray[np.int64] | slice

#: Memory that remembered columns may take, in bytes.
_MOST_BYTES = 256 * 2**20


class TableRows:
    """Rows of a block, and where they stand in the tables of a network.

    Parameters
    ----------
    network : Network
    block : Block
    remember : bool
        Whether what does not depend on tables is kept, for a block that is visited often.
    """

    def __init__(self, network: Network, block: Block, remember: bool) -> None:
        self.network = network
        self.block = block
        self._inverse: dict[int, Floats] = {}
        self._states: dict[int, Ints] = {}
        self._cells: dict[int, Ints] | None = {} if remember else None
        self._matching: dict[bytes, Rows] | None = {} if remember else None
        self._most = max(32, _MOST_BYTES // (8 * max(len(block), 1)))

    def take_over_cells(self, other: TableRows) -> None:
        """Take over what new tables do not change.

        Parameters
        ----------
        other : TableRows
            Of the same block, under a network with the same graph.
        """
        self._cells, self._matching = other._cells, other._matching
        self._states = other._states

    def take_over_tables(self, other: TableRows) -> Bools:
        """Take over what is known of the tables that are the same.

        Parameters
        ----------
        other : TableRows

        Returns
        -------
        ndarray of bool, shape (n_variables,)
            Which are.
        """
        pairs = zip(self.network.tables, other.network.tables, strict=True)
        same = np.array([one is two or np.array_equal(one, two) for one, two in pairs])
        self._inverse = {i: value for i, value in other._inverse.items() if same[i]}
        return same

    def log_undisturbed(self) -> Floats:
        """Log-probability of each row, or unit, under the undisturbed network.

        Returns
        -------
        ndarray, shape (n_units,)
        """
        out = np.zeros(len(self.block))
        for i, table in enumerate(self.network.tables):
            of_rows = np.log(table).ravel()[family_cells(self.network, i, self.block.values)]
            own, first = summed(of_rows, self.block.first), self.block.first
            if first is not None:
                own = own * share_of_rows(self.network, i, first, len(of_rows))
            out += own
        return out

    def ratio(self, target: Ints) -> tuple[Rows, Floats]:
        """Likelihood of one target relative to the undisturbed network, where it is not zero.

        Parameters
        ----------
        target : ndarray of int16, shape (n_variables,)

        Returns
        -------
        rows : ndarray of int64 or slice
            Positions of the rows.
        values : ndarray
        """
        # Which rows a target can produce does not depend on the tables.
        rows = remembered(self._matching, target.tobytes(), self._most, self._matches, target)
        is_set = (target >= 0).nonzero()[0].tolist()
        if not is_set:
            return rows, np.ones(len(self.block))
        values = self.inverse(is_set[0])[rows]
        for i in is_set[1:]:
            values *= self.inverse(i)[rows]
        return rows, values

    def _matches(self, target: Ints) -> Rows:
        is_set = (target >= 0).nonzero()[0].tolist()
        if not is_set:
            return slice(None)
        last = is_set[-1]
        before = target.copy()
        before[last] = -1
        # Many targets have all but the last variable in common.
        rows = remembered(self._matching, before.tobytes(), self._most, self._matches, before)
        fitting: NDArray[np.int64] = (self.states(last)[rows] == target[last]).nonzero()[0]
        return fitting if isinstance(rows, slice) else rows[fitting]

    def states(self, i: int) -> Ints:
        """Return the state of a variable in each row, or in all rows of each unit.

        Only where no value is missing.

        Parameters
        ----------
        i : int
            Position of the variable.

        Returns
        -------
        ndarray of int, shape (n_units,)
            The number of states for a unit whose rows differ.
        """
        own: Ints = self.block.values[:, i]
        if self.block.first is None:
            return own
        found = self._states.get(i)
        if found is None:
            n_states = self.network.tables[i].shape[1]
            found = self._states[i] = common_state(own, self.block.first, n_states)
        return found

    def inverse(self, i: int) -> Floats:
        """Inverse probability of a variable's value in each row, or in all rows of each unit.

        Only where no value is missing.

        Parameters
        ----------
        i : int
            Position of the variable.

        Returns
        -------
        ndarray, shape (n_units,)
        """
        found = self._inverse.get(i)
        if found is None:
            table = inverse_table(self.network.tables[i]).ravel()
            first = self.block.first
            if first is None:
                found = np.take(table, self.cells(i))
            else:
                found = np.multiply.reduceat(np.take(table, self.cells(i)), first)
                found **= share_of_rows(self.network, i, first, len(self.block.values))
            self._inverse[i] = found
        return found

    def cells(self, i: int) -> Ints:
        """Position of each row in a variable's table; only where no value is missing.

        Parameters
        ----------
        i : int
            Position of the variable.

        Returns
        -------
        ndarray of int, shape (n_rows,)
            Small integers.
        """
        found = None if self._cells is None else self._cells.get(i)
        if found is None:
            found = family_cells(self.network, i, self.block.values)
            if self._cells is not None:
                self._cells[i] = found
        return found

    def family(self, i: int, counts: Floats) -> Floats:
        """Count a variable with its parents; only where no value is missing.

        Parameters
        ----------
        i : int
            Position of the variable.
        counts : ndarray, shape (n_rows,)

        Returns
        -------
        ndarray, shape of the variable's table
        """
        table = self.network.tables[i]
        family = np.bincount(self.cells(i), counts, table.size).astype(np.float64)
        return family.reshape(table.shape)
