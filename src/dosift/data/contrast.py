"""Thresholds that keep states narrow and tell rows from control rows.

An intervention is seen where rows are more frequent than control rows, and its effects depend on
how well a state stands for its values. Both are asked for at once: of all divisions of a column
into `k` intervals, the one is taken that least loses

    JSD(all values) - JSD(states)  +  weight * (variance within states),

where JSD is the Jensen-Shannon divergence, in nats, between the distributions of control rows and
rows. With few rows much of it is chance, and the weight is greater, so that thresholds do not make
differences where there are none. Without rows the first part vanishes, and the second is k-means.
Values are taken on the logarithmic scale where that makes a column of no negative values less
skewed, in standard deviations of the control rows, and extreme ones are moved in to a few of these;
a state holds some share of the rows or control rows at least. So no outlier gets a state of its
own. The best division is found by dynamic programming.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dosift.data.segments import binned, divergence, segments, shares, spread

Floats = NDArray[np.float64]

#: What a variance within states of that of the control rows costs, in nats of divergence: with
#: many rows, and what is added, times the sum of 1 / (number of rows) over both tables. Without
#: interventions the divergence between k states is (k - 1) / 8 times this sum on average, and some
#: times that where thresholds are chosen.
SPREAD_WEIGHT, CHANCE_WEIGHT = 0.05, 10.0
#: Standard deviations (robust ones, of the control rows) at which extreme values are held.
REACH = 6.0
#: Share of the rows, or of the control rows, that a state holds at least.
LEAST_SHARE = 0.01
#: Distance between the quartiles of a normal distribution, in standard deviations.
_QUARTILES = 1.349
#: Quantiles by which skewness is judged.
_TAILS = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Scale:
    """The scale on which distances between values are measured.

    Attributes
    ----------
    offset : float or None
        Values are taken as log(value + offset); as they are if None.
    middle, deviation : float
        What counts as 0, and as 1, on that scale.
    """

    offset: float | None
    middle: float
    deviation: float

    @classmethod
    def of(cls, control: Floats, values: Floats, log: bool | None) -> Self:
        """Choose a scale.

        Parameters
        ----------
        control : ndarray of float, shape (n_control,)
            Finite; skewness, middle and deviation are theirs.
        values : ndarray of float, shape (n_values,)
            Whatever is to be put on the scale.
        log : bool or None
            Whether to take log(1 + value); None to choose.

        Returns
        -------
        Scale

        Examples
        --------
        >>> values = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
        >>> Scale.of(values, values, None).offset
        0.0
        """
        offset = _offset(control, values) if log is None else (1.0 if log else None)
        scaled = control if offset is None else np.log(control + offset)
        lower, middle, upper = np.quantile(scaled, [0.25, 0.5, 0.75])
        deviation = (upper - lower) / _QUARTILES
        if not deviation > 0:  # more than half of the values are equal
            largest = np.abs(scaled).max() or 1.0
            deviation = (scaled / largest).std() * largest
        return cls(offset, float(middle), float(deviation) or 1.0)

    def to(self, values: Floats) -> Floats:
        """Return values on this scale, extreme ones moved in."""
        scaled = values if self.offset is None else np.log(values + self.offset)
        return np.clip((scaled - self.middle) / self.deviation, -REACH, REACH)

    def back(self, scaled: Floats) -> Floats:
        """Return values on the scale of the column."""
        values = scaled * self.deviation + self.middle
        return values if self.offset is None else np.exp(values) - self.offset


def contrast(control: Floats, rows: Floats | None, k: int, log: bool | None) -> Floats:
    """Thresholds between at most `k` states.

    Parameters
    ----------
    control : ndarray of float, shape (n_control,)
        Finite.
    rows : ndarray of float, shape (n_rows,), optional
        Finite.
    k : int
    log : bool or None
        As in :meth:`Scale.of`.

    Returns
    -------
    ndarray of float, ascending

    Examples
    --------
    >>> control = np.arange(100.0)
    >>> contrast(control, None, 2, False)
    array([49.5])
    >>> contrast(control, np.append(control, [80.0] * 50), 3, False)
    array([79.5, 80.5])
    """
    values = control if rows is None else np.concatenate([control, rows])
    weights = np.zeros((values.size, 1 if rows is None else 2))
    # A table counts as much as the other, however many rows it has.
    weights[: control.size, 0] = 1 / control.size
    if rows is not None:
        weights[control.size :, 1] = 1 / rows.size
    scale = Scale.of(control, values, log)
    bins = binned(scale.to(values), weights)
    masses = bins.masses / weights.shape[1]
    chance = 0.0 if rows is None else 1 / control.size + 1 / rows.size
    cost = (SPREAD_WEIGHT + CHANCE_WEIGHT * chance) * spread(bins.means, masses.sum(axis=1))
    cost += divergence(masses)
    cost[shares(bins.masses).max(axis=2) < LEAST_SHARE] = np.inf
    cuts: Floats = scale.back(bins.edges[segments(cost, k)[-1]])
    return cuts


def _offset(control: Floats, values: Floats) -> float | None:
    """Return what to add before taking logarithms, or None if they are not to be taken."""
    if values.min() < 0 or values.max() <= 0:
        return None
    positive = control[control > 0] if control.max() > 0 else values[values > 0]
    # Counts near zero differ by chance: logarithms of them alone would be mostly that.
    offset = 0.0 if values.min() > 0 else float(np.median(positive))
    logs = np.log(control + offset)
    return offset if abs(_skewness(logs)) < abs(_skewness(control)) else None


def _skewness(values: Floats) -> float:
    low, middle, high = np.quantile(values, _TAILS)
    return float((high + low - 2 * middle) / (high - low)) if high > low else 0.0
