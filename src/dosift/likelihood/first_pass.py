"""The first look at the rows: counts of each family, and whether all configurations fit in memory.

The families are all that the one-pass screen needs; the loads of the buckets are what a sample
needs (:mod:`dosift.data.sample`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.data.sample import RowSample, Sampler, bucket_loads, hash_rows
from dosift.likelihood.rates import family_counts
from dosift.model.network import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Seen:
    """What the first look found.

    Attributes
    ----------
    n_rows : float
    incomplete : float
        Rows with missing values.
    families : tuple of ndarray
        Counts of each variable with its parents, in the rows that lack none of them.
    loads : ndarray, shape (n_buckets,)
    whole : RowSample or None
        All configurations with exact counts; None if they are too many.
    """

    n_rows: float
    incomplete: float
    families: tuple[Floats, ...]
    loads: Floats
    whole: RowSample | None


@dataclass(frozen=True)
class FirstLook:
    """Takes the first look; a task for :meth:`~dosift.data.blocks.RowBlocks.reduce`.

    Attributes
    ----------
    network : Network
    sampler : Sampler
        Without loads.
    """

    network: Network
    sampler: Sampler

    def __call__(self, codes: Ints, counts: Floats) -> Seen:
        """Look at one block."""
        families = tuple(
            family_counts(self.network, i, codes, counts) for i in range(self.network.n_variables)
        )
        loads = bucket_loads(hash_rows(codes, self.sampler.seed), counts)
        incomplete = float(counts[(codes < 0).any(axis=1)].sum()) if codes.min() < 0 else 0.0
        whole = None if self._overflows(loads) else self._exact(self.sampler(codes, counts))
        return Seen(float(counts.sum()), incomplete, families, loads, whole)

    def merge(self, one: Seen, other: Seen) -> Seen:
        """Bring two looks together."""
        families = tuple(a + b for a, b in zip(one.families, other.families, strict=True))
        loads = one.loads + other.loads
        whole = None
        if one.whole is not None and other.whole is not None and not self._overflows(loads):
            whole = self._exact(self.sampler.merge(one.whole, other.whole))
        return Seen(
            one.n_rows + other.n_rows, one.incomplete + other.incomplete, families, loads, whole
        )

    def _overflows(self, loads: Floats) -> bool:
        # Every bucket that holds rows holds a configuration at least.
        return int(np.count_nonzero(loads)) > self.sampler.most

    def _exact(self, sample: RowSample) -> RowSample | None:
        return sample if sample.level == 0 else None


def sampler_after(sampler: Sampler, seen: Seen) -> Sampler:
    """Return the sampler for a second look, if not all configurations fit.

    Parameters
    ----------
    sampler : Sampler
        Of the first look.
    seen : Seen

    Returns
    -------
    Sampler
    """
    informed = replace(sampler, loads=seen.loads)
    return replace(informed, level=informed.starting_level())
