"""A hidden cause of a variable and of what it depends on: what seems to be done along with that.

Control rows show by how much a variable goes up with its parents. If something that nobody measured
moves it and one of its ancestors, that is not what an intervention on the ancestor does, and the
variable seems to be shifted wherever the ancestor is changed. Both answers say the same of all
rows. The other one is given where the hidden cause gives itself away: an edge is asked for between
the variable and another one that depends on the same.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from dosift.checks.verdict import Answer, Repair
from dosift.graphs.findings import GraphFindings
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork, merged_targets

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


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
    every, place = np.unique(touched, axis=0, return_inverse=True)
    summed = np.bincount(place.ravel(), weights, len(every)).astype(np.float64)
    return Answer(tuple(repairs), graph.gain, every[summed > 0], summed[summed > 0])


def without_cancelled(
    children: Collection[int], targets: Ints, weights: Floats, fit: Ints
) -> tuple[Ints, bool]:
    """Leave children alone of which a repair says that an edge to them was cancelled.

    Where something hidden moves two variables, the rows ask for an edge between them. If that edge
    was there, what is done to its parent would reach the child. Where the fit leaves the child
    alone, and the repaired model can explain the same rows (most of them) only if the child was
    changed, too, that change does no more than undo the edge: the answers are one.

    Parameters
    ----------
    children : collection of int
        Variables that an edge is asked for to.
    targets : ndarray of int, shape (n_targets, n_variables)
        After the repair, by what they touch where variables are numbers.
    weights : ndarray, shape (n_targets,)
    fit : ndarray of int, shape (n_components, n_variables)
        Of the fit, likewise.

    Returns
    -------
    targets : ndarray of int, shape (n_targets, n_variables)
        Some may be equal.
    is_same : bool
        Whether nothing was cancelled.

    Examples
    --------
    >>> fit = np.array([[-1, -1], [0, -1]])
    >>> after, weights = np.array([[-1, -1], [0, 0], [0, -1]]), np.array([0.7, 0.2, 0.1])
    >>> without_cancelled([1], after, weights, fit)[0].tolist()
    [[-1, -1], [0, -1], [0, -1]]
    >>> without_cancelled([1], after, weights, after)[1]
    True
    """
    found, known = np.array(targets), {tuple(one) for one in np.asarray(fit).tolist()}
    weight = {tuple(one): float(w) for one, w in zip(found.tolist(), weights, strict=True)}
    is_same, some = True, sorted(children)
    for t, own in enumerate(found.tolist()):
        alone = found[t].copy()
        alone[some] = -1
        left = tuple(alone.tolist())
        # What is done to nothing else was done to the child.
        is_new = tuple(own) not in known and left in known and (alone >= 0).any()
        if is_new and weight[tuple(own)] >= weight.get(left, 0.0):
            found[t], is_same = alone, False
    return found, is_same
