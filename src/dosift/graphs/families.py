"""How well control and mixture rows fit each variable with any parents.

A *family* is a variable with some parents. The search over graphs asks three things of one: the
mechanism that control rows ask for, together with mixture rows as far as these are thought to have
left the variable alone; its density at each mixture row; and the log-likelihood of the control
rows. Families are remembered by cells, so that an edit of one edge costs one counting pass.

What is asked is a protocol, :class:`Families`. Conditional probability tables are one
implementation, here; those of numbers and mixed variables are in
:mod:`dosift.graphs.number_families`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from dosift.data.configurations import Configurations
from dosift.graphs.dag import Parents
from dosift.learning.tables import learn_from_counts
from dosift.model.mechanism import Change, Library, System
from dosift.model.network import ControlCounts, ControlRows, Network
from dosift.search.constraints import Constraints
from dosift.search.engine import find_targets
from dosift.search.result import SearchResult

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Families whose cells are remembered, in bytes; beyond that they are counted again.
_MOST_BYTES = 2**28
#: Rows for each cell that a stratum needs for a test of independence.
_ROWS_A_CELL = 5
#: Cells beyond which hardly a stratum has them, and no test is made.
_MOST_CELLS = 2**22
#: Least probability of a cell, so that logarithms stay finite without a prior.
_TINY = 1e-300


@dataclass(frozen=True)
class Family:
    """The mechanism of one variable, as rows taught it.

    Attributes
    ----------
    log_density : ndarray, shape (n_rows,)
        Of the variable at each distinct mixture row.
    control : float
        Log-likelihood of the control rows, with the prior's, in nats.
    n_free : int
        Number of free parameters.
    """

    log_density: Floats
    control: float
    n_free: int


@dataclass(frozen=True)
class TableFamily(Family):
    """A conditional probability table, as rows taught it.

    Attributes
    ----------
    table : ndarray, shape (n_parent_configurations, n_states)
    """

    table: Floats


class Families(Protocol):
    """What the search over graphs asks of rows."""

    @property
    def rows(self) -> Configurations:
        """The distinct mixture rows."""

    @property
    def n_variables(self) -> int:
        """Number of variables."""

    @property
    def n_rows(self) -> float:
        """Control and mixture rows together."""

    @property
    def libraries(self) -> tuple[Library, ...]:
        """The changes of each variable that are known before any mixture row is seen."""

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Variables that have one value only, shape (n_variables,)."""

    @property
    def conditioned(self) -> NDArray[np.bool_]:
        """Edges from what is only conditioned on: these must be there, and no others with it.

        By parent and child, shape (n_variables, n_variables).
        """

    def n_free(self, i: int, parents: tuple[int, ...]) -> int:
        """Count the free parameters of a family."""

    def learned(
        self,
        i: int,
        parents: tuple[int, ...],
        alone: Floats | None = None,
        kept: Sequence[tuple[Change, Floats]] = (),
    ) -> Family:
        """Learn a family from control rows, and from mixture rows with given weights.

        Parameters
        ----------
        i : int
        parents : tuple of int
        alone : ndarray, shape (n_rows,), optional
            Number of the rows of each kind that left the variable alone.
        kept : sequence of (Change, ndarray)
            Changes that keep the mechanism's parameters, with the numbers of rows under each.
        """

    def taught(
        self,
        i: int,
        parents: tuple[int, ...],
        library: Library,
        column: Ints,
        posterior: Floats,
        alone: Floats,
    ) -> tuple[Family, Library]:
        """Take a step of EM for a family and the changes of its variable.

        Parameters
        ----------
        i : int
        parents : tuple of int
        library : Library
        column : ndarray of int, shape (n_targets,)
            The change that each target makes, -1 for none.
        posterior : ndarray, shape (n_rows, n_targets)
            Number of the rows of each kind times the posterior of the targets.
        alone : ndarray, shape (n_rows,)
            Number of them that left the variable alone.
        """

    def ratios(
        self, i: int, family: Family, library: Library, used: Sequence[int]
    ) -> tuple[Floats, Floats | None, dict[int, Floats]]:
        """Compute what some changes of a variable do to the likelihood of each row.

        Returns
        -------
        log_density : ndarray, shape (n_rows,)
            Without a change; not further below the likeliest change than numbers can hold.
        least : ndarray, shape (n_rows,), or None
            What it is not below; None where there is no need.
        ratios : dict of int to ndarray, shape (n_rows,)
            For each change the density under it over that without.
        """

    def suggested(
        self, i: int, parents: tuple[int, ...], library: Library | None = None
    ) -> Library:
        """Return the changes that a search for targets begins with.

        Parameters
        ----------
        i : int
        parents : tuple of int
        library : Library, optional
            Changes that are known already.
        """

    def inside(
        self, i: int, family: Family, library: Library, column: Ints, posterior: Floats
    ) -> Library:
        """Return also what the rows of single targets speak for, where others do not hide it.

        Parameters
        ----------
        i : int
        family : Family
        library : Library
        column : ndarray of int, shape (n_targets,)
            The change that each target makes, -1 for none.
        posterior : ndarray, shape (n_rows, n_targets)
            Number of the rows of each kind times the posterior of the targets.
        """

    def regrouped(
        self,
        graph: Parents,
        learned: tuple[Family, ...],
        libraries: tuple[Library, ...],
        targets: Ints,
        posterior: Floats,
    ) -> tuple[tuple[Library, ...], Ints]:
        """Let targets share changes where that is better, and have their own where not.

        Parameters
        ----------
        graph : Parents
        learned : tuple of Family
        libraries : tuple of Library
        targets : ndarray of int, shape (n_targets, n_variables)
        posterior : ndarray, shape (n_rows, n_targets)
            Number of the rows of each kind times the posterior of the targets.

        Returns
        -------
        libraries : tuple of Library
        targets : ndarray of int, shape (n_targets, n_variables)
            In the same order; some may have become the same.
        """

    def of_network(self, network: System) -> tuple[Family, ...]:
        """Return the mechanisms of a network as families."""

    def search(self, network: System, known: Constraints, max_size: int | None) -> SearchResult:
        """Search for targets with a network as with any other.

        Parameters
        ----------
        network : System
        known : Constraints
            What is known about targets.
        max_size : int, optional
            Largest number of variables that a target sets.
        """

    def control_score(self, i: int, parents: tuple[int, ...]) -> float:
        """Score a family by control rows alone: their log-likelihood less BIC's cost, in nats."""

    def dependence(self, i: int, j: int, parents: tuple[int, ...]) -> float:
        """Test whether control rows show two variables to be independent given the parents of one.

        Returns
        -------
        float
            P-value.
        """

    def dependent_pairs(self, n_partners: int) -> NDArray[np.bool_]:
        """Tell which pairs of variables the control rows show to be most dependent.

        Parameters
        ----------
        n_partners : int
            How many partners of each variable are kept, at least.

        Returns
        -------
        ndarray of bool, shape (n_variables, n_variables)
            Symmetric.
        """

    def network(
        self,
        graph: Parents,
        learned: tuple[Family, ...] | None = None,
        libraries: tuple[Library, ...] | None = None,
    ) -> System:
        """Return the network with a graph, learned from control rows.

        Parameters
        ----------
        graph : Parents
        learned : tuple of Family, optional
            Whose mechanisms it has instead.
        libraries : tuple of Library, optional
            Other changes than those known at first.
        """


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
    def constant(self) -> NDArray[np.bool_]:
        """Variables that have one state only."""
        return np.asarray(self._sizes < 2)

    @property
    def conditioned(self) -> NDArray[np.bool_]:
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

    def search(self, network: System, known: Constraints, max_size: int | None) -> SearchResult:
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
        """Test independence by the likelihood ratio in each stratum that has rows enough."""
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
        statistic = 2.0 * float(strata[used] @ np.log(strata[used] / expected[used]))
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
            counts, control.prior, control.n_rows, control.fixed_states, control.rows
        )
        out = learn_from_counts(self._like.variables, graph, remembered)
        return out if learned is None else out.with_tables(list(map(_table, learned)))

    def dependent_pairs(self, n_partners: int) -> NDArray[np.bool_]:
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


def nearest(strength: Floats, n_partners: int) -> NDArray[np.bool_]:
    """Tell the strongest partners of each variable.

    Parameters
    ----------
    strength : ndarray, shape (n_variables, n_variables)
        Changed: the diagonal is left out.
    n_partners : int

    Returns
    -------
    ndarray of bool, shape (n_variables, n_variables)
        Symmetric.
    """
    np.fill_diagonal(strength, -np.inf)
    out = np.zeros(strength.shape, dtype=bool)
    best = np.argsort(-strength, axis=1, kind="stable")[:, :n_partners]
    out[np.arange(len(out))[:, None], best] = True
    return np.asarray(out | out.T)


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
