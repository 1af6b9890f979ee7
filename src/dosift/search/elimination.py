"""Backward elimination: drop the components that do not earn their cost.

One routine for every kind of fit, in one batch of rows or in several side by side: whatever the
state is, it says what dropping each component should cost, and can be fitted again without some.
"""

from __future__ import annotations

from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Bools, Floats, Ints

#: Relative ridge that keeps the curvature of coinciding columns invertible.
_RIDGE = 1e-9


class Eliminable(Protocol):
    """A fit that components can be dropped from."""

    def margins(self) -> Floats:
        """Estimate what dropping each component loses, less what it costs.

        Returns
        -------
        ndarray, shape (n_batches, n_components)
            In nats; infinite for what must stay, or is not there.
        """

    def without(self, tried: Ints) -> Self:
        """Fit again without one component in each batch; -1 drops nothing in a batch."""

    def gains(self, trial: Self, tried: Ints) -> Bools:
        """Whether each batch is better off in the trial, shape (n_batches,)."""

    def taking(self, trial: Self, tried: Ints, better: Bools) -> Self:
        """Take the trial's drops over in the batches that are better off."""


S = TypeVar("S", bound=Eliminable)


def eliminate(start: S, *, slack: float, trials: int | None = None) -> S:
    """Drop components one by one while that pays.

    Parameters
    ----------
    start : Eliminable
    slack : float
        Margin (nats) up to which a drop is tried.
    trials : int, optional
        Drops that are tried in a row without success in a batch, the least margin first; all by
        default.

    Returns
    -------
    Eliminable
        No drop that was tried pays any more.
    """
    now = start
    failed: Ints | None = None
    while True:
        net = now.margins()
        failed = np.zeros(len(net), dtype=np.int64) if failed is None else failed
        order = np.argsort(net, axis=1, kind="stable")
        most = net.shape[1] if trials is None else trials
        place = np.minimum(failed, net.shape[1] - 1)
        worst = order[np.arange(len(net)), place]
        tried = np.where(failed < most, worst, -1)
        tried[net[np.arange(len(net)), worst] > slack] = -1
        tried[failed >= net.shape[1]] = -1
        tried[np.isfinite(net).sum(axis=1) == 0] = -1
        if net.shape[1] <= 1 or (tried < 0).all():
            return now
        trial = now.without(tried)
        better = now.gains(trial, tried) & (tried >= 0)
        failed[(tried >= 0) & ~better] += 1
        if better.any():
            failed[better] = 0
            now = now.taking(trial, tried, better)


def inverse_of(information: Floats) -> Floats:
    """Invert; a direction without curvature gets a huge error, not none as in a pseudo-inverse.

    Parameters
    ----------
    information : ndarray, shape (n_targets, n_targets)
        Positive semidefinite.

    Returns
    -------
    ndarray, shape (n_targets, n_targets)
    """
    scale = 1.0 / np.sqrt(np.maximum(np.diag(information), 1e-300))
    # A required target may be one that no row at hand can come from.
    scale[np.diag(information) <= 0] = 1.0
    scaled = information * scale * scale[:, None]
    out = np.linalg.inv(scaled + _RIDGE * np.eye(scale.size)) * scale * scale[:, None]
    return np.asarray(out, dtype=np.float64)


def drop_losses(information: Floats, weights: Floats) -> Floats:
    """Estimated loss of log-likelihood when a component is dropped from a batch, the rest refitted.

    Parameters
    ----------
    information : ndarray, shape (n_batches, n_targets, n_targets)
    weights : ndarray, shape (n_batches, n_targets)

    Returns
    -------
    ndarray, shape (n_batches, n_targets)
        ``w^2 / (2 * inverse information diagonal)``, in nats; zero where a batch lacks the target.

    Examples
    --------
    >>> drop_losses(np.diag([200.0, 50.0])[None], np.array([[0.1, 0.2]])).round(6)
    array([[1., 1.]])
    """
    out = np.zeros_like(weights)
    for b, own in enumerate(weights):
        is_in = np.flatnonzero(own > 0)
        if is_in.size:
            inverse = inverse_of(information[b][np.ix_(is_in, is_in)])
            out[b, is_in] = own[is_in] ** 2 / (2 * np.maximum(np.diag(inverse), 1e-300))
    return out


def survivors(
    weights: Floats, inverse: Floats, costs: Floats, protected: Bools
) -> NDArray[np.int64]:
    """Components left when all that seem not to earn their cost are dropped in turn.

    Uses the quadratic model only: after each drop the other weights move to the new minimum, so
    that of several near-equal components one stays.

    Parameters
    ----------
    weights : ndarray, shape (n_targets,)
    inverse : ndarray, shape (n_targets, n_targets)
        Inverse information.
    costs : ndarray, shape (n_targets,)
    protected : ndarray of bool, shape (n_targets,)
        Those that must stay.

    Returns
    -------
    ndarray of int64
        Positions, ascending.
    """
    kept = np.arange(weights.size)
    weights, inverse = weights.copy(), inverse.copy()
    while kept.size > 1:
        net = weights**2 / (2 * np.maximum(np.diag(inverse), 1e-300)) - costs[kept]
        net[weights <= 0] = -np.inf
        net[protected[kept]] = np.inf
        worst = int(net.argmin())
        if net[worst] >= 0:
            break
        column = inverse[:, worst]
        weights = weights - column * (weights[worst] / column[worst])
        inverse = inverse - np.outer(column, column) / column[worst]
        keep = np.arange(kept.size) != worst
        kept, weights, inverse = kept[keep], weights[keep], inverse[np.ix_(keep, keep)]
    return kept
