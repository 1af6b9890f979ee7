"""The best division of a line into intervals, by dynamic programming: arrays in, arrays out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Values that are more than this are put together into bins before the search.
MAX_BINS = 256


class Bins(NamedTuple):
    """Distinct values in ascending order, near ones together where there are many.

    Attributes
    ----------
    means : ndarray of float, shape (n_bins,)
        Mean of the values of each bin.
    masses : ndarray of float, shape (n_bins, n_tables)
        Total weight of the values of each table in each bin.
    edges : ndarray of float, shape (n_bins - 1,)
        Half-way between the bins.
    """

    means: Floats
    masses: Floats
    edges: Floats


def binned(values: Floats, weights: Floats, max_bins: int = MAX_BINS) -> Bins:
    """Put equal values together, and near ones where there are more than `max_bins`.

    Half of the bins are of equal weight and half of equal width, so that neither a dense middle
    nor a sparse tail is seen coarsely.

    Parameters
    ----------
    values : ndarray of float, shape (n_rows,)
        Finite.
    weights : ndarray of float, shape (n_rows, n_tables)
        Weight of each value in each table.
    max_bins : int

    Returns
    -------
    Bins

    Examples
    --------
    >>> bins = binned(np.array([3.0, 1.0, 1.0]), np.ones((3, 1)))
    >>> bins.means, bins.masses[:, 0], bins.edges
    (array([1., 3.]), array([2., 1.]), array([2.]))
    """
    order = np.argsort(values, kind="stable")
    distinct, first = np.unique(values[order], return_index=True)
    masses = np.add.reduceat(weights[order], first, axis=0)
    if distinct.size > max_bins:
        total = masses.sum(axis=1)
        by_weight = _steps(np.cumsum(total) - total / 2, max_bins // 2)
        by_width = _steps(distinct - distinct[0], max_bins // 2)
        starts = np.flatnonzero(by_weight | by_width)
    else:
        starts = np.arange(distinct.size)
    total = masses.sum(axis=1)
    grouped = np.add.reduceat(masses, starts, axis=0)
    means = np.add.reduceat(distinct * total, starts) / grouped.sum(axis=1)
    lower, upper = distinct[starts[1:] - 1], distinct[starts[1:]]
    middle = lower / 2 + upper / 2
    # Between neighbouring floats there is no middle; a threshold belongs to the state above.
    return Bins(means, grouped, np.where(middle > lower, middle, upper))


def _steps(position: Floats, n: int) -> NDArray[np.bool_]:
    """Where a position on a line that is divided into `n` equal parts enters a new part."""
    part = np.floor(position / position[-1] * n)
    enters: NDArray[np.bool_] = np.diff(part, prepend=-1.0) > 0
    return enters


def segments(cost: Floats, n_segments: int) -> list[NDArray[np.int64]]:
    """Divide a line of bins into 1, 2, ..., `n_segments` intervals of least total cost.

    Parameters
    ----------
    cost : ndarray of float, shape (n_bins, n_bins)
        ``cost[a, b]`` is the cost of an interval of the bins `a` to `b`, both included; infinite
        where there is to be none, and below the diagonal.
    n_segments : int
        At most; fewer are returned where so many have infinite cost.

    Returns
    -------
    list of ndarray of int64
        For each number of intervals, the last bin of each but the last, ascending.

    Examples
    --------
    >>> values = np.array([0.0, 1.0, 9.0])
    >>> segments(spread(values, np.ones(3)), 2)
    [array([], dtype=int64), array([1])]
    """
    n = cost.shape[0]
    best = cost[0]
    starts: list[NDArray[np.int64]] = []
    found = [np.empty(0, dtype=np.int64)]
    for _ in range(1, min(n_segments, n)):
        # The last interval begins at bin a, and the best division of those before ends at a - 1.
        total = best[:-1, None] + cost[1:]
        chosen = total.argmin(axis=0)
        best = np.append(np.inf, total[chosen, np.arange(n)][1:])
        starts.append(chosen)
        if not np.isfinite(best[-1]):
            break
        found.append(_ends(starts, n))
    return found


def _ends(starts: list[NDArray[np.int64]], n: int) -> NDArray[np.int64]:
    ends = []
    last = n - 1
    for chosen in reversed(starts):
        last = int(chosen[last])
        ends.append(last)
    return np.array(ends[::-1], dtype=np.int64)


def spread(values: Floats, masses: Floats) -> Floats:
    """Sum of squared distances from the mean, for every interval of bins.

    Parameters
    ----------
    values : ndarray of float, shape (n_bins,)
        Ascending.
    masses : ndarray of float, shape (n_bins,)

    Returns
    -------
    ndarray of float, shape (n_bins, n_bins)
        Infinite below the diagonal.
    """
    centred = values - np.average(values, weights=masses)
    weight, first, second = (_interval_sums(masses * centred**power) for power in range(3))
    with np.errstate(invalid="ignore", divide="ignore"):
        cost = np.maximum(second - first**2 / weight, 0.0)
    return _upper(cost)


def divergence(masses: Floats) -> Floats:
    """Return how much of what tells two tables apart each interval of bins loses, in nats.

    Parameters
    ----------
    masses : ndarray of float, shape (n_bins, 2)
        Of both tables; all of them sum to 1.

    Returns
    -------
    ndarray of float, shape (n_bins, n_bins)
        The entropy of the table within each interval, times the mass of the interval. The sum
        over intervals is the entropy of the table less the Jensen-Shannon divergence between the
        distributions of the two tables over the intervals.
    """
    parts = shares(masses)
    whole = parts.sum(axis=2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        cost = -np.where(parts > 0, parts * np.log(parts / whole), 0.0).sum(axis=2)
    return _upper(np.maximum(cost, 0.0))


def shares(masses: Floats) -> Floats:
    """Sum masses over every interval of bins.

    Parameters
    ----------
    masses : ndarray of float, shape (n_bins, n_tables)

    Returns
    -------
    ndarray of float, shape (n_bins, n_bins, n_tables)
        Of no meaning below the diagonal.
    """
    return np.stack([_interval_sums(column) for column in masses.T], axis=2)


def _interval_sums(values: Floats) -> Floats:
    total = np.concatenate([[0.0], np.cumsum(values)])
    sums: Floats = total[None, 1:] - total[:-1, None]
    return sums


def _upper(cost: Floats) -> Floats:
    cost[np.tril_indices(cost.shape[0], -1)] = np.inf
    return cost
