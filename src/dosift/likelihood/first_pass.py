"""The first pass over the rows: counts of each family, and whether all distinct rows fit.

The families are all that the one-pass screen needs; the loads of the buckets are what a sample
needs (:mod:`dosift.data.sample`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dosift.data.blocks import Block
from dosift.data.sample import RowSample, Sampler, bucket_loads, hash_rows
from dosift.likelihood.rates import family_counts
from dosift.model.arrays import Floats
from dosift.model.mechanism import missing
from dosift.model.network import Network


@dataclass(frozen=True)
class CountFamilies:
    """Counts families and what is missing; a task for :meth:`~dosift.data.blocks.RowBlocks.sum`.

    Attributes
    ----------
    network : Network
    n_batches : int
    """

    network: Network
    n_batches: int

    def __call__(self, block: Block) -> tuple[Floats, ...]:
        """Count one block.

        Returns
        -------
        n_rows : ndarray, shape (n_batches + 1,)
            Units, each a row if rows do not come in units; last, those without a batch, which
            should not be.
        incomplete : ndarray, shape ()
            Units with missing values.
        families : ndarray, one for each variable, of the shape of its table
            Each variable with its parents, in the rows that lack none of them.
        """
        network, batch = self.network, block.batch
        place = np.zeros(len(block), dtype=np.int64)
        if batch is not None:
            place = np.where(batch < 0, self.n_batches, batch)
        n_rows = np.bincount(place, block.counts, self.n_batches + 1).astype(np.float64)
        lacks = missing(block.values).any(axis=1) if block.has_missing else np.zeros(0, dtype=bool)
        if lacks.size and block.first is not None:
            lacks = np.logical_or.reduceat(lacks, block.first)
        incomplete = np.asarray(block.counts[lacks].sum() if lacks.size else 0.0)
        if not isinstance(network, Network):  # its mechanisms are no tables
            return n_rows, incomplete
        row_counts = block.row_counts
        families = (
            family_counts(network, i, block.values, row_counts) for i in range(network.n_variables)
        )
        return n_rows, incomplete, *families


@dataclass(frozen=True)
class FirstSummary:
    """What the first pass found.

    Attributes
    ----------
    loads : ndarray, shape (n_buckets,)
    whole : RowSample or None
        All configurations with exact counts; None if they are too many.
    counted : tuple of ndarray
        From :class:`CountFamilies`.
    """

    loads: Floats
    whole: RowSample | None
    counted: tuple[Floats, ...]


@dataclass(frozen=True)
class FirstPass:
    """Takes the first look; a task for :meth:`~dosift.data.blocks.RowBlocks.reduce`.

    Attributes
    ----------
    sampler : Sampler
        Without loads.
    count : CountFamilies
    """

    sampler: Sampler
    count: CountFamilies

    def __call__(self, block: Block) -> FirstSummary:
        """Look at one block."""
        wide = self.sampler.beside.wide(block)
        loads = bucket_loads(hash_rows(wide, self.sampler.seed), block.counts)
        whole = None if self._overflows(loads) else self._exact(self.sampler(block))
        return FirstSummary(loads, whole, self.count(block))

    def merge(self, one: FirstSummary, other: FirstSummary) -> FirstSummary:
        """Bring two looks together."""
        loads = one.loads + other.loads
        whole = None
        if one.whole is not None and other.whole is not None and not self._overflows(loads):
            whole = self._exact(self.sampler.merge(one.whole, other.whole))
        counted = tuple(a + b for a, b in zip(one.counted, other.counted, strict=True))
        return FirstSummary(loads, whole, counted)

    def _overflows(self, loads: Floats) -> bool:
        # Every bucket that holds rows holds a configuration at least.
        return int(np.count_nonzero(loads)) > self.sampler.most

    def _exact(self, sample: RowSample) -> RowSample | None:
        return sample if sample.level == 0 else None


def sampler_after(sampler: Sampler, found: FirstSummary) -> Sampler:
    """Return the sampler for a second pass, if not all configurations fit.

    Parameters
    ----------
    sampler : Sampler
        Of the first pass.
    found : FirstSummary

    Returns
    -------
    Sampler
    """
    informed = replace(sampler, loads=found.loads)
    return replace(informed, level=informed.starting_level())
