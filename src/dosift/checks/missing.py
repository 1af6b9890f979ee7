"""Missing values: how many there are, and whether they are missing completely at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.checks.fit_check import homogeneity_p_value
from dosift.data.configurations import Configurations
from dosift.model.network import Network

#: Level, corrected for the number of tests, at which missing values depend on another variable.
_LEVEL = 0.01
#: Variables that are named in a warning.
_NAMED = 3


@dataclass(frozen=True)
class MissingValues:
    """What is missing.

    Attributes
    ----------
    share : ndarray, shape (n_variables,)
        Share of the rows in which each variable is missing.
    n_rows : float
        Rows that lack any value.
    dependent : tuple of (int, int, float)
        A variable, another one on whose observed value it depends whether the first is missing,
        and the p-value, corrected for the number of pairs; the clearest first.
    """

    share: NDArray[np.float64]
    n_rows: float
    dependent: tuple[tuple[int, int, float], ...]

    @property
    def suspicious(self) -> frozenset[int]:
        """Variables that are not missing completely at random."""
        return frozenset(i for i, _, _ in self.dependent)


def look_at_missing(network: Network, rows: Configurations) -> MissingValues:
    """Count missing values, and test whether they are missing completely at random.

    Parameters
    ----------
    network : Network
    rows : Configurations

    Returns
    -------
    MissingValues

    Examples
    --------
    >>> from dosift.data import collapse
    >>> network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    >>> rows = collapse(np.array([[0], [-1], [1], [1]]), network.cardinalities)
    >>> look_at_missing(network, rows).share.tolist()
    [0.25]
    """
    missing = np.asarray(rows.codes < 0)
    lacking = np.flatnonzero(missing.any(axis=0))
    pairs = [(int(i), j) for i in lacking for j in range(network.n_variables) if i != j]
    found = []
    for i, j in pairs:
        seen = ~missing[:, j]
        k = int(network.cardinalities[j])
        two = [
            np.bincount(rows.codes[part, j], rows.counts[part], k).astype(np.float64)
            for part in (seen & missing[:, i], seen & ~missing[:, i])
        ]
        p_value = min(homogeneity_p_value(*two) * len(pairs), 1.0)
        if p_value < _LEVEL:
            found.append((i, j, p_value))
    found.sort(key=lambda one: (one[2], one[0], one[1]))
    return MissingValues(
        rows.counts @ missing / max(rows.total, 1e-300),
        float(rows.counts[missing.any(axis=1)].sum()),
        tuple(found),
    )


def words_of_warning(found: MissingValues, network: Network) -> str:
    """Say what it means that values are not missing completely at random.

    Parameters
    ----------
    found : MissingValues
        With dependent variables.
    network : Network

    Returns
    -------
    str
    """
    clearest: dict[int, tuple[int, float]] = {}
    for i, j, p in found.dependent:
        clearest.setdefault(i, (j, p))
    named = "; ".join(
        f"{network.names[i]}, which depends on {network.names[j]} (p = {p:.1g})"
        for i, (j, p) in list(clearest.items())[:_NAMED]
    )
    return (
        f"values are not missing completely at random: {named}. That does no harm if it depends on "
        "observed values alone; if whether a value is missing depends on the value itself, the "
        "weights are biased. Rates and checks that look at single variables leave "
        f"{'it' if len(clearest) == 1 else 'them'} out"
    )
