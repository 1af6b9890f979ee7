"""Which edges control rows and interventions settle: the interventional essential graph.

Control rows tell a graph up to its Markov equivalents, which have the same skeleton and the same
colliders (v-structures). An intervention that sets one end of an edge, but not the other, tells
its direction as well. The graphs that are left are interventionally equivalent, and what they
share is their essential graph (Hauser and Buehlmann 2012, JMLR 13:2409-2464). Unlike there, a
family of targets need not hold the empty one: control rows are always taken to be at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from dosift.model.arrays import Bools
from dosift.model.orientation import shared_arrows

#: Edges as pairs of positions.
Pairs = frozenset[tuple[int, int]]


def essential_graph(
    parents: Sequence[Sequence[int]], targets: Iterable[Iterable[int]]
) -> tuple[Pairs, Pairs]:
    """Return the essential graph of a graph's interventional equivalence class.

    Parameters
    ----------
    parents : sequence of sequence of int
        Positions of the parents of each variable. Without cycles.
    targets : iterable of iterable of int
        The sets of variables that interventions set, to whatever values.

    Returns
    -------
    directed : frozenset of (int, int)
        Edges (parent, child) that all graphs of the class share.
    undirected : frozenset of (int, int)
        Edges (smaller, larger position) that some graphs of the class turn round.

    Examples
    --------
    Of a chain of three, a target that sets the first variable settles everything, and one that sets
    the first two together only the second edge:

    >>> chain = [[], [0], [1]]
    >>> essential_graph(chain, [])
    (frozenset(), frozenset({(0, 1), (1, 2)}))
    >>> sorted(essential_graph(chain, [[0]])[0])
    [(0, 1), (1, 2)]
    >>> essential_graph(chain, [[0, 1]])
    (frozenset({(1, 2)}), frozenset({(0, 1)}))
    """
    arrow = _arrows(parents)
    crossing = np.zeros_like(arrow)
    for is_set in _memberships(targets, len(arrow)):
        crossing |= is_set[:, None] != is_set
    directed = shared_arrows(arrow, arrow & crossing)
    return (
        frozenset((int(i), int(j)) for i, j in np.argwhere(directed)),
        frozenset((int(min(e)), int(max(e))) for e in np.argwhere(arrow & ~directed)),
    )


def same_essential(
    parents_a: Sequence[Sequence[int]],
    parents_b: Sequence[Sequence[int]],
    targets: Iterable[Iterable[int]],
) -> bool:
    """Whether two graphs are interventionally Markov equivalent under the targets.

    They have the same skeleton, the same colliders, and the same direction of each edge that a
    target sets at one end only (Hauser and Buehlmann 2012, theorem 10).

    Parameters
    ----------
    parents_a, parents_b : sequence of sequence of int
        Positions of the parents of each variable, over the same variables. Without cycles.
    targets : iterable of iterable of int
        The sets of variables that interventions set.

    Returns
    -------
    bool

    Examples
    --------
    >>> forward, backward = [[], [0], [1]], [[1], [2], []]
    >>> same_essential(forward, backward, []), same_essential(forward, backward, [[0, 1]])
    (True, False)
    >>> same_essential(forward, [[1], [], [1]], [[0, 1]])
    True
    """
    if _skeleton(parents_a) != _skeleton(parents_b) or _colliders(parents_a) != _colliders(
        parents_b
    ):
        return False
    arrow = _arrows(parents_a)
    turned = arrow & ~_arrows(parents_b)
    return not any(
        (turned & (is_set[:, None] != is_set)).any() for is_set in _memberships(targets, len(arrow))
    )


def _arrows(parents: Sequence[Sequence[int]]) -> Bools:
    """Entry (i, j) says whether i is a parent of j."""
    arrow = np.zeros((len(parents), len(parents)), dtype=bool)
    for child, row in enumerate(parents):
        arrow[list(row), child] = True
    return arrow


def _memberships(targets: Iterable[Iterable[int]], n: int) -> list[Bools]:
    """Which variables each set holds; sets that come twice once."""
    return [np.isin(np.arange(n), sorted(t)) for t in {frozenset(t) for t in targets}]


def _skeleton(parents: Sequence[Sequence[int]]) -> set[frozenset[int]]:
    return {frozenset((p, child)) for child, row in enumerate(parents) for p in row}


def _colliders(parents: Sequence[Sequence[int]]) -> set[tuple[frozenset[int], int]]:
    """Return pairs of parents that are not linked, with their child."""
    linked = _skeleton(parents)
    return {
        (frozenset(pair), child)
        for child, row in enumerate(parents)
        for pair in combinations(row, 2)
        if frozenset(pair) not in linked
    }
