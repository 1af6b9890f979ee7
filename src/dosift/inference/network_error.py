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

from dosift.likelihood.rates import family_counts
from dosift.model.network import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Least share of the information that is left in any direction.
_LEAST_LEFT = 1e-3


def information_with_tables(
    network: Network,
    codes: Ints,
    counts: Floats,
    targets: Ints,
    relative: Floats,
    weights: Floats,
    refined: bool,
) -> Floats:
    """Compute the observed information on the weights when the tables were learned.

    Parameters
    ----------
    network : Network
        With the control counts that its tables were learned from.
    codes : ndarray of int, shape (n_configurations, n_variables)
    counts : ndarray, shape (n_configurations,)
    targets : ndarray of int, shape (n_targets, n_variables)
        Components, then candidates.
    relative : ndarray, shape (n_configurations, n_targets)
        Their likelihoods over the mixture's.
    weights : ndarray, shape (n_components,)
    refined : bool
        Whether the tables maximise the joint likelihood of control and mixture rows; otherwise
        they come from the control rows alone.

    Returns
    -------
    ndarray, shape (n_targets, n_targets)
    """
    known = (relative * counts[:, None]).T @ relative
    if network.control is None:
        return np.asarray(known)
    left_alone = posterior_left_alone(targets[: weights.size], weights, relative)
    sums = table_sums(network, codes, counts, targets, relative, left_alone, refined)
    return information_from_sums(network, known, sums, refined)


def posterior_left_alone(targets: Ints, weights: Floats, relative: Floats) -> Floats:
    """Posterior probability that each variable was left alone.

    Parameters
    ----------
    targets : ndarray of int, shape (n_components, n_variables)
    weights : ndarray, shape (n_components,)
    relative : ndarray, shape (n_configurations, n_components or more)
        Likelihoods over the mixture's, of the components first.

    Returns
    -------
    ndarray, shape (n_variables, n_configurations)
    """
    alone = (targets < 0) * weights[:, None]
    out: Floats = (relative[:, : weights.size] @ alone).T
    return out


def table_sums(
    network: Network,
    codes: Ints,
    counts: Floats,
    targets: Ints,
    relative: Floats,
    left_alone: Floats,
    refined: bool,
) -> tuple[Floats, ...]:
    """Sum over rows what the information on the weights loses to the tables.

    Parameters
    ----------
    network, codes, counts, targets, relative, refined
        As for :func:`information_with_tables`.
    left_alone : ndarray, shape (n_variables, n_configurations)

    Returns
    -------
    tuple of ndarray
        For each variable, of shape (n_targets + 1, number of entries of its table): the information
        between each weight and each entry times that entry; and the table's own (zero unless
        refined).
    """
    parts = []
    for i, table in enumerate(network.tables):
        cell = network.parent_rows(i, codes) * table.shape[1] + codes[:, i]
        part = np.zeros((targets.shape[0] + 1, table.size))
        for t, target in enumerate(targets):
            excess = left_alone[i] - (1.0 if target[i] < 0 else 0.0)
            terms = counts * relative[:, t] * excess
            part[t] = np.bincount(cell, weights=terms, minlength=table.size)
        if refined:
            part[-1] = family_counts(network, i, codes, counts * left_alone[i] ** 2).ravel()
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
        From :func:`table_sums`, added up.
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
    if refined:
        return _remaining(known, lost)
    # Tables from control rows alone: their error adds to the weights' own.
    inverse = np.linalg.pinv(known, hermitian=True)
    return np.asarray(np.linalg.pinv(inverse + inverse @ lost @ inverse, hermitian=True))


def _table_part(table: Floats, own: Floats, cross: Floats) -> Floats:
    """Eliminate one table, each of whose rows sums to one.

    Parameters
    ----------
    table : ndarray, shape (n_rows, n_states)
    own : ndarray, same shape
        Its information times the square of the entries.
    cross : ndarray, shape (n_targets, n_rows, n_states)
        Its information with the weights times the entries.

    Returns
    -------
    ndarray, shape (n_targets, n_targets)
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


def _remaining(known: Floats, lost: Floats) -> Floats:
    """Subtract, but leave a little in every direction."""
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
