"""What control and mixture rows say about the graph: every edge with a probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dosift.graphs.climb import GraphScore
from dosift.graphs.dag import Parents, edges_of
from dosift.model.arrays import Floats, Ints, distinct
from dosift.search.result import SearchResult

#: Scores this far (nats) below the best play no part.
_WINDOW = 20.0
#: Least probability of a graph that is averaged over, and most graphs.
_LEAST_SHARE, _MOST_GRAPHS = 0.01, 5
#: Probability of either direction up to which the direction of an edge is called open.
_SURE = 0.95
#: Graphs this near the best (nats) are as good; of those the one nearest to the given is chosen.
_TIED = 2.0


@dataclass(frozen=True)
class FoundEdge:
    """An edge, and what the rows say of it.

    Attributes
    ----------
    parent, child : int
    probability : float
        Over graphs, of this edge in this direction.
    status : {"given", "kept", "added", "reversed", "removed", "open"}
        ``"given"``: the graph was fixed. ``"open"``: the rows leave the direction open.
    """

    parent: int
    child: int
    probability: float
    status: str


@dataclass(frozen=True)
class AskedEdit:
    """An edit of one edge that the rows ask for though the graph is fixed.

    Attributes
    ----------
    kind : {"add", "remove", "reverse"}
    parent, child : int
        Of the edge as it is before it is removed or reversed.
    gain : float
        What the joint penalised log-likelihood would lose (nats, by estimate) if of all edits
        this one was not made; NaN where it cannot be undone alone.
    """

    kind: str
    parent: int
    child: int
    gain: float


@dataclass(frozen=True)
class GraphFindings:
    """What control and mixture rows say about the graph.

    Attributes
    ----------
    graph : Parents
        That the mixture is fitted with.
    given : Parents or None
        That the user gave.
    fixed : bool
        Whether it had to stay.
    edges : tuple of FoundEdge
        Of the graph, and those of the given graph that are gone.
    members : tuple of (Parents, float)
        Graphs to be averaged over, with their probabilities; `graph` comes first.
    asked : tuple of AskedEdit
        What the rows would change in a fixed graph; empty if nothing clearly.
    targets : ndarray of int, shape (n_targets, n_variables)
        Of the mixture after those edits, where variables are numbers by what they touch; empty if
        nothing is asked for.
    weights : ndarray, shape (n_targets,)
    common_causes : tuple of (int, int, float)
        Pairs of variables whose errors are still dependent and that no edge would explain, with
        the p-value.
    gain : float
        Rise of the joint penalised log-likelihood (nats) by all the edits asked for.
    repaired : SearchResult or None
        The mixture after those edits, with its network.
    """

    graph: Parents
    given: Parents | None
    fixed: bool
    edges: tuple[FoundEdge, ...]
    members: tuple[tuple[Parents, float], ...]
    asked: tuple[AskedEdit, ...] = ()
    targets: Ints | None = None
    weights: Floats | None = None
    common_causes: tuple[tuple[int, int, float], ...] = ()
    gain: float = 0.0
    repaired: SearchResult | None = None

    def change(self, targets: Ints, weights: Floats) -> float:
        """Total variation between a mixture and that after the edits asked for.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)
            As :func:`~dosift.model.mechanism_network.compared_targets` returns them.
        weights : ndarray, shape (n_targets,)

        Returns
        -------
        float
            The share of the rows that would be explained otherwise; 0 if nothing is asked for.
        """
        if self.targets is None or self.weights is None:
            return 0.0
        both = np.concatenate([targets, self.targets]).astype(np.int64)
        signed = np.concatenate([weights, -self.weights])
        return 0.5 * float(np.abs(distinct(both, signed)[1]).sum())


def with_edits(parents: Parents, edits: Sequence[AskedEdit]) -> Parents:
    """Apply edits to a graph.

    Parameters
    ----------
    parents : Parents
    edits : sequence of AskedEdit

    Returns
    -------
    Parents

    Examples
    --------
    >>> with_edits(((), (0,), ()), [AskedEdit("reverse", 0, 1, 3.0), AskedEdit("add", 0, 2, 2.0)])
    ((1,), (), (0,))
    """
    found = [set(own) for own in parents]
    for edit in edits:
        if edit.kind != "add":
            found[edit.child].discard(edit.parent)
        if edit.kind == "add":
            found[edit.child].add(edit.parent)
        if edit.kind == "reverse":
            found[edit.parent].add(edit.child)
    return tuple(tuple(sorted(own)) for own in found)


def probabilities(scores: Sequence[GraphScore]) -> list[tuple[Parents, float]]:
    """Turn scores of graphs into probabilities.

    Parameters
    ----------
    scores : sequence of GraphScore
        Of different graphs, with the highest first.

    Returns
    -------
    list of (Parents, float)
        Those that play a part, in the same order; they sum to one.

    Examples
    --------
    >>> some = [GraphScore(((), (0,)), -10.0), GraphScore(((1,), ()), -10.0)]
    >>> [share for _, share in probabilities(some)]
    [0.5, 0.5]
    """
    best = scores[0].score
    some = [one for one in scores if one.score > best - _WINDOW]
    shares = np.exp([one.score - best for one in some])
    shares /= shares.sum()
    return [(one.graph, float(share)) for one, share in zip(some, shares, strict=True)]


def with_neighbours(
    visited: Sequence[GraphScore], best: GraphScore, near: Sequence[tuple[Parents, float]]
) -> list[GraphScore]:
    """Add what is estimated of graphs near the best one, the highest score first.

    Parameters
    ----------
    visited : sequence of GraphScore
        A graph that was fitted on its own may have got stuck below what it is worth.
    best : GraphScore
    near : sequence of (Parents, float)
        Graphs, and the rise from the best that each brings by estimate.

    Returns
    -------
    list of GraphScore
    """
    scores = {one.graph: one.score for one in visited}
    for graph, gain in near:
        if gain > -_WINDOW:
            estimate = best.score + min(gain, 0.0)
            scores[graph] = max(scores.get(graph, -np.inf), estimate)
    listed = [GraphScore(graph, score) for graph, score in scores.items()]
    return sorted(listed, key=lambda one: (-one.score, one.graph))


def nearest_of_the_best(scores: Sequence[GraphScore], given: Parents | None) -> Parents:
    """Of the graphs that are as good as the best, choose the one nearest to the given graph."""
    tied = [one for one in scores if one.score > scores[0].score - _TIED]
    if given is None:
        return scores[0].graph
    edges = edges_of(given)
    return min(tied, key=lambda one: len(edges_of(one.graph) ^ edges)).graph


def edge_probabilities(shares: Sequence[tuple[Parents, float]], n_variables: int) -> Floats:
    """Probability of each edge over graphs.

    Returns
    -------
    ndarray, shape (n_variables, n_variables)
        By parent and child.
    """
    out = np.zeros((n_variables, n_variables))
    for graph, share in shares:
        for parent, child in edges_of(graph):
            out[parent, child] += share
    return np.minimum(out, 1.0)


def found_edges(
    graph: Parents, given: Parents | None, fixed: bool, probability: Floats
) -> tuple[FoundEdge, ...]:
    """Say of each edge what became of it, causes in order of position.

    Parameters
    ----------
    graph : Parents
        That was chosen.
    given : Parents or None
    fixed : bool
    probability : ndarray, shape (n_variables, n_variables)

    Returns
    -------
    tuple of FoundEdge
    """
    before = edges_of(given) if given is not None else set()
    now = edges_of(graph)
    out = []
    for p, i in sorted(now, key=lambda edge: (edge[1], edge[0])):
        there, back = float(probability[p, i]), float(probability[i, p])
        if fixed:
            status = "given"
        elif min(there, back) > (1.0 - _SURE) * (there + back):
            status = "open"
        elif (p, i) in before:
            status = "kept"
        else:
            status = "reversed" if (i, p) in before else "added"
        out.append(FoundEdge(p, i, there, status))
    gone = {(p, i) for p, i in before - now if (i, p) not in now}
    for p, i in sorted(gone, key=lambda edge: (edge[1], edge[0])):
        out.append(FoundEdge(p, i, float(probability[p, i]), "removed"))
    return tuple(out)


def averaged_over(
    shares: Sequence[tuple[Parents, float]], chosen: Parents
) -> tuple[tuple[Parents, float], ...]:
    """Pick the graphs worth averaging over; the chosen one comes first."""
    first = [one for one in shares if one[0] == chosen]
    rest = [one for one in shares if one[0] != chosen and one[1] >= _LEAST_SHARE]
    return tuple((first + rest)[:_MOST_GRAPHS])
