"""Screening: which variables may be set at all, from the counts of each family.

One pass over the rows gives, for every variable and state, an unbiased estimate of the total
weight of the targets that set it so, with a standard error (:mod:`dosift.rates`). Variables
without any sign of an intervention are left out of the search, and may come back when the rest
of the mixture is known and the gradient of the likelihood asks for them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dosift.network.model import Network
from dosift.rates import family_counts, variable_rate

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Up to this many variables nothing is screened out.
SCREEN_FROM = 24
#: Expected number of (variable, state) pairs that pass the first screen by chance.
_FALSE_EXPECTED = 4.0
#: The same for the later ones, which look at many more targets.
_LATER_FALSE_EXPECTED = 0.2


def screen_variables(network: Network, codes: Ints, counts: Floats) -> tuple[int, ...]:
    """Select the variables that rows show to be set, or that cannot be judged.

    Parameters
    ----------
    network : Network
    codes : ndarray of int, shape (n_configurations, n_variables)
    counts : ndarray, shape (n_configurations,)

    Returns
    -------
    tuple of int
        Positions of the variables; all of them in small networks.
    """
    if network.n_variables <= SCREEN_FROM:
        return tuple(range(network.n_variables))
    threshold = _threshold(_FALSE_EXPECTED, int(network.cardinalities.sum()))
    chosen = []
    for i in range(network.n_variables):
        rate = variable_rate(network.tables[i], family_counts(network, i, codes, counts))
        if np.isnan(rate.std_error):
            chosen.append(i)
            continue
        judged = rate.value_std_errors > 0
        z = rate.value_rates[judged] / rate.value_std_errors[judged]
        if z.size and z.max() > threshold:
            chosen.append(i)
    return tuple(chosen)


def wanted_variables(
    network: Network,
    codes: Ints,
    counts: Floats,
    posterior_ratios: Floats,
    known: tuple[int, ...],
) -> tuple[int, ...]:
    """Select variables that the gradient of the likelihood asks for, given a mixture.

    Parameters
    ----------
    network : Network
    codes : ndarray of int, shape (n_configurations, n_variables)
    counts : ndarray, shape (n_configurations,)
    posterior_ratios : ndarray, shape (n_configurations, n_targets)
        ``R_t / f`` for the targets of the mixture.
    known : tuple of int
        Variables already in the search.

    Returns
    -------
    tuple of int
        Positions of further variables.
    """
    n_rows = float(counts.sum())
    n_pairs = int(network.cardinalities.sum()) * posterior_ratios.shape[1]
    threshold = _threshold(_LATER_FALSE_EXPECTED, n_pairs)
    supports = [np.flatnonzero(column) for column in posterior_ratios.T]
    skip = set(known)
    chosen = []
    for i in range(network.n_variables):
        if i in skip:
            continue
        table = network.tables[i]
        inverse = 1.0 / np.where(table > 0, table, np.inf).ravel()
        cell = network.parent_rows(i, codes) * table.shape[1] + codes[:, i]
        factor = inverse[cell]
        for t, rows in enumerate(supports):
            ratio = posterior_ratios[rows, t] * factor[rows]
            state = codes[rows, i]
            first = np.bincount(state, weights=counts[rows] * ratio, minlength=table.shape[1])
            second = np.bincount(state, weights=counts[rows] * ratio**2, minlength=table.shape[1])
            z = (first - n_rows) / np.sqrt(np.maximum(second - first**2 / n_rows, 1e-300))
            if z.max() > threshold:
                chosen.append(i)
                break
    return tuple(chosen)


def _threshold(expected: float, n_tests: int) -> float:
    """Return the normal quantile that `expected` of `n_tests` independent tests pass by chance."""
    return float(-ndtri(min(expected / max(n_tests, 1), 0.3)))
