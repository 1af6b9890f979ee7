"""Forward and backward passes over rows in order of time.

A target holds from one row to the next, or is drawn anew from the weights: the transition is
``(1 - s) I + s 1 w'``, so that a step costs as much as there are targets, not their square. A pass
is linear in the vector that it begins with; so parts of the rows are walked side by side from every
possible beginning first, joined, and walked again from the right one.

Source: L. R. Rabiner, "A tutorial on hidden Markov models", Proc. IEEE 77 (1989); for parts side by
side, S. Sarkka and A. F. Garcia-Fernandez, "Temporal parallelization of Bayesian smoothers", IEEE
Trans. Automatic Control 66 (2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dosift.chain.rows import ChainRows
from dosift.model.arrays import Floats


@dataclass(frozen=True)
class ChainSums:
    """What the rows say about a chain.

    Attributes
    ----------
    log_likelihood : float
        In nats.
    entries : ndarray, of the shape of the weights
        Derivative of the log-likelihood by each weight; times the weight, the expected number of
        times that the target was drawn.
    switched : ndarray, shape (length, n_parts)
        Probability that the target was drawn anew before each row.
    """

    log_likelihood: float
    entries: Floats
    switched: Floats


@dataclass(frozen=True)
class Smoothed:
    """What the rows say about each row's target.

    Attributes
    ----------
    sums : ChainSums
    posterior : ndarray, shape (n_rows, n_targets)
        Probability of each target given all rows of the chain.
    held_before : ndarray, shape (n_rows, n_targets)
        Probability that the row before had the same target, given that this one has it, and all
        rows; zero where a chain begins.
    held_after : ndarray, shape (n_rows, n_targets)
        The same of the row after; zero where a chain ends.
    """

    sums: ChainSums
    posterior: Floats
    held_before: Floats
    held_after: Floats


def sum_chain(rows: ChainRows, weights: Floats, rate: float) -> ChainSums:
    """Log-likelihood of a chain, and its derivatives.

    Parameters
    ----------
    rows : ChainRows
    weights : ndarray, shape (n_targets,) or (n_batches, n_targets)
        Summing to one (in each batch); zero for targets that do not occur.
    rate : float
        Of switching, in a typical step; positive.

    Returns
    -------
    ChainSums

    Examples
    --------
    >>> rows = ChainRows.of(np.eye(2), np.array([0, 0, 1]), np.array([np.inf, 1.0, 1.0]))
    >>> found = sum_chain(rows, np.array([0.5, 0.5]), np.log(2))
    >>> bool(np.isclose(found.log_likelihood, np.log(0.5 * 0.75 * 0.25)))
    True
    """
    return _passes(rows, weights, rate)[0]


def smooth(rows: ChainRows, weights: Floats, rate: float) -> Smoothed:
    """Posterior of each row's target, given all rows of its chain.

    Parameters
    ----------
    rows : ChainRows
    weights : ndarray, shape (n_targets,) or (n_batches, n_targets)
        Summing to one (in each batch); zero for targets that do not occur.
    rate : float
        Of switching, in a typical step; positive.

    Returns
    -------
    Smoothed

    Examples
    --------
    >>> rows = ChainRows.of(
    ...     np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([0, 1, 0]), np.array([np.inf, 1.0, 1.0])
    ... )
    >>> smooth(rows, np.array([0.5, 0.5]), 0.1).posterior[:, 0].round(3)
    array([0.977, 0.975, 0.977])
    """
    sums, forward, backward, into = _passes(rows, weights, rate, keep=True)
    filtered, after = rows.in_order(forward), rows.in_order(backward)
    posterior = filtered * after
    posterior /= posterior.sum(axis=1, keepdims=True)
    # Of the step that follows each row; none follows the last.
    switch = np.append(rows.in_order(rows.switching(rate)), 1.0)[1:, None]
    own = rows.of_rows(weights)
    stay = np.where(switch < 1.0, (1.0 - switch) + switch * own, 0.0)
    before, later = np.zeros_like(filtered), np.zeros_like(filtered)
    reached = (1.0 - switch) * filtered + switch * own
    np.divide((stay * filtered)[:-1], reached[:-1], out=before[1:], where=reached[:-1] > 0)
    arriving = stay[:-1] * rows.in_order(into)[1:]
    np.divide(arriving, after[:-1], out=later[:-1], where=after[:-1] > 0)
    return Smoothed(sums, posterior, np.minimum(before, 1.0), np.minimum(later, 1.0))


def _passes(
    rows: ChainRows, weights: Floats, rate: float, keep: bool = False
) -> tuple[ChainSums, Floats, Floats, Floats]:
    """Walk forward and backward.

    Beside the sums: the probability of each target up to a row; the likelihood of what follows the
    row relative to what is expected; the same with the row itself. Of shape (length, n_targets,
    n_parts), or empty unless `keep`.
    """
    switch = rows.switching(rate)
    first, last = _ends(rows, weights, switch)
    length, m, n_parts = rows.columns.shape
    shape = rows.columns.shape if keep else (0, m, n_parts)
    forward, backward, into = np.empty(shape), np.empty(shape), np.empty(shape)
    hold, of_weights = 1.0 - switch, rows.of_parts(weights)
    scale = np.empty((length, n_parts))
    now = first
    for i in range(length):
        now = hold[i] * now
        now += switch[i] * of_weights
        now *= rows.columns[i]
        scale[i] = now.sum(axis=0)
        now /= scale[i]
        if keep:
            forward[i] = now
    then = last / (now * last).sum(axis=0)
    entries, switched = np.zeros((m, n_parts)), np.empty((length, n_parts))
    for i in range(length - 1, -1, -1):
        if keep:
            backward[i] = then
        then = rows.columns[i] * then
        then /= scale[i]
        if keep:
            into[i] = then
        drawn = switch[i] * then
        entries += drawn
        switched[i] = (of_weights * drawn).sum(axis=0)
        then *= hold[i]
        then += switched[i]
    log_likelihood = float(np.log(scale).sum() + rows.log_scale.sum())
    by_batch = np.zeros_like(weights)
    if weights.ndim == 1:
        by_batch[:] = entries.sum(axis=1)
    else:
        np.add.at(by_batch, rows.batch, entries.T)
    return ChainSums(log_likelihood, by_batch, switched), forward, backward, into


def _ends(rows: ChainRows, weights: Floats, switch: Floats) -> tuple[Floats, Floats]:
    """Find what the rows before each part, and those after it, say: of shape (n_targets, n_parts).

    The probability of each target before the first row of a part, given what was before; the
    likelihood of what follows its last row, up to a factor.
    """
    length, m, n_parts = rows.columns.shape
    first, last = np.empty((m, n_parts)), np.ones((m, n_parts))
    of_weights = rows.of_parts(weights)
    first[:, 0] = of_weights[:, 0]
    if n_parts == 1:
        return first, last
    # Entry [j, i, part]: of target j at the end, if the row before the part had target i.
    through = np.repeat(np.eye(m)[:, :, None], n_parts, axis=2)
    logs = np.zeros((m, n_parts))
    for i in range(length):
        through *= 1.0 - switch[i]
        through += (switch[i] * of_weights)[:, None, :]
        through *= rows.columns[i][:, None, :]
        total = through.sum(axis=0)
        through /= total
        logs += np.log(total)
    through *= np.exp(logs - logs.max(axis=0))
    by_part = np.ascontiguousarray(through.transpose(2, 0, 1))
    for k in range(1, n_parts):
        reached = by_part[k - 1] @ first[:, k - 1]
        first[:, k] = reached / reached.sum()
        seen = last[:, n_parts - k] @ by_part[n_parts - k]
        last[:, n_parts - k - 1] = seen / seen.max()
    return first, last
