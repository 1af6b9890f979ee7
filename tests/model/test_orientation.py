"""Shared arrows against all equivalent graphs in which the known arrows hold."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dosift.model.orientation import Arrows, shared_arrows

PAIRS = list(combinations(range(5), 2))
Edges = tuple[tuple[int, int], ...]


def matrix(edges: Edges) -> Arrows:
    arrow = np.zeros((5, 5), dtype=bool)
    for a, b in edges:
        arrow[a, b] = True
    return arrow


def colliders(edges: Edges) -> set[tuple[int, int, int]]:
    return {
        (a, b, c)
        for (a, c), (b, d) in product(edges, repeat=2)
        if c == d and a < b and (a, b) not in edges and (b, a) not in edges
    }


def equivalent(edges: Edges) -> list[Edges]:
    found = []
    for flips in product([1, -1], repeat=len(edges)):
        other = tuple((a, b)[::flip] for (a, b), flip in zip(edges, flips, strict=True))
        if colliders(other) == colliders(edges):
            try:
                TopologicalSorter({i: [a for a, b in other if b == i] for i in range(5)}).prepare()
            except CycleError:
                continue
            found.append(other)
    return found


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sets(st.sampled_from(PAIRS), min_size=3, max_size=9),
    st.permutations(range(5)),
    st.integers(0, 2**9 - 1),
)
def test_known_arrows_settle_what_all_graphs_with_them_share(
    pairs: set[tuple[int, int]], names: list[int], chosen: int
) -> None:
    edges = tuple((names[a], names[b]) for a, b in sorted(pairs))
    known = tuple(edge for k, edge in enumerate(edges) if chosen >> k & 1)
    members = [set(other) for other in equivalent(edges) if set(known) <= set(other)]
    shared = {(int(a), int(b)) for a, b in np.argwhere(shared_arrows(matrix(edges), matrix(known)))}
    assert shared == set.intersection(*members)


@pytest.mark.parametrize("n_known", [0, 1])
def test_the_fourth_rule_is_needed(n_known: int) -> None:
    """Of a square with one diagonal, a way c -> e -> b settles the edge from a to b."""
    a, b, c, e = range(4)
    edges = ((c, e), (e, b), (a, c), (a, b), (a, e))
    known = edges[:2] if n_known else ()
    assert bool(shared_arrows(matrix(edges), matrix(known))[a, b]) is bool(n_known)
