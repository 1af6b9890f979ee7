"""Which targets of a chain earn their cost."""

from __future__ import annotations

import numpy as np

from dosift.chain.fit import ChainFit, fit_chain
from dosift.chain.rows import ChainRows
from dosift.chain.smooth import sum_chain
from dosift.model.arrays import Bools, Floats

#: Cycles of a fit that only shows whether others can stand in for a target.
_ROUGH = 5
#: Up to so many times its cost, what a target seems to gain is judged with the others fitted again.
_CLOSE = 4.0
#: Known weights that come this close to one leave nothing.
_WHOLE = 1e-9
#: Nats beyond which a target is needed for certain.
_LARGE = 200.0


def earning(rows: ChainRows, fit: ChainFit, costs: Floats) -> Bools:
    """Find the targets without which the penalised log-likelihood would be lower.

    Parameters
    ----------
    rows : ChainRows
    fit : ChainFit
    costs : ndarray, shape (n_targets,)
        What each target must gain, in nats; minus infinity for those that stay in any case.

    Returns
    -------
    ndarray of bool, shape (n_targets,)
        At least one is kept. Targets leave one after the other, the least useful first.

    Examples
    --------
    >>> columns = np.array([[0.9, 0.1, 0.85], [0.1, 0.9, 0.15]])
    >>> seen = np.repeat([0, 1, 0, 1], 25)
    >>> rows = ChainRows.of(columns, seen, np.r_[np.inf, np.ones(99)])
    >>> fit = fit_chain(rows, np.full(3, 1 / 3))
    >>> earning(rows, fit, np.full(3, 5.0)).tolist()
    [True, True, False]
    """
    m = rows.n_targets
    every = np.ones(m, dtype=np.bool_)
    excess = np.array([_loss(rows, fit, every, k) for k in range(m)]) - costs
    kept = every
    for k in np.argsort(excess, kind="stable").tolist():
        loss = _loss(rows, fit, kept, k)
        if kept.sum() == 1 or loss > _CLOSE * costs[k]:
            continue
        rest = kept.copy()
        rest[k] = False
        other = _without(rows, fit, rest)
        if fit.log_likelihood - other.log_likelihood <= costs[k]:
            weights, known = np.zeros_like(fit.weights), np.zeros_like(fit.weights)
            weights[..., rest], known[..., rest] = other.weights, other.known
            kept, fit = rest, ChainFit(weights, other.rate, other.sums, other.converged, known)
    return kept


def _without(rows: ChainRows, fit: ChainFit, rest: Bools) -> ChainFit:
    weights, known = fit.only(rest)
    return fit_chain(rows.only(rest), weights, fit.rate, n_cycles=_ROUGH, known=known)


def losses(rows: ChainRows, fit: ChainFit) -> Floats:
    """Log-likelihood that the chain loses without each target, the others fitted again.

    Parameters
    ----------
    rows : ChainRows
    fit : ChainFit

    Returns
    -------
    ndarray, shape (n_targets,)
        In nats; infinite where some row would be impossible, and an upper bound where it is beyond
        any doubt that it is large.
    """
    m = rows.n_targets
    every = np.ones(m, dtype=np.bool_)
    out = np.array([_loss(rows, fit, every, k) for k in range(m)])
    for k in np.flatnonzero(out < _LARGE):
        rest = every.copy()
        rest[k] = False
        other = _without(rows, fit, rest)
        out[k] = min(out[k], fit.log_likelihood - other.log_likelihood)
    return out


def _loss(rows: ChainRows, fit: ChainFit, kept: Bools, target: int) -> float:
    """Log-likelihood that is lost without a target, the others staying as they are."""
    rest = kept.copy()
    rest[target] = False
    if not rest.any() or not _is_possible(fit.known[..., rest]):
        return np.inf
    few, (weights, _) = rows.only(rest), fit.only(rest)
    columns = few.columns
    if (weights <= 0).any():
        columns = columns * (few.of_parts(weights) > 0)
    if columns.max(axis=1).min() <= 0:
        return np.inf
    return fit.log_likelihood - sum_chain(few, weights, fit.rate).log_likelihood


def _is_possible(known: Floats) -> bool:
    """Whether weights can sum to one in each batch."""
    is_open = np.isnan(known).any(axis=-1)
    return bool((is_open | (np.abs(np.nansum(known, axis=-1) - 1.0) < _WHOLE)).all())
