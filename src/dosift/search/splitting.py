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

from dosift.model.arrays import Floats, Ints
from dosift.search.pricing import z_scores
from dosift.search.problem import Fit, SearchProblem
from dosift.search.prune import prune

#: Nats that a split must earn to be carried along; low, since pruning comes later.
_SPLIT_COST = 2.0
#: Gradient, in standard errors, below which an extension cannot earn that cost.
_LEAST_Z = 1.5
#: Weights at which it is looked at what an extension earns, where its standard error says nothing.
_SHARES = (0.01, 0.1)
#: Rounds of pricing for one variable.
_MAX_ROUNDS = 10
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
    n = len(factors.ratios)
    targets: Ints = np.full((1, n), -1, dtype=np.int16)
    weights = np.ones(1)
    for j in range(n):
        starts = np.flatnonzero(first_difference <= positions[j])
        prefix = SearchProblem(
            factors.restricted(starts, j + 1),
            np.add.reduceat(problem.counts, starts),
            problem.score.prefix(j + 1),
            constraints=problem.constraints.prefix(j + 1),
        )
        fit = _extend(prefix, targets[:, : j + 1], weights, max_size)
        targets = np.full((fit.weights.size, n), -1, dtype=np.int16)
        targets[:, : j + 1] = fit.targets
        weights = fit.weights
        if progress is not None:
            progress(j + 1, n)
    return problem.begin(targets, weights, max_size)


def _extend(prefix: SearchProblem, targets: Ints, weights: Floats, max_size: int | None) -> Fit:
    """Let every target be extended by the states of the last variable, if the likelihood wants it.

    The weights that are there stay optimal when a variable is added that no target sets, so they
    are not solved again, and extensions come in by their price only, until none has one.
    """
    j = targets.shape[1] - 1
    mixture = prefix.columns(targets) @ weights
    extensions = _extensions(targets, j, prefix.factors.ratios[j].reachable(), max_size)
    extensions = extensions[prefix.constraints.reaches(extensions)]
    added = np.zeros(len(extensions), dtype=bool)
    slack = _PARSIMONY / np.sqrt(prefix.n_rows)
    for _ in range(_MAX_ROUNDS if len(extensions) else 0):
        gradient, curvature = prefix.price(extensions, mixture)
        with np.errstate(invalid="ignore"):
            z = z_scores(gradient, curvature, prefix.n_rows)
        # A row that is impossible so far makes the gradient infinite and z undefined.
        steep = (gradient > 1.0 + slack) & ~added
        wanted = steep & ~(z <= _LEAST_Z)
        if not prefix.factors.ratios[j].is_exclusive:
            # Of a few rows that hardly anything else explains the error is as large as the sum.
            for k in np.flatnonzero(steep & ~wanted).tolist():
                wanted[k] = _earns(prefix, extensions[k], mixture) > _SPLIT_COST
        if not wanted.any():
            break
        added |= wanted
        targets = np.concatenate([targets, extensions[wanted]])
        weights = np.append(0.7 * weights, np.full(wanted.sum(), 0.3 / wanted.sum()))
        weights, mixture = prefix.sparsest(targets, weights, (targets[:, j] >= 0) * slack)
    alive = weights > 0
    fit = prefix.fit(targets[alive], weights[alive])
    return prune(prefix, fit, np.full(fit.weights.size, _SPLIT_COST))


def _earns(prefix: SearchProblem, target: Ints, mixture: Floats) -> float:
    """Nats that a target earns at a small weight, all others held in proportion."""
    ratio = prefix.column(target) / mixture - 1.0
    return max(float(prefix.counts @ np.log1p(share * ratio)) for share in _SHARES)


def _extensions(targets: Ints, j: int, states: Ints, max_size: int | None) -> Ints:
    """Make the extensions of targets by every state of variable j."""
    if max_size is not None:
        targets = targets[(targets >= 0).sum(axis=1) < max_size]
    blocks = []
    for state in states:
        extended = targets.copy()
        extended[:, j] = state
        blocks.append(extended)
    return np.concatenate(blocks) if blocks else targets[:0]
