"""Essential graphs against all graphs of an interventional class, listed one by one."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import chain, combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dosift.identifiability.essential import essential_graph, same_essential

Dag = tuple[tuple[int, ...], ...]
Family = tuple[tuple[int, ...], ...]


def is_acyclic(parents: Dag) -> bool:
    try:
        TopologicalSorter(dict(enumerate(parents))).prepare()
    except CycleError:
        return False
    return True


@cache
def all_dags(n: int) -> list[Dag]:
    pairs = list(combinations(range(n), 2))
    found = []
    for choice in product(range(3), repeat=len(pairs)):
        parents: list[tuple[int, ...]] = [()] * n
        for (i, j), way in zip(pairs, choice, strict=True):
            if way == 1:
                parents[j] += (i,)
            elif way == 2:
                parents[i] += (j,)
        if is_acyclic(tuple(parents)):
            found.append(tuple(parents))
    return found


def edges(parents: Dag) -> set[tuple[int, int]]:
    return {(p, child) for child, row in enumerate(parents) for p in row}


def cut(parents: Dag, target: tuple[int, ...]) -> Dag:
    """The graph in which a target's variables have lost their parents."""
    return tuple(() if i in target else row for i, row in enumerate(parents))


@cache
def shape(parents: Dag) -> tuple[frozenset[frozenset[int]], frozenset[tuple[int, int, int]]]:
    """Skeleton and colliders."""
    linked = frozenset(frozenset(edge) for edge in edges(parents))
    colliders = frozenset(
        (a, b, child)
        for child, row in enumerate(parents)
        for a, b in combinations(sorted(row), 2)
        if {a, b} not in linked
    )
    return linked, colliders


def key(parents: Dag, family: Family) -> object:
    """Theorem 10 (iii) of Hauser and Buehlmann, with the empty target in the family."""
    return tuple(shape(cut(parents, target)) for target in ((), *family))


def families(n: int) -> list[Family]:
    """All families of sets of three variables; of four those of at most one set, and some more."""
    sets = list(chain.from_iterable(combinations(range(n), k) for k in range(1, n + 1)))
    if n == 3:
        return [f for k in range(len(sets) + 1) for f in combinations(sets, k)]
    rng = np.random.default_rng(0)
    several = [
        tuple(sets[i] for i in rng.choice(len(sets), size, replace=False))
        for size in (2, 2, 2, 2, 3, 3)
    ]
    return [(), *((s,) for s in sets), *several]


@pytest.mark.parametrize("n", [3, pytest.param(4, marks=pytest.mark.long)])
def test_every_class_of_small_graphs(n: int) -> None:
    assert len(all_dags(n)) == {3: 25, 4: 543}[n]
    for family in families(n):
        classes: dict[object, list[Dag]] = defaultdict(list)
        for dag in all_dags(n):
            classes[key(dag, family)].append(dag)
        seen = set()
        for members in classes.values():
            shared = set.intersection(*map(edges, members))
            found = {essential_graph(dag, family) for dag in members}
            assert len(found) == 1
            directed, undirected = found.pop()
            assert directed == shared
            open_edges = edges(members[0]) - shared
            assert undirected == {(min(edge), max(edge)) for edge in open_edges}
            seen.add((directed, undirected))
        assert len(seen) == len(classes)


@pytest.mark.parametrize("n", [3, 4])
def test_equivalence_is_that_of_the_cut_graphs(n: int) -> None:
    by_skeleton: dict[object, list[Dag]] = defaultdict(list)
    for dag in all_dags(n):
        by_skeleton[shape(dag)[0]].append(dag)
    # Of three variables all pairs; of four those of one skeleton, and few families.
    groups = [all_dags(3)] if n == 3 else list(by_skeleton.values())
    for family in families(n) if n == 3 else families(n)[::3]:
        for group in groups:
            keys = [key(dag, family) for dag in group]
            for (a, key_a), (b, key_b) in combinations(zip(group, keys, strict=True), 2):
                assert same_essential(a, b, family) == (key_a == key_b)


PAIRS = list(combinations(range(6), 2))
SUBSETS = st.sets(st.integers(0, 5), max_size=4)


def dag_of(pairs: set[tuple[int, int]], names: list[int]) -> Dag:
    """The earlier of each pair is the parent, under other names."""
    return tuple(
        tuple(sorted(names[a] for a, b in pairs if names[b] == child)) for child in range(6)
    )


def turned_round(dag: Dag) -> list[Dag]:
    """All graphs with the same skeleton."""
    found = []
    for flips in product([1, -1], repeat=len(edges(dag))):
        turned = [edge[::flip] for edge, flip in zip(edges(dag), flips, strict=True)]
        found.append(tuple(tuple(sorted(a for a, b in turned if b == i)) for i in range(len(dag))))
    return [other for other in found if is_acyclic(other)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sets(st.sampled_from(PAIRS), max_size=9),
    st.permutations(range(6)),
    st.lists(SUBSETS, max_size=3),
)
def test_directed_are_the_edges_that_all_members_share(
    pairs: set[tuple[int, int]], names: list[int], targets: list[set[int]]
) -> None:
    dag = dag_of(pairs, names)
    directed, undirected = essential_graph(dag, targets)
    members = [m for m in turned_round(dag) if same_essential(dag, m, targets)]
    assert directed == set.intersection(*map(edges, members))
    assert directed | undirected | {(b, a) for a, b in undirected} >= edges(dag)
    assert all(essential_graph(m, targets) == (directed, undirected) for m in members[:5])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sets(st.sampled_from(PAIRS), max_size=12),
    st.permutations(range(6)),
    st.lists(SUBSETS, max_size=4),
    SUBSETS,
)
def test_more_targets_settle_more(
    pairs: set[tuple[int, int]], names: list[int], targets: list[set[int]], more: set[int]
) -> None:
    dag = dag_of(pairs, names)
    directed, undirected = essential_graph(dag, targets)
    assert directed <= essential_graph(dag, [*targets, more])[0] <= edges(dag)
    # Nothing, all variables and the complement of a set tell what the set tells.
    again = [*targets, set(), set(range(6)), *(set(range(6)) - t for t in targets)]
    assert essential_graph(dag, again) == (directed, undirected)
    singles = essential_graph(dag, [{i} for i in range(6)])
    assert singles == (frozenset(edges(dag)), frozenset())


def test_no_variables_and_no_edges() -> None:
    assert essential_graph([], []) == (frozenset(), frozenset())
    assert essential_graph([[], []], [[0]]) == (frozenset(), frozenset())
    assert same_essential([], [], [[]])
    assert not same_essential([[], []], [[], [0]], [])
