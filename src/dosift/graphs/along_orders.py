"""The best graph along an order of the variables, and the best of many orders.

Where every family's worth is known, a graph is worth the sum of its families, and along an order
each variable chooses its parents among those before it by itself. Graphs climb by one edge at a
time into valleys that orders do not have (Teyssier and Koller 2005): a wrong order of two variables
is made good by edges that each stand in the way of turning the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dosift.graphs.dag import EdgeConstraints, Parents, graph_of

#: What a family is worth: a variable and its parents.
Worth = Callable[[int, tuple[int, ...]], float]

#: With at most so many predecessors parents may be chosen by taking away.
_FEW = 12
#: Over how many places variables are moved: so many in all, but at least one.
_MOVES = 80
#: Rise (nats) that counts as one.
_LEAST_RISE = 1e-6
_MOST_SWEEPS = 20


def best_along_orders(
    worth: Worth, constraints: EdgeConstraints, order: Sequence[int], *, from_all: bool = False
) -> tuple[Parents, float]:
    """Find the graph that is worth most along an order, moving variables to better places in it.

    Parameters
    ----------
    worth : callable
        Of a variable and the ascending positions of its parents, in nats.
    constraints : EdgeConstraints
    order : sequence of int
        Where to begin, causes first.
    from_all : bool
        Whether a variable's parents are chosen by taking away of all that come before it, where
        these are few: effects that cancel are not overlooked. Otherwise by adding.

    Returns
    -------
    graph : Parents
        Some edge that is required may be missing, if the order is against it.
    worth : float

    Examples
    --------
    >>> def worth(i, parents):
    ...     return 5.0 * ((i, parents) == (1, (0,))) - len(parents)
    >>> best_along_orders(worth, EdgeConstraints.none(3), (2, 1, 0))
    (((), (0,), ()), 4.0)
    """
    search = _Orders(worth, constraints, _FEW if from_all else 0)
    now, value = tuple(order), search.worth(order)
    n = len(now)
    reach = max(min(_MOVES // max(n, 1), n), 1)
    for _ in range(_MOST_SWEEPS):
        before = value
        for i in order:
            now, value = search.moved(now, value, i, reach)
        if value <= before + _LEAST_RISE:
            break
    return search.graph(now), value


class _Orders:
    """Orders by what the best graph along each is worth."""

    def __init__(self, worth: Worth, constraints: EdgeConstraints, few: int) -> None:
        self._worth, self._constraints, self._few = worth, constraints, few
        self._families: dict[tuple[int, tuple[int, ...]], float] = {}
        self._chosen: dict[tuple[int, frozenset[int]], tuple[int, ...]] = {}

    def graph(self, order: Sequence[int]) -> Parents:
        """Return the best graph along an order."""
        rows: list[tuple[int, ...]] = [()] * len(order)
        for k, i in enumerate(order):
            rows[i] = self._parents(i, frozenset(order[:k]))
        return graph_of(rows)

    def worth(self, order: Sequence[int], first: int = 0, last: int | None = None) -> float:
        """Sum what the families at some places of an order are worth."""
        places = range(len(order))[first:last]
        return sum(
            self._family(order[k], self._parents(order[k], frozenset(order[:k]))) for k in places
        )

    def moved(
        self, order: tuple[int, ...], value: float, i: int, reach: int
    ) -> tuple[tuple[int, ...], float]:
        """Put a variable where that is best, not too far away."""
        at = order.index(i)
        rest = order[:at] + order[at + 1 :]
        best, most = order, value
        for to in range(max(at - reach, 0), min(at + reach + 1, len(order))):
            if to == at:
                continue
            trial = (*rest[:to], i, *rest[to:])
            ends = min(at, to), max(at, to) + 1
            found = value + self.worth(trial, *ends) - self.worth(order, *ends)
            if found > most + _LEAST_RISE:
                best, most = trial, found
        return best, most

    def _family(self, i: int, parents: tuple[int, ...]) -> float:
        key = (i, parents)
        if key not in self._families:
            self._families[key] = self._worth(i, parents)
        return self._families[key]

    def _parents(self, i: int, before: frozenset[int]) -> tuple[int, ...]:
        """Choose parents among the variables before, one at a time."""
        key = (i, before)
        if key not in self._chosen:
            known = self._constraints
            must = {p for p in before if known.required[p, i]}
            may = sorted(p for p in before if known.allowed[p, i])
            limit = known.most_parents(i)
            most = len(before) if limit is None else limit
            start = {*must, *may} if len(may) <= min(self._few, most) else must
            self._chosen[key] = self._improved(i, frozenset(start), may, must, most)
        return self._chosen[key]

    def _improved(
        self, i: int, now: frozenset[int], may: Sequence[int], must: set[int], most: int
    ) -> tuple[int, ...]:
        value = self._family(i, tuple(sorted(now)))
        while True:
            steps = [now ^ {p} for p in may if p not in must and (p in now or len(now) < most)]
            values = [self._family(i, tuple(sorted(one))) for one in steps]
            if not steps or max(values) <= value + _LEAST_RISE:
                return tuple(sorted(now))
            best = int(np.argmax(values))
            now, value = steps[best], values[best]
