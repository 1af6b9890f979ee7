"""Where thresholds between states lie: arrays in, arrays out."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from dosift.errors import MissingDependencyError

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


def place(values: Floats, k: int, method: str, log: bool) -> Floats:
    """Thresholds between at most `k` states, each of which holds some of the values.

    Parameters
    ----------
    values : ndarray of float, shape (n_rows,)
        Finite.
    k : int
        States wanted.
    method : {"quantile", "kmeans", "uniform"}
    log : bool
        Whether to place thresholds on log(1 + value).

    Returns
    -------
    ndarray of float, ascending
        At least one unless all values are equal or `k` is 1.

    Raises
    ------
    MissingDependencyError
        If scikit-learn is needed and not installed.

    Examples
    --------
    >>> place(np.array([0.0, 0.0, 0.0, 7.0]), 2, "quantile", False)
    array([3.5])
    """
    if k < 2 or np.unique(values).size < 2:
        return np.empty(0)
    scaled = np.log1p(values) if log else values
    if method == "quantile":
        cuts = _between_shares(values, k)
    elif method == "uniform":
        cuts = np.linspace(scaled.min(), scaled.max(), k + 1)[1:-1]
    else:
        low, width = scaled.min(), np.ptp(scaled)
        # On the unit interval, since scikit-learn merges thresholds closer than 1e-8.
        unit = (scaled - low) / width if width > 0 else np.zeros_like(scaled)
        cuts = _between_centres(unit, min(k, np.unique(unit).size)) * width + low
    if log and method != "quantile":
        cuts = np.expm1(cuts)
    cuts = np.unique(cuts)
    # A threshold is kept if the state below it holds a value: no state is empty among these rows.
    below = np.searchsorted(np.sort(values), cuts, side="left")
    kept = np.diff(below, prepend=0) > 0
    cuts = cuts[kept & (below < values.size)]
    # Values that differ only in their last digits may have lost every threshold by rounding.
    return cuts if cuts.size else _between_shares(values, 2)


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


def _between_centres(values: Floats, k: int) -> Floats:
    """Thresholds half-way between the centres of a k-means in one dimension."""
    if k < 2:
        return np.empty(0)
    try:
        from sklearn.preprocessing import KBinsDiscretizer
    except ImportError:
        raise MissingDependencyError("scikit-learn", "sklearn", "Cutting by k-means") from None
    # It starts from evenly spaced centres, so no chance is involved.
    binner = KBinsDiscretizer(k, encode="ordinal", strategy="kmeans", subsample=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of states that merge: this module says so itself
        binner.fit(values[:, None])
    return np.asarray(binner.bin_edges_[0][1:-1], dtype=np.float64)
