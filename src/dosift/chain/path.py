"""The most probable sequence of targets.

Source: A. J. Viterbi, "Error bounds for convolutional codes", IEEE Trans. Information Theory 13
(1967).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dosift.chain.rows import ChainRows
from dosift.model.arrays import Bools, Floats

#: Stands for the logarithm of zero, so that differences stay numbers.
_NEVER = -1e6


def most_probable_path(rows: ChainRows, weights: Floats, rate: float) -> NDArray[np.int64]:
    """Find the sequence of targets that is most probable as a whole.

    Parameters
    ----------
    rows : ChainRows
    weights : ndarray, shape (n_targets,) or (n_batches, n_targets)
        Summing to one (in each batch); zero for targets that do not occur.
    rate : float
        Of switching, in a typical step; positive.

    Returns
    -------
    ndarray of int64, shape (n_rows,)
        Of several that are equally probable, one that switches late.

    Examples
    --------
    >>> columns = np.array([[0.9, 0.1], [0.4, 0.6]])
    >>> rows = ChainRows.of(columns, np.array([0, 1, 0]), np.array([np.inf, 1.0, 1.0]))
    >>> most_probable_path(rows, np.array([0.5, 0.5]), 0.1).tolist()
    [0, 0, 0]
    """
    switch, own = rows.switching(rate)[:, None, :], rows.of_parts(weights)
    with np.errstate(divide="ignore"):
        columns = np.maximum(np.log(rows.columns), _NEVER)
        drawn = np.log(switch * own)
        stay = np.log((1.0 - switch) + switch * own)
    now = _beginnings(columns, stay, drawn)
    length, _, n_parts = columns.shape
    changed = np.empty(columns.shape, dtype=np.bool_)
    best = np.empty((length, n_parts), dtype=np.int64)
    for i in range(length):
        best[i] = now.argmax(axis=0)
        anew = np.take_along_axis(now, best[i][None], axis=0) + drawn[i]
        now = stay[i] + now
        changed[i] = anew > now
        now = np.maximum(now, anew) + columns[i]
    last = int(now[:, -1].argmax())
    return _traced(rows.in_order(changed), rows.in_order(best), last)


def _beginnings(columns: Floats, stay: Floats, drawn: Floats) -> Floats:
    """Log-likelihood of the best path to each target before each part, up to a number."""
    length, m, n_parts = columns.shape
    first = np.zeros((m, n_parts))
    if n_parts == 1:
        return first
    through = np.repeat(np.where(np.eye(m) > 0, 0.0, _NEVER * length)[:, :, None], n_parts, axis=2)
    for i in range(length):
        anew = through.max(axis=0) + drawn[i][:, None, :]
        through += stay[i][:, None, :]
        np.maximum(through, anew, out=through)
        through += columns[i][:, None, :]
    for k in range(1, n_parts):
        reached = (through[:, :, k - 1] + first[:, k - 1]).max(axis=1)
        first[:, k] = reached - reached.max()
    return first


def _traced(changed: Bools, best: NDArray[np.int64], last: int) -> NDArray[np.int64]:
    """Follow a path back from its last target, one stretch after the other."""
    path = np.empty(len(best), dtype=np.int64)
    switches = [np.flatnonzero(column) for column in changed.T]
    end, target = len(best), last
    while end > 0:
        place = int(np.searchsorted(switches[target], end)) - 1
        begin = int(switches[target][place]) if place >= 0 else 0
        path[begin:end] = target
        target, end = int(best[begin]), begin
    return path
