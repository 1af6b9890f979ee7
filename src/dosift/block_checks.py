"""Whether a mixture describes very many rows, and how sure they are: sums over blocks of them.

Pure array code. One pass gives what :mod:`dosift.fit_check`, :mod:`dosift.certainty` and
:mod:`dosift.surprise` need of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.assignment import assign_rows
from dosift.certainty import Certainty, certainty_of_sums, certainty_sums
from dosift.fit_check import JointCounts, compared
from dosift.network.model import Network
from dosift.rows.blocks import RowBlocks
from dosift.sums.columns import TargetColumns
from dosift.surprise import SurpriseScale, largest_unexplained
from dosift.uncertainty.rate_tests import Pair, RateWithTest, p_value_of_pair, pair_moments

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class SurpriseTask:
    """Counts rows by how surprising they are.

    Attributes
    ----------
    columns : TargetColumns
    weights : ndarray, shape (n_targets,)
    scale : SurpriseScale
    """

    columns: TargetColumns
    weights: Floats
    scale: SurpriseScale

    def __call__(self, codes: Ints, counts: Floats) -> tuple[Floats, ...]:
        """Count the rows of a block at each place of the scale, the impossible ones first."""
        found = assign_rows(self.columns, self.weights, codes)
        return (self.count(found.log_probability, counts),)

    def count(self, log_probability: Floats, counts: Floats) -> Floats:
        """Count rows by their log-probability."""
        place = self.scale.places(log_probability) + 1
        place[np.isneginf(log_probability)] = 0
        n_places = self.scale.log_probability.size + 2
        return np.bincount(place, weights=counts, minlength=n_places).astype(np.float64)


def unexplained_bound(scale: SurpriseScale, by_place: Floats) -> tuple[float, float]:
    """Find which rows are named as unexplained.

    Parameters
    ----------
    scale : SurpriseScale
    by_place : ndarray
        Sum of what :class:`SurpriseTask` counts.

    Returns
    -------
    bound : float
        Rows with a p-value up to it are; -1 if none is.
    n_rows : float
        How many these are.
    """
    p_values = np.append(0.0, scale.levels())
    bound = largest_unexplained(p_values, by_place)
    return bound, float(by_place[p_values <= bound].sum())


@dataclass(frozen=True)
class _CheckTask:
    """Sums over a block for all checks.

    Attributes
    ----------
    surprise : SurpriseTask
        With the mixture.
    pairs : tuple of tuple of int
        Variables that are compared two by two.
    """

    surprise: SurpriseTask
    pairs: tuple[tuple[int, ...], ...]

    def __call__(self, codes: Ints, counts: Floats) -> tuple[Floats, ...]:
        found = assign_rows(self.surprise.columns, self.surprise.weights, codes)
        sums = certainty_sums(found, counts)
        sizes = self.surprise.columns.network.cardinalities
        tables = []
        for i, j in self.pairs:
            n_cells = int(sizes[i] * sizes[j])
            kind = np.int16 if n_cells < 2**15 else np.int64
            cells = codes[:, i].astype(kind) * kind(sizes[j])
            cells += codes[:, j]
            tables.append(np.bincount(cells, weights=counts, minlength=n_cells).astype(float))
        return *sums, self.surprise.count(found.log_probability, counts), *tables


@dataclass(frozen=True)
class BlockChecks:
    """What one pass over all rows says about a mixture.

    Attributes
    ----------
    certainty : Certainty
    observed : list of JointCounts
        Of the pairs and then the families that are compared.
    bound : float
        P-value up to which rows are named as unexplained.
    n_unexplained : float
    """

    certainty: Certainty
    observed: list[JointCounts]
    bound: float
    n_unexplained: float


def check_blocks(
    blocks: RowBlocks,
    network: Network,
    targets: Ints,
    weights: Floats,
    families: Sequence[Floats],
    scale: SurpriseScale,
) -> BlockChecks:
    """Sum over all rows what the checks need.

    Parameters
    ----------
    blocks : RowBlocks
        Without missing values.
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    families : sequence of ndarray
        Counts of each variable with its parents, in all rows.
    scale : SurpriseScale

    Returns
    -------
    BlockChecks
    """
    pairs, groups = compared(network)
    surprise = SurpriseTask(TargetColumns(network, targets), weights, scale)
    sums = blocks.sum(_CheckTask(surprise, tuple(pairs)))
    (by_place, *tables), sums = sums[4:], sums[:4]
    counts = [*tables, *(families[group[-1]].ravel() for group in groups)]
    bound, n_unexplained = unexplained_bound(scale, by_place)
    observed = [(np.flatnonzero(table), table[table > 0]) for table in counts]
    return BlockChecks(certainty_of_sums(sums), observed, bound, n_unexplained)


@dataclass(frozen=True)
class _PairTask:
    """Sums over a block for the p-values of pairs of do's."""

    network: Network
    rates: Sequence[RateWithTest]
    pairs: Sequence[Pair]

    def __call__(self, codes: Ints, counts: Floats) -> tuple[Floats, ...]:
        return tuple(
            pair_moments(self.network, codes, counts, self.rates, pair) for pair in self.pairs
        )


def pair_p_values(
    blocks: RowBlocks, network: Network, rates: Sequence[RateWithTest], pairs: Sequence[Pair]
) -> list[float]:
    """P-values of "no component sets both", for pairs of do's, from one pass.

    Parameters
    ----------
    blocks : RowBlocks
    network : Network
    rates : sequence of RateWithTest
        Of all variables.
    pairs : sequence of Pair

    Returns
    -------
    list of float
    """
    moments = blocks.sum(_PairTask(network, rates, pairs))
    return [p_value_of_pair(m, rates, pair) for m, pair in zip(moments, pairs, strict=True)]
