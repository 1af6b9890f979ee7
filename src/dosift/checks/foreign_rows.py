"""Rows that come from elsewhere: a share of the rows that no target explains.

A few rows of another origin make a handful of components that are not there. So a fit is compared
with one in which a share of the rows has a distribution of its own: even over all states, or
independent with the shares of states in the pool. Where that pays, components that no longer earn
their cost are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Block
from dosift.likelihood.assignment import assign
from dosift.likelihood.weights import solve_weights
from dosift.model.network import Network
from dosift.search.constraints import Constraints
from dosift.search.elimination import inverse_of
from dosift.search.result import SearchResult

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Nats by which a fit must gain for rows to be said to come from elsewhere, and the share of the
#: rows, at the maximum, from which it is looked at.
_LEAST_GAIN, _LEAST_SHARE = 10.0, 0.002
#: Share above which it is the network that is wrong, not the rows that come from elsewhere.
_MOST_SHARE = 0.5


@dataclass(frozen=True)
class ForeignRows:
    """Rows that no target explains.

    Attributes
    ----------
    share : float
        Of all rows.
    gain : float
        Rise of the penalised log-likelihood (nats) when they are told apart.
    is_even : bool
        Whether their states are even; otherwise independent, as frequent as in the pool.
    targets : ndarray of int, shape (n_targets, n_variables)
        Of the components that are left.
    weights : ndarray, shape (n_targets,)
        With `share`, they sum to one.
    posterior : ndarray, shape (n_rows,)
        Of each row, that it comes from elsewhere.
    network : Network
        That the targets refer to.
    states : tuple of ndarray
        For each variable, shares of its states in rows from elsewhere.
    """

    share: float
    gain: float
    is_even: bool
    targets: Ints
    weights: Floats
    posterior: Floats
    network: Network
    states: tuple[Floats, ...]

    def posterior_of(self, values: Ints) -> Floats:
        """Probability of each of some complete rows that it comes from elsewhere.

        Parameters
        ----------
        values : ndarray of int, shape (n_rows, n_variables)

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        found = assign(self.network, self.targets, self.weights, values)
        other = self.share * np.exp(_log_density(self.states, values))
        density = np.exp(found.log_reference) * found.mixture
        return np.asarray(other / (other + density))


def find_foreign_rows(block: Block, result: SearchResult) -> ForeignRows | None:
    """Look for rows that no target explains.

    Parameters
    ----------
    block : Block
        Distinct rows of states, with their counts.
    result : SearchResult
        The mixture that explains them so far.

    Returns
    -------
    ForeignRows or None
        None where that does not pay.
    """
    network = result.network
    if not np.isfinite(result.log_likelihood) or block.has_missing:
        return None
    found = [
        _with_density(block, result, density, is_even)
        for is_even, density in ((True, _even(network)), (False, _independent(network, block)))
    ]
    some = [one for one in found if one is not None and one.gain > _LEAST_GAIN]
    return max(some, key=lambda one: one.gain, default=None)


def _even(network: Network) -> list[Floats]:
    return [np.full(int(k), 1.0 / k) for k in network.cardinalities]


def _independent(network: Network, block: Block) -> list[Floats]:
    shares = []
    for i, k in enumerate(network.cardinalities):
        counted = np.bincount(block.values[:, i], block.counts, int(k)) + 0.5
        shares.append(counted / counted.sum())
    return shares


def _with_density(
    block: Block, result: SearchResult, shares: list[Floats], is_even: bool
) -> ForeignRows | None:
    network, targets = result.network, result.targets
    judged = assign(network, targets, result.weights, block.values)
    log_other = _log_density(shares, block.values)
    known = judged.columns
    other = np.exp(np.clip(log_other - judged.log_reference, -600.0, 600.0))
    density = known @ result.weights
    if not (density > 0).all():
        return None
    before = float(block.counts @ np.log(density))
    columns = np.column_stack([known, other])
    start = np.append(0.98 * result.weights, 0.02)
    fit = solve_weights(columns, block.counts, start)
    if not _LEAST_SHARE <= fit.weights[-1] <= _MOST_SHARE:
        return None
    n = float(block.counts.sum())
    every = np.arange(network.n_variables)
    score = Constraints.none(network.n_changes).score(n, network.n_changes, every)
    costs = np.append(score.costs(targets), 0.5 * np.log(max(n, 2.0)) + np.log(2.0))
    start_value = before - float(costs[:-1].sum())
    kept = np.arange(columns.shape[1])
    while kept.size > 2:
        own = columns[:, kept]
        net = _losses(own, block.counts, fit.weights) - costs[kept]
        net[-1] = np.inf
        worst = int(net.argmin())
        if net[worst] >= 0:
            break
        rest = np.delete(kept, worst)
        trial = solve_weights(columns[:, rest], block.counts, np.delete(fit.weights, worst))
        if fit.log_likelihood - trial.log_likelihood > costs[kept[worst]]:
            break
        kept, fit = rest, trial
    gain = fit.log_likelihood - float(costs[kept].sum()) - start_value
    posterior = columns[:, -1] * fit.weights[-1] / fit.mixture
    return ForeignRows(
        share=float(fit.weights[-1]),
        gain=gain,
        is_even=is_even,
        targets=targets[kept[:-1]],
        weights=fit.weights[:-1],
        posterior=posterior,
        network=network,
        states=tuple(shares),
    )


def _log_density(states: Sequence[Floats], values: Ints) -> Floats:
    """Log-probability of rows whose variables are independent."""
    out = np.zeros(len(values))
    for i, own in enumerate(states):
        out += np.log(own)[values[:, i]]
    return out


def _losses(columns: Floats, counts: Floats, weights: Floats) -> Floats:
    """Estimate what the log-likelihood loses without each component."""
    scaled = columns * (np.sqrt(counts) / (columns @ weights))[:, None]
    inverse = inverse_of(scaled.T @ scaled)
    return np.asarray(weights**2 / (2.0 * np.maximum(np.diag(inverse), 1e-300)))
