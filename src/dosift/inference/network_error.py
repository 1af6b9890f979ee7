"""What the error of a learned network takes from the information on the weights.

Pure array code. The tables are parameters like the weights. Eliminating them from the observed
information of both (a Schur complement) leaves what is known of the weights. The parameters of
other mechanisms and of changes are eliminated in the same way, by their scores. The information
between tables of different variables is left out: it is nonzero only through rows whose target is
in doubt, and would cost the square of the number of table entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood.rates import family_counts
from dosift.model.mechanism import Values
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Least share of the information that is left in any direction.
_LEAST_LEFT = 1e-3


def information_with_tables(
    network: Network | MechanismNetwork,
    codes: Values,
    counts: Floats,
    targets: Ints,
    relative: Floats,
    weights: Floats,
    refined: bool,
) -> Floats:
    """Compute the observed information on the weights when the tables were learned.

    Parameters
    ----------
    network : Network or MechanismNetwork
        With the control counts (or rows) that it was learned from.
    codes : ndarray, shape (n_configurations, n_variables)
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
    if not network.learns:
        return np.asarray(known)
    if isinstance(network, MechanismNetwork):
        rows = _Rows(codes, counts, targets, relative, relative[:, : weights.size] * weights)
        return _information_by_scores(network, rows, known, refined)
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
    return _with_outside_error(known, lost)


@dataclass(frozen=True)
class _Rows:
    """Rows with what targets make of them.

    Attributes
    ----------
    values : ndarray, shape (n_rows, n_variables)
    counts : ndarray, shape (n_rows,)
    targets : ndarray of int, shape (n_targets, n_variables)
        Components, then candidates.
    relative : ndarray, shape (n_rows, n_targets)
        Their likelihoods over the mixture's.
    posterior : ndarray, shape (n_rows, n_components)
    """

    values: Values
    counts: Floats
    targets: Ints
    relative: Floats
    posterior: Floats


def _information_by_scores(
    network: MechanismNetwork, rows: _Rows, known: Floats, refined: bool
) -> Floats:
    """Eliminate the parameters of mechanisms, and of changes if they were refined.

    With ``d_t`` the scores under target t and ``d`` their mean over the posterior of a row, the
    information between its weight and the parameters is the sum of ``r_t (d - d_t)``, and that of
    the parameters of ``d d'``, as the curvature of the components has the mean ``-d_t d_t'``.
    """
    lost = np.zeros_like(known)
    m = rows.posterior.shape[1]
    for i in range(network.n_variables):
        scores, of_control = _scores(network, i, rows, refined)
        mean = np.zeros((len(rows.values), len(of_control)))
        for position, own in scores.items():
            share = rows.posterior @ (rows.targets[:m, i] == position)
            mean += share[:, None] * own
        weighted = rows.relative * rows.counts[:, None]
        cross = weighted.T @ mean
        for position, own in scores.items():
            makes = rows.targets[:, i] == position
            cross[makes] -= weighted[:, makes].T @ own
        information = of_control
        if refined:
            information = information + (mean * rows.counts[:, None]).T @ mean
        lost += cross @ np.linalg.pinv(information, hermitian=True) @ cross.T
    if refined:
        return _remaining(known, lost)
    return _with_outside_error(known, lost)


def _scores(
    network: MechanismNetwork, i: int, rows: _Rows, refined: bool
) -> tuple[dict[int, Floats], Floats]:
    """Scores of a variable's parameters under each of its changes, and their control information.

    The parameters are those of the mechanism, where control rows taught it, and those of each
    change that a component makes.
    """
    mechanism, library, control = network.mechanisms[i], network.libraries[i], network.control
    n_own = 0 if control is None else mechanism.n_free
    found = rows.targets[: rows.posterior.shape[1], i]
    used = [int(position) for position in np.unique(found) if position >= 0]
    ends = n_own + np.cumsum([library[p].n_free if refined else 0 for p in used], dtype=np.int64)
    n_free = int(ends[-1]) if used else n_own
    scores: dict[int, Floats] = {}
    for position in map(int, np.unique(rows.targets[:, i])):
        own = scores[position] = np.zeros((len(rows.values), n_free))
        change = library[position] if position >= 0 else None
        if n_own and (change is None or change.keeps_mechanism):
            acting = mechanism if change is None else change.applied(mechanism)
            own[:, :n_own] = acting.scores(rows.values)
        if change is not None and position in used and refined and change.n_free:
            end = int(ends[used.index(position)])
            own[:, end - change.n_free : end] = change.scores(mechanism, rows.values)
    information = np.zeros((n_free, n_free))
    if control is not None:
        taught = mechanism.scores(control.values)
        information[:n_own, :n_own] = (taught * control.weights[:, None]).T @ taught
    return scores, information


def _with_outside_error(known: Floats, lost: Floats) -> Floats:
    """Information where parameters come from control rows alone: their error adds to the weights'.

    Parameters
    ----------
    known, lost : ndarray, shape (n_targets, n_targets)
    """
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
