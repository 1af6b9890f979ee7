"""Hidden common causes: dependence in control rows that no edge explains."""

from __future__ import annotations

from dosift.graphs.dag import EdgeConstraints, Parents
from dosift.graphs.family import Families

#: P-value, over all pairs together, below which a pair is named, and most pairs that are.
_LEVEL, _MOST = 1e-3, 20


def common_causes(
    families: Families, graph: Parents, edges: EdgeConstraints
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

    Returns
    -------
    tuple of (int, int, float)
        Pairs of variables with the p-value, corrected for the number of pairs; the least first.
    """
    allowed = edges.allowed | edges.allowed.T
    found = []
    for i, own in enumerate(graph):
        for j in range(i):
            if allowed[i, j] and j not in own and i not in graph[j]:
                both = tuple(sorted({*own, *graph[j]}))
                found.append((j, i, families.dependence(i, j, both)))
    named = [(j, i, min(p * len(found), 1.0)) for j, i, p in found]
    clear = sorted((one for one in named if one[2] < _LEVEL), key=lambda one: (one[2], one[:2]))
    return tuple(clear[:_MOST])
