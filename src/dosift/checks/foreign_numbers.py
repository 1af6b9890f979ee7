"""Rows of measurements and counts that come from elsewhere.

As for states (:mod:`dosift.checks.foreign_rows`), a fit is compared with one in which a share of
the rows has a distribution of its own, independent over the variables: of numbers normal, of counts
normal by their logarithms. A search without it finds such rows as interventions on nearly
everything, which are left out to begin with; what is gained pays for the distribution's parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from dosift.data.blocks import MemoryBlocks
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.weights import solve_weights
from dosift.model.mechanism import Values
from dosift.search.constraints import Constraints
from dosift.search.elimination import drop_losses
from dosift.search.joint import JointFit, JointFitter

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Share that is begun with, that from which rows are looked at, and that above which it is the
#: network that is wrong.
_START, _LEAST_SHARE, _MOST_SHARE = 0.05, 0.005, 0.4
#: Nats by which a fit must gain.
_LEAST_GAIN = 4.0
#: Rounds of telling rows apart and fitting to the others, and steps of EM in each.
_ROUNDS, _STEPS = 3, 15
#: Least standard deviation, on the scale of the values, and pseudo-count of each state.
_LEAST_SD, _PRIOR = 1e-3, 0.5
#: Logarithm of the odds that rows come from elsewhere where the other reading is an intervention on
#: more variables than that.
_ODDS = float(np.log(20.0))
#: Interventions touch at most this many variables, or half of them if that is more.
_FEW = 2


@dataclass(frozen=True)
class ForeignNumbers:
    """Rows that no target explains.

    Attributes
    ----------
    share : float
        Of all rows.
    gain : float
        Rise of the joint score (nats) when they are told apart.
    fit : JointFit
        To the other rows.
    """

    share: float
    gain: float
    fit: JointFit


def tell_apart(
    base: JointFit, evidence: Evidence, kinds: Sequence[str], known: Constraints
) -> ForeignNumbers | None:
    """Tell rows that come from elsewhere apart, and fit to the others.

    Parameters
    ----------
    base : JointFit
        Of the mixture and its mechanisms, to all rows.
    evidence : Evidence
        Rows that are held and complete.
    kinds : sequence of str
        Of each variable: "number", "count", "state", or "given" for what is only conditioned on.
    known : Constraints
        What is known about targets.

    Returns
    -------
    ForeignNumbers or None
        None where that does not pay.
    """
    held = evidence.held
    assert held is not None
    values, counts = np.asarray(held.values), held.counts
    most = max(_FEW, sum(kind != "given" for kind in kinds) // 2)
    few = (base.targets >= 0).sum(axis=1) <= most
    if not few.any():
        return None
    own = base.weights[0][few] / base.weights[0][few].sum()
    fit = replace(base, targets=base.targets[few], weights=own[None])
    share, posterior, value = _START, counts / counts.sum(), -np.inf
    n_free = 1.0
    for k in range(_ROUNDS + 1):
        columns, reference = _columns(fit, evidence)
        weights, log_other = fit.weights[0], np.zeros(len(counts))
        for _ in range(_STEPS):
            log_other, n_free = _log_other(values, kinds, counts * posterior)
            log_own = np.log(np.maximum(columns @ weights, 1e-300)) + reference
            away = np.log(share) + log_other - np.log1p(-share) - log_own
            posterior = 1.0 / (1.0 + np.exp(-np.clip(away, -600.0, 600.0)))
            share = float(np.clip(counts @ posterior / counts.sum(), 1e-6, 1.0 - 1e-6))
            rest = counts * (1.0 - posterior) / np.maximum(columns @ weights, 1e-300)
            weights = weights * (rest @ columns)
            weights /= weights.sum()
        both = np.logaddexp(np.log1p(-share) + log_own, np.log(share) + log_other)
        value = float(counts @ both)
        if not _LEAST_SHARE <= share <= _MOST_SHARE:
            return None
        fit = replace(fit, weights=weights[None])
        if k == _ROUNDS:
            break
        if k == 0:
            fit = _needed(fit, evidence, log_other, share, known)
        rows = MemoryBlocks(held.values, np.maximum(counts * (1.0 - posterior), 1e-12))
        fitter = JointFitter(fit.network, Evidence.held_rows(fit.network, rows), known)
        fit = fitter.fit(fit.network, fit.targets, fit.weights)
        fit = fitter.simplify(fit) if k == _ROUNDS - 1 else fit
    cost = JointFitter(fit.network, evidence, known).cost_of(fit.targets)
    cost += 0.5 * n_free * float(np.log(max(evidence.total, 2.0)))
    gain = value + fit.network.log_prior() - cost - base.score + _ODDS * int((~few).sum())
    return ForeignNumbers(share, gain, fit) if gain > _LEAST_GAIN else None


def _columns(fit: JointFit, evidence: Evidence) -> tuple[Floats, Floats]:
    rows = evidence.under(fit.network, fit.targets)
    return rows.columns(fit.targets), np.asarray(rows.log_reference)


def _log_other(values: Values, kinds: Sequence[str], weights: Floats) -> tuple[Floats, float]:
    """Log-density of rows from elsewhere as some show it, and its number of parameters."""
    out, n_free = np.zeros(len(values)), 1.0
    total = max(float(weights.sum()), 1e-9)
    for i, kind in enumerate(kinds):
        if kind == "given":
            continue
        column = np.asarray(values[:, i], dtype=np.float64)
        if kind == "state":
            codes = column.astype(np.int64)
            counted = np.bincount(codes, weights) + _PRIOR
            out += np.log(counted[codes] / counted.sum())
            n_free += counted.size - 1
            continue
        own = np.log1p(column) if kind == "count" else column
        mean = float(weights @ own) / total
        sd = max(float(np.sqrt(weights @ np.square(own - mean) / total)), _LEAST_SD)
        if kind == "count":
            out += _log_of_count(column, mean, sd)
        else:
            out -= 0.5 * np.square((own - mean) / sd) + np.log(sd) + 0.5 * np.log(2.0 * np.pi)
        n_free += 2
    return out, n_free


def _log_of_count(counts: Floats, mean: float, sd: float) -> Floats:
    """Probability of counts whose ``log(1 + x)``, before it is rounded, is normal.

    Examples
    --------
    >>> float(np.exp(_log_of_count(np.arange(2000.0), 2.0, 1.0)).sum().round(6))
    1.0
    """
    above = (np.log(counts + 1.5) - mean) / sd
    below = np.where(counts > 0, (np.log(counts + 0.5) - mean) / sd, -np.inf)
    # In the tail that is farther from 0 the logarithms of its complement are exact.
    flipped = below > 0
    high, low = np.where(flipped, -below, above), np.where(flipped, -above, below)
    top = log_ndtr(high)
    return np.asarray(top + np.log1p(-np.exp(np.minimum(log_ndtr(low) - top, -1e-12))))


def _needed(
    fit: JointFit, evidence: Evidence, log_other: Floats, share: float, known: Constraints
) -> JointFit:
    """Drop components that explain little where rows from elsewhere are a component, too."""
    held, targets = evidence.held, fit.targets
    assert held is not None
    own, reference = _columns(fit, evidence)
    other = np.exp(np.clip(log_other - reference, -600.0, 600.0))
    columns = np.column_stack([own, other])
    fitter = JointFitter(fit.network, evidence, known)
    start = np.append((1.0 - share) * fit.weights[0], share)
    kept, found = np.arange(len(targets)), solve_weights(columns, held.counts, start)
    while kept.size > 1:
        scaled = columns[:, [*kept, len(targets)]] / found.mixture[:, None]
        information = scaled.T @ (scaled * held.counts[:, None])
        net = drop_losses(information[None], found.weights[None])[0, :-1]
        net -= fitter.costs(replace(fit, targets=targets[kept]))
        net[known.protects(targets[kept])] = np.inf
        worst = int(net.argmin())
        if net[worst] >= 0:
            break
        left = np.delete(kept, worst)
        begun = np.delete(found.weights, worst)
        trial = solve_weights(columns[:, [*left, len(targets)]], held.counts, begun)
        saved = fitter.cost_of(targets[kept]) - fitter.cost_of(targets[left])
        if found.log_likelihood - trial.log_likelihood > saved:
            break
        kept, found = left, trial
    weights = found.weights[:-1] / found.weights[:-1].sum()
    return replace(fit, targets=targets[kept], weights=weights[None])
