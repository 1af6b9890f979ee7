"""Topological splitting: grow targets one variable at a time along the causal order.

After variable i only the prefix V_1..V_i matters, and each true target restricted to the prefix
is a surviving candidate or one of its extensions by do(V_i = a) (Kumar and Sinha 2021, section
4). Where the paper solves small systems at single cells, the whole likelihood of the prefix is
used here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood import MechanismFactors
from dosift.search.problem import Fit, SearchProblem
from dosift.search.prune import prune
from dosift.search.score import Score

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Nats that a split must earn to be carried along; low, since pruning comes later.
_SPLIT_COST = 2.0
#: Linear cost of a unit of weight on an extension, times the square root of the number of rows:
#: breaks ties between a target and its extensions by every state, which are the same distribution.
_PARSIMONY = 0.3


def split(
    problem: SearchProblem,
    first_difference: NDArray[np.int64],
    positions: NDArray[np.int64],
    max_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Split the empty target along the topological order.

    Parameters
    ----------
    problem : SearchProblem
        Its configurations are sorted lexicographically in topological order.
    first_difference : ndarray of int, shape (n_configurations,)
        The first column (of all that the configurations are made of) in which a configuration
        differs from the one before.
    positions : ndarray of int, shape (n_variables,)
        The column of each variable that targets may set.
    max_size : int, optional
        Largest number of variables that a target sets.
    progress : callable, optional
        Called with variables done and in all.

    Returns
    -------
    Fit
        On the full configurations.
    """
    factors = problem.factors
    n = factors.codes.shape[1]
    targets: Ints = np.full((1, n), -1, dtype=np.int16)
    weights = np.ones(1)
    for j in range(n):
        starts = np.flatnonzero(first_difference <= positions[j])
        counts = np.add.reduceat(problem.counts, starts)
        prefix = SearchProblem(
            MechanismFactors.from_logs(
                factors.codes[starts, : j + 1],
                np.asfortranarray(factors.log_factor[starts, : j + 1]),
                factors.zeros[starts, : j + 1],
            ),
            counts,
            Score(problem.n_rows, problem.cardinalities[: j + 1], problem.score.n_variables),
        )
        states = np.unique(prefix.factors.codes[:, j])
        candidates, start = _extensions(targets[:, : j + 1], weights, j, states, max_size)
        extra = (candidates[:, j] >= 0) * (_PARSIMONY / np.sqrt(problem.n_rows))
        alive = prefix.sparsest(candidates, start, extra)
        fit = prefix.fit(candidates[alive], start[alive])
        fit = prune(prefix, fit, np.full(fit.weights.size, _SPLIT_COST))
        targets = np.full((fit.weights.size, n), -1, dtype=np.int16)
        targets[:, : j + 1] = fit.targets
        weights = fit.weights
        if progress is not None:
            progress(j + 1, n)
    return problem.fit(targets, weights)


def _extensions(
    targets: Ints, weights: Floats, j: int, states: Ints, max_size: int | None
) -> tuple[Ints, Floats]:
    """Each target and its extensions by every state of variable j, with weights to start from."""
    blocks = [targets]
    starts = [weights * 0.7]
    growing = np.ones(len(targets), dtype=bool)
    if max_size is not None:
        growing = (targets >= 0).sum(axis=1) < max_size
    for state in states:
        extended = targets[growing].copy()
        extended[:, j] = state
        blocks.append(extended)
        starts.append(weights[growing] * (0.3 / states.size))
    return np.concatenate(blocks), np.concatenate(starts)
