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
from dosift.rates import family_counts
from dosift.rows.configurations import MISSING as FREE
from dosift.rows.configurations import Configurations, collapse
from dosift.search.improve import Improver
from dosift.search.problem import SearchProblem
from dosift.search.score import Score
from dosift.search.screening import screen_variables, wanted_variables
from dosift.search.splitting import split
from dosift.weights import DEFAULT_GAP

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Bound on how often variables are screened again.
_MAX_SCREENS = 10


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


@dataclass(frozen=True)
class PreparedSearch:
    """A search problem in topological order, and the way back to the network's variables.

    Attributes
    ----------
    problem : SearchProblem
    variables : ndarray of int
        Network positions of the problem's variables, in topological order.
    closure : ndarray of int
        Network positions of these and of their parents, in topological order: all that the
        likelihood ratios depend on.
    first_difference : ndarray of int, shape (n_configurations,)
        First column of the closure in which a configuration differs from the one before.
    """

    problem: SearchProblem
    variables: NDArray[np.int64]
    closure: NDArray[np.int64]
    first_difference: NDArray[np.int64]

    def to_network(self, targets: Ints, n_variables: int) -> NDArray[np.int16]:
        """Return targets in the network's order of variables."""
        out = np.full((len(targets), n_variables), FREE, dtype=np.int16)
        out[:, self.variables] = targets
        return out

    def from_network(self, targets: Ints) -> NDArray[np.int16]:
        """Return targets over the problem's variables."""
        return np.ascontiguousarray(targets[:, self.variables], dtype=np.int16)


def prepare(
    network: Network, configurations: Configurations, variables: tuple[int, ...] | None = None
) -> PreparedSearch:
    """Collapse rows to what matters for some variables, in topological order.

    Parameters
    ----------
    network : Network
    configurations : Configurations
        Without missing values.
    variables : tuple of int, optional
        Variables that targets may set; all by default.

    Returns
    -------
    PreparedSearch
    """
    allowed = set(range(network.n_variables) if variables is None else variables)
    needed = allowed.union(*(network.parents[i] for i in allowed))
    searched = np.array([i for i in network.order if i in allowed], dtype=np.int64)
    closure = np.array([i for i in network.order if i in needed], dtype=np.int64)
    projected = collapse(
        configurations.codes[:, closure], network.cardinalities[closure], configurations.counts
    )
    ordered = projected.codes
    first_difference = np.full(len(ordered), -1, dtype=np.int64)
    if ordered.size:
        first_difference[1:] = (ordered[1:] != ordered[:-1]).argmax(axis=1)
    codes = np.zeros((len(ordered), network.n_variables), dtype=ordered.dtype, order="F")
    codes[:, closure] = ordered
    factors = MechanismFactors(network, codes, tuple(int(i) for i in searched))
    score = Score(projected.total, network.cardinalities[searched], network.n_variables)
    dense = None
    if searched.size == network.n_variables:
        dense = partial(_inverse_mechanisms, network, searched)
    problem = SearchProblem(factors, projected.counts, score, dense)
    return PreparedSearch(problem, searched, closure, first_difference)


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
    """Find the mixture of do-interventions that explains the rows best.

    Parameters
    ----------
    network : Network
        The undisturbed system.
    configurations : Configurations
        The mixture rows, without missing values.
    max_size : int, optional
        Largest number of variables that a target sets.
    gap : float
        Optimality gap of the final weights, in nats a row.
    progress : callable, optional
        Called with a stage's name, the steps done and the steps in all.

    Returns
    -------
    SearchResult
    """
    tell = progress or (lambda stage, done, total: None)
    codes, counts = configurations.codes, configurations.counts
    n = network.n_variables
    # The matrices are small, and many threads on small matrices cost far more than they bring;
    # one thread also makes sums, and so results, independent of the machine.
    with threadpool_limits(1):
        tell("screening variables", 0, None)
        variables = screen_variables(network, codes, counts)
        prepared = prepare(network, configurations, variables)
        fit = split(
            prepared.problem,
            prepared.first_difference,
            np.flatnonzero(np.isin(prepared.closure, prepared.variables)),
            max_size,
            lambda done, total: tell("splitting targets", done, total),
        )
        tell("improving", 0, None)
        fit = Improver(prepared.problem, max_size).run(fit)
        for _ in range(_MAX_SCREENS):
            if len(variables) == n:
                break
            targets = prepared.to_network(fit.targets, n)
            columns = MechanismFactors(network, codes, variables).columns(targets[:, variables])
            ratios = columns / (columns @ fit.weights)[:, None]
            more = wanted_variables(network, codes, counts, ratios, variables)
            if not more:
                break
            tell("screening variables again", 0, None)
            variables = tuple(sorted({*variables, *more}))
            prepared = prepare(network, configurations, variables)
            fit = prepared.problem.fit(prepared.from_network(targets), fit.weights)
            fit = Improver(prepared.problem, max_size).run(fit)
        fit = prepared.problem.fit(fit.targets, fit.weights, gap=gap)
        constant = _reference_log_likelihood(network, codes, counts, prepared.problem)
    targets = prepared.to_network(fit.targets, n)
    rank = np.lexsort([*targets.T[::-1], -fit.weights])
    return SearchResult(
        targets=targets[rank],
        weights=fit.weights[rank],
        log_likelihood=fit.log_likelihood + constant,
        penalised_score=fit.score + constant,
        gap=fit.gap,
        converged=fit.converged,
    )


def _reference_log_likelihood(
    network: Network, codes: Ints, counts: Floats, problem: SearchProblem
) -> float:
    """Log-likelihood that a problem's columns are relative to, over all rows."""
    total = float(problem.counts @ problem.factors.log_scale)
    for i, table in enumerate(network.tables):
        family = family_counts(network, i, codes, counts)
        possible = table > 0
        total += float(family[possible] @ np.log(table[possible]))
    return total
