"""Whether a mixture describes very many rows, and how sure they are: sums over blocks of them.

Pure array code. One pass gives what :mod:`dosift.checks.fit_check`,
:mod:`dosift.checks.assignment_confidence` and :mod:`dosift.checks.surprisal` need of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dosift.checks.assignment_confidence import Certainty, certainty_of_sums, certainty_sums
from dosift.checks.fit_check import JointCounts, compared
from dosift.checks.surprisal import SurpriseScale, largest_unexplained
from dosift.data.blocks import RowBlocks
from dosift.inference.rate_tests import Pair, RateWithTest, p_value_of_pair, pair_moments
from dosift.likelihood.assignment import assign_rows
from dosift.likelihood.columns import TargetColumns
from dosift.model.network import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: States that a group of variables may have together.
_MOST_GROUP_STATES = 96


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
class PairCounts:
    """Counts the states of pairs of variables together, many pairs in one count.

    Variables are put into groups whose states, all taken together, are few. One table of two groups
    then holds the tables of all pairs between them.

    Attributes
    ----------
    cardinalities : ndarray of int, shape (n_variables,)
    pairs : tuple of tuple of int
        The pairs of variables.

    Examples
    --------
    >>> pairs = PairCounts(np.array([2, 3, 2]), ((0, 1), (0, 2), (1, 2)))
    >>> counted = pairs(np.array([[0, 1, 1], [1, 1, 0]]), np.array([2.0, 3.0]))
    >>> pairs.tables(counted)[0].tolist()
    [0.0, 2.0, 0.0, 0.0, 3.0, 0.0]
    """

    cardinalities: NDArray[np.int64]
    pairs: tuple[tuple[int, ...], ...]

    @cached_property
    def groups(self) -> list[list[int]]:
        """Variables in groups, in their order; the last of a group runs fastest."""
        groups: list[list[int]] = []
        size = _MOST_GROUP_STATES
        for i in sorted({i for pair in self.pairs for i in pair}):
            k = int(self.cardinalities[i])
            if not groups or size * k > _MOST_GROUP_STATES:
                groups.append([])
                size = 1
            groups[-1].append(i)
            size *= k
        return groups

    @cached_property
    def group_pairs(self) -> list[tuple[int, int]]:
        """Pairs of groups, or a group twice, that hold some pair."""
        place = {i: g for g, group in enumerate(self.groups) for i in group}
        return sorted({tuple(sorted((place[i], place[j]))) for i, j in self.pairs})  # type: ignore[misc]

    def __call__(self, codes: Ints, counts: Floats) -> tuple[Floats, ...]:
        """Count the rows of a block, for each pair of groups."""
        cells = []
        for group in self.groups:
            cell = np.zeros(len(codes), dtype=np.int64)
            for i in group:
                cell *= self.cardinalities[i]
                cell += codes[:, i]
            cells.append(cell)
        tables = []
        for g, h in self.group_pairs:
            size = self._size(g)
            place = cells[g]
            if g != h:
                place = place * self._size(h) + cells[h]
                size *= self._size(h)
            tables.append(np.bincount(place, weights=counts, minlength=size).astype(np.float64))
        return tuple(tables)

    def tables(self, counted: Sequence[Floats]) -> list[Floats]:
        """Return the table of each pair, flat, the second variable running fastest.

        Parameters
        ----------
        counted : sequence of ndarray
            What counting returned, added up over all blocks.
        """
        of = dict(zip(self.group_pairs, counted, strict=True))
        place = {i: g for g, group in enumerate(self.groups) for i in group}
        out = []
        for i, j in self.pairs:
            g, h = sorted((place[i], place[j]))
            variables = self.groups[g] if g == h else [*self.groups[g], *self.groups[h]]
            whole = of[g, h].reshape([int(self.cardinalities[v]) for v in variables])
            if i == j:  # a variable with itself
                own = whole.sum(axis=tuple(a for a, v in enumerate(variables) if v != i))
                out.append(np.diag(own).ravel())
                continue
            table = whole.sum(axis=tuple(a for a, v in enumerate(variables) if v not in (i, j)))
            if variables.index(i) > variables.index(j):
                table = table.T
            out.append(table.ravel())
        return out

    def _size(self, g: int) -> int:
        return int(np.prod(self.cardinalities[self.groups[g]]))


@dataclass(frozen=True)
class _CheckTask:
    """Sums over a block for all checks.

    Attributes
    ----------
    surprise : SurpriseTask
        With the mixture.
    pairs : PairCounts
    """

    surprise: SurpriseTask
    pairs: PairCounts

    def __call__(self, codes: Ints, counts: Floats) -> tuple[Floats, ...]:
        found = assign_rows(self.surprise.columns, self.surprise.weights, codes)
        surprise = self.surprise.count(found.log_probability, counts)
        return *certainty_sums(found, counts), surprise, *self.pairs(codes, counts)


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
    counter = PairCounts(network.cardinalities, tuple(pairs))
    sums = blocks.sum(_CheckTask(surprise, counter))
    (by_place, *counted), sums = sums[4:], sums[:4]
    counts = [*counter.tables(counted), *(families[group[-1]].ravel() for group in groups)]
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
