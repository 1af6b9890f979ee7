"""Which edges of a causal graph observational rows leave open."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from dosift.io.graph import Graph, read_graph
from dosift.model.arrays import Bools
from dosift.model.orientation import shared_arrows


def open_edges(graph: Any) -> list[tuple[str, str]]:
    """Edges whose direction no amount of observational rows can tell.

    An edge is open if some graph with the same independences has it the other way round: the
    edges without direction in the completed partially directed graph.

    Parameters
    ----------
    graph : Graph, networkx.DiGraph, iterable of (str, str), or path

    Returns
    -------
    list of (str, str)
        In the graph's order.

    Examples
    --------
    >>> open_edges([("a", "b"), ("b", "c")])
    [('a', 'b'), ('b', 'c')]
    >>> open_edges([("a", "c"), ("b", "c"), ("c", "d")])
    []
    """
    nodes, edges = read_graph(graph)
    at = {name: i for i, name in enumerate(nodes)}
    arrow = np.zeros((len(nodes), len(nodes)), dtype=bool)
    for parent, child in edges:
        arrow[at[parent], at[child]] = True
    known = shared_arrows(arrow)
    return [edge for edge in edges if not known[at[edge[0]], at[edge[1]]]]


def random_equivalent(
    graph: Graph, rng: np.random.Generator, fixed: Collection[tuple[str, str]] = ()
) -> Graph:
    """Draw directions for the open edges, so that the independences stay the same.

    Every equivalent graph can come out, though not all with the same probability. Nodes are
    taken off one by one: one that can come last, chosen at random, gets all its undirected edges
    pointing at it (Dor and Tarsi 1992, technical report R-185, UCLA).

    Parameters
    ----------
    graph : Graph
    rng : numpy.random.Generator
    fixed : collection of (str, str), optional
        Edges of the graph that keep their direction.

    Returns
    -------
    Graph
        With edges sorted by the order of the nodes.

    Examples
    --------
    >>> graph = Graph(("a", "b"), (("a", "b"),))
    >>> drawn = {random_equivalent(graph, np.random.default_rng(s)).edges for s in range(9)}
    >>> sorted(drawn)
    [(('a', 'b'),), (('b', 'a'),)]
    """
    loose = set(open_edges(graph)) - set(fixed)
    at = {name: i for i, name in enumerate(graph.nodes)}
    out = np.zeros((len(at), len(at)), dtype=bool)  # directed
    undirected = np.zeros_like(out)
    for parent, child in graph.edges:
        i, j = at[parent], at[child]
        if (parent, child) in loose:
            undirected[i, j] = undirected[j, i] = True
        else:
            out[i, j] = True
    found = out.copy()
    left = np.ones(len(at), dtype=bool)
    while left.any():
        last = next(
            i for i in rng.permutation(np.flatnonzero(left)) if _can_be_last(i, out, undirected)
        )
        found[undirected[last], last] = True
        left[last] = False
        out[:, last] = undirected[:, last] = undirected[last] = False
    edges = tuple((graph.nodes[i], graph.nodes[j]) for i, j in np.argwhere(found))
    return Graph(graph.nodes, edges)


def _can_be_last(i: int, out: Bools, undirected: Bools) -> bool:
    """Whether a node has no edge out of it and making it a child creates no new collider."""
    if out[i].any():
        return False
    linked = out | out.T | undirected
    neighbours = np.flatnonzero(linked[i])
    friends = np.flatnonzero(undirected[i])
    met = linked[np.ix_(friends, neighbours)] | (friends[:, None] == neighbours)
    return bool(met.all())
