"""Missing values: how many there are, and whether they are missing completely at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.checks.bins import Bins
from dosift.checks.fit_check import homogeneity_p_value
from dosift.data.blocks import Block
from dosift.likelihood.evidence import Evidence
from dosift.model.arrays import Floats
from dosift.model.mechanism import missing
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

    share: Floats
    n_rows: float
    dependent: tuple[tuple[int, int, float], ...]

    @property
    def suspicious(self) -> frozenset[int]:
        """Variables that are not missing completely at random."""
        return frozenset(i for i, _, _ in self.dependent)


@dataclass(frozen=True)
class _CountMissing:
    """Counts missing values, and the states of the other variables where they are and are not."""

    lacking: NDArray[np.int64]
    bins: Bins

    def __call__(self, block: Block) -> tuple[Floats, ...]:
        """Sum over a block.

        Returns
        -------
        missing : ndarray, shape (n_variables,)
        table : ndarray, shape (n_lacking, 2, n_states), one for each variable
            Its states (or bins) where each lacking variable is missing, and where it is not.
        """
        absent_ones = missing(block.values)
        weighted = absent_ones[:, self.lacking] * block.counts[:, None]
        tables, every = [], self.bins(block.values)
        for j, k in enumerate(map(int, self.bins.cardinalities)):
            codes = every[:, j]
            of_state = (codes[:, None] == np.arange(k)).astype(np.float64)
            absent = weighted.T @ of_state
            tables.append(np.stack([absent, block.counts @ of_state - absent], axis=1))
        return block.counts @ absent_ones, *tables


def look_at_missing(
    network: Network, evidence: Evidence, sample: Block | None = None
) -> MissingValues:
    """Count missing values, and test whether they are missing completely at random.

    Parameters
    ----------
    network : Network
    evidence : Evidence
    sample : Block, optional
        Some of the rows, by which numbers are cut into bins where not all are held.

    Returns
    -------
    MissingValues

    Examples
    --------
    >>> from dosift.data import collapse
    >>> network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    >>> rows = collapse(np.array([[0], [-1], [1], [1]]), network.cardinalities)
    >>> look_at_missing(network, Evidence.of_configurations(network, rows)).share.tolist()
    [0.25]
    """
    if not evidence.incomplete:
        return MissingValues(np.zeros(network.n_variables), 0.0, ())
    nothing = np.empty(0, dtype=np.int64)
    incomplete = evidence.apart(network).incomplete
    evidence = evidence.shared(network)
    seen = evidence.held if sample is None else sample
    values = np.empty((0, network.n_variables)) if seen is None else seen.values
    bins = Bins.of(network, values)
    absent, *_ = evidence.visit(_CountMissing(nothing, bins))
    lacking = np.flatnonzero(absent)
    _, *tables = evidence.visit(_CountMissing(lacking, bins))
    n_pairs = lacking.size * (network.n_variables - 1)
    found = []
    for place, i in enumerate(lacking):
        for j, table in enumerate(tables):
            if i != j:
                p_value = min(homogeneity_p_value(*table[place]) * n_pairs, 1.0)
                if p_value < _LEVEL:
                    found.append((int(i), j, p_value))
    found.sort(key=lambda one: (one[2], one[0], one[1]))
    return MissingValues(absent / max(evidence.total, 1e-300), incomplete, tuple(found))


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
