"""How far from the best a mixture may be: the likelihood's gradient at targets it does not hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dosift.model.arrays import Ints
from dosift.search.enumeration import EnumeratedPricer
from dosift.search.pricing import CandidatePricer, NeighbourPricer, Priced
from dosift.search.problem import Fit, SearchProblem


@dataclass(frozen=True)
class Certificate:
    """The largest gradient found over a set of targets.

    Bringing in any of these targets, with whatever weight, gains at most ``largest_gradient - 1``
    nats a row; over all targets that bounds what any mixture at all could gain.

    Attributes
    ----------
    scope : {"all", "neighbours", "candidates"}
        Whether all permitted targets were priced, or those that differ from a component in one
        variable, or those of a list that was given.
    n_variables : int
        Number of variables that these targets may set.
    n_targets : int
        Number of targets priced, besides the components.
    largest_gradient : float
        ``max_t D_t``; 1 at least, since the components' own gradients are 1.
    target : ndarray of int, shape (n_variables,), or None
        Where it is; None if no target has a gradient above 1.
    """

    scope: str
    n_variables: int
    n_targets: int
    largest_gradient: float
    target: Ints | None


def price_others(problem: SearchProblem, fit: Fit, max_size: int | None) -> Priced:
    """Price the targets around a final mixture, or all there are, or those on a list.

    Parameters
    ----------
    problem : SearchProblem
    fit : Fit
        With converged weights.
    max_size : int, optional
        Largest number of variables that a target sets.

    Returns
    -------
    Priced
    """
    if problem.constraints.candidates is not None:
        return CandidatePricer(problem, max_size).near(fit)
    if EnumeratedPricer.can_price(problem):
        return EnumeratedPricer(problem, max_size).every(fit)
    return NeighbourPricer(problem, max_size).near(fit)


def scope_of(problem: SearchProblem, n_variables: int) -> str:
    """Say which targets :func:`price_others` prices.

    Parameters
    ----------
    problem : SearchProblem
    n_variables : int
        Number of variables of the network; if the problem has fewer, "all" cannot be claimed.

    Returns
    -------
    {"all", "neighbours", "candidates"}
    """
    if problem.constraints.candidates is not None:
        return "candidates"
    if len(problem.cardinalities) == n_variables and EnumeratedPricer.can_price(problem):
        return "all"
    return "neighbours"


def certify(priced: Sequence[Priced], scope: str, n_variables: int) -> Certificate:
    """State the largest gradient over targets and batches.

    Parameters
    ----------
    priced : sequence of Priced
        In each batch.
    scope : {"all", "neighbours", "candidates"}
    n_variables : int
        Number of variables that the targets may set.

    Returns
    -------
    Certificate
    """
    largest, target = 1.0, None
    for found in priced:
        if len(found.targets) and found.gradient.max() > largest:
            steepest = int(found.gradient.argmax())
            largest, target = float(found.gradient[steepest]), found.targets[steepest]
    n_targets = max((len(found.targets) for found in priced), default=0)
    return Certificate(scope, n_variables, n_targets, largest, target)
