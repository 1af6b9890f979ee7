"""A hidden cause of a variable and of what it depends on: what seems to be done along with that.

Control rows show by how much a variable goes up with its parents. If something that nobody measured
moves it and one of its ancestors, that is not what an intervention on the ancestor does, and the
variable seems to be shifted wherever the ancestor is changed. Both answers say the same of all
rows. The other one is given where the hidden cause gives itself away: an edge is asked for between
the variable and another one that depends on the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from dosift.checks.verdict import Answer, Repair
from dosift.graphs.findings import GraphFindings
from dosift.model.arrays import Floats, Ints
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork, merged_targets

#: Share of a weight by which it may be another one in the answer with edges.
_ALIKE = 0.5
#: Children of added edges, of one target, that are looked at.
_MOST_CHILDREN = 6


def linked_by_no_edge(graph: GraphFindings) -> frozenset[int]:
    """Find variables that have more in common with another one than edges say.

    Parameters
    ----------
    graph : GraphFindings
        What rows say of a graph that is fixed.

    Returns
    -------
    frozenset of int
    """
    asked = [i for one in graph.asked if one.kind == "add" for i in (one.parent, one.child)]
    return frozenset([*asked, *(i for pair in graph.common_causes for i in pair[:2])])


def ancestors(parents: tuple[tuple[int, ...], ...], i: int) -> list[int]:
    """Find the ancestors of a variable.

    Examples
    --------
    >>> ancestors(((), (0,), (1,), ()), 2)
    [0, 1]
    """
    found: set[int] = set()
    waiting = [*parents[i]]
    while waiting:
        now = waiting.pop()
        if now not in found:
            found.add(now)
            waiting += parents[now]
    return sorted(found)


def by_hidden_cause(
    graph: GraphFindings | None, network: object, targets: Ints, weights: Floats
) -> Answer | None:
    """Leave variables alone that a hidden cause makes look shifted along with what they depend on.

    Parameters
    ----------
    graph : GraphFindings or None
    network : Network or MechanismNetwork
        Of the mixture.
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)

    Returns
    -------
    Answer or None
        By what targets touch; None where nothing is shifted so.
    """
    if graph is None or not isinstance(network, MechanismNetwork):
        return None
    touched, repairs = np.array(merged_targets(network, targets)), []
    for child in sorted(linked_by_no_edge(graph)):
        library, above = network.libraries[child], ancestors(network.parents, child)
        if not isinstance(library, Changes) or not above:
            continue
        shifts = [k for k in range(len(library)) if library[k].keeps_mechanism]
        changed = targets[:, above] >= 0
        both = changed.any(axis=1) & np.isin(targets[:, child], shifts)
        if both.any():
            touched[both, child] = -1
            most = above[int(np.argmax(weights[both] @ changed[both]))]
            repairs.append(Repair("cause", "hidden", (most, child), graph.gain))
    if not repairs:
        return None
    return Answer.merged(repairs, graph.gain, touched, weights)


def without_undone_edges(answer: Answer, targets: Ints, weights: Floats) -> Answer:
    """Leave alone what an answer with more edges changes only to undo these.

    A hidden cause of two variables asks for an edge between them. Wherever the one is changed, that
    edge moves the other, to which nothing was done; so the answer with the edge has to change that
    one, too. The answer as it is says the same of these rows without either.

    Parameters
    ----------
    answer : Answer
        With other edges.
    targets : ndarray of int, shape (n_targets, n_variables)
        Of the answer as it is.
    weights : ndarray, shape (n_targets,)

    Returns
    -------
    Answer
        The same where nothing is undone.

    Examples
    --------
    >>> more = Answer((Repair("edge", "add", (0, 1), 9.0),), 9.0, np.array([[0, 0]]), np.ones(1))
    >>> without_undone_edges(more, np.array([[0, -1]]), np.ones(1)).targets.tolist()
    [[0, -1]]
    """
    added = [one.variables for one in answer.repairs if (one.kind, one.what) == ("edge", "add")]
    known: dict[tuple[int, ...], float] = {}
    for target, weight in zip(targets.tolist(), weights.tolist(), strict=True):
        known[tuple(target)] = known.get(tuple(target), 0.0) + weight
    now = [tuple(target) for target in answer.targets.tolist()]
    there = dict(zip(now, answer.weights.tolist(), strict=True))
    for k, (target, weight) in enumerate(zip(tuple(now), answer.weights.tolist(), strict=True)):
        if target in known:
            continue
        for fewer in _with_children_alone(target, added):
            # Where both are there the greater part must be undone, and both be what was one.
            own, rest = known.get(fewer, 0.0), there.get(fewer, 0.0)
            if own > 0 and rest < weight and abs(own - weight - rest) <= _ALIKE * own:
                now[k] = fewer
                break
    return replace(answer, targets=np.array(now, dtype=answer.targets.dtype))


def _with_children_alone(
    target: tuple[int, ...], added: list[tuple[int, ...]]
) -> Iterator[tuple[int, ...]]:
    """Leave children of new edges alone, as few as possible first, but not all that is changed."""
    children = sorted({c for _, c in added if target[c] >= 0})[:_MOST_CHILDREN]
    for n in range(1, len(children) + 1):
        for some in combinations(children, n):
            fewer = tuple(-1 if i in some else entry for i, entry in enumerate(target))
            if any(entry >= 0 for entry in fewer):
                yield fewer
