"""Stretches of rows with the same target, and how sure it is when each began and ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.chain.smooth import Smoothed
from dosift.model.arrays import Bools, Floats

Positions = NDArray[np.int64]

#: Logarithm below which the probability of holding counts as this, so that sums stay finite.
_LEAST_LOG = -60.0


@dataclass(frozen=True)
class Segments:
    """Stretches of rows with the same target, in the order of the rows.

    Attributes
    ----------
    target : ndarray of int64, shape (n_segments,)
    first, last : ndarray of int64, shape (n_segments,)
        Positions of the first and last row.
    probability : ndarray, shape (n_segments,)
        Mean probability, over its rows, that they have this target.
    first_low, first_high, last_low, last_high : ndarray of int64, shape (n_segments,)
        Positions of rows between which the first and last one lie.
    first_content, last_content : ndarray, shape (n_segments,)
        Probability that they do: close to the level that was asked for, and above it where already
        one row holds more.
    """

    target: Positions
    first: Positions
    last: Positions
    probability: Floats
    first_low: Positions
    first_high: Positions
    last_low: Positions
    last_high: Positions
    first_content: Floats
    last_content: Floats

    def __len__(self) -> int:
        return int(self.target.size)


def segments_of(path: Positions, begins: Bools, smoothed: Smoothed, level: float) -> Segments:
    """Cut a path into segments, with intervals of their onset and end.

    Parameters
    ----------
    path : ndarray of int64, shape (n_rows,)
        A target for each row.
    begins : ndarray of bool, shape (n_rows,)
        Rows before which a segment ends in any case.
    smoothed : Smoothed
    level : float
        Of the intervals, in (0, 1).

    Returns
    -------
    Segments

    Notes
    -----
    Onset and end are those of the stretch around the segment's surest row: given that this row has
    the segment's target, the probability that the rows from some other one up to it all have it is
    a product of the probabilities to hold. As time goes in rows, no interval holds exactly `level`,
    and one of quantiles holds more. Taken is the one between mid-P quantiles (a row at either end
    counts half), less those rows at its ends, least probable first, without which its probability
    is nearer to `level`.

    Examples
    --------
    >>> from dosift.chain.rows import ChainRows
    >>> from dosift.chain.smooth import smooth
    >>> seen = np.repeat([0, 1], 10)
    >>> rows = ChainRows.of(
    ...     np.array([[0.9, 0.1], [0.1, 0.9]]), seen, np.r_[np.inf, np.ones(19)]
    ... )
    >>> begins = np.arange(20) == 0
    >>> found = segments_of(seen, begins, smooth(rows, np.array([0.5, 0.5]), 0.1), 0.95)
    >>> found.first.tolist(), found.last.tolist()
    ([0, 10], [9, 19])
    >>> int(found.first_low[1]), int(found.first_high[1])
    (9, 11)
    """
    starts = np.flatnonzero(begins | np.append(True, path[1:] != path[:-1]))
    ends = np.append(starts[1:], path.size) - 1
    target = path[starts]
    own = smoothed.posterior[np.arange(path.size), path]
    probability = np.add.reduceat(own, starts) / (ends - starts + 1)
    surest = _surest(own, starts, ends)
    tail = 0.5 * (1.0 - level)
    # Rows in front of a forced beginning do not belong to the same stretch.
    before = np.where(begins[:, None], 0.0, smoothed.held_before)
    later = np.where(np.append(begins[1:], True)[:, None], 0.0, smoothed.held_after)
    first_low, first_high, of_first = _interval(before, target, surest, tail)
    backward = path.size - 1
    low, high, of_last = _interval(later[::-1], target, backward - surest, tail)
    return Segments(
        target,
        starts,
        ends,
        probability,
        first_low,
        first_high,
        backward - high,
        backward - low,
        of_first,
        of_last,
    )


def _surest(own: Floats, starts: Positions, ends: Positions) -> Positions:
    """Position of the largest value in each stretch, the first of several."""
    largest = np.maximum.reduceat(own, starts)
    is_largest = own >= np.repeat(largest, ends - starts + 1)
    places = np.flatnonzero(is_largest)
    return places[np.searchsorted(places, starts)]


def _interval(
    held: Floats, target: Positions, surest: Positions, tail: float
) -> tuple[Positions, Positions, Floats]:
    """Rows between which the stretches around some rows begin, and the probability between these.

    `held` is the probability that the row before has the same target as a row, shape (n_rows,
    n_targets); `tail` that on either side.
    """
    low, high = surest.copy(), surest.copy()
    content = np.ones(surest.size)
    for j in np.unique(target):
        with np.errstate(divide="ignore"):
            logs = np.maximum(np.log(held[:, j]), _LEAST_LOG)
        # Two entries differ by minus the logarithm of the probability to hold between them.
        cost = -np.cumsum(logs)
        for k in np.flatnonzero(target == j):
            end = int(surest[k])
            # Beyond this the stretch has begun with a probability below a small part of the tail.
            begin = int(np.searchsorted(cost, cost[end] + np.log(0.01 * tail)))
            begin = min(begin, end)
            begun = np.exp(cost[begin : end + 1] - cost[end])
            middle = 0.5 * (begun + np.append(0.0, begun[:-1]))
            low[k] = begin + int(np.searchsorted(middle, tail))
            high[k] = begin + int(np.searchsorted(middle, 1.0 - tail, side="right")) - 1
            mass = np.diff(begun, prepend=0.0)
            low[k], high[k] = _trimmed(mass, low[k] - begin, high[k] - begin, tail) + begin
            content[k] = mass[low[k] - begin : high[k] - begin + 1].sum()
    return low, high, content


def _trimmed(mass: Floats, low: int, high: int, tail: float) -> Positions:
    """Leave out ends of an interval while that brings its probability nearer to what is wanted."""
    level = 1.0 - 2.0 * tail
    content = float(mass[low : high + 1].sum())
    while low < high:
        smaller = float(min(mass[low], mass[high]))
        if abs(content - smaller - level) >= abs(content - level):
            break
        content -= smaller
        if mass[low] <= mass[high]:
            low += 1
        else:
            high -= 1
    return np.array([low, high], dtype=np.int64)
