"""Mechanisms that changed in a way that is no do-intervention.

A mechanism that changed for some or all rows, and still depends on the parents, is no mixture of
do's: a search for do's then invents components. Here the table of a variable may be freed: it is
learned from the mixture rows alone, and pays for its entries. A variable without parents is never
freed, since a change of its mechanism *is* a mixture of do's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.network.model import ControlCounts, Network
from dosift.rates import family_counts
from dosift.rows.configurations import Configurations
from dosift.search.engine import SearchResult

Floats = NDArray[np.float64]
Search = Callable[[Network, bool], SearchResult]

#: Pseudo-count of a freed table's entries in a network that was not learned.
_PRIOR = 0.5
#: Control rows, as a multiple of the rows, that stand for a table that is known.
_KNOWN = 1e5
#: Variables whose table is freed on trial in each round, and variables freed in all.
_TRIALS, _MOST = 6, 4


@dataclass(frozen=True)
class ChangedMechanism:
    """A mechanism that changed.

    Attributes
    ----------
    variable : int
    gain : float
        Rise of the penalised log-likelihood (nats) when its table was freed.
    before, after : ndarray, shape (n_parent_configurations, n_states)
        The table that was given, and the one that the rows show.
    weight : ndarray, shape (n_parent_configurations,)
        Rows with each parent configuration in which no component sets the variable.
    """

    variable: int
    gain: float
    before: Floats
    after: Floats
    weight: Floats

    @property
    def distance(self) -> float:
        """Total variation between the tables, averaged over the rows."""
        difference = 0.5 * np.abs(self.after - self.before).sum(axis=1)
        return float(np.average(difference, weights=self.weight))

    @property
    def least_share(self) -> float:
        """Least share of the rows in which another mechanism must have been at work.

        If a mixture ``(1 - s) before + s other`` made the table, s is at least one minus the
        smallest ratio of after to before. Parent configurations with few rows are left out.
        """
        enough = self.weight >= 0.01 * self.weight.sum()
        before, after = self.before[enough], self.after[enough]
        ratio = np.divide(after, before, out=np.full_like(after, np.inf), where=before > 0)
        return float(max(0.0, 1.0 - ratio.min(initial=1.0)))


def find_changed_mechanisms(
    network: Network,
    configurations: Configurations,
    result: SearchResult,
    search: Search,
) -> tuple[SearchResult, tuple[ChangedMechanism, ...]]:
    """Free tables as long as that pays.

    Parameters
    ----------
    network : Network
        As it was given.
    configurations : Configurations
        The mixture rows, without missing values.
    result : SearchResult
        With do-interventions only.
    search : callable
        Searches for targets with a network, refining it or not.

    Returns
    -------
    result : SearchResult
        The best, maybe the one given.
    changed : tuple of ChangedMechanism
    """
    best = _objective(network, result, ())
    freed: tuple[int, ...] = ()
    gains: list[float] = []
    while len(freed) < _MOST:
        trials = []
        for i in _suspects(network, configurations, freed):
            now = (*freed, i)
            found = search(_with_free_tables(network, configurations, now), True)
            cost = _cost(network, configurations, now)
            trials.append((_objective(network, found, now) - cost, i, found))
        if not trials:
            break
        value, i, found = max(trials, key=lambda trial: (trial[0], -trial[1]))
        if value <= best:
            break
        gains.append(value - best)
        best, result, freed = value, found, (*freed, i)
    changed = tuple(
        _describe(network, configurations, result, i, gain)
        for i, gain in zip(freed, gains, strict=True)
    )
    return result, changed


def _suspects(
    network: Network, configurations: Configurations, freed: tuple[int, ...]
) -> list[int]:
    """Variables whose pooled conditional distribution departs most from their table."""
    gains = []
    for i, table in enumerate(network.tables):
        if i in freed or not network.parents[i]:
            continue
        family = family_counts(network, i, configurations.codes, configurations.counts)
        totals = np.maximum(family.sum(axis=1, keepdims=True), 1e-300)
        used = family > 0
        with np.errstate(divide="ignore"):
            ratio = np.log((family / totals)[used]) - np.log(table[used])
        gain = float(family[used] @ ratio) - _cost(network, configurations, (i,))
        if gain > 0:
            gains.append((gain, -i))
    return [-i for _, i in sorted(gains, reverse=True)[:_TRIALS]]


def _with_free_tables(
    network: Network, configurations: Configurations, freed: tuple[int, ...]
) -> Network:
    """Return a network whose freed tables only the mixture rows teach."""
    control = network.control
    if control is None:
        counts = [table * (_KNOWN * configurations.total) for table in network.tables]
        prior, n_rows = 0.0, _KNOWN * configurations.total
    else:
        counts, prior, n_rows = list(control.counts), control.prior, control.n_rows
    tables = list(network.tables)
    for i in freed:
        family = family_counts(network, i, configurations.codes, configurations.counts)
        counts[i] = np.full_like(family, _PRIOR if control is None else 0.0)
        pseudo = max(_PRIOR, prior)
        tables[i] = (family + pseudo) / (family + pseudo).sum(axis=1, keepdims=True)
    remembered = ControlCounts(tuple(counts), prior, n_rows)
    return Network(network.variables, network.parents, tables, remembered)


def _cost(network: Network, configurations: Configurations, freed: tuple[int, ...]) -> float:
    """Compute the description length of freed tables: BIC for each free entry, and names."""
    entries = 0
    for i in freed:
        family = family_counts(network, i, configurations.codes, configurations.counts)
        entries += int((family.sum(axis=1) > 0).sum()) * (family.shape[1] - 1)
    names = len(freed) * np.log(network.n_variables)
    return 0.5 * entries * float(np.log(max(configurations.total, 2.0))) + float(names)


def _objective(network: Network, result: SearchResult, freed: tuple[int, ...]) -> float:
    """Penalised log-likelihood of mixture rows, plus that of control rows if there were any."""
    value = result.penalised_score
    if network.control is None:
        return value
    for i, counts in enumerate(network.control.counts):
        weight = counts + network.control.prior
        table = result.network.tables[i]
        if i in freed:
            table = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
        used = weight > 0
        with np.errstate(divide="ignore"):
            value += float(weight[used] @ np.log(table[used]))
    return value


def _describe(
    network: Network, configurations: Configurations, result: SearchResult, i: int, gain: float
) -> ChangedMechanism:
    alone = float(result.weights[result.targets[:, i] < 0].sum())
    family = family_counts(network, i, configurations.codes, configurations.counts)
    return ChangedMechanism(
        i, gain, network.tables[i], result.network.tables[i], family.sum(axis=1) * alone
    )
