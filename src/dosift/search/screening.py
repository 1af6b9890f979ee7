"""Screening: which variables may be set at all, from the counts of each family.

One pass over the rows gives, for every variable and state, an unbiased estimate of the total
weight of the targets that set it so, with a standard error (:mod:`dosift.likelihood.rates`).
Variables without any sign of an intervention are left out of the search, and may come back when
the rest of the mixture is known and the gradient of the likelihood asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dosift.data.configurations import Configurations
from dosift.likelihood.factors import MechanismFactors
from dosift.likelihood.rates import family_counts, variable_rate
from dosift.model.arrays import Floats
from dosift.model.mechanism import System
from dosift.model.network import Network

#: Up to this many variables nothing is screened out.
SCREEN_FROM = 24
#: Expected number of (variable, state) pairs that pass the first screen by chance.
_FALSE_EXPECTED = 4.0
#: The same for the later ones, which look at many more targets.
_LATER_FALSE_EXPECTED = 2.0
#: Shares of the rows that may be set: nearly none, nearly all, and between.
_SHARES = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 0.95, 0.99, 1 - 1e-4])


def screen_variables(network: Network, rows: Configurations) -> tuple[int, ...]:
    """Select the variables that rows show to be set, or that cannot be judged.

    Parameters
    ----------
    network : Network
    rows : Configurations

    Returns
    -------
    tuple of int
        Positions of the variables; all that have a choice of states in small networks.
    """
    if network.n_variables <= SCREEN_FROM:
        return network.changeable
    if rows.first is not None or not all(one.is_exclusive for one in network.libraries):
        return _screen_changes(network, rows)
    families = (
        family_counts(network, i, rows.codes, rows.counts) for i in range(network.n_variables)
    )
    return screen_families(network, families)


def _screen_changes(network: System, rows: Configurations) -> tuple[int, ...]:
    """Select the variables of which some change, in a share of the rows, raises the likelihood."""
    gain = 0.5 * _threshold(_FALSE_EXPECTED, int(network.n_changes.sum())) ** 2
    return tuple(i for i in network.changeable if _change_gain(network, i, rows) > gain)


def _change_gain(network: System, i: int, rows: Configurations) -> float:
    """Largest rise of the log-likelihood if a variable is changed in a share of some rows.

    Where several changes fit a row, its gradient at weight zero rests on few rows and says little;
    what a change gains at a positive weight does not.
    """
    counts = rows.counts
    factors = MechanismFactors(network, rows.codes, (i,), first=rows.first)
    if (counts[factors.n_zeros > 0] > 0).any():
        return np.inf  # only a change explains these rows
    gains = [0.0]
    for change in range(factors.n_changes[0]):
        ratio = factors.column(np.array([change]))
        own = np.exp(-factors.log_scale)
        mixed = np.log((1.0 - _SHARES[:, None]) * own + _SHARES[:, None] * ratio)
        gains.append(float(np.max((mixed + factors.log_scale) @ counts)))
    return max(gains)


def screen_families(network: Network, families: Iterable[Floats]) -> tuple[int, ...]:
    """Select variables by the counts of each with its parents.

    Parameters
    ----------
    network : Network
    families : iterable of ndarray
        For each variable, of the shape of its table.

    Returns
    -------
    tuple of int
        Positions of the variables that are shown to be set, or that cannot be judged.
    """
    threshold = _threshold(_FALSE_EXPECTED, int(network.cardinalities.sum()))
    gain = 0.5 * threshold**2
    chosen = []
    for i, family in enumerate(families):
        if network.cardinalities[i] < 2:
            continue
        rate = variable_rate(network.tables[i], family)
        if np.isnan(rate.std_error):
            chosen.append(i)
            continue
        judged = rate.value_std_errors > 0
        z = rate.value_rates[judged] / rate.value_std_errors[judged]
        if (z.size and z.max() > threshold) or likelihood_gain(network.tables[i], family) > gain:
            chosen.append(i)
    return tuple(chosen)


def wanted_variables(
    network: Network,
    configurations: Configurations,
    posterior_ratios: Floats,
    weights: Floats,
    known: tuple[int, ...],
) -> tuple[int, ...]:
    """Select variables that the gradient of the likelihood asks for, given a mixture.

    Parameters
    ----------
    network : Network
    configurations : Configurations
    posterior_ratios : ndarray, shape (n_configurations, n_targets)
        ``R_t / f`` for the targets of the mixture.
    weights : ndarray, shape (n_targets,)
        Their weights.
    known : tuple of int
        Variables already in the search.

    Returns
    -------
    tuple of int
        Positions of further variables.
    """
    counts = configurations.counts
    changeable = frozenset(network.changeable)
    n_pairs = int(network.n_changes.sum()) * posterior_ratios.shape[1]
    threshold = _threshold(_LATER_FALSE_EXPECTED, 2 * n_pairs)
    components = []
    for column, weight in zip(posterior_ratios.T, weights, strict=True):
        rows = np.flatnonzero(column)
        weighted = counts[rows] * column[rows]
        components.append(_Component(rows, weighted, weighted * column[rows], float(weight)))
    skip = set(known)
    return tuple(
        i
        for i in range(network.n_variables)
        if i not in skip
        and i in changeable
        and _largest_deviation(network, i, configurations, components) > threshold
    )


@dataclass(frozen=True)
class _Component:
    """Rows with the ratio of one target to the mixture."""

    #: Those where it is not zero.
    rows: NDArray[np.int64]
    #: Their counts times the ratio, and times its square.
    first: Floats
    second: Floats
    weight: float


def _largest_deviation(
    network: Network,
    i: int,
    configurations: Configurations,
    components: list[_Component],
) -> float:
    """Largest deviation of a variable from its mechanism inside a component, in standard errors.

    If it follows its mechanism in target t, the gradient of t with the variable set to a is 1 for
    every state a. Too low counts as well as too high: in a component that always sets the variable,
    the other states are missing. The variance is the larger of the one seen and the one expected,
    since where a rare state is absent by chance the rows show none. Where some parent
    configurations make a state rare they drown what others show, but not in the likelihood, whose
    signed root is the other measure.
    """
    if configurations.first is not None or not network.libraries[i].is_exclusive:
        gains = []
        for component in components:
            some = configurations.some(component.rows)
            own = replace(some, counts=component.weight * component.first)
            gains.append(_change_gain(network, i, own))
        return float(np.sqrt(2 * max(gains)))
    codes, n_rows = configurations.codes, configurations.total
    table = network.tables[i]
    inverse = np.divide(1.0, table, out=np.zeros_like(table), where=table > 0)
    parent_row = network.parent_rows(i, codes)
    place = parent_row * table.shape[1] + codes[:, i]
    own = inverse.ravel()[place]
    largest = 0.0
    for component in components:
        rows = component.rows
        state, factor, k = codes[rows, i], own[rows], table.shape[1]
        first = np.bincount(state, weights=component.first * factor, minlength=k)
        seen = np.bincount(state, weights=component.second * factor**2, minlength=k)
        by_parent = np.bincount(parent_row[rows], weights=component.second, minlength=len(table))
        expected = by_parent @ inverse
        variance = np.maximum(seen, expected) - first**2 / n_rows
        z = (first - n_rows) / np.sqrt(np.maximum(variance, 1e-300))
        largest = max(largest, float(np.abs(z[table.max(axis=0) > 0]).max(initial=0.0)))
        family = np.bincount(place[rows], weights=component.first, minlength=table.size)
        posterior = np.asarray(component.weight * family, dtype=np.float64).reshape(table.shape)
        largest = max(largest, float(np.sqrt(2 * likelihood_gain(table, posterior))))
    return largest


def likelihood_gain(table: Floats, family: Floats) -> float:
    """Log-likelihood gained if a variable is set to one state in a share of the rows.

    Parameters
    ----------
    table : ndarray, shape (n_parent_configurations, n_states)
    family : ndarray, same shape
        Counts in some rows; where these are weighted by a component's posterior, the gain is
        a lower bound of what splitting the component gains (Jensen's inequality, as in EM).

    Returns
    -------
    float
        The largest over states and a grid of shares; never negative.

    Examples
    --------
    >>> import numpy as np
    >>> table = np.array([[0.5, 0.5], [0.001, 0.999]])
    >>> round(likelihood_gain(table, np.array([[0.0, 20.0], [0.0, 1000.0]])), 1)
    14.9
    >>> likelihood_gain(table, np.array([[10.0, 10.0], [1.0, 999.0]]))
    0.0
    """
    used = family.sum(axis=1) > 0
    table, family = np.maximum(table[used], 1e-300), family[used]
    total = family.sum()
    # Rows that have the state could have been set to it, or not; all others were not.
    set_too = np.log1p(_SHARES[:, None, None] * (1.0 / table - 1.0))
    gains = np.einsum("gua,ua->ga", set_too, family)
    gains += np.log1p(-_SHARES)[:, None] * (total - family.sum(axis=0))
    return float(max(gains.max(initial=0.0), 0.0))


def _threshold(expected: float, n_tests: int) -> float:
    """Return the normal quantile that `expected` of `n_tests` independent tests pass by chance."""
    return float(-ndtri(min(expected / max(n_tests, 1), 0.3)))
