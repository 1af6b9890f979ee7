"""Evidence: what the rows say, as columns and sums of fixed size.

The same numbers whether rows are held or visited in blocks, complete or not, in one batch or in
many, labelled or not. Whatever judges a mixture asks here: the search (which targets pay), the
inference (how sure) and the checks. Rows that are held remember the columns of targets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Block, MemoryBlocks, RowBlocks
from dosift.data.configurations import Configurations
from dosift.data.some_blocks import RowsApart
from dosift.likelihood.column_store import ColumnStore
from dosift.likelihood.columns import RowLikelihoods, TargetColumns, is_plain
from dosift.likelihood.first_pass import CountFamilies
from dosift.likelihood.rates import reference_log_likelihood
from dosift.likelihood.teaching import (
    BlockTeacher,
    TeachFamilies,
    Work,
    completed_rows,
    shares_of_rows,
)
from dosift.likelihood.weight_sums import Compare, Comparison, SumWeights, WeightSums
from dosift.model.arrays import Floats, Ints
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Network

#: What is counted for each network: rows, rows with missing values, and families if mechanisms are
#: tables.
_TABULAR = 3


@dataclass(frozen=True)
class _Pass:
    """A task for blocks: likelihoods, and some work on them."""

    columns: TargetColumns
    pooled: bool
    work: Work
    store: ColumnStore | None = None

    def __call__(self, block: Block) -> tuple[Floats, ...]:
        if self.pooled and block.batch is not None:
            block = replace(block, batch=None)
        rows = self.columns(block)
        if self.store is None:
            return self.work(rows)
        is_known = self.store.lend(rows)
        out = self.work(rows)
        if not is_known:
            self.store.keep(rows)
        return out


class Evidence:
    """What the rows say about mixtures.

    Made by :meth:`of_rows`, :meth:`held_rows` or :meth:`of_configurations`.

    Attributes
    ----------
    rows : RowBlocks
        All rows that count.
    held : Block or None
        The same, collapsed, where they are few enough.
    n_batches : int
        One where rows have no batches.
    n_rows : ndarray, shape (n_batches,)
        Number of rows; where these come in units, of units, since what a unit says of weights is
        one thing.
    without_batch : float
        Rows or units that have none though others do.
    incomplete : float
        Rows or units with missing values.
    families : tuple of ndarray
        Counts of each variable with its parents, in the rows that lack none of them.
    labels : ndarray of int, shape (n_labels, n_variables), or None
        The targets of labelled rows, where these count.
    """

    def __init__(
        self,
        rows: RowBlocks,
        held: Block | None,
        counted: Sequence[Floats],
        labels: Ints | None = None,
        pooled: bool = False,
    ) -> None:
        self.rows, self.held, self.labels = rows, held, labels
        self.n_rows = np.asarray(counted[0][:-1], dtype=np.float64)
        self.without_batch = float(counted[0][-1])
        self.incomplete = float(counted[1])
        #: Whether densities are relative to nothing but the scale of each row.
        self.absolute = self.incomplete > 0 or len(counted) < _TABULAR
        self.families = tuple(counted[2:])
        self._counted = counted
        self._pooled = pooled
        self._under: RowLikelihoods | None = None
        self._store: ColumnStore | None = None
        self._asked: Ints | None = None
        self._reference: tuple[Network, float] | None = None

    @classmethod
    def of_rows(
        cls,
        network: Network,
        rows: RowBlocks,
        counted: Sequence[Floats] | None = None,
        labels: Ints | None = None,
    ) -> Evidence:
        """Take rows that are visited in blocks.

        Parameters
        ----------
        network : Network
            Gives the families.
        rows : RowBlocks
        counted : sequence of ndarray, optional
            From :class:`~dosift.likelihood.first_pass.CountFamilies`, if that was done.
        labels : ndarray of int, shape (n_labels, n_variables), optional
            The targets that labels stand for, where labelled rows count.
        """
        if counted is None:
            counted = rows.sum(CountFamilies(network, max(len(rows.beside.batches), 1)))
        return cls(rows, None, counted, labels)

    @classmethod
    def held_rows(
        cls, network: Network, rows: MemoryBlocks, labels: Ints | None = None
    ) -> Evidence:
        """Take distinct rows that are held in memory.

        Parameters
        ----------
        network : Network
        rows : MemoryBlocks
        labels : ndarray of int, optional
            As for :meth:`of_rows`.
        """
        counted = CountFamilies(network, max(len(rows.beside.batches), 1))(rows.whole)
        return cls(rows, rows.whole, counted, labels)

    @classmethod
    def of_configurations(cls, network: Network, configurations: Configurations) -> Evidence:
        """Take distinct rows without batches and labels."""
        found = configurations
        return cls.held_rows(network, MemoryBlocks(found.codes, found.counts, first=found.first))

    @property
    def n_batches(self) -> int:
        """Number of batches; one where rows have none."""
        return int(self.n_rows.size)

    @property
    def total(self) -> float:
        """Number of rows."""
        return float(self.n_rows.sum())

    @property
    def is_plain(self) -> bool:
        """Whether rows are held, complete, in one batch and without labels."""
        held = self.held
        return (
            held is not None and not self.incomplete and self.n_batches == 1 and held.label is None
        )

    @cached_property
    def pooled(self) -> Evidence:
        """The same rows without their batches."""
        if self.n_batches == 1:
            return self
        held = None if self.held is None else replace(self.held, batch=None)
        counted = (np.array([self.total, 0.0]), *self._counted[1:])
        return Evidence(self.rows, held, counted, self.labels, pooled=True)

    def weighed(self, power: float) -> Evidence:
        """Return what the rows say if each counts for a part of what it counted.

        All sums over rows, and their number, are then that part of what they were: the likelihood
        is taken to a power.

        Parameters
        ----------
        power : float
            In (0, 1].
        """
        rows = self.rows.weighed(power)
        held = None if self.held is None else replace(self.held, counts=self.held.counts * power)
        counted = tuple(np.asarray(part) * power for part in self._counted)
        return Evidence(rows, held, counted, self.labels, self._pooled)

    @property
    def has_units(self) -> bool:
        """Whether rows come in units of several."""
        return self.rows.has_units if self.held is None else self.held.first is not None

    def apart(self, network: Network) -> Evidence:
        """Return the same rows, each a unit of its own."""
        return self._without_units(network, share=False)

    def shared(self, network: Network) -> Evidence:
        """Return the same rows apart, those of a unit counting for one together.

        What takes rows for independent errs on the safe side with these.
        """
        return self._without_units(network, share=True)

    def _without_units(self, network: Network, share: bool) -> Evidence:
        if not self.has_units:
            return self
        count = CountFamilies(network, self.n_batches)
        if self.held is None:
            rows = RowsApart(self.rows, share)
            return Evidence(rows, None, rows.sum(count), self.labels, self._pooled)
        block = self.held.shared if share else self.held.apart
        return Evidence(self.rows, block, count(block), self.labels, self._pooled)

    @property
    def configurations(self) -> Configurations:
        """Distinct rows, where they are held; a label or batch is left out of the codes."""
        assert self.held is not None
        codes = np.asfortranarray(self.held.values)
        nothing = np.empty(0, dtype=np.int64)
        return Configurations(codes, self.held.counts, nothing, self.held.first)

    def sum(self, network: Network, targets: Ints, work: Work) -> tuple[Floats, ...]:
        """Sum some work over all rows.

        Parameters
        ----------
        network : Network
        targets : ndarray of int, shape (n_targets, n_variables)
            All whose columns the work asks for.
        work : callable
            Takes :class:`~dosift.likelihood.columns.RowLikelihoods`; picklable.

        Returns
        -------
        tuple of ndarray
        """
        if self.held is not None:
            return work(self.under(network, targets))
        columns = TargetColumns(network, targets, self.labels, self.absolute)
        store = self._store_for(network, targets)
        return self.rows.sum(_Pass(columns, self._pooled, work, store))

    @property
    def remembers(self) -> bool:
        """Whether columns that were computed once cost little from then on."""
        return self.held is not None or (self.rows.is_here and len(self._counted) < _TABULAR)

    def _store_for(self, network: Network, targets: Ints) -> ColumnStore | None:
        """Return what remembers the columns of targets, or those of the mixture among them."""
        if not self.remembers:
            return None  # of tables columns are quick
        now = self._store
        if now is not None and now.network is network and now.has(network, targets):
            return now
        if ColumnStore.takes(targets):
            if now is not None:
                now.close()
            self._store = ColumnStore(network, targets)
            return self._store
        return now if now is not None and now.network is network else None

    def visit(self, task: Callable[[Block], tuple[Floats, ...]]) -> tuple[Floats, ...]:
        """Sum a task that needs no likelihoods over all rows.

        Parameters
        ----------
        task : callable
            Takes a block; picklable.
        """
        return self.rows.sum(task) if self.held is None else task(self.held)

    def under(self, network: Network, targets: Ints) -> RowLikelihoods:
        """Likelihoods of the rows that are held; they remember their columns.

        Parameters
        ----------
        network : Network
        targets : ndarray of int, shape (n_targets, n_variables)
            All whose columns will be asked for.

        Returns
        -------
        RowLikelihoods
        """
        assert self.held is not None
        now = self._under
        known = now is not None and (not now.plain or self._asked is targets)
        if now is not None and now.network is network and known:
            return now
        self._asked = targets
        plain = is_plain(network, targets, self.held)
        if now is None or now.network is not network or (now.plain and not plain):
            new = RowLikelihoods(
                network, self.held, plain, self.labels, self.absolute, remember=True
            )
            if now is not None and now.network.parents == network.parents:
                new.take_over(now)
            self._under = now = new
        return now

    def forget(self) -> None:
        """Forget columns, and the points by which missing numbers are filled in.

        While a network is fitted these stay as they are; what is final is judged by its own.
        """
        self._under = None
        if self._store is not None:
            self._store.close()
            self._store = None
        if self.pooled is not self:
            self.pooled.forget()

    def reference(self, network: Network) -> float:
        """Log-likelihood (nats, all rows) of the measure that densities are relative to."""
        if self.absolute:
            return 0.0
        if self._reference is None or self._reference[0] is not network:
            self._reference = network, reference_log_likelihood(network, self.families)
        return self._reference[1]

    def weigh(
        self, network: Network, targets: Ints, weights: Floats, others: Ints | None = None
    ) -> WeightSums:
        """Sum gradient, information and log-likelihood.

        Parameters
        ----------
        network : Network
        targets : ndarray of int, shape (n_components, n_variables)
        weights : ndarray, shape (n_batches, n_components)
        others : ndarray of int, shape (n_others, n_variables), optional
            Targets outside the mixture that gradient and information are also wanted for.

        Returns
        -------
        WeightSums
        """
        together = targets if others is None else np.concatenate([targets, others])
        gradient, information, numbers = self.sum(
            network, together, SumWeights(together, np.atleast_2d(weights))
        )
        return WeightSums(gradient, information, *numbers)

    def posterior(self, network: Network, targets: Ints, weights: Floats) -> Floats:
        """Weight of each row that is held, times the posterior of its targets.

        Parameters
        ----------
        network : Network
        targets : ndarray of int, shape (n_components, n_variables)
        weights : ndarray, shape (n_batches, n_components)

        Returns
        -------
        ndarray, shape (n_rows, n_components)
        """
        assert self.held is not None
        return shares_of_rows(self.under(network, targets), targets, np.atleast_2d(weights))

    def completed(
        self, network: Network, targets: Ints, weights: Floats
    ) -> tuple[NDArray[Any], Floats]:
        """Rows that are held, or their completions, and the posterior of targets in each.

        Parameters
        ----------
        network : Network
        targets : ndarray of int, shape (n_components, n_variables)
        weights : ndarray, shape (n_batches, n_components)

        Returns
        -------
        values : ndarray, shape (n_completions, n_variables)
        posterior : ndarray, shape (n_completions, n_components)
            Summing to the row's weight over its completions and all targets; that of a row is its
            unit's.
        """
        assert self.held is not None
        rows = self.under(network, targets)
        return completed_rows(rows, targets, np.atleast_2d(weights), self.is_whole)

    def taught(
        self, network: MechanismNetwork, targets: Ints, weights: Floats, learners: Sequence[int]
    ) -> MechanismNetwork:
        """Take one step of EM for mechanisms that are no tables, and for changes.

        Parameters
        ----------
        network : MechanismNetwork
        targets : ndarray of int, shape (n_components, n_variables)
        weights : ndarray, shape (n_batches, n_components)
        learners : sequence of int
            Variables whose mechanisms and changes are taught.

        Returns
        -------
        MechanismNetwork
        """
        if self.held is None:
            return self._teacher.taught(network, targets, np.atleast_2d(weights), learners)
        values, posterior = self.completed(as_network(network), targets, weights)
        return network.taught(values, targets, posterior, learners)

    @cached_property
    def _teacher(self) -> BlockTeacher:
        return BlockTeacher(self.sum, self.is_whole)

    @property
    def is_whole(self) -> bool:
        """Whether rows are complete, and each is a unit."""
        return not self.incomplete and not self.has_units

    def compare(self, network: Network, targets: Ints, weights: Floats, others: Ints) -> Comparison:
        """Compare other targets with the components of a mixture.

        Parameters
        ----------
        network : Network
        targets : ndarray of int, shape (n_components, n_variables)
        weights : ndarray, shape (n_batches, n_components)
        others : ndarray of int, shape (n_others, n_variables)

        Returns
        -------
        Comparison
        """
        together = np.concatenate([targets, others])
        work = Compare(np.asarray(targets), np.atleast_2d(weights), np.asarray(others))
        return Comparison(*self.sum(network, together, work))

    def teach(
        self, network: Network, targets: Ints, weights: Floats, learners: Sequence[int]
    ) -> list[Floats]:
        """Do the E step of EM for the tables.

        Parameters
        ----------
        network : Network
        targets : ndarray of int, shape (n_components, n_variables)
        weights : ndarray, shape (n_batches, n_components)
        learners : sequence of int
            Variables whose tables are taught.

        Returns
        -------
        list of ndarray
            Expected counts of each learner with its parents, in rows that left it alone.
        """
        work = TeachFamilies(targets, np.atleast_2d(weights), tuple(learners))
        return list(self.sum(network, targets, work))
