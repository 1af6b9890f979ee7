"""How sure the rows are: the probability of each row's most probable target, summed up.

Pure array code, from the likelihoods and weights that :mod:`dosift.likelihood.assignment` holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dosift.likelihood.assignment import Assignment
from dosift.model.arrays import Floats

#: A row counts as sure when its most probable target has more than this probability.
SURE = 0.9
#: Bins of the histogram, of equal width over [0, 1].
_BINS = 20


@dataclass(frozen=True)
class Certainty:
    """How sure the rows are of their most probable target.

    Attributes
    ----------
    edges : ndarray, shape (n_bins + 1,)
        Bounds of the histogram's bins, from 0 to 1; the last bin includes 1.
    counts : ndarray, shape (n_bins,)
        Rows (or sample weight) by the probability of the most probable target.
    share_sure : float
        Share of all rows whose most probable target has a probability above ``SURE``.
    impossible : float
        Rows that no target can produce; they are in no bin.
    rows, mean_probability : ndarray, shape (n_targets,)
        For each target, the rows of which it is the most probable, and their mean probability of
        it (NaN without such rows).
    """

    edges: Floats
    counts: Floats
    share_sure: float
    impossible: float
    rows: Floats
    mean_probability: Floats


def certainty(assignment: Assignment, counts: Floats) -> Certainty:
    """Sum up how sure the rows are.

    Parameters
    ----------
    assignment : Assignment
        For distinct configurations.
    counts : ndarray, shape (n_configurations,)
        How often each configuration occurs, or its total weight.

    Returns
    -------
    Certainty

    Examples
    --------
    >>> columns = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    >>> weights = np.array([0.5, 0.5])
    >>> found = Assignment(columns, columns @ weights, weights, np.zeros(3))
    >>> sure = certainty(found, np.array([6.0, 3.0, 1.0]))
    >>> sure.share_sure, sure.impossible, sure.counts[[10, -1]].tolist()
    (0.6, 1.0, [3.0, 6.0])
    """
    return certainty_of_sums(certainty_sums(assignment, counts))


def certainty_sums(assignment: Assignment, counts: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Sum over rows what tells how sure they are.

    Parameters
    ----------
    assignment : Assignment
    counts : ndarray, shape (n_configurations,)

    Returns
    -------
    histogram : ndarray, shape (n_bins,)
    rows, probability : ndarray, shape (n_targets,)
        For each target, the rows of which it is the most probable, and the sum of their
        probabilities of it.
    numbers : ndarray, shape (3,)
        Rows in all, those that are sure, and those that no target can produce.
    """
    best = assignment.best
    possible = best >= 0
    best, weight = best[possible], counts[possible]
    weights = assignment.weights
    own = weights[best] if weights.ndim == 1 else weights[possible, best]
    joint = assignment.columns[possible, best] * own
    probability = np.minimum(joint / assignment.mixture[possible], 1.0)
    place = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    histogram = np.bincount(place, weights=weight, minlength=_BINS).astype(np.float64)
    n_targets = assignment.columns.shape[1]
    rows = np.bincount(best, weights=weight, minlength=n_targets).astype(np.float64)
    summed = np.bincount(best, weights=weight * probability, minlength=n_targets)
    sure = float(weight[probability > SURE].sum())
    numbers = np.array([counts.sum(), sure, counts[~possible].sum()])
    return histogram, rows, summed.astype(np.float64), numbers


def certainty_of_sums(sums: Sequence[Floats]) -> Certainty:
    """Sum up how sure the rows are, from sums over them.

    Parameters
    ----------
    sums : sequence of ndarray
        From :func:`certainty_sums`, added up.

    Returns
    -------
    Certainty
    """
    histogram, rows, summed, (total, sure, impossible) = sums
    return Certainty(
        edges=np.linspace(0.0, 1.0, _BINS + 1),
        counts=histogram,
        share_sure=float(sure / total) if total else float("nan"),
        impossible=float(impossible),
        rows=rows,
        mean_probability=np.divide(
            summed, rows, out=np.full(rows.size, np.nan), where=rows > 0, dtype=np.float64
        ),
    )
