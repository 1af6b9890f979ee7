"""Families of discrete variables: conditional probability tables.

They are remembered by cells, so that an edit of one edge costs one counting pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaincc

from dosift.data.configurations import Configurations
from dosift.graphs.dag import Parents
from dosift.graphs.family import Families, Family, nearest
from dosift.learning.tables import learn_from_counts
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.mechanism import Change, Library, System
from dosift.model.network import ControlCounts, ControlRows, Network
from dosift.search.constraints import Constraints
from dosift.search.engine import find_targets
from dosift.search.patterns import Patterns
from dosift.search.result import SearchResult

#: Families whose cells are remembered, in bytes; beyond that they are counted again.
_MOST_BYTES = 2**28
#: Rows for each cell that a stratum needs for a test of independence.
_ROWS_A_CELL = 5
#: Cells beyond which hardly a stratum has them, and no test is made.
_MOST_CELLS = 2**22
#: Least probability of a cell, so that logarithms stay finite without a prior.
_TINY = 1e-300


@dataclass(frozen=True)
class TableFamily(Family):
    """A conditional probability table, as rows taught it.

    Attributes
    ----------
    table : ndarray, shape (n_parent_configurations, n_states)
    """

    table: Floats


class TableFamilies:
    """Families of discrete variables: conditional probability tables.

    Parameters
    ----------
    network : Network
        Learned; it remembers its control rows. Its graph is not looked at.
    rows : Configurations
        Mixture rows, complete.
    """

    def __init__(self, network: Network, rows: Configurations) -> None:
        assert network.control is not None
        assert network.control.rows is not None
        self.rows = rows
        self._like = network
        self._control: ControlRows = network.control.rows
        self._prior = network.control.prior
        self._sizes = network.cardinalities
        self._cells: dict[tuple[int, tuple[int, ...]], tuple[Ints, Floats]] = {}
        self._bytes = 0
        self._n_control = float(network.control.n_rows)

    @classmethod
    def of_control(cls, network: Network) -> TableFamilies:
        """Take the control rows alone."""
        nothing = np.empty((0, network.n_variables), dtype=np.int16, order="F")
        return cls(network, Configurations(nothing, np.empty(0), np.empty(0, dtype=np.int64)))

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return self._like.n_variables

    @property
    def n_rows(self) -> float:
        """Control and mixture rows together."""
        return self._n_control + self.rows.total

    @property
    def libraries(self) -> tuple[Library, ...]:
        """Do's on the states of each variable."""
        return self._like.libraries

    @property
    def constant(self) -> Bools:
        """Variables that have one state only."""
        return np.asarray(self._sizes < 2)

    @property
    def conditioned(self) -> Bools:
        """No edges: nothing is only conditioned on."""
        return np.zeros((self.n_variables, self.n_variables), dtype=bool)

    def n_free(self, i: int, parents: tuple[int, ...]) -> int:
        """Count the free entries of a table."""
        return int(np.prod(self._sizes[list(parents)])) * int(self._sizes[i] - 1)

    def learned(
        self,
        i: int,
        parents: tuple[int, ...],
        alone: Floats | None = None,
        kept: Sequence[tuple[Change, Floats]] = (),
    ) -> TableFamily:
        """Learn a table; see :meth:`Families.learned`."""
        cells, control = self._counted(i, parents)
        counts = control + self._prior
        if alone is not None:
            counted = np.bincount(cells, weights=alone, minlength=control.size)
            counts = counts + counted.reshape(control.shape)
        return self.given(i, parents, counts / np.maximum(counts.sum(axis=1, keepdims=True), _TINY))

    def taught(
        self,
        i: int,
        parents: tuple[int, ...],
        library: Library,
        column: Ints,
        posterior: Floats,
        alone: Floats,
    ) -> tuple[TableFamily, Library]:
        """Learn a table; nothing of a do is free."""
        return self.learned(i, parents, alone), library

    def ratios(
        self, i: int, family: Family, library: Library, used: Sequence[int]
    ) -> tuple[Floats, None, dict[int, Floats]]:
        """Return one over the density where rows have the state; see :meth:`Families.ratios`."""
        inverse, codes = np.exp(-family.log_density), self.rows.codes[:, i]
        found = {state: np.where(codes == state, inverse, 0.0) for state in used}
        return family.log_density, None, found

    def suggested(
        self, i: int, parents: tuple[int, ...], library: Library | None = None
    ) -> Library:
        """Do's on the states: there are no others."""
        return self.libraries[i]

    def order(self) -> None:
        """Say nothing: states that were set are also usual."""
        return

    def score(self, i: int, parents: tuple[int, ...]) -> float:
        """Score by control rows: which rows left a variable alone, none shows by itself."""
        return self.control_score(i, parents)

    def inside(
        self, i: int, family: Family, library: Library, column: Ints, posterior: Floats
    ) -> Library:
        """Do's on the states: there are no others."""
        return library

    def regrouped(
        self,
        graph: Parents,
        learned: tuple[Family, ...],
        libraries: tuple[Library, ...],
        targets: Ints,
        posterior: Floats,
    ) -> tuple[tuple[Library, ...], Ints]:
        """Return the same: do's on a state are the same for all targets."""
        return libraries, targets

    def of_network(self, network: System) -> tuple[TableFamily, ...]:
        """Return the tables of a network as families."""
        assert isinstance(network, Network)
        return tuple(self.given(i, row, network.tables[i]) for i, row in enumerate(network.parents))

    def search(
        self,
        network: System,
        known: Constraints,
        max_size: int | None,
        patterns: Patterns | None = None,
    ) -> SearchResult:
        """Search for targets; see :meth:`Families.search`."""
        assert isinstance(network, Network)
        return find_targets(
            network, self.rows, max_size=max_size, constraints=known, look_around=False
        )

    def given(self, i: int, parents: tuple[int, ...], table: Floats) -> TableFamily:
        """Return a family whose table is known."""
        cells, control = self._counted(i, parents)
        logs = np.log(np.maximum(table, _TINY))
        weight = control + self._prior
        # The prior's density at a uniform table is left out, or large tables would pay for it.
        k = table.shape[1]
        of_control = float((weight * logs).sum()) + self._prior * table.size * float(np.log(k))
        return TableFamily(logs.ravel()[cells], of_control, table.shape[0] * (k - 1), table)

    def control_score(self, i: int, parents: tuple[int, ...]) -> float:
        """Score a family by control rows alone; see :meth:`Families.control_score`."""
        _, counts = self._counted(i, parents)
        totals = counts.sum(axis=1, keepdims=True)
        used = counts > 0
        share = np.divide(counts, totals, out=np.ones_like(counts), where=used)
        cost = 0.5 * np.log(max(self._n_control, 2.0)) * self.n_free(i, parents)
        return float(counts[used] @ np.log(share[used])) - float(cost)

    def dependence(self, i: int, j: int, parents: tuple[int, ...]) -> float:
        """Test independence in each stratum that has rows enough.

        By the likelihood ratio and by Pearson's statistic, of which the larger p-value counts:
        where cells are expected to be nearly empty, the one is too large on average, and the other
        now and then.
        """
        if np.prod(self._sizes[[*parents, j, i]], dtype=np.float64) > _MOST_CELLS:
            return 1.0
        _, counts = self._counted(i, (*parents, j))
        k, m = int(self._sizes[i]), int(self._sizes[j])
        strata = counts.reshape(-1, m, k)
        strata = strata[strata.sum(axis=(1, 2)) >= _ROWS_A_CELL * k * m]
        rows, columns = strata.sum(axis=2), strata.sum(axis=1)
        total = np.maximum(rows.sum(axis=1), _TINY)
        expected = rows[:, :, None] * columns[:, None, :] / total[:, None, None]
        used = strata > 0
        ratio = 2.0 * float(strata[used] @ np.log(strata[used] / expected[used]))
        open_cells = expected > 0
        off = np.square(strata - expected)[open_cells] / expected[open_cells]
        statistic = min(ratio, float(off.sum()))
        seen = np.maximum((rows > 0).sum(axis=1) - 1, 0)
        freedom = int((seen * np.maximum((columns > 0).sum(axis=1) - 1, 0)).sum())
        return float(gammaincc(freedom / 2, statistic / 2)) if freedom else 1.0

    def network(
        self,
        graph: Parents,
        learned: tuple[Family, ...] | None = None,
        libraries: tuple[Library, ...] | None = None,
    ) -> Network:
        """Return a network; see :meth:`Families.network`."""
        control = self._like.control
        assert control is not None
        counts = tuple(self._counted(i, row)[1] for i, row in enumerate(graph))
        remembered = ControlCounts(
            counts,
            control.prior,
            control.n_rows,
            control.fixed_states,
            control.rows,
            control.dependence,
        )
        out = learn_from_counts(self._like.variables, graph, remembered)
        return out if learned is None else out.with_tables(list(map(_table, learned)))

    def dependent_pairs(self, n_partners: int) -> Bools:
        """Tell dependent pairs by mutual information; see :meth:`Families.dependent_pairs`."""
        sizes = self._sizes.tolist()
        first = np.concatenate([[0], np.cumsum(sizes)])
        values, counts = self._control.values, self._control.counts
        marks = np.zeros((len(values), int(first[-1])), dtype=np.float32)
        for i, start in enumerate(first[:-1].tolist()):
            marks[np.arange(len(values)), start + values[:, i]] = 1.0
        together = (marks * counts[:, None].astype(np.float32)).T @ marks
        alone = np.diag(together)
        expected = np.outer(alone, alone) / max(float(counts.sum()), 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(together > 0, together * np.log(together / expected), 0.0)
        by_row = np.add.reduceat(terms, first[:-1], axis=0)
        strength = np.add.reduceat(by_row, first[:-1], axis=1)
        return nearest(strength, n_partners)

    def _counted(self, i: int, parents: tuple[int, ...]) -> tuple[Ints, Floats]:
        """Cell of each mixture row in a family's table, and the control rows in each cell."""
        key = (i, parents)
        if key in self._cells:
            return self._cells[key]
        columns = (*parents, i)
        sizes = self._sizes[list(columns)]
        size = int(np.prod(sizes))
        cells = _cells(self.rows.codes, columns, sizes)
        own, counts = self._control.values, self._control.counts
        if self._control.targets is not None:
            alone = self._control.targets[:, i] < 0
            own, counts = own[alone], counts[alone]
        control = np.bincount(_cells(own, columns, sizes), weights=counts, minlength=size)
        table = np.asarray(control.reshape(-1, int(self._sizes[i])), dtype=np.float64)
        cells = cells.astype(np.int32)
        found: tuple[Ints, Floats] = (cells, table)
        if self._bytes > _MOST_BYTES:
            self._cells.clear()
            self._bytes = 0
        self._cells[key] = found
        self._bytes += cells.nbytes + table.nbytes
        return found


def relearned(network: Network, graph: Parents) -> Network:
    """Return a learned network with another graph, learned from the same control rows.

    Parameters
    ----------
    network : Network
        Learned; it remembers its control rows.
    graph : Parents

    Returns
    -------
    Network
    """
    return TableFamilies.of_control(network).network(graph)


def _cells(values: Ints, columns: tuple[int, ...], sizes: Ints) -> Ints:
    """Return each row's cell of a table, in mixed radix, the last column fastest."""
    out = np.zeros(len(values), dtype=np.int64)
    for j, size in zip(columns, sizes, strict=True):
        out *= int(size)
        out += values[:, j]
    return out


def _table(family: Family) -> Floats:
    assert isinstance(family, TableFamily)
    return family.table


if TYPE_CHECKING:
    _: type[Families] = TableFamilies
