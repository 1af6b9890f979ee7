"""Which joint states can occur: exact support of a few variables, by Boolean elimination.

Only zeros of the conditional probability tables restrict what can occur, so a table without zeros
is no constraint at all, and a network without zeros is answered at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from dosift.model.arrays import Bools
from dosift.model.network import Network

#: A Boolean table and the variables of its axes, in ascending order.
Relation = tuple[tuple[int, ...], Bools]

#: Largest Boolean table, in entries, that an elimination may build.
MAX_ENTRIES = 2**18


def ancestors(network: Network, variables: Iterable[int], cut: Iterable[int] = ()) -> set[int]:
    """Positions of some variables and all their ancestors.

    Parameters
    ----------
    network : Network
    variables : iterable of int
    cut : iterable of int
        Variables whose parents are not followed.

    Returns
    -------
    set of int

    Examples
    --------
    >>> chain = Network.from_tables(
    ...     {"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": [[1, 0], [0, 1]]}
    ... )
    >>> ancestors(chain, [1]), ancestors(chain, [1], cut=[1])
    ({0, 1}, {1})
    """
    stop = set(cut)
    found: set[int] = set()
    pending = list(variables)
    while pending:
        i = pending.pop()
        if i not in found:
            found.add(i)
            if i not in stop:
                pending.extend(network.parents[i])
    return found


def possible_states(
    network: Network,
    keep: Sequence[int],
    *,
    fixed: Mapping[int, int] | None = None,
    free: Iterable[int] = (),
    allowed: Mapping[int, Bools] | None = None,
    max_entries: int = MAX_ENTRIES,
) -> Bools | None:
    """Joint states of some variables that occur with positive probability.

    Parameters
    ----------
    network : Network
    keep : sequence of int
        Positions of the variables asked for; none of them fixed.
    fixed : mapping of int to int, optional
        An intervention: variables set to state positions.
    free : iterable of int
        Variables without a mechanism, which may take any state.
    allowed : mapping of int to ndarray of bool, optional
        For some variables, the states that they must be in.
    max_entries : int
        Largest table that may be built on the way.

    Returns
    -------
    ndarray of bool, one axis for each kept variable, or None
        None if a table would exceed `max_entries`.

    Examples
    --------
    >>> copy = Network.from_tables(
    ...     {"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": [[1, 0], [0, 1]]}
    ... )
    >>> possible_states(copy, [0, 1]).tolist()
    [[True, False], [False, True]]
    >>> possible_states(copy, [0], fixed={1: 0}).tolist()
    [True, True]
    """
    fixed = {} if fixed is None else fixed
    allowed = {} if allowed is None else allowed
    unbound = {*fixed, *free}
    shape = tuple(int(network.cardinalities[i]) for i in keep)
    if np.prod(shape, dtype=float) > max_entries:
        return None
    relations: list[Relation] = [
        _relation(network, i, fixed)
        for i in ancestors(network, [*keep, *allowed], cut=unbound)
        if i not in unbound and network.tables[i].min() == 0
    ]
    bound = {i for scope, _ in relations for i in scope}.union(keep)
    relations += [((i,), states) for i, states in allowed.items() if i in bound]
    if not all(states.any() for states in allowed.values()):
        return np.zeros(shape, dtype=bool)
    return _eliminate(relations, keep, shape, max_entries, network)


def _relation(network: Network, i: int, fixed: Mapping[int, int]) -> Relation:
    """Return where a table is positive, over the variable and its parents that are not fixed."""
    family = (*network.parents[i], i)
    table = network.tables[i].reshape([int(network.cardinalities[j]) for j in family]) > 0
    index = tuple(fixed.get(j, slice(None)) for j in family)
    scope = tuple(j for j in family if j not in fixed)
    axes = np.argsort(scope, kind="stable")
    possible: Bools = np.asarray(table[index], dtype=np.bool_).transpose(axes)
    return tuple(sorted(scope)), possible


def _combine(relations: Sequence[Relation], scope: Sequence[int], shape: Sequence[int]) -> Bools:
    """Conjunction of relations over a sorted scope."""
    out = np.ones(tuple(shape), dtype=bool)
    for own, table in relations:
        sizes = iter(table.shape)
        out &= table.reshape([next(sizes) if j in own else 1 for j in scope])
    return out


def _eliminate(
    relations: list[Relation],
    keep: Sequence[int],
    shape: tuple[int, ...],
    max_entries: int,
    network: Network,
) -> Bools | None:
    """Project the conjunction of the relations on the kept variables.

    The hidden variable whose elimination builds the smallest table goes first.
    """
    size = network.cardinalities.astype(float)
    touching: dict[int, list[Relation]] = {}
    for relation in relations:
        for i in relation[0]:
            touching.setdefault(i, []).append(relation)

    def joined(i: int) -> list[int]:
        return sorted({j for scope, _ in touching[i] for j in scope})

    def cost(i: int) -> float:
        return float(np.prod(size[joined(i)]))

    costs = {i: cost(i) for i in set(touching).difference(keep)}
    while costs:
        i = min(costs, key=lambda j: (costs[j], j))
        if costs.pop(i) > max_entries:
            return None
        scope = joined(i)
        joint = _combine(touching[i], scope, [int(size[j]) for j in scope])
        table = np.asarray(joint.any(axis=scope.index(i)), dtype=np.bool_)
        scope.remove(i)
        made: Relation = (tuple(scope), table)
        gone = {id(relation) for relation in touching.pop(i)}
        for j in scope:
            touching[j] = [r for r in touching[j] if id(r) not in gone] + [made]
        for j in scope:
            if j in costs:
                costs[j] = cost(j)
        if not scope and not table.all():
            return np.zeros(shape, dtype=bool)
    kept = sorted(keep)
    left = {id(r): r for j in kept for r in touching.get(j, [])}
    table = _combine(list(left.values()), kept, [int(size[j]) for j in kept])
    return table.transpose([kept.index(i) for i in keep]).reshape(shape)
