"""What numbers look like: in control rows, in the pool, and in the rows under each change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood.evidence import Evidence
from dosift.model.categorical import States
from dosift.model.described import scale_of
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.model.other import interventions

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Bins of a histogram, at most, and the share of rows beyond each of its ends.
_BINS, _BEYOND = 40, 0.002


@dataclass(frozen=True)
class Density:
    """Histograms of one variable, with the same bins.

    Attributes
    ----------
    variable : int
    edges : ndarray, shape (n_bins + 1,)
        In the units of the column; evenly spread on its working scale (for counts, on the
        logarithm of one more). The few values beyond the ends are in the outer bins.
    control : ndarray, shape (n_bins,), or None
        Shares of the control rows; None if there are none.
    pool : ndarray, shape (n_bins,)
        Shares of the mixture rows.
    changes : dict of int to ndarray, shape (n_bins,)
        For each change that components make, by its position, shares of the rows under it: each row
        counts by its posterior. Rows from elsewhere have the position of
        :data:`~dosift.model.other.OTHER`.
    """

    variable: int
    edges: Floats
    control: Floats | None
    pool: Floats
    changes: dict[int, Floats]


def densities(
    evidence: Evidence, network: MechanismNetwork, targets: Ints, weights: Floats
) -> tuple[Density, ...]:
    """Count the values of each number that components touch.

    Parameters
    ----------
    evidence : Evidence
        All rows together, held; on the working scales.
    network : MechanismNetwork
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)

    Returns
    -------
    tuple of Density
        By position of the variable. Empty where rows are not held.
    """
    held = evidence.held
    if held is None:
        return ()
    columns = evidence.under(cast(Network, network), targets).columns(targets) * weights
    mixture = columns.sum(axis=1, keepdims=True)
    posterior = np.divide(columns, mixture, out=np.zeros_like(columns), where=mixture > 0)
    posterior *= held.counts[:, None]
    posterior, counts = posterior[held.unit], held.row_counts
    found = []
    for i in np.flatnonzero((interventions(targets) >= 0).any(axis=0)).tolist():
        if isinstance(network.libraries[i], States):
            continue
        used = [int(k) for k in np.unique(targets[:, i]) if k >= 0]
        under = {k: posterior[:, targets[:, i] == k].sum(axis=1) for k in used}
        own = np.asarray(held.values[:, i], dtype=np.float64)
        found.append(_density(network, i, own, counts, under))
    return tuple(found)


def _density(
    network: MechanismNetwork, i: int, values: Floats, counts: Floats, under: dict[int, Floats]
) -> Density:
    scale, control = scale_of(network, i), network.control
    rows = [values] if control is None else [values, control.values[:, i]]
    every = np.concatenate([_spread(own[~np.isnan(own)], scale.form) for own in rows])
    low, high = np.quantile(every, [_BEYOND, 1.0 - _BEYOND]) if every.size else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    inner = np.linspace(low, high, _BINS + 1)
    if scale.form == "count":
        # Between whole numbers; few counts need fewer bins.
        whole = np.unique(np.floor(np.expm1(inner))) - 0.5
        inner = np.append(whole, whole[-1] + 1.0)
    return Density(
        i,
        scale.user(inner),
        None if control is None else _shares(control.values[:, i], control.weights, inner),
        _shares(values, counts, inner),
        {k: _shares(values, own, inner) for k, own in under.items()},
    )


def _spread(values: Floats, form: str) -> Floats:
    return np.asarray(np.log1p(values) if form == "count" else values, dtype=np.float64)


def _shares(values: Floats, weights: Floats, edges: Floats) -> Floats:
    """Shares of weighted values in bins; what lies beyond the ends is in the outer ones."""
    seen = ~np.isnan(values)
    bins = np.clip(np.searchsorted(edges, values[seen], side="right") - 1, 0, edges.size - 2)
    out = np.bincount(bins, weights=weights[seen], minlength=edges.size - 1)
    return np.asarray(out / max(out.sum(), 1e-300))
