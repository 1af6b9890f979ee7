"""Moves of the search.

Every move is "add targets, drop some, and re-fit": dropping none is an *add*, dropping one a
*swap*, dropping several a *merge*, adding several for one a *split*; a swap for a target that sets
one variable more is an *extension*.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Floats, Ints
from dosift.search.pricing import Priced
from dosift.search.problem import Fit, SearchProblem
from dosift.search.quadratic import QuadraticModel, drop_greedily

#: Candidates that are judged a second time.
_SECOND_LOOKS = 48
#: Promise (nats) of the quadratic model below which a candidate that the gradient is against is
#: not judged again.
_HOPELESS = -10.0
#: Least density of a row after a split, relative to that before.
_LEAST_DENSITY = 1e-6
#: Least share of a component's rows that must have a state for it to be tried as set.
_LEAST_AGREEING = 0.8


@dataclass(frozen=True)
class Move:
    """Targets to add, components to drop, and the rise of the score that is expected."""

    added: Ints
    dropped: tuple[int, ...]
    promise: float


def rank_moves(problem: SearchProblem, fit: Fit, priced: Priced) -> list[Move]:
    """Rank "add this target, drop those components" by the expected rise of the score.

    The quadratic model of the log-likelihood says for all candidates which components could go;
    the best of them are then judged by the log-likelihood itself, at weights close to the optimum.

    Parameters
    ----------
    problem : SearchProblem
    fit : Fit
        The current mixture.
    priced : Priced
        Candidates.

    Returns
    -------
    list of Move
        By descending promise, one for each candidate that the second look kept. Promises are
        lower bounds, and nearly exact.
    """
    if len(priced.targets) == 0:
        return []
    model = QuadraticModel(problem, fit, priced.targets)
    first = drop_greedily(model.at_the_minimum(), fit, problem, priced.targets)
    promise = first.values.max(axis=0)
    order = np.argsort(-promise, kind="stable")
    possible = (promise > -np.inf) & ((model.slope > 0) | (promise > _HOPELESS))
    best = order[possible[order]][:_SECOND_LOOKS]
    if best.size == 0:
        return []
    targets = priced.targets[best]
    second = drop_greedily(model.along_the_line(best), fit, problem, targets)
    # A stage that the model gives no hope is not looked at, but for the one it likes best.
    worth = second.values > _HOPELESS
    worth[second.values.argmax(axis=0), np.arange(best.size)] = True
    worth[0] |= second.weights[0, :, -1] > 0
    stages, chosen = np.nonzero(worth)
    values = np.full(worth.shape, -np.inf)
    values[stages, chosen] = model.value_after(chosen, second, stages)
    values -= problem.score.additions(targets, fit.targets)
    n_dropped = values.argmax(axis=0)
    promise = values.max(axis=0)
    return [
        Move(
            targets[k : k + 1],
            tuple(int(s) for s in second.dropped[k, : n_dropped[k]]),
            float(promise[k]),
        )
        for k in np.argsort(-promise, kind="stable")
    ]


def merges(targets: Ints) -> list[Move]:
    """Propose to replace components that differ in one variable by what they have in common.

    Where the parents of a variable hardly vary inside a target, its extensions by the states of
    that variable imitate it; no single step leads from the imitation back.

    Parameters
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)

    Returns
    -------
    list of Move
        For each common target of two or more components: drop them all, or all but one. Where
        it is a component already, nothing is added.
    """
    present = {target.tobytes() for target in targets}
    children: dict[bytes, tuple[Ints, list[int]]] = {}
    for s, target in enumerate(targets):
        for j in np.flatnonzero(target >= 0):
            parent = target.copy()
            parent[j] = -1
            children.setdefault(parent.tobytes(), (parent, []))[1].append(s)
    moves = []
    for key, (parent, members) in children.items():
        if len(members) < 2:
            continue
        added = parent[None, :] if key not in present else parent[None, :][:0]
        moves.append(Move(added, tuple(members), 0.0))
        if key not in present:
            moves += [Move(added, tuple(s for s in members if s != kept), 0.0) for kept in members]
    return moves


def splits(problem: SearchProblem, fit: Fit, max_size: int | None = None) -> list[Move]:
    """Propose to replace a component by its extensions by several states of one variable.

    No single step leads there: without the component some rows are impossible, and next to it
    an extension gains little. Only where a row fits one change of the variable at most.

    Parameters
    ----------
    problem : SearchProblem
    fit : Fit
    max_size : int, optional
        Largest number of variables that a target sets.

    Returns
    -------
    list of Move
        By descending promise, which holds the weights of all other components fixed.
    """
    moves, costs = [], problem.score.costs(fit.targets)
    for component, j in _extensible(problem, fit, max_size, 3):
        s = component.place
        for states, gain in _split_gains(problem, component, j):
            added = np.repeat(fit.targets[s][None, :], states.size, axis=0)
            added[:, j] = states
            if problem.constraints.permits(added).all():
                cost = float(problem.score.costs(added).sum() - costs[s])
                moves.append(Move(added, (s,), gain - cost))
    return sorted(moves, key=lambda move: -move.promise)


def extensions(problem: SearchProblem, fit: Fit, max_size: int | None = None) -> list[Move]:
    """Propose to let components set one variable more, to the state that nearly all rows have.

    Where the mechanism makes this state nearly certain anyway, the gradient of the extension is
    hardly above that of the component, and so it is not found among the many others that are
    priced; but the rows that lack the other states may say it clearly.

    Parameters
    ----------
    problem : SearchProblem
    fit : Fit
    max_size : int, optional
        Largest number of variables that a target sets.

    Returns
    -------
    list of Move
        By descending promise, which holds the weights of all other components fixed.
    """
    moves, costs = [], problem.score.costs(fit.targets)
    for component, j in _extensible(problem, fit, max_size, 2):
        s = component.place
        state, gain = _extension_gain(problem, component, j)
        added = fit.targets[s][None, :].copy()
        added[0, j] = state
        if gain > 0 and problem.constraints.permits(added).all():
            cost = float(problem.score.costs(added)[0] - costs[s])
            moves.append(Move(added, (s,), gain - cost))
    return sorted(moves, key=lambda move: -move.promise)


def _extensible(
    problem: SearchProblem, fit: Fit, max_size: int | None, least_states: int
) -> Iterator[tuple[_Component, int]]:
    """Components that may set more, and variables of so many states that each leaves alone."""
    protected = problem.constraints.protects(fit.targets)
    exclusive = np.array([one.is_exclusive for one in problem.factors.ratios])
    for s, target in enumerate(fit.targets):
        if protected[s] or (max_size is not None and (target >= 0).sum() >= max_size):
            continue
        is_open = (target < 0) & (problem.cardinalities >= least_states) & exclusive
        component = _Component.of(fit, s)
        yield from ((component, int(j)) for j in np.flatnonzero(is_open))


@dataclass(frozen=True)
class _Component:
    """The rows that a component can produce.

    Attributes
    ----------
    place : int
        Of the component.
    rows : ndarray of int64, shape (n_rows,)
    counts, mixture, own : ndarray, shape (n_rows,)
        Their counts, their density, and what of it the component makes.
    """

    place: int
    rows: NDArray[np.int64]
    counts: Floats
    mixture: Floats
    own: Floats

    @classmethod
    def of(cls, fit: Fit, s: int) -> _Component:
        rows = fit.columns[:, s].nonzero()[0]
        own = fit.weights[s] * fit.columns[rows, s]
        return cls(s, rows, fit.counts[rows], fit.mixture[rows], own)

    @cached_property
    def posterior(self) -> Floats:
        """How many of the rows come from the component."""
        return self.counts * self.own / self.mixture


def _extension_gain(problem: SearchProblem, component: _Component, j: int) -> tuple[int, float]:
    """Return the state that a component most nearly always has, and the gain of setting it."""
    rows, own, mixture = component.rows, component.own, component.mixture
    codes, k = problem.factors.codes[rows, j], int(problem.cardinalities[j])
    # Units whose rows differ have no state, and come last.
    seen = np.bincount(codes, weights=component.posterior, minlength=k)
    state = int(seen[:k].argmax())
    if seen[state] < _LEAST_AGREEING * seen.sum():
        return state, 0.0
    density = mixture - own + np.where(codes == state, own * problem.factors.inverse(rows, j), 0.0)
    relative = np.maximum(density / mixture, _LEAST_DENSITY)
    return state, float(component.counts @ np.log(relative))


def _split_gains(
    problem: SearchProblem, component: _Component, j: int
) -> list[tuple[NDArray[np.int64], float]]:
    """Gain of splitting a component by the states of variable j, less those it produces least.

    The states are left out one after the other, in the order of their excess over what the
    mechanism of the variable would have produced.
    """
    rows, own, mixture = component.rows, component.own, component.mixture
    codes = problem.factors.codes[rows, j]
    inverse = problem.factors.inverse(rows, j)
    k = int(problem.cardinalities[j])
    seen = np.bincount(codes, weights=component.posterior, minlength=k)[:k]
    rate = np.bincount(codes, weights=component.posterior * inverse, minlength=k)[:k]
    order = np.argsort(rate, kind="stable")
    out = []
    for first in range(1, k - 1):
        states = order[first:]
        if seen[order[first]] <= 0:
            continue
        share = np.zeros(k + 1)  # the last for units whose rows differ
        share[states] = seen[states] / seen[states].sum()
        density = mixture - own + own * share[codes] * inverse
        # A row that this leaves without an explanation may still find one among the others.
        relative = np.maximum(density / mixture, _LEAST_DENSITY)
        out.append((np.sort(states), float(component.counts @ np.log(relative))))
    return out
