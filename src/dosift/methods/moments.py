"""The finite-sample algorithm of Kumar and Sinha (UAI 2021): empirical frequencies for P_mix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dosift.data.configurations import Configurations
from dosift.errors import InputError
from dosift.learning.tables import tables_of
from dosift.methods.prefixes import entry_name, extensions, solve_stage, solve_system, stage_of
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.network import Network


def moment_estimate(
    network: Network, configurations: Configurations, epsilon: float
) -> tuple[Ints, Floats]:
    """Estimate targets and weights along the topological order.

    Parameters
    ----------
    network : Network
        With positive conditional probability tables, see :func:`smoothed`.
    configurations : Configurations
        The mixture rows, without missing values.
    epsilon : float
        Weights below this are zero.

    Returns
    -------
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)

    Notes
    -----
    For each system every value in turn is taken to have weight zero, the others follow from the
    equations, and negative ones would be clipped; the value that leaves nothing to clip is the
    one with the smallest ratio ``b / a``, so that the closed form of the oracle is used here too.
    If less than `epsilon` is left to the prefix, the extensions take all its weight. The excluded
    value of the variable is the one with the least total weight over all prefixes; what it had
    goes back to its prefix. The paper leaves some of these steps open; of the readings that
    benchmarks/paper_readings.py compares, this one reproduces its figures best.
    """
    n = network.n_variables
    order = network.order
    frequency = PrefixFrequencies(network, configurations)
    targets: Ints = np.full((1, n), -1, dtype=np.int64)
    weights = np.ones(1)
    excluded = np.zeros(n, dtype=np.int64)
    for j, variable in enumerate(order):
        seen = np.asarray(order[:j], dtype=np.int64)
        stage = stage_of(network, seen, variable, targets, excluded)
        k = int(network.cardinalities[variable])
        at_points = frequency.at(j, stage.points)

        def solve(right: Floats, mechanism: Floats, weight: float) -> Floats:
            x = solve_system(right, mechanism)
            x[x < epsilon] = 0.0
            total = float(x.sum())
            if total > 0 and weight - total < epsilon:
                x *= weight / total
                x[x < epsilon] = 0.0
            return x

        if k == 1:
            continue
        own, extended = solve_stage(stage, weights, at_points, solve)
        left_out = int(extended.sum(axis=0).argmin())
        excluded[variable] = left_out
        own = own + extended[:, left_out]
        extended[:, left_out] = 0.0
        own[own < epsilon] = 0.0
        targets, weights = extensions(targets, variable, own, extended)
    kept = weights >= epsilon
    if not kept.any():
        kept = weights == weights.max()
    return targets[kept], weights[kept] / weights[kept].sum()


def smoothed(network: Network, delta: float | None) -> Network:
    """Return a network with tables as the paper estimates them.

    Parameters
    ----------
    network : Network
        One learned from control rows gets the relative frequencies, with `delta` added to every
        cell; a known one stays as it is.
    delta : float or None
        What is added; None for one over the number of control rows.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If a conditional probability is zero; the message names it.
    """
    tables = network.tables
    advice = "use method 'likelihood', or a network learned from control rows"
    if network.control is not None:
        if delta is None:
            delta = 1.0 / max(network.control.n_rows, 1.0)
        tables = tables_of(network.control.counts, delta)
        advice = f"delta is {delta:g}, give a larger one"
    for i, table in enumerate(tables):
        # Rows without any count are nan where delta is zero.
        zero = np.argwhere(~(table > 0))
        if zero.size:
            raise InputError(
                f"the conditional probability of {entry_name(network, i, *map(int, zero[0]))} is "
                f"zero, and method 'moments' needs positivity; {advice}"
            )
    return network if tables is network.tables else network.with_tables(tables)


class PrefixFrequencies:
    """Relative frequencies of the configurations of the first variables of the order.

    Parameters
    ----------
    network : Network
    configurations : Configurations
        Without missing values.
    """

    def __init__(self, network: Network, configurations: Configurations) -> None:
        self._order = network.order
        self._sizes = [int(network.cardinalities[v]) for v in self._order]
        shares = configurations.counts / configurations.total
        rank = np.zeros(configurations.counts.size, dtype=np.int64)
        self._keys: list[NDArray[np.int64]] = []
        self._shares: list[Floats] = []
        for v, k in zip(self._order, self._sizes, strict=True):
            keys, rank = np.unique(
                rank * k + configurations.codes[:, v].astype(np.int64), return_inverse=True
            )
            self._keys.append(keys)
            share = np.bincount(rank, weights=shares, minlength=keys.size)
            self._shares.append(share.astype(np.float64))

    def at(self, j: int, points: NDArray[np.int64]) -> Floats:
        """Look up how often points occur together with each value of the next variable.

        Parameters
        ----------
        j : int
            How many variables of the order the points have.
        points : ndarray of int, shape (n_points, n_variables)
            State codes of the first j variables of the order; the others are not looked at.

        Returns
        -------
        ndarray, shape (n_points, n_states)
        """
        rank = np.zeros(len(points), dtype=np.int64)
        found = np.ones(len(points), dtype=bool)
        for s in range(j):
            rank, found = self._step(s, rank, found, points[:, self._order[s]])
        out = np.zeros((len(points), self._sizes[j]))
        for state in range(self._sizes[j]):
            last, hit = self._step(j, rank, found, np.full(len(points), state))
            out[hit, state] = self._shares[j][last[hit]]
        return out

    def _step(
        self, s: int, rank: NDArray[np.int64], found: Bools, codes: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Bools]:
        keys = self._keys[s]
        wanted = rank * self._sizes[s] + codes
        position = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
        return position, found & (keys[position] == wanted)
