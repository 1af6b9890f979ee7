"""What the error of a learned network takes from the information on the weights.

Pure array code. The tables are parameters like the weights. Eliminating them from the observed
information of both (a Schur complement) leaves what is known of the weights. The information
between tables of different variables is left out: it is nonzero only through rows whose target is
in doubt, and would cost the square of the number of table entries.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood.cells import family_cells
from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.weight_sums import mixture_of
from dosift.model.arrays import Floats, Ints
from dosift.model.network import Network

#: Least share of the information that is left in any direction.
_LEAST_LEFT = 1e-3


def table_sums(
    rows: RowLikelihoods, targets: Ints, weights: Floats, refined: bool
) -> tuple[Floats, ...]:
    """Sum over rows what the information on the weights loses to the tables.

    Parameters
    ----------
    rows : RowLikelihoods
    targets : ndarray of int, shape (n_targets, n_variables)
        Components, then others.
    weights : ndarray, shape (n_batches, n_components)
    refined : bool
        Whether the tables maximise the joint likelihood of control and mixture rows; otherwise
        they come from the control rows alone.

    Returns
    -------
    tuple of ndarray
        For each variable, of shape (n_batches, n_targets + 1, number of entries of its table): the
        information between each weight and each entry times that entry; and the table's own (zero
        unless refined).

    Notes
    -----
    With R the likelihood of a target over that of the mixture, its information with an entry is
    the sum of ``R * (posterior that the variable was left alone - 1[the target leaves it alone])``
    over the rows in the entry's cell; where values are missing, over their completions.
    """
    network, counts = rows.network, rows.block.counts
    mixture = mixture_of(rows, rows.columns(targets), weights)
    ratio = np.divide(1.0, mixture, out=np.zeros_like(mixture), where=mixture > 0)
    found = rows.expanded(targets)
    whole = found.of_rows(rows.columns(targets) * (ratio * counts)[:, None])
    relative = found.columns * found.of_rows(ratio)[:, None]
    weighted = relative * found.of_rows(counts)[:, None]
    m, n_batches = weights.shape[1], len(weights)
    batch = None if rows.block.batch is None else found.of_rows(rows.block.batch)
    own = weights[0] if batch is None else weights[batch]
    joint = relative[:, :m] * own
    parts = []
    for i, table in enumerate(network.tables):
        alone = targets[:, i] < 0
        left_alone = joint[:, alone[:m]].sum(axis=1)
        family = [i, *network.parents[i]]
        seen: slice | NDArray[np.int64] = slice(None)
        if found.codes.size and found.codes[:, family].min() < 0:
            seen = np.flatnonzero((found.codes[:, family] >= 0).all(axis=1))
        cell = family_cells(network, i, found.codes[seen]).astype(np.int64)
        if batch is not None:
            cell = cell + batch[seen].astype(np.int64) * table.size
        part = np.zeros((n_batches, len(targets) + 1, table.size))
        for t in range(len(targets)):
            terms = whole[seen, t] * left_alone[seen]
            if alone[t]:
                terms = terms - weighted[seen, t]
            part[:, t] = np.bincount(cell, terms, n_batches * table.size).reshape(n_batches, -1)
        if refined:
            square = found.of_rows(counts)[seen] * left_alone[seen] ** 2
            summed = np.bincount(cell, square, n_batches * table.size)
            part[:, -1] = summed.reshape(n_batches, -1)
        parts.append(part)
    return tuple(parts)


def information_from_sums(
    network: Network, known: Floats, sums: Sequence[Floats], refined: bool
) -> Floats:
    """Compute the observed information on the weights from sums over rows.

    Parameters
    ----------
    network : Network
        With control counts.
    known : ndarray, shape (n_targets, n_targets)
        The information if the tables were known.
    sums : sequence of ndarray
        From :func:`table_sums`, added up, of one batch.
    refined : bool

    Returns
    -------
    ndarray, shape (n_targets, n_targets)
    """
    assert network.control is not None
    lost = np.zeros_like(known)
    for i, (table, part) in enumerate(zip(network.tables, sums, strict=True)):
        own = part[-1].reshape(table.shape) + network.control.counts[i] + network.control.prior
        lost += _table_part(table, own, part[:-1].reshape(-1, *table.shape))
    return information_left(known, lost, refined)


def _table_part(table: Floats, own: Floats, cross: Floats) -> Floats:
    """Eliminate one table, each of whose rows sums to one; of shape (n_targets, n_targets).

    `own` is its information times the square of the entries; `cross`, of shape (n_targets, n_rows,
    n_states), that with the weights times the entries.
    """
    # With D = diag(own / p^2) and changes that sum to zero, B (B' D B)^-1 B' is
    # D^-1 - D^-1 1 1' D^-1 / (1' D^-1 1), and "cross" still lacks its factor 1 / p.
    spread = np.divide(table**2, own, out=np.zeros_like(table), where=(own > 0) & (table > 0))
    scaled = np.divide(cross, table, out=np.zeros_like(cross), where=table > 0)
    weighted = scaled * spread
    total = np.maximum(spread.sum(axis=1), 1e-300)
    sums = weighted.sum(axis=2)
    whole = np.einsum("sua,tua->st", weighted, scaled, optimize=True)
    return np.asarray(whole - (sums / total) @ sums.T)


def information_left(known: Floats, lost: Floats, refined: bool) -> Floats:
    """Take from the information on weights what mechanisms' parameters do.

    It is subtracted where these were found from the same rows, but a little is left in every
    direction.
    """
    if not refined:
        # From control rows alone: their error adds to the weights' own.
        inverse = np.linalg.pinv(known, hermitian=True)
        return np.asarray(np.linalg.pinv(inverse + inverse @ lost @ inverse, hermitian=True))
    scale = 1.0 / np.sqrt(np.maximum(np.diag(known), 1e-300))
    relative = known * scale * scale[:, None]
    values, vectors = np.linalg.eigh(relative)
    values = np.maximum(values, 1e-9)
    root = vectors / np.sqrt(values)
    share = root.T @ (lost * scale * scale[:, None]) @ root
    gone, directions = np.linalg.eigh(0.5 * (share + share.T))
    left = np.maximum(1.0 - gone, _LEAST_LEFT)
    back = (vectors * np.sqrt(values)) @ directions
    out = (back * left) @ back.T
    return np.asarray(out / scale / scale[:, None])
