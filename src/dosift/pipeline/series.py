"""Rows in order of time, as units for a search and as likelihoods for a chain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.chain.rows import ChainRows
from dosift.chain.smooth import smooth
from dosift.data.blocks import NOTHING, Beside, Block, MemoryBlocks
from dosift.data.configurations import collapse_units
from dosift.data.load import Loaded
from dosift.data.order import RowOrder
from dosift.likelihood.columns import RowLikelihoods, is_plain
from dosift.likelihood.evidence import Evidence
from dosift.methods.labels import Labels
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.known_rows import matches
from dosift.model.network import Network
from dosift.pipeline.setup import Gathered

Positions = NDArray[np.int64]

#: Rows of a window, and windows that are searched at most, evenly over the rows.
WINDOW, MOST_WINDOWS = 4, 20_000
#: Nats by which a piece of a stretch may speak for its target.
_LARGEST_LOG = 150.0


@dataclass(frozen=True)
class Series:
    """Rows in order of time, and the distinct row that each of them is.

    Attributes
    ----------
    block : Block
        Distinct rows.
    index : ndarray of int64, shape (n_rows,)
        The distinct row that each row in order is.
    order : RowOrder
    beside : Beside
    labels : ndarray of int, shape (n_texts, n_variables), or None
        The targets of the texts by which rows are labelled.
    """

    block: Block
    index: Positions
    order: RowOrder
    beside: Beside = NOTHING
    labels: Ints | None = None

    @classmethod
    def of(cls, loaded: Loaded, labels: Labels | None = None) -> Series:
        """Take rows that are held, with their order.

        Parameters
        ----------
        loaded : Loaded
        labels : Labels, optional
        """
        order, rows = loaded.order, loaded.rows
        assert order is not None
        assert loaded.inverse is not None
        assert isinstance(rows, MemoryBlocks)
        by_text = labels.by_text if labels is not None and rows.beside.labels else None
        return cls(rows.whole, loaded.inverse[order.place], order, rows.beside, by_text)

    @property
    def shares(self) -> Floats:
        """Share of the rows that each batch has, shape (n_batches,)."""
        if self.order.batch is None:
            return np.ones(1)
        return np.bincount(self.order.batch, minlength=len(self.beside.batches)) / self.index.size

    def in_units(self, network: Network, unit: Positions, most: int) -> Gathered:
        """Take rows of the same unit together, of every so many-th unit if there are too many.

        Labelled rows have taught already, and are left out.

        Parameters
        ----------
        network : Network
        unit : ndarray of int64, shape (n_rows,)
            Of each row in order, ascending.
        most : int
            Units at most, about.

        Returns
        -------
        Gathered
        """
        some = np.arange(self.index.size)
        if self.block.label is not None:
            some = np.flatnonzero(self.block.label[self.index] < 0)
        number = np.unique(unit[some], return_inverse=True)[1].ravel()
        every = max(int(number[-1]) // most, 1)
        place = number
        if self.order.batch is not None:  # each batch keeps its first unit
            _, first, batch = np.unique(
                self.order.batch[some], return_index=True, return_inverse=True
            )
            place = number - number[first][batch.ravel()]
        kept = place % every == 0
        some, number = some[kept], np.unique(number[kept], return_inverse=True)[1].ravel()
        beside = Beside(self.beside.batches)
        wide = beside.wide(replace(self.block, label=None))[self.index[some]]
        sizes = np.concatenate([network.cardinalities, beside.cardinalities])
        found = collapse_units(wide, number, sizes)
        rows = MemoryBlocks(found.codes, found.counts, beside=beside, first=found.first)
        return Gathered(Evidence.held_rows(network, rows))

    def in_windows(self, network: Network) -> Gathered:
        """Take short windows of rows for units.

        Parameters
        ----------
        network : Network
        """
        return self.in_units(network, self.order.windows(WINDOW), MOST_WINDOWS)

    def part(self, rows: slice) -> Series:
        """Return some rows that follow each other; there a series begins.

        Parameters
        ----------
        rows : slice
            Of those in order.
        """
        order = self.order
        begins, exposure = order.begins[rows].copy(), order.exposure[rows].copy()
        begins[:1], exposure[:1] = True, np.inf
        batch = None if order.batch is None else order.batch[rows]
        own = replace(order, place=order.place[rows], begins=begins, exposure=exposure, batch=batch)
        return replace(self, index=self.index[rows], order=own)

    @classmethod
    def shuffled(cls, block: Block, seed: int) -> Series:
        """Bring rows without times into an order that says nothing.

        Parameters
        ----------
        block : Block
            Rows, with how often each occurs.
        seed : int
        """
        index = np.repeat(np.arange(len(block)), np.rint(block.counts).astype(np.int64))
        index = np.random.default_rng(seed).permutation(index)
        return cls(block, index, RowOrder.even(index.size))

    def pieces(self, network: Network, targets: Ints, stretch: Positions) -> Positions:
        """Cut long stretches, whose likelihoods would be out of the range of numbers.

        Parameters
        ----------
        network : Network
        targets : ndarray of int, shape (n_targets, n_variables)
        stretch : ndarray of int64, shape (n_rows,)

        Returns
        -------
        ndarray of int64, shape (n_rows,)
            The piece of each row, from 0.
        """
        nothing = np.full((1, network.n_variables), -1, dtype=np.int16)
        free = replace(self, labels=None)
        ratio = free.chain(network, targets).log_largest(free.chain(network, nothing))
        return _cut(stretch, np.clip(ratio, 0.0, _LARGEST_LOG))

    def chain(self, network: Network, targets: Ints) -> ChainRows:
        """Lay out the likelihoods of some targets; a labelled row has its own target only.

        Parameters
        ----------
        network : Network
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        ChainRows
        """
        plain = is_plain(network, targets, self.block)
        rows = RowLikelihoods(network, self.block, plain, self.labels, absolute=True)
        columns, scale = rows.columns(targets), rows.log_scale
        return ChainRows.of(columns, self.index, self.order.exposure, scale, batch=self.order.batch)

    def labelled(self, targets: Ints) -> Bools:
        """Whether a batch has rows that are labelled by each target.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        ndarray of bool, shape (n_batches, n_targets)
        """
        out = np.zeros((self.shares.size, len(targets)), dtype=np.bool_)
        if self.labels is None or self.block.label is None:
            return out
        text = self.block.label[self.index]
        batch = np.zeros(text.size, np.int64) if self.order.batch is None else self.order.batch
        is_there = np.zeros((self.shares.size, len(self.labels)), dtype=np.bool_)
        is_there[batch[text >= 0], text[text >= 0]] = True
        return np.asarray(is_there @ matches(self.labels, targets))


def smoothed_rows(
    network: Network,
    targets: Ints,
    weights: Floats,
    rate: float,
    loaded: Loaded,
) -> Floats:
    """Posterior of the targets of rows in order of time, by weights and a rate that are known.

    Parameters
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,) or (n_batches, n_targets)
        The latter for rows with batches.
    rate : float
        Of switching, in the unit of the times.
    loaded : Loaded
        Rows with their order.

    Returns
    -------
    ndarray, shape (n_rows, n_targets)
        In the input's order; NaN for rows that no target can produce.
    """
    series = Series.of(loaded)
    if weights.ndim == 1:  # of a pool: batches are series of their own, and no more
        series = replace(series, order=replace(series.order, batch=None))
    chain = series.chain(network, targets)
    posterior = smooth(chain, weights, rate * series.order.step).posterior
    posterior[chain.impossible] = np.nan
    return series.order.in_input_order(posterior)


def stretches(path: Positions, begins: Bools) -> Positions:
    """Give each stretch of a path a number.

    Parameters
    ----------
    path : ndarray of int64, shape (n_rows,)
    begins : ndarray of bool, shape (n_rows,)
        Rows at which a stretch begins in any case.

    Returns
    -------
    ndarray of int64, shape (n_rows,)

    Examples
    --------
    >>> stretches(np.array([1, 1, 0, 0]), np.array([True, False, False, True])).tolist()
    [0, 0, 1, 2]
    """
    return np.cumsum(begins | np.append(False, path[1:] != path[:-1])) - 1


def _cut(stretch: Positions, cost: Floats) -> Positions:
    """Cut stretches into pieces over which a cost comes up to a limit, and number these."""
    begins = np.append(True, np.diff(stretch) != 0)
    so_far = np.cumsum(cost) - cost
    place = np.flatnonzero(begins)[np.cumsum(begins) - 1]
    number = ((so_far - so_far[place]) // _LARGEST_LOG).astype(np.int64)
    return np.cumsum(begins | np.append(False, np.diff(number) != 0)) - 1
