"""What numbers look like: in control rows, in the pool, and in the rows under each change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from dosift.data.blocks import Block
from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.teaching import shares_of_rows
from dosift.model.arrays import Floats, Ints
from dosift.model.categorical import States
from dosift.model.described import scale_of
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.model.other import interventions

#: Bins of a histogram, at most, and the share of rows beyond each of its ends.
_BINS, _BEYOND = 40, 0.002
#: What a whole number may lose on the way to a logarithm and back.
_ROUNDING = 1e-6


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


@dataclass(frozen=True)
class _Histograms:
    """Work that counts values of variables in bins: of all rows, and of those under each change."""

    targets: Ints
    weights: Floats
    variables: tuple[int, ...]
    edges: tuple[Floats, ...]

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        block = rows.block
        shares = shares_of_rows(rows, self.targets, self.weights[None])[block.unit]
        out = []
        for i, edges in zip(self.variables, self.edges, strict=True):
            own = np.asarray(block.values[:, i], dtype=np.float64)
            used = _positions(self.targets[:, i])
            under = (shares[:, self.targets[:, i] == k].sum(axis=1) for k in used)
            out.append(np.stack([_counts(own, w, edges) for w in (block.row_counts, *under)]))
        return tuple(out)


def densities(
    evidence: Evidence,
    network: MechanismNetwork,
    targets: Ints,
    weights: Floats,
    sample: Block | None = None,
) -> tuple[Density, ...]:
    """Count the values of each number that components touch.

    Parameters
    ----------
    evidence : Evidence
        All rows together, on the working scales.
    network : MechanismNetwork
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    sample : Block, optional
        Some of the rows, by which bins are laid where not all are held.

    Returns
    -------
    tuple of Density
        By position of the variable.
    """
    seen = evidence.held if sample is None else sample
    assert seen is not None
    touched = np.flatnonzero((interventions(targets) >= 0).any(axis=0)).tolist()
    variables = tuple(i for i in touched if not isinstance(network.libraries[i], States))
    if not variables:
        return ()
    edges = tuple(_edges(network, i, seen) for i in variables)
    work = _Histograms(np.asarray(targets), weights, variables, edges)
    found = evidence.sum(cast(Network, network), targets, work)
    return tuple(map(partial(_density, network, targets), variables, edges, found))


def _density(
    network: MechanismNetwork, targets: Ints, i: int, edges: Floats, counts: Floats
) -> Density:
    control = network.control
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)
    of_control = None
    if control is not None:
        of_control = _counts(control.values[:, i], control.weights, edges)
        of_control = of_control / max(of_control.sum(), 1e-300)
    used = _positions(targets[:, i])
    of_changes = dict(zip(used, shares[1:], strict=True))
    return Density(i, scale_of(network, i).user(edges), of_control, shares[0], of_changes)


def _edges(network: MechanismNetwork, i: int, rows: Block) -> Floats:
    """Lay the bins of a variable."""
    scale, control = scale_of(network, i), network.control
    columns = [np.asarray(rows.values[:, i], dtype=np.float64)]
    if control is not None:
        columns.append(control.values[:, i])
    every = np.concatenate([_spread(own[~np.isnan(own)], scale.form) for own in columns])
    low, high = np.quantile(every, [_BEYOND, 1.0 - _BEYOND]) if every.size else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    inner = np.linspace(low, high, _BINS + 1)
    if scale.form == "count":
        # Between whole numbers; few counts need fewer bins.
        whole = np.unique(np.floor(np.expm1(inner) + _ROUNDING)) - 0.5
        inner = np.append(whole, whole[-1] + 1.0)
    return inner


def _positions(column: Ints) -> list[int]:
    """Return changes that targets make of a variable; that of rows from elsewhere is one."""
    return [int(position) for position in np.unique(column) if position >= 0]


def _spread(values: Floats, form: str) -> Floats:
    return np.asarray(np.log1p(values) if form == "count" else values, dtype=np.float64)


def _counts(values: Floats, weights: Floats, edges: Floats) -> Floats:
    """Count weighted values in bins; what lies beyond the ends is in the outer ones."""
    seen = ~np.isnan(values)
    bins = np.clip(np.searchsorted(edges, values[seen], side="right") - 1, 0, edges.size - 2)
    out = np.bincount(bins, weights=weights[seen], minlength=edges.size - 1)
    return np.asarray(out, dtype=np.float64)
