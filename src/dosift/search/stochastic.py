"""Stochastic interventions: do's on the same variables, whose values follow a distribution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Floats, Ints
from dosift.model.other import interventions, is_other
from dosift.search.result import SearchResult

#: Combinations of values that one set of variables may have to be completed.
_MOST_VALUES = 64


@dataclass(frozen=True)
class StochasticIntervention:
    """Components that set the same variables.

    Attributes
    ----------
    variables : tuple of int
        Ascending; empty for "no intervention" and for rows from elsewhere.
    members : tuple of int
        Positions of the components, the heaviest first.
    """

    variables: tuple[int, ...]
    members: tuple[int, ...]


def stochastic_interventions(targets: Ints, weights: Floats) -> list[StochasticIntervention]:
    """Group components by the variables that they set, the heaviest group first.

    Parameters
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)

    Returns
    -------
    list of StochasticIntervention

    Examples
    --------
    >>> import numpy as np
    >>> targets = np.array([[-1, -1], [0, -1], [1, -1], [0, 1]])
    >>> groups = stochastic_interventions(targets, np.array([0.5, 0.1, 0.3, 0.1]))
    >>> [(group.variables, group.members) for group in groups]
    [((), (0,)), ((0,), (2, 1)), ((0, 1), (3,))]
    """
    groups: dict[tuple[tuple[int, ...], bool], list[int]] = {}
    elsewhere, targets = is_other(targets), interventions(targets)
    for k in np.argsort(-weights, kind="stable"):
        variables = tuple(int(i) for i in np.flatnonzero(targets[k] >= 0))
        groups.setdefault((variables, bool(elsewhere[k])), []).append(int(k))
    found = [StochasticIntervention(key, tuple(own)) for (key, _), own in groups.items()]
    return sorted(found, key=lambda g: (-float(weights[list(g.members)].sum()), g.variables))


def complete_values(
    result: SearchResult,
    cardinalities: NDArray[np.int64],
    search: Callable[[Ints], SearchResult],
) -> SearchResult:
    """Let every value of the variables that components set compete, without a name to pay for.

    Parameters
    ----------
    result : SearchResult
    cardinalities : ndarray of int, shape (n_variables,)
    search : callable
        Estimates with the targets of a list only.

    Returns
    -------
    SearchResult
    """
    listed = {target.tobytes(): target for target in result.targets.astype(np.int16)}
    for group in stochastic_interventions(result.targets, result.weights):
        sizes = [int(cardinalities[i]) for i in group.variables]
        if not sizes or np.prod(sizes, dtype=np.float64) > _MOST_VALUES:
            continue
        for values in np.ndindex(*sizes):
            target = np.full(cardinalities.size, -1, dtype=np.int16)
            target[list(group.variables)] = values
            listed.setdefault(target.tobytes(), target)
    if len(listed) == len(result.targets):
        return result
    return search(np.array(list(listed.values())))
