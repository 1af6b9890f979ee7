"""Hidden common causes: dependence in control rows that no edge explains."""

from __future__ import annotations

from dosift.graphs.dag import EdgeConstraints, Parents, reachable
from dosift.graphs.families import Families

#: P-value, over all pairs together, below which a pair is named, and most pairs that are.
_LEVEL, _MOST = 1e-3, 20


def common_causes(
    families: Families, graph: Parents, edges: EdgeConstraints
) -> tuple[tuple[int, int, float], ...]:
    """Name pairs of variables that depend on each other though the graph says otherwise.

    Given its parents, a variable is independent of all that it has no effect on (the local Markov
    property). The search adds an edge where that pays; what is left, because an edge in either
    direction contradicts the rows in which one of the two was set, is the work of a cause that is
    not among the variables, or of an edge that was forbidden.

    Parameters
    ----------
    families : Families
        Of control rows.
    graph : Parents
    edges : EdgeConstraints
        Only pairs that may have an edge in some direction are looked at.

    Returns
    -------
    tuple of (int, int, float)
        Pairs of variables with the p-value, corrected for the number of pairs; the least first.
    """
    leads = reachable(graph)
    allowed = edges.allowed | edges.allowed.T
    found = []
    for i, own in enumerate(graph):
        for j in range(len(graph)):
            apart = j != i and j not in own and i not in graph[j]
            # Of two that are no causes of each other, the pair is tested once.
            if apart and allowed[i, j] and not leads[i, j] and (leads[j, i] or j < i):
                found.append((i, j, families.dependence(i, j, own)))
    named = [(min(i, j), max(i, j), min(p * len(found), 1.0)) for i, j, p in found]
    clear = sorted((one for one in named if one[2] < _LEVEL), key=lambda one: (one[2], one[:2]))
    return tuple(clear[:_MOST])
