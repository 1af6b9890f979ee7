"""Hidden common causes: dependence in control rows that no edge explains."""

from __future__ import annotations

from dosift.graphs.dag import EdgeConstraints, Parents
from dosift.graphs.family import Families

#: P-value, over all pairs together, below which a pair is named, and most pairs that are.
_LEVEL, _MOST = 1e-3, 20


def common_causes(
    families: Families, graph: Parents, edges: EdgeConstraints, given: Parents | None = None
) -> tuple[tuple[int, int, float], ...]:
    """Name pairs of variables that depend on each other though the graph says otherwise.

    Given the parents of both, two variables that no edge links are independent: by its own parents
    alone, each is independent of all that it has no effect on (the local Markov property), and one
    of the two has no effect on the other. The parents of both are taken, not those of one, so that
    what depends on a pair with a hidden cause is not named beside it. The search adds an edge
    where that pays; what is left, because an edge in either direction contradicts the rows in
    which one of the two was set, is the work of a cause that is not among the variables, or of an
    edge that was forbidden.

    Parameters
    ----------
    families : Families
        Of control rows.
    graph : Parents
    edges : EdgeConstraints
        Only pairs that may have an edge in some direction are looked at.
    given : Parents, optional
        A graph that stays as it is, where `graph` is what the rows would make of it. A pair has to
        be dependent by that as well. Of an edge that few control rows cannot pay for, the
        dependence is no hint at anything else: it is there in the fit.

    Returns
    -------
    tuple of (int, int, float)
        Pairs of variables with the p-value, corrected for the number of pairs; the least first.
    """
    allowed = edges.allowed | edges.allowed.T
    found = []
    for i, own in enumerate(graph):
        for j in range(i):
            linked = j in own or i in graph[j]
            if allowed[i, j] and not linked:
                found.append((j, i, _dependence(families, graph, given, i, j)))
    named = [(j, i, min(p * len(found), 1.0)) for j, i, p in found]
    clear = sorted((one for one in named if one[2] < _LEVEL), key=lambda one: (one[2], one[:2]))
    return tuple(clear[:_MOST])


def _dependence(families: Families, graph: Parents, given: Parents | None, i: int, j: int) -> float:
    """P-value of the independence of two variables that a graph does not link."""
    own = families.dependence(i, j, _parents_of_both(graph, i, j))
    if given is None or own >= _LEVEL:
        return own
    child = i if j in given[i] else j if i in given[j] else None
    if child is None:
        # Parents that only a repair gives them may be their effects.
        return max(own, families.dependence(i, j, _parents_of_both(given, i, j)))
    # Few control rows may not pay for an edge, and be dependent all the same.
    without = tuple(p for p in given[child] if p not in {i, j})
    with_edge = families.control_score(child, given[child])
    return own if with_edge > families.control_score(child, without) else 1.0


def _parents_of_both(graph: Parents, i: int, j: int) -> tuple[int, ...]:
    return tuple(sorted({*graph[i], *graph[j]} - {i, j}))
