"""Counts of pairs of variables, many pairs in one count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Floats, Ints

#: States that a group of variables may have together.
_MOST_GROUP_STATES = 96


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
    missing : bool, default=False
        Whether values may be missing: a row counts for a pair that it lacks none of.

    Examples
    --------
    >>> pairs = PairCounts(np.array([2, 3, 2]), ((0, 1), (0, 2), (1, 2)))
    >>> counted = pairs(np.array([[0, 1, 1], [1, 1, 0]]), np.array([2.0, 3.0]))
    >>> pairs.tables(counted)[0].tolist()
    [0.0, 2.0, 0.0, 0.0, 3.0, 0.0]
    """

    cardinalities: NDArray[np.int64]
    pairs: tuple[tuple[int, ...], ...]
    missing: bool = False

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Number of entries of each variable; a missing value is the last one."""
        return np.asarray(self.cardinalities) + int(self.missing)

    @cached_property
    def groups(self) -> list[list[int]]:
        """Variables in groups, in their order; the last of a group runs fastest."""
        groups: list[list[int]] = []
        size = _MOST_GROUP_STATES
        for i in sorted({i for pair in self.pairs for i in pair}):
            k = int(self.sizes[i])
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
                cell *= self.sizes[i]
                cell += codes[:, i]
                if self.missing:
                    cell[codes[:, i] < 0] += self.sizes[i]
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
            whole = of[g, h].reshape([int(self.sizes[v]) for v in variables])
            if self.missing:  # only rows that lack neither
                seen = {v: slice(int(self.cardinalities[v])) for v in (i, j)}
                whole = whole[tuple(seen.get(v, slice(None)) for v in variables)]
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
        return int(np.prod(self.sizes[self.groups[g]]))
