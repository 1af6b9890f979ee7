"""Directed acyclic graphs as tuples of parents, and the graphs near one.

Arrays and positions only. A graph is a tuple that holds, for each variable, the ascending
positions of its parents.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dosift.model.arrays import Bools

#: For each variable the ascending positions of its parents.
Parents = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class EdgeConstraints:
    """Which edges a graph may have.

    Attributes
    ----------
    allowed : ndarray of bool, shape (n_variables, n_variables)
        Whether the edge from the first to the second variable may be there.
    required : ndarray of bool, shape (n_variables, n_variables)
        Whether it must be.
    max_parents : int, None, or tuple of these
        Most parents of every variable, or of each.
    """

    allowed: Bools
    required: Bools
    max_parents: int | tuple[int | None, ...] | None = None

    @classmethod
    def none(cls, n_variables: int, max_parents: int | None = None) -> EdgeConstraints:
        """Allow everything."""
        nothing = np.zeros((n_variables, n_variables), dtype=bool)
        return cls(~nothing, nothing, max_parents)

    def most_parents(self, child: int) -> int | None:
        """Most parents of a variable; None for no limit."""
        most = self.max_parents
        return most[child] if isinstance(most, tuple) else most

    def may_be_added(self, parent: int, child: int, own: Sequence[int]) -> bool:
        """Whether a child with these parents may have one more."""
        most = self.most_parents(child)
        return bool(self.allowed[parent, child]) and (most is None or len(own) < most)

    def may_be_removed(self, parent: int, child: int) -> bool:
        """Whether an edge may be taken away."""
        return not self.required[parent, child]


@dataclass(frozen=True)
class Edit:
    """One edge that is added, removed or reversed.

    Attributes
    ----------
    kind : {"add", "remove", "reverse"}
    parent, child : int
        Of the edge as it is before it is removed or reversed.
    graph : Parents
        What comes of it.
    """

    kind: str
    parent: int
    child: int
    graph: Parents

    @property
    def changed(self) -> tuple[int, ...]:
        """Positions of the variables whose parents change."""
        pair = (self.parent, self.child)
        return tuple(sorted(pair)) if self.kind == "reverse" else (self.child,)


def graph_of(parents: Iterable[Iterable[int]]) -> Parents:
    """Put parents in order.

    Examples
    --------
    >>> graph_of([[], [2, 0], []])
    ((), (0, 2), ())
    """
    return tuple(tuple(sorted(int(p) for p in row)) for row in parents)


def edges_of(graph: Parents) -> set[tuple[int, int]]:
    """Edges as (parent, child).

    Examples
    --------
    >>> sorted(edges_of(((), (0, 2), ())))
    [(0, 1), (2, 1)]
    """
    return {(p, i) for i, row in enumerate(graph) for p in row}


def is_acyclic(graph: Parents) -> bool:
    """Whether no variable is among its own causes."""
    return len(_in_order(graph)) == len(graph)


def reachable(graph: Parents) -> Bools:
    """Whether there is a directed path from the first to the second variable.

    Returns
    -------
    ndarray of bool, shape (n_variables, n_variables)
        False from a variable to itself.

    Examples
    --------
    >>> reachable(((), (0,), (1,)))[0].tolist()
    [False, True, True]
    """
    out = np.zeros((len(graph), len(graph)), dtype=bool)
    for i in _in_order(graph):
        for p in graph[i]:
            out[p, i] = True
            out[:, i] |= out[:, p]
    return out


def edits(graph: Parents, constraints: EdgeConstraints) -> list[Edit]:
    """List the graphs that differ by one edge.

    Parameters
    ----------
    graph : Parents
    constraints : EdgeConstraints

    Returns
    -------
    list of Edit

    Examples
    --------
    >>> found = edits(((), (0,)), EdgeConstraints.none(2))
    >>> [(one.kind, one.parent, one.child) for one in found]
    [('remove', 0, 1), ('reverse', 0, 1)]
    """
    leads = reachable(graph)
    out = []
    for i, own in enumerate(graph):
        for p in range(len(graph)):
            if p == i:
                continue
            if p in own:
                if not constraints.may_be_removed(p, i):
                    continue
                without = _with(graph, i, set(own) - {p})
                out.append(Edit("remove", p, i, without))
                # No other path may lead from parent to child.
                roundabout = any(leads[p, other] for other in own if other != p)
                if not roundabout and constraints.may_be_added(i, p, graph[p]):
                    turned = _with(without, p, {*graph[p], i})
                    out.append(Edit("reverse", p, i, turned))
            elif i not in graph[p] and not leads[i, p] and constraints.may_be_added(p, i, own):
                out.append(Edit("add", p, i, _with(graph, i, {*own, p})))
    return out


def together(graph: Parents, some: Sequence[Edit]) -> Parents:
    """Make edits one after the other, leaving out those that others make impossible.

    Parameters
    ----------
    graph : Parents
    some : sequence of Edit
        Of this graph, the most wanted first.

    Returns
    -------
    Parents
        No variable's parents change twice.
    """
    now, touched = graph, set[int]()
    for edit in some:
        if touched.intersection(edit.changed):
            continue
        trial = list(now)
        for i in edit.changed:
            trial[i] = edit.graph[i]
        if is_acyclic(tuple(trial)):
            now = tuple(trial)
            touched.update(edit.changed)
    return now


def equivalent(graph: Parents, constraints: EdgeConstraints, most: int) -> list[Parents]:
    """List graphs that rows without interventions cannot tell from this one.

    Reversals of covered edges lead from each member of an equivalence class to each other
    (Chickering 1995).

    Parameters
    ----------
    graph : Parents
    constraints : EdgeConstraints
        All that is listed keeps to them.
    most : int
        How many to list at most: those that need the fewest reversals.

    Returns
    -------
    list of Parents
        Without the graph itself.

    Examples
    --------
    >>> equivalent(((), (0,), (1,)), EdgeConstraints.none(3), 10)
    [((1,), (), (1,)), ((1,), (2,), ())]
    """
    seen = {graph: None}
    waiting = deque([graph])
    while waiting:
        for other in _covered_reversals(waiting.popleft(), constraints):
            if len(seen) > most:
                return list(seen)[1:]
            if other not in seen:
                seen[other] = None
                waiting.append(other)
    return list(seen)[1:]


def _covered_reversals(graph: Parents, constraints: EdgeConstraints) -> Iterable[Parents]:
    """Turn the edges whose ends have all other parents in common."""
    for i, own in enumerate(graph):
        for p in own:
            if (
                set(own) - {p} == set(graph[p])
                and constraints.may_be_removed(p, i)
                and constraints.may_be_added(i, p, graph[p])
            ):
                yield _with(_with(graph, i, set(own) - {p}), p, {*graph[p], i})


def _with(graph: Parents, i: int, own: Iterable[int]) -> Parents:
    return (*graph[:i], tuple(sorted(own)), *graph[i + 1 :])


def _in_order(graph: Parents) -> list[int]:
    """Positions, causes first; those on or behind a cycle are left out."""
    children: list[list[int]] = [[] for _ in graph]
    for i, own in enumerate(graph):
        for p in own:
            children[p].append(i)
    waiting = [len(own) for own in graph]
    out = [i for i, n in enumerate(waiting) if n == 0]
    for i in out:
        for child in children[i]:
            waiting[child] -= 1
            if waiting[child] == 0:
                out.append(child)
    return out
