"""Systems of equations of one variable, along the topological order.

After some variables of a topological order are dealt with, the *prefixes* are the targets
restricted to them, with their total weights. For the next variable each prefix s can only split
into itself and its extensions by the variable's values (Kumar and Sinha 2021, section 4). At the
points "own values of s, excluded values elsewhere" every prefix that is not contained in s, and
all its extensions, have probability zero; so the prefixes are solved one after the other, in the
order of their sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Floats, Ints
from dosift.model.network import Network

#: Solves one system: right-hand side over the reach of the prefix, the variable's mechanism there,
#: and the weight of the prefix; returns the weights of its extensions, shape (n_states,).
Solver = Callable[[Floats, Floats, float], Floats]


@dataclass(frozen=True)
class Stage:
    """Everything about one variable that does not depend on the mixture's probabilities.

    Attributes
    ----------
    points : ndarray of int, shape (n_prefixes, n_variables)
        Each prefix's own values, and excluded values on the other variables seen; -1 elsewhere.
    mechanism : ndarray, shape (n_prefixes, n_states)
        Distribution of the variable at each point.
    reach : ndarray, shape (n_prefixes, n_prefixes)
        ``reach[i, h]`` is the probability of point i (without the variable) under prefix h.
    """

    points: NDArray[np.int64]
    mechanism: Floats
    reach: Floats


def stage_of(network: Network, seen: Ints, variable: int, targets: Ints, excluded: Ints) -> Stage:
    """Set up the systems of one variable.

    Parameters
    ----------
    network : Network
    seen : ndarray of int
        Variables dealt with, in topological order.
    variable : int
        The next one.
    targets : ndarray of int, shape (n_prefixes, n_variables)
        Prefixes, -1 for a variable left alone or not yet seen.
    excluded : ndarray of int, shape (n_variables,)
        Excluded value of each variable seen.

    Returns
    -------
    Stage
    """
    points = np.full(targets.shape, -1, dtype=np.int64)
    points[:, seen] = np.where(targets[:, seen] >= 0, targets[:, seen], excluded[seen])
    reach = np.ones((len(targets), len(targets)))
    for v in seen:
        own = network.tables[v][network.parent_rows(int(v), points), points[:, v]]
        left_alone = targets[:, v] < 0
        reach[:, left_alone] *= own[:, None]
        reach[:, ~left_alone] *= points[:, v, None] == targets[~left_alone, v]
    mechanism = network.tables[variable][network.parent_rows(variable, points)]
    return Stage(points, mechanism, reach)


def entry_name(network: Network, variable: int, row: int, state: int) -> str:
    """Name an entry of a conditional probability table.

    Parameters
    ----------
    network : Network
    variable, row, state : int
        The variable, the row of its table, and the column.

    Returns
    -------
    str
        Such as ``lung=yes given smoke=no``.
    """
    parents = network.parents[variable]
    codes = np.unravel_index(row, [int(network.cardinalities[p]) for p in parents] or (1,))
    named = [(variable, state), *((p, int(c)) for p, c in zip(parents, codes, strict=False))]
    words = [f"{network.names[i]}={network.variables[i].states[a]}" for i, a in named]
    return words[0] if len(words) == 1 else f"{words[0]} given {', '.join(words[1:])}"


def solve_system(right: Floats, mechanism: Floats) -> Floats:
    """Solve ``(I - p 1') x = b`` for the non-negative x with a zero entry.

    Parameters
    ----------
    right : ndarray, shape (n_states,)
        ``b``; the system is solvable if it sums to zero.
    mechanism : ndarray, shape (n_states,)
        ``p``, a positive distribution.

    Returns
    -------
    ndarray, shape (n_states,)

    Notes
    -----
    The matrix has rank k - 1 and the null vector p > 0, so the solutions are b + t p; the entry
    with the smallest ratio ``b / p`` is the first to reach zero. Where the right-hand side is an
    estimate that does not sum to zero, this x leaves a residual along p only.

    Examples
    --------
    Example C.1 of Kumar and Sinha (2021), second stage, divided by c = 1/2:

    >>> solve_system(np.array([0.25, -0.25]), np.array([0.5, 0.5]))
    array([0.5, 0. ])
    """
    solution: Floats = right - mechanism * (right / mechanism).min()
    return solution


def solve_stage(
    stage: Stage, weights: Floats, probabilities: Floats, solve: Solver
) -> tuple[Floats, Floats]:
    """Solve the systems of one variable, prefix after prefix.

    Parameters
    ----------
    stage : Stage
        Of prefixes sorted by size.
    weights : ndarray, shape (n_prefixes,)
        Their total weights.
    probabilities : ndarray, shape (n_prefixes, n_states)
        Probability of each point with each value of the variable, in the mixture.
    solve : callable
        Solves one system.

    Returns
    -------
    own : ndarray, shape (n_prefixes,)
        Weight that stays with each prefix.
    extended : ndarray, shape (n_prefixes, n_states)
        Weight of its extension by each value.
    """
    m, k = stage.mechanism.shape
    own, extended = np.zeros(m), np.zeros((m, k))
    for i in range(m):
        mechanism = stage.mechanism[i]
        reach = stage.reach[i]
        known = reach[:i] @ (own[:i, None] * mechanism + extended[:i])
        right = (probabilities[i] - known) / reach[i] - weights[i] * mechanism
        extended[i] = solve(right, mechanism, float(weights[i]))
        own[i] = weights[i] - extended[i].sum()
    return own, extended


def extensions(targets: Ints, variable: int, own: Floats, extended: Floats) -> tuple[Ints, Floats]:
    """List prefixes and extensions of positive weight, sorted by size.

    Returns
    -------
    targets : ndarray of int, shape (n_prefixes, n_variables)
    weights : ndarray, shape (n_prefixes,)
    """
    blocks, weights = [targets], [own]
    for state in range(extended.shape[1]):
        block = targets.copy()
        block[:, variable] = state
        blocks.append(block)
        weights.append(extended[:, state])
    every, weight = np.concatenate(blocks), np.concatenate(weights)
    alive = weight > 0
    every, weight = every[alive], weight[alive]
    order = np.argsort((every >= 0).sum(axis=1), kind="stable")
    return every[order], weight[order]
