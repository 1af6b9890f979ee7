"""Where thresholds between states lie: arrays in, arrays out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dosift.data.contrast import contrast
from dosift.data.segments import binned, segments, spread

Floats = NDArray[np.float64]


def codes_of(values: Floats, cuts: Floats) -> NDArray[np.int64]:
    """Position of each value's state.

    Parameters
    ----------
    values : ndarray of float, shape (n_rows,)
        NaN where missing.
    cuts : ndarray of float, ascending
        Thresholds; a value equal to one belongs to the state above.

    Returns
    -------
    ndarray of int64, shape (n_rows,)
        -1 for a missing value.

    Examples
    --------
    >>> codes_of(np.array([0.0, 1.0, np.nan]), np.array([1.0]))
    array([ 0,  1, -1])
    """
    codes = np.searchsorted(cuts, values, side="right").astype(np.int64)
    codes[np.isnan(values)] = -1
    return codes


def place(
    values: Floats,
    k: int,
    method: str,
    log: bool | None = None,
    rows: Floats | None = None,
) -> Floats:
    """Thresholds between at most `k` states, each of which holds some of the values.

    Parameters
    ----------
    values : ndarray of float, shape (n_values,)
        Of control rows; finite.
    k : int
        States wanted.
    method : {"contrast", "quantile", "kmeans", "uniform"}
    log : bool, optional
        Whether to place thresholds on log(1 + value). If left out, ``"contrast"`` chooses a scale,
        and the others take values as they are.
    rows : ndarray of float, shape (n_rows,), optional
        Of rows; only ``"contrast"`` looks at them. A state may then hold values of rows only.

    Returns
    -------
    ndarray of float, ascending
        At least one unless all values are equal or `k` is 1.

    Examples
    --------
    >>> place(np.array([0.0, 0.0, 0.0, 7.0]), 2, "quantile")
    array([3.5])
    """
    seen = values if rows is None else np.concatenate([values, rows])
    if k < 2 or np.unique(seen).size < 2:
        return np.empty(0)
    if method == "contrast":
        with_rows = rows is not None and rows.size > 0 and values.size > 0
        cuts = contrast(values if values.size else seen, rows if with_rows else None, k, log)
    elif method == "quantile":
        cuts = _between_shares(values, k)
    else:
        scaled = np.log1p(values) if log else values
        place_on = _evenly if method == "uniform" else _between_means
        cuts = place_on(scaled, k)
        cuts = np.expm1(cuts) if log else cuts
    cuts = np.unique(cuts)
    # A threshold is kept if the state below it holds a value: no state is empty among these rows.
    below = np.searchsorted(np.sort(seen), cuts, side="left")
    kept = np.diff(below, prepend=0) > 0
    cuts = cuts[kept & (below < seen.size)]
    # Values that differ only in their last digits may have lost every threshold by rounding.
    return cuts if cuts.size else _between_shares(seen, 2)


def _between_shares(values: Floats, k: int) -> Floats:
    """Thresholds between distinct values that come nearest to equal shares of the rows.

    A quantile that falls among equal values would have to go to one side of them; this takes the
    side that leaves the shares more even, and so always separates at least two states.
    """
    distinct, counts = np.unique(values, return_counts=True)
    share_below = np.cumsum(counts)[:-1] / values.size
    wanted = np.arange(1, k) / k
    above = np.clip(np.searchsorted(share_below, wanted), 1, max(share_below.size - 1, 1))
    above = np.minimum(above, share_below.size - 1)
    below = np.maximum(above - 1, 0)
    nearer = wanted - share_below[below] < share_below[above] - wanted
    chosen = np.unique(np.where(nearer, below, above))
    lower, upper = distinct[chosen], distinct[chosen + 1]
    middle = lower / 2 + upper / 2
    # Between neighbouring floats there is no middle; a threshold belongs to the state above.
    out: Floats = np.where(middle > lower, middle, upper)
    return out


def _evenly(values: Floats, k: int) -> Floats:
    """Thresholds that divide the range."""
    cuts: Floats = np.linspace(values.min(), values.max(), k + 1)[1:-1]
    return cuts


def _between_means(values: Floats, k: int) -> Floats:
    """Thresholds half-way between the means of the best k-means in one dimension."""
    low, width = values.min(), np.ptp(values)
    unit = (values - low) / width if width > 0 else np.zeros_like(values)
    bins = binned(unit, np.ones((unit.size, 1)))
    mass = bins.masses[:, 0]
    ends = segments(spread(bins.means, mass), k)[-1]
    starts = np.concatenate([[0], ends + 1])
    means = np.add.reduceat(bins.means * mass, starts) / np.add.reduceat(mass, starts)
    cuts: Floats = (means[:-1] + means[1:]) / 2 * width + low
    return cuts
