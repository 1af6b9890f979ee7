"""Rows that come from elsewhere: a share of the rows that no target explains.

A few rows of another origin make a handful of components that are not there. So a fit is compared
with one in which a share of the rows has a distribution of its own: its variables are independent,
and their states either even or as frequent as these rows show them. Where that pays, components
that no longer earn their cost are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dosift.checks.beside_other import needed_beside_other
from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.factors import log_other_of
from dosift.likelihood.weights import solve_weights
from dosift.model.arrays import Floats, Ints
from dosift.model.network import Network
from dosift.model.other import other_target
from dosift.search.constraints import Constraints
from dosift.search.result import SearchResult

#: Nats by which a fit must gain for rows to be said to come from elsewhere, and the share of the
#: rows, at the maximum, from which it is looked at.
_LEAST_GAIN, _LEAST_SHARE = 10.0, 0.002
#: Share above which it is the network that is wrong, not the rows that come from elsewhere.
_MOST_SHARE = 0.5
#: Steps of EM for the shares of states, and pseudo-count of each state.
_STEPS, _PRIOR = 10, 0.5


@dataclass(frozen=True)
class ForeignRows:
    """Rows that no target explains.

    Attributes
    ----------
    share : float
        Of all rows.
    gain : float
        Rise of the penalised log-likelihood (nats) when they are told apart.
    targets : ndarray of int, shape (n_targets, n_variables)
        Of the components that are left.
    weights : ndarray, shape (n_targets,)
        With `share`, they sum to one.
    posterior : ndarray, shape (n_rows,)
        Of each row, that it comes from elsewhere.
    states : tuple of ndarray
        For each variable, shares of its states in rows from elsewhere.
    """

    share: float
    gain: float
    targets: Ints
    weights: Floats
    posterior: Floats
    states: tuple[Floats, ...]


def find_foreign_rows(
    evidence: Evidence, result: SearchResult, known: Constraints | None = None
) -> ForeignRows | None:
    """Look for rows that no target explains.

    Parameters
    ----------
    evidence : Evidence
        Rows of states that are held, without batches.
    result : SearchResult
        The mixture that explains them so far.
    known : Constraints, optional
        What is known about targets; of none the weight.

    Returns
    -------
    ForeignRows or None
        None where that does not pay.
    """
    if not np.isfinite(result.log_likelihood) or evidence.held is None:
        return None
    known = Constraints.none(result.network.n_changes) if known is None else known
    even = tuple(np.full(int(k), 1.0 / k) for k in result.network.cardinalities)
    # The first has no parameters, the second the shares of all states but one of each variable.
    first = _with_states(evidence, result, even, 0, known)
    if first is None:
        return None
    n_free = int((result.network.cardinalities - 1).sum())
    shown = _shown(evidence, result, even)
    second = _with_states(evidence, result, shown, n_free, known)
    some = [one for one in (first, second) if one is not None and one.gain > _LEAST_GAIN]
    return max(some, key=lambda one: one.gain, default=None)


def _shown(
    evidence: Evidence, result: SearchResult, start: tuple[Floats, ...]
) -> tuple[Floats, ...]:
    """Fit the shares of states in rows from elsewhere, and how many these are, by EM."""
    held = evidence.held
    assert held is not None
    rows = evidence.under(result.network, result.targets)
    density = rows.columns(result.targets) @ result.weights
    values, unit = held.values, held.unit
    states, share = start, 0.05
    for _ in range(_STEPS):
        other = share * _relative(states, rows)
        posterior = held.counts * other / (other + (1.0 - share) * density)
        share = float(np.clip(posterior.sum() / held.counts.sum(), _LEAST_SHARE, _MOST_SHARE))
        of_rows = posterior[unit]
        states = tuple(_counted(values[:, i], of_rows, own.size) for i, own in enumerate(states))
    return states


def _counted(column: Ints, weights: Floats, n_states: int) -> Floats:
    seen = column >= 0
    counted = np.bincount(column[seen], weights[seen], n_states) + _PRIOR
    return np.asarray(counted / counted.sum())


def _relative(states: Sequence[Floats], rows: RowLikelihoods) -> Floats:
    """Likelihood of rows from elsewhere, relative to what columns are relative to."""
    block, network = rows.block, rows.network.with_other(states)
    log_other = log_other_of(network, block.values, block.first)
    assert log_other is not None
    away = log_other - rows.log_reference
    relative = np.exp(np.clip(away, -600.0, 600.0))
    # A row with a label comes from where it says.
    return np.asarray(relative if block.label is None else np.where(block.label < 0, relative, 0.0))


def _with_states(
    evidence: Evidence,
    result: SearchResult,
    states: tuple[Floats, ...],
    n_free: int,
    constraints: Constraints,
) -> ForeignRows | None:
    """Solve the weights with rows from elsewhere as a column of their own, and drop components."""
    held, network, targets = evidence.held, result.network, result.targets
    assert held is not None
    rows = evidence.under(network, targets)
    known = rows.columns(targets)
    density = known @ result.weights
    if not (density > 0).all():
        return None
    before = float(held.counts @ np.log(density))
    columns = np.column_stack([known, _relative(states, rows)])
    start = np.append(0.98 * result.weights, 0.02)
    fit = solve_weights(columns, held.counts, start)
    if not _LEAST_SHARE <= fit.weights[-1] <= _MOST_SHARE:
        return None
    *costs, of_other = _costs(network, targets, float(held.counts.sum()), n_free, constraints)
    of_each = np.array(costs)
    needed = needed_beside_other(
        columns,
        held.counts,
        fit,
        lambda kept: float(of_each[kept].sum()),
        lambda kept: of_each[kept],
        constraints.protects(targets),
    )
    fit, kept = needed.fit, needed.kept
    rise = fit.log_likelihood - before
    gain = rise - of_other - float(of_each[kept].sum()) + float(of_each.sum())
    posterior = columns[:, -1] * fit.weights[-1] / fit.mixture
    return ForeignRows(
        share=float(fit.weights[-1]),
        gain=gain,
        targets=targets[kept],
        weights=fit.weights[:-1],
        posterior=posterior,
        states=states,
    )


def _costs(
    network: Network, targets: Ints, n_rows: float, n_free: int, known: Constraints
) -> Floats:
    """Cost of each component, and last that of rows from elsewhere with their free shares."""
    score = known.score(n_rows, network.libraries)
    of_other = 0.5 * (1 + n_free) * np.log(max(n_rows, 2.0)) + np.log(2.0)
    return np.append(score.costs(targets), of_other)


def with_other_column(targets: Ints, weights: Floats, share: float) -> tuple[Ints, Floats]:
    """Put rows from elsewhere beside the components of the others.

    Parameters
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
        Summing to one.
    share : float
        Of rows from elsewhere.

    Returns
    -------
    targets : ndarray of int, shape (n_targets + 1, n_variables)
        Theirs last.
    weights : ndarray, shape (n_targets + 1,)
    """
    other = other_target(targets.shape[1])[None]
    both = np.concatenate([np.asarray(targets, dtype=np.int16), other])
    return both, np.append((1.0 - share) * weights, share)
