"""The whole search: which targets, and their weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dosift.likelihood import MechanismFactors
from dosift.network.model import Network
from dosift.rows.configurations import Configurations
from dosift.search.improve import Improver
from dosift.search.problem import SearchProblem
from dosift.search.score import Score
from dosift.search.splitting import split
from dosift.weights import DEFAULT_GAP

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class SearchResult:
    """Targets and weights found.

    Attributes
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
        In the network's order of variables, by descending weight.
    weights : ndarray, shape (n_targets,)
    log_likelihood : float
        Of all rows, in nats.
    penalised_score : float
        Log-likelihood less the description length of the targets.
    gap : float
        Optimality gap over the targets found, in nats a row.
    converged : bool
    """

    targets: Ints
    weights: Floats
    log_likelihood: float
    penalised_score: float
    gap: float
    converged: bool


def make_problem(
    network: Network, configurations: Configurations, variables: tuple[int, ...] | None = None
) -> tuple[SearchProblem, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], float]:
    """Set up a search problem in topological order.

    Returns
    -------
    problem : SearchProblem
    searched : ndarray of int
        Network positions of the problem's variables.
    first_difference, positions : ndarray of int
        For :func:`~dosift.search.splitting.split`.
    constant : float
        What to add to a log-likelihood of the problem to get that of the rows.
    """
    order = np.array(network.order)
    allowed = set(range(network.n_variables) if variables is None else variables)
    searched = np.array([i for i in order if i in allowed])
    codes = configurations.codes[:, order]
    rank = np.lexsort(codes.T[::-1])
    counts = configurations.counts[rank]
    ordered = configurations.codes[rank]
    changed = codes[rank][1:] != codes[rank][:-1]
    first_difference = np.concatenate([[-1], changed.argmax(axis=1)])
    factors = MechanismFactors(network, ordered, tuple(int(i) for i in searched))
    positions = np.flatnonzero(np.isin(order, searched))
    score = Score(float(counts.sum()), network.cardinalities[searched], network.n_variables)
    constant = float(counts @ factors.log_base())
    dense = None
    if searched.size == network.n_variables:
        dense = partial(_inverse_mechanisms, network, searched)
    problem = SearchProblem(factors, counts, score, dense)
    return problem, searched, first_difference, positions, constant


def _inverse_mechanisms(network: Network, order: NDArray[np.int64]) -> list[Floats]:
    """Tabulate ``1 / p_j`` over all cells of the first j + 1 variables of a topological order."""
    sizes = [int(network.cardinalities[i]) for i in order]
    out = []
    for j, i in enumerate(order):
        cells = np.indices(sizes[: j + 1]).reshape(j + 1, -1)
        codes = np.zeros((cells.shape[1], network.n_variables), dtype=np.int64)
        codes[:, order[: j + 1]] = cells.T
        with np.errstate(divide="ignore"):
            out.append(1.0 / network.tables[i][network.parent_rows(int(i), codes), codes[:, i]])
    return out


def find_targets(
    network: Network,
    configurations: Configurations,
    *,
    max_size: int | None = None,
    gap: float = DEFAULT_GAP,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> SearchResult:
    """Find the mixture of do-interventions that explains the rows best."""
    with threadpool_limits(1):
        problem, searched, first_difference, positions, constant = make_problem(
            network, configurations
        )
        fit = split(problem, first_difference, positions, max_size)
        fit = Improver(problem, max_size).run(fit)
        fit = problem.fit(fit.targets, fit.weights, gap=gap)
    targets = np.full((fit.weights.size, network.n_variables), -1, dtype=np.int16)
    targets[:, searched] = fit.targets
    rank = np.lexsort([*targets.T[::-1], -fit.weights])
    return SearchResult(
        targets=targets[rank],
        weights=fit.weights[rank],
        log_likelihood=fit.log_likelihood + constant,
        penalised_score=fit.score + constant,
        gap=fit.gap,
        converged=fit.converged,
    )
