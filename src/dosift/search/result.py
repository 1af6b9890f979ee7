"""What a search, or any other method, found."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood.evidence import Evidence
from dosift.likelihood.solve import solve
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.network import Network
from dosift.search.certificate import Certificate
from dosift.search.constraints import Constraints
from dosift.search.near_equivalent import NearEquivalent
from dosift.search.neighbourhood import Neighbourhood
from dosift.search.undecided import Undecided


@dataclass(frozen=True)
class SearchResult:
    """Targets and weights found.

    Attributes
    ----------
    network : Network
        The network given, or the refined one.
    targets : ndarray of int, shape (n_targets, n_variables)
        In the network's order of variables, by descending weight.
    weights : ndarray, shape (n_targets,)
        Of all rows together.
    log_likelihood : float
        Of all rows together, in nats.
    penalised_score : float
        Log-likelihood less the description length of the targets.
    gap : float
        Optimality gap over the targets found, in nats a row.
    converged : bool
    certificate : Certificate or None
        The likelihood's gradient at other targets. None where the mixture does not maximise the
        likelihood.
    undecided : Undecided or None
        Targets that may be in the mixture too; None also where weights are known.
    near_equivalent : tuple of NearEquivalent
        Targets that the rows can hardly tell from a component.
    batch_weights : ndarray, shape (n_batches, n_targets), or None
        Where rows have batches, the weights in each.
    """

    network: Network
    targets: Ints
    weights: Floats
    log_likelihood: float
    penalised_score: float
    gap: float
    converged: bool
    certificate: Certificate | None = None
    undecided: Undecided | None = None
    near_equivalent: tuple[NearEquivalent, ...] = ()
    batch_weights: Floats | None = None


def ranked(
    evidence: Evidence,
    network: Network,
    targets: Ints,
    weights: Floats,
    *,
    constraints: Constraints | None = None,
    converged: bool = True,
    gap: float | None = None,
    cost: float | None = None,
    neighbourhood: Neighbourhood | None = None,
    batch_weights: Floats | None = None,
) -> SearchResult:
    """Evaluate a mixture on all rows together, and put its targets in order.

    Parameters
    ----------
    evidence : Evidence
        Of all rows together.
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
        Summing to one.
    constraints : Constraints, optional
        Make the names of targets shorter.
    converged : bool
        Whether the method came to its end.
    gap : float, optional
        If not given, what better weights over the same targets could gain at most, in nats a row
        that the mixture can produce.
    cost : float, optional
        Description length of the targets, in nats, where a search knows it better.
    neighbourhood : Neighbourhood, optional
        With components in the order given.
    batch_weights : ndarray, shape (n_batches, n_targets), optional

    Returns
    -------
    SearchResult
        With the targets by descending weight.
    """
    known = constraints or Constraints.none(network.n_changes)
    sums = evidence.weigh(network, targets, weights)
    log_likelihood = sums.log_likelihood(evidence.reference(network))
    if cost is None:
        cost = known.score(evidence.total, network.libraries).total(targets)
    rank = np.lexsort([*targets.T[::-1], -weights])
    around = (neighbourhood or Neighbourhood()).reordered(rank)
    return SearchResult(
        network=network,
        targets=np.asarray(targets, dtype=np.int16)[rank],
        weights=weights[rank],
        log_likelihood=log_likelihood,
        penalised_score=log_likelihood - cost,
        gap=float(sums.gap[0]) if gap is None else gap,
        converged=converged,
        certificate=around.certificate,
        undecided=around.undecided,
        near_equivalent=around.near_equivalent,
        batch_weights=None if batch_weights is None else batch_weights[:, rank],
    )


def reordered(result: SearchResult, rank: NDArray[np.int64]) -> SearchResult:
    """Put the targets of a mixture in another order.

    Parameters
    ----------
    result : SearchResult
    rank : ndarray of int64, shape (n_targets,)
        Positions of the targets in the new order.

    Returns
    -------
    SearchResult
    """
    around = Neighbourhood(result.certificate, result.undecided, result.near_equivalent)
    around = around.reordered(rank)
    return replace(
        result,
        targets=result.targets[rank],
        weights=result.weights[rank],
        undecided=around.undecided,
        near_equivalent=around.near_equivalent,
        batch_weights=None if result.batch_weights is None else result.batch_weights[:, rank],
    )


def without_targets(
    evidence: Evidence, result: SearchResult, kept: Bools, gap: float
) -> SearchResult:
    """Leave out targets of a mixture, which are undecided from then on.

    Parameters
    ----------
    evidence : Evidence
    result : SearchResult
    kept : ndarray of bool, shape (n_targets,)
    gap : float
        Optimality gap of the other weights, in nats a row.

    Returns
    -------
    SearchResult
        The certificate covers the targets that were left out, too.
    """
    if kept.all():
        return result
    network, targets, left = result.network, result.targets[kept], result.targets[~kept]
    start = result.weights[None] if result.batch_weights is None else result.batch_weights
    start = start[:, kept]
    start = np.where(start.sum(axis=1, keepdims=True) > 0, start, 1.0)
    solution = solve(evidence, network, targets, start / start.sum(axis=1, keepdims=True), gap)
    weights = np.asarray(evidence.n_rows / evidence.total @ solution.weights)
    pooled = evidence.pooled
    sums = pooled.weigh(network, targets, weights, left)
    gradient = sums.gradient[0] / max(float(sums.n_possible[0]), 1e-300)
    certificate, undecided = result.certificate, result.undecided
    of_left = gradient[len(targets) :]
    if certificate is not None and of_left.max() > certificate.largest_gradient:
        worst = int(of_left.argmax())
        certificate = replace(
            certificate, largest_gradient=float(of_left[worst]), target=left[worst]
        )
    if undecided is not None:
        odds = undecided.component_log_prior_odds
        undecided = replace(
            undecided,
            targets=np.concatenate([left, undecided.targets]),
            log_prior_odds=np.concatenate([odds[~kept], undecided.log_prior_odds]),
            component_log_prior_odds=odds[kept],
        )
    place = np.cumsum(kept) - 1
    near = tuple(
        replace(one, component=int(place[one.component]))
        for one in result.near_equivalent
        if kept[one.component]
    )
    return replace(
        result,
        targets=targets,
        weights=weights,
        batch_weights=None if result.batch_weights is None else solution.weights,
        log_likelihood=sums.log_likelihood(pooled.reference(network)),
        gap=float(solution.gap.max()),
        converged=result.converged and bool(solution.converged.all()),
        certificate=certificate,
        undecided=undecided,
        near_equivalent=near,
    )
