"""Open edges, against all graphs with the same skeleton and colliders."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dosift.errors import InputError
from dosift.io.graph import Graph, read_graph
from dosift.learning.equivalence import open_edges, random_equivalent

Edges = list[tuple[int, int]]


def colliders(edges: Edges) -> set[tuple[frozenset[int], int]]:
    linked = {frozenset(edge) for edge in edges}
    return {
        (frozenset((a, b)), c)
        for a, c in edges
        for b, d in edges
        if c == d and a != b and frozenset((a, b)) not in linked
    }


def by_enumeration(edges: Edges) -> set[frozenset[int]]:
    """Edges that some acyclic graph with the same skeleton and colliders turns round."""
    out = set()
    for flips in product([False, True], repeat=len(edges)):
        other = [(b, a) if flip else (a, b) for flip, (a, b) in zip(flips, edges, strict=True)]
        if colliders(other) != colliders(edges):
            continue
        try:
            read_graph(other)
        except InputError:
            continue
        out |= {frozenset(edge) for flip, edge in zip(flips, edges, strict=True) if flip}
    return out


PAIRS = [(a, b) for b in range(5) for a in range(b)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sets(st.sampled_from(PAIRS), min_size=1, max_size=8), st.permutations(range(5)))
def test_open_edges_are_those_that_an_equivalent_graph_turns(
    pairs: set[tuple[int, int]], names: list[int]
) -> None:
    edges = sorted((names[a], names[b]) for a, b in pairs)
    found = open_edges([(str(a), str(b)) for a, b in edges])
    assert {frozenset(map(int, edge)) for edge in found} == by_enumeration(edges)


def test_a_chain_is_open_and_a_collider_is_not() -> None:
    assert open_edges([("a", "b"), ("b", "c")]) == [("a", "b"), ("b", "c")]
    assert open_edges([("a", "c"), ("b", "c"), ("c", "d")]) == []
    with pytest.raises(InputError, match="cycle"):
        open_edges([("a", "b"), ("b", "a")])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.sets(st.sampled_from(PAIRS), min_size=1, max_size=10), st.integers(0, 99))
def test_drawn_graphs_are_equivalent(pairs: set[tuple[int, int]], seed: int) -> None:
    edges = sorted(pairs)
    graph = Graph(tuple("01234"), tuple((str(a), str(b)) for a, b in edges))
    drawn = random_equivalent(graph, np.random.default_rng(seed))
    other = [(int(a), int(b)) for a, b in read_graph(drawn).edges]
    assert drawn.nodes == graph.nodes
    assert colliders(other) == colliders(edges)
    assert {frozenset(edge) for edge in other} == {frozenset(edge) for edge in edges}


def test_every_equivalent_graph_is_drawn_and_fixed_edges_stay() -> None:
    chain = Graph(("a", "b", "c"), (("a", "b"), ("b", "c")))
    rngs = [np.random.default_rng(seed) for seed in range(40)]
    drawn = {frozenset(random_equivalent(chain, rng).edges) for rng in rngs}
    forward, back = frozenset(chain.edges), frozenset({("b", "a"), ("c", "b")})
    assert drawn == {forward, back, frozenset({("b", "a"), ("b", "c")})}
    fixed = {frozenset(random_equivalent(chain, rng, {("a", "b")}).edges) for rng in rngs}
    assert fixed == {forward}
