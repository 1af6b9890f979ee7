"""A sample of very many rows that does not depend on their order, and is all of them if few differ.

Rows are collapsed to distinct configurations. While these fit they are all kept, with exact
counts. When they do not, a configuration is kept with a probability in proportion to an estimate
of its count (the load of its bucket among a million, never less than the count), so that frequent
ones are there for certain and no row is overlooked for being in a crowd. Whether it is kept is
decided by a hash of the configuration and the seed, not by where its rows stand: any order, any
division into blocks and any number of machines gives the same sample. Dividing counts by the
probabilities makes sums over the sample unbiased (Horvitz and Thompson 1952).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import NOTHING, Beside, Block
from dosift.data.configurations import Configurations, collapse

Ints = NDArray[np.integer]
Floats = NDArray[np.float64]
Words = NDArray[np.uint64]

#: Buckets by which the count of a configuration is estimated.
N_BUCKETS = 2**20
#: Distinct configurations that are kept, at most.
MOST_CONFIGURATIONS = 2**17
#: Largest number of halvings of the probability.
_LAST_LEVEL = 62


def hash_rows(codes: NDArray[Any], seed: int) -> Words:
    """Hash each row of codes, or of numbers, to 64 bits.

    Parameters
    ----------
    codes : ndarray, shape (n_rows, n_variables)
        NaN where a number is missing; 0 and -0 are one number.
    seed : int
        Non-negative.

    Returns
    -------
    ndarray of uint64, shape (n_rows,)

    Examples
    --------
    >>> one, other, again = hash_rows(np.array([[0, 1], [1, 0], [0, 1]]), 0)
    >>> bool(one == again), bool(one == other)
    (True, False)
    >>> len(set(hash_rows(np.array([[0.5], [0.25], [np.nan], [0.5]]), 0).tolist()))
    3
    """
    # The mixing steps are those of the generator splitmix64 (Steele, Lea and Flood 2014).
    state = np.full(len(codes), _mixed(np.array([seed & (2**64 - 1)], dtype=np.uint64))[0])
    for j in range(codes.shape[1]):
        state *= np.uint64(0x9E3779B97F4A7C15)
        state += _words(codes[:, j])
        state ^= state >> np.uint64(29)
    return _mixed(state)


def _words(column: NDArray[Any]) -> Words:
    """Return a word for each value of a column, the same for equal values."""
    if not np.issubdtype(column.dtype, np.floating):
        return (column.astype(np.int64) + 2).view(np.uint64)
    numbers = column + 0.0  # -0 becomes 0
    numbers[np.isnan(numbers)] = np.nan  # of which there are several
    return numbers.view(np.uint64)


def _mixed(words: Words) -> Words:
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words ^= words >> np.uint64(30)
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(27)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return words


def bucket_loads(hashes: Words, counts: Floats) -> Floats:
    """Total count of the rows in each bucket.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n_rows,)
    counts : ndarray, shape (n_rows,)

    Returns
    -------
    ndarray, shape (N_BUCKETS,)
    """
    return np.bincount(_bucket(hashes), weights=counts, minlength=N_BUCKETS).astype(np.float64)


def _bucket(hashes: Words) -> NDArray[np.int64]:
    return (hashes & np.uint64(N_BUCKETS - 1)).view(np.int64)


def _uniform(hashes: Words) -> Floats:
    """Return a number in (0, 1) from the bits that do not choose the bucket."""
    return np.asarray(((hashes >> np.uint64(20)).astype(np.float64) + 0.5) / 2.0**44)


@dataclass(frozen=True)
class RowSample:
    """Distinct configurations kept so far.

    Attributes
    ----------
    codes : ndarray of int, shape (n_kept, n_variables)
    counts : ndarray, shape (n_kept,)
        Of the rows seen so far that have each configuration.
    level : int
        Halvings of the probability of being kept; 0 while all are.
    """

    codes: Ints
    counts: Floats
    level: int


@dataclass(frozen=True)
class Sampler:
    """Collects a sample; a task for :meth:`~dosift.data.blocks.RowBlocks.reduce`.

    Attributes
    ----------
    cardinalities : ndarray of int, shape (n_columns,)
        Of the variables, and then of what stands beside them.
    seed : int
    beside : Beside
        What stands beside the variables; rows that differ in it differ.
    loads : ndarray, shape (N_BUCKETS,), or None
        From :func:`bucket_loads`, over all rows. Without them every configuration has the same
        probability, which is only good for finding out whether all of them fit.
    level : int, default=0
        To begin with.
    most : int, default=MOST_CONFIGURATIONS
        Configurations that are kept, at most.
    """

    cardinalities: NDArray[np.int64]
    seed: int
    beside: Beside = NOTHING
    loads: Floats | None = None
    level: int = 0
    most: int = MOST_CONFIGURATIONS

    @classmethod
    def of(cls, cardinalities: NDArray[np.int64], beside: Beside, seed: int) -> Sampler:
        """Return one for rows with something beside their variables.

        Parameters
        ----------
        cardinalities : ndarray of int, shape (n_variables,)
        beside : Beside
        seed : int
        """
        sizes = np.concatenate([cardinalities, beside.cardinalities])
        return cls(sizes, seed, beside, most=MOST_CONFIGURATIONS)

    def __call__(self, block: Block) -> RowSample:
        """Collapse a block, and keep what the level lets through."""
        codes, counts = self.beside.wide(block), block.counts
        if self.level:
            kept = self.probabilities(codes, self.level) > _uniform(hash_rows(codes, self.seed))
            codes, counts = codes[kept], counts[kept]
        rows = collapse(codes, self.cardinalities, counts)
        return self._bounded(RowSample(rows.codes, rows.counts, self.level))

    def merge(self, one: RowSample, other: RowSample) -> RowSample:
        """Bring two samples together."""
        level = max(one.level, other.level)
        one, other = self._at(one, level), self._at(other, level)
        together = np.concatenate([one.codes, other.codes])
        counts = np.concatenate([one.counts, other.counts])
        rows = collapse(together, self.cardinalities, counts)
        return self._bounded(RowSample(rows.codes, rows.counts, level))

    def probabilities(self, codes: Ints, level: int) -> Floats:
        """Probability with which each configuration is kept.

        Parameters
        ----------
        codes : ndarray of int, shape (n_rows, n_variables)
        level : int

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        loads = 1.0 if self.loads is None else self.loads[_bucket(hash_rows(codes, self.seed))]
        return np.asarray(np.minimum(np.broadcast_to(loads * 2.0**-level, len(codes)), 1.0))

    def starting_level(self) -> int:
        """Find a level below which the configurations surely do not fit."""
        assert self.loads is not None
        # Every bucket that holds rows holds a configuration at least.
        for level in range(_LAST_LEVEL):
            if float(np.minimum(self.loads * 2.0 ** -(level + 1), 1.0).sum()) < 2.0 * self.most:
                return level
        return _LAST_LEVEL

    def _at(self, sample: RowSample, level: int) -> RowSample:
        if sample.level == level:
            return sample
        kept = self.probabilities(sample.codes, level) > _uniform(
            hash_rows(sample.codes, self.seed)
        )
        return RowSample(sample.codes[kept], sample.counts[kept], level)

    def _bounded(self, sample: RowSample) -> RowSample:
        while len(sample.codes) > self.most and sample.level < _LAST_LEVEL:
            sample = self._at(sample, sample.level + 1)
        return sample

    def configurations(self, sample: RowSample, n_rows: float) -> Configurations:
        """Turn a sample of all rows into configurations that a search can take for rows.

        Parameters
        ----------
        sample : RowSample
        n_rows : float
            Number of all rows.

        Returns
        -------
        Configurations
            With exact counts if all configurations were kept. Otherwise counts divided by the
            probabilities and scaled so that their total is the number of independent rows that
            would tell as much as the sample does (after Kish 1965). Without an `inverse`.
        """
        nothing = np.empty(0, dtype=np.int64)
        codes = np.asfortranarray(sample.codes)
        if sample.level == 0:
            return Configurations(codes, sample.counts, nothing)
        p = self.probabilities(sample.codes, sample.level)
        c = sample.counts
        expected = c / p
        # A sum over all rows varies by c for each configuration, as rows are random, and by
        # c^2 (1 - p) / p for having been drawn.
        spread = float(((c + c * c * (1.0 - p) / p) / p).sum())
        effective = min(n_rows, n_rows * n_rows / spread)
        return Configurations(codes, expected * (effective / expected.sum()), nothing)
