"""Linear programs over the mixtures that generate a distribution (HiGHS, through scipy)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dosift.errors import DosiftError
from dosift.identifiability.system import Codes, TargetSystem
from dosift.model.arrays import Bools, Floats

#: Feasibility tolerances asked of HiGHS, on systems scaled to entries in [0, 1]: the next one is
#: taken where rounding makes a program look infeasible under the one before.
FEASIBILITY = (1e-10, 1e-8, 1e-7)
#: Differences of weights below this are taken for rounding of the linear programs.
TOLERANCE = 1e-6
#: A solution reproduces its distribution if no probability is off by more than this.
REPRODUCED = 1e-9
#: Weights below this are taken for zero.
_NO_WEIGHT = 1e-9
#: scipy's status of a program without solutions.
_INFEASIBLE = 2
#: Simplex iterations after which a program is given up; a few seconds.
MAX_ITERATIONS = 10_000


class ProgramError(DosiftError):
    """A linear program could not be solved within bounds."""


class InfeasibleError(ProgramError):
    """No mixture of the targets at hand generates the distribution."""


@dataclass(frozen=True)
class Solution:
    """An optimal solution of a linear program.

    Attributes
    ----------
    weights : ndarray, shape (n_targets,)
        Of all targets of the system.
    value : float
        The objective.
    dual : ndarray, shape (n_rows,)
        Of the scaled rows.
    """

    weights: Floats
    value: float
    dual: Floats


def minimise(system: TargetSystem, cost: Floats, columns: Bools | None = None) -> Solution:
    """Minimise a linear cost of the weights over all mixtures with the same distribution.

    Parameters
    ----------
    system : TargetSystem
    cost : ndarray, shape (n_targets,)
        Cost of a unit of weight.
    columns : ndarray of bool, shape (n_targets,), optional
        Targets that may have weight; all by default.

    Returns
    -------
    Solution

    Raises
    ------
    InfeasibleError
        If no mixture of these targets has the distribution.
    ProgramError
        If the solver fails, or needs more than ``MAX_ITERATIONS``.
    """
    from scipy.optimize import linprog

    chosen = np.arange(system.bound.size) if columns is None else np.flatnonzero(columns)
    if not chosen.size:
        raise InfeasibleError("no target can have weight")
    matrix: Any = system.matrix[:, chosen]  # the solver takes sparse, its type hints do not
    scaled = cost[chosen] * system.bound[chosen]
    scale = float(np.abs(scaled).max(initial=0.0)) or 1.0
    for tolerance in FEASIBILITY:
        result = linprog(
            scaled / scale,
            A_eq=matrix,
            b_eq=np.ones(matrix.shape[0]),
            bounds=(0, None),
            method="highs",
            options={
                "maxiter": MAX_ITERATIONS,
                "primal_feasibility_tolerance": tolerance,
                "dual_feasibility_tolerance": tolerance,
            },
        )
        if result.status != _INFEASIBLE:
            break
    else:
        raise InfeasibleError("no mixture of these targets generates the distribution")
    if result.status != 0 or result.x is None:
        raise ProgramError(
            f"the linear program could not be solved ({result.message}); this is no statement "
            "about the mixture"
        )
    weights = np.zeros(system.bound.size)
    weights[chosen] = result.x * system.bound[chosen]
    dual = np.asarray(result.eqlin.marginals, dtype=np.float64)
    return Solution(weights, float(cost @ weights), scale * dual)


def polish(system: TargetSystem, weights: Floats) -> Floats:
    """Remove the solver's tolerance from a vertex: solve for its positive weights exactly.

    Parameters
    ----------
    system : TargetSystem
    weights : ndarray, shape (n_targets,)

    Returns
    -------
    ndarray, shape (n_targets,)
        The weights with a smaller residual, or as given where that would need a negative one.
    """
    chosen = np.flatnonzero(weights > _NO_WEIGHT)
    matrix = system.matrix[:, chosen].toarray()
    x = weights[chosen] / system.bound[chosen]
    x = x + np.linalg.lstsq(matrix, 1.0 - matrix @ x, rcond=None)[0]
    if x.min(initial=0.0) < -_NO_WEIGHT:
        return weights
    out = np.zeros_like(weights)
    out[chosen] = np.maximum(x, 0.0) * system.bound[chosen]
    return out


def least_face(system: TargetSystem, solution: Solution) -> Bools:
    """Targets that may have weight in mixtures of least expected size.

    By complementary slackness these are the targets of reduced cost zero, and every mixture of
    them that generates the distribution is of least expected size.

    Parameters
    ----------
    system : TargetSystem
    solution : Solution
        Of the program whose cost is the size.

    Returns
    -------
    ndarray of bool, shape (n_targets,)
    """
    reduced = system.sizes * system.bound - system.matrix.T @ solution.dual
    face: Bools = (reduced <= TOLERANCE / 10) | (solution.weights > _NO_WEIGHT)
    return face


def is_only_solution(system: TargetSystem, weights: Floats, columns: Bools) -> bool:
    """Whether a vertex is the only solution with weight on some columns alone.

    The positive columns of a vertex are independent, so another solution puts weight elsewhere.
    """
    inside = weights > _NO_WEIGHT
    total = float(weights.sum())
    most_elsewhere = total - minimise(system, inside.astype(np.float64), columns).value
    return most_elsewhere <= TOLERANCE


def weight_interval(
    system: TargetSystem, column: int, columns: Bools | None = None
) -> tuple[float | None, float | None]:
    """Least and largest weight of a target over all mixtures with the same distribution.

    Parameters
    ----------
    system : TargetSystem
    column : int
        Position of the target; -1 for one that can have no weight.
    columns : ndarray of bool, optional
        Targets that may have weight.

    Returns
    -------
    low, high : float or None
        None for an end whose program was given up.
    """
    low = extreme_weight(system, column, 1.0, columns)
    high = extreme_weight(system, column, -1.0, columns)
    if low is not None and high is not None and low > high:  # by rounding
        low = high = (low + high) / 2
    return low, high


def extreme_weight(
    system: TargetSystem, column: int, sign: float, columns: Bools | None = None
) -> float | None:
    """Least (sign 1) or largest (sign -1) weight of a target; None if the program is given up.

    Parameters
    ----------
    system : TargetSystem
    column : int
        Position of the target; -1 for one that can have no weight.
    sign : float
    columns : ndarray of bool, optional
        Targets that may have weight.

    Returns
    -------
    float or None
    """
    if column < 0 or (columns is not None and not columns[column]):
        return 0.0
    cost = np.zeros(system.bound.size)
    cost[column] = sign
    try:
        return max(float(minimise(system, cost, columns).weights[column]), 0.0)
    except ProgramError:
        return None


def residual(system: TargetSystem, weights: Floats) -> float:
    """Largest absolute error of the probabilities that weights reproduce.

    Parameters
    ----------
    system : TargetSystem
    weights : ndarray, shape (n_targets,)
    """
    made = system.matrix @ (weights / system.bound)
    return float(np.abs((made - 1.0) * system.probability).max(initial=0.0))


def is_solution(system: TargetSystem, weights: Floats) -> bool:
    """Whether weights reproduce every probability to ``REPRODUCED``, and their sum."""
    return residual(system, weights) <= REPRODUCED and bool(
        abs(weights[weights > _NO_WEIGHT].sum() - system.probability_sum) <= TOLERANCE / 2
    )


def heaviest_first(weights: Floats) -> Codes:
    """Positions of the positive weights, the heaviest first."""
    chosen = np.flatnonzero(weights > _NO_WEIGHT)
    order: Codes = chosen[np.argsort(-weights[chosen], kind="stable")]
    return order
