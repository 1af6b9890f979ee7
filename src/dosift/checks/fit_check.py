"""Does the fitted mixture describe the rows? Tests on pairs of variables and on mechanisms.

Pure array code. The rows are compared with a large sample drawn from the fitted mixture: for each
pair of variables, and for each variable with its parents, a chi-square test of homogeneity on
their joint table (cells with small expected counts are pooled), corrected over all of them by
Bonferroni's inequality. The mixture was fitted to the same rows, which makes the tests err on the
side of acceptance: a flexible mixture can hide a mechanism that changed behind components that are
not there. So a fit is also compared with one in which a table is freed
(:func:`dosift.search.mechanisms.suspect_mechanism`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from dosift.data.configurations import Configurations
from dosift.model.arrays import Floats, Ints
from dosift.search.mechanisms import ChangedMechanism

#: Cells with smaller expected counts are pooled.
_LEAST_EXPECTED = 5.0
#: Above this many variables only pairs that an edge joins are compared.
_ALL_PAIRS_UP_TO = 30
#: Level below which the model is said not to fit.
MISFIT_LEVEL = 0.01
#: Cells up to which a table is counted as a whole, however few rows there are.
_SMALL_TABLE = 2**12
#: Deviations that are listed, at most.
_LISTED = 10


@dataclass(frozen=True)
class Deviation:
    """Variables whose joint distribution is not what the mixture says.

    Attributes
    ----------
    variables : tuple of int
        A pair, or a variable twice; or a variable after its parents.
    p_value : float
        Corrected for the number of tests.
    distance : float
        Total variation between the shares of the rows and those of the mixture: of their joint
        distribution, or, for a mechanism, of the variable given its parents, averaged over the
        rows. The noise of the rows is in it.
    """

    variables: tuple[int, ...]
    p_value: float
    distance: float


@dataclass(frozen=True)
class FitCheck:
    """Outcome of the tests.

    Attributes
    ----------
    p_value : float
        Smallest p-value over the pairs and mechanisms, times their number, at most 1.
    n_pairs : int
        Pairs of variables compared.
    n_mechanisms : int
        Variables with parents that were compared given these.
    worst : tuple of Deviation
        The pairs that deviate most, worst first; only those below ``MISFIT_LEVEL``, at most ten.
    mechanisms : tuple of Deviation
        The same of mechanisms: a variable after its parents.
    changed : ChangedMechanism or None
        A mechanism that, freed from its table, explains the rows better than the components do.
    """

    p_value: float
    n_pairs: int
    n_mechanisms: int
    worst: tuple[Deviation, ...]
    mechanisms: tuple[Deviation, ...]
    changed: ChangedMechanism | None = None

    @property
    def fits(self) -> bool:
        """Whether `p_value` is at least ``MISFIT_LEVEL``, and no freed table does better."""
        return self.p_value >= MISFIT_LEVEL and self.changed is None

    @property
    def suspects(self) -> tuple[int, ...]:
        """Variables that are off: the changed one, and those of the deviations, worst first."""
        changed = () if self.changed is None else (self.changed.variable,)
        mechanisms = (d.variables[-1] for d in self.mechanisms)
        pairs = (i for d in self.worst for i in d.variables)
        return tuple(dict.fromkeys((*changed, *mechanisms, *pairs)))


class Cells(Protocol):
    """What has states: a network of tables, or numbers in bins."""

    @property
    def n_variables(self) -> int:
        """Number of variables."""

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of states of each variable."""

    @property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """Positions of the parents of each variable."""


#: Cells of a joint distribution that occur, and how often.
JointCounts = tuple[NDArray[np.int64], Floats]


def compared(
    network: Cells, skipped: frozenset[int] = frozenset()
) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Choose the variables whose joint distributions are compared.

    Parameters
    ----------
    network : Cells
    skipped : frozenset of int, optional
        Variables that are not looked at.

    Returns
    -------
    pairs, families : list of tuple of int
        A family is a variable after its parents.
    """
    n = network.n_variables
    if n <= _ALL_PAIRS_UP_TO:
        pairs = [(i, j) for j in range(n) for i in range(j)] or [(0, 0)]
    else:
        pairs = [(p, i) for i in range(n) for p in network.parents[i]]
        pairs += [(i, i) for i in range(n) if not network.parents[i]]
    # The mechanism of a variable with one parent is a pair already.
    families = [(*network.parents[i], i) for i in range(n) if len(network.parents[i]) > 1]
    return (
        [pair for pair in pairs if skipped.isdisjoint(pair)],
        [family for family in families if skipped.isdisjoint(family)],
    )


def joint_counts(network: Cells, variables: tuple[int, ...], rows: Configurations) -> JointCounts:
    """Count the states of some variables together, in the rows that lack none of them.

    Parameters
    ----------
    network : Cells
    variables : tuple of int
    rows : Configurations

    Returns
    -------
    cells : ndarray of int64
        Those that occur, ascending: the table of a large family may be huge.
    counts : ndarray
    """
    sizes = [int(network.cardinalities[i]) for i in variables]
    codes, counts = rows.codes, rows.counts
    if min((codes[:, i].min(initial=0) for i in variables), default=0) < 0:
        seen = (codes[:, list(variables)] >= 0).all(axis=1)
        codes, counts = codes[seen], counts[seen]
    index = np.zeros(len(codes), dtype=np.int64)
    for i, k in zip(variables, sizes, strict=True):
        index *= k
        index += codes[:, i]
    if math.prod(sizes) <= max(len(codes), _SMALL_TABLE):
        table = np.bincount(index, weights=counts, minlength=math.prod(sizes)).astype(np.float64)
        cells = np.flatnonzero(table)
        return cells, table[cells]
    cells, place = np.unique(index, return_inverse=True)
    return cells, np.bincount(place.ravel(), weights=counts, minlength=cells.size).astype(float)


def check_counts(
    network: Cells,
    observed: Sequence[JointCounts],
    drawn: Configurations,
    chosen: tuple[list[tuple[int, ...]], list[tuple[int, ...]]],
    changed: ChangedMechanism | None = None,
) -> FitCheck:
    """Compare counts of rows with rows that were simulated from the fitted mixture.

    Parameters
    ----------
    network : Cells
    observed : sequence of JointCounts
        Of the pairs and then the families.
    drawn : Configurations
        Independent rows from the fitted mixture.
    chosen : tuple of list
        Pairs and families, as :func:`compared` chooses them.
    changed : ChangedMechanism, optional
        What a comparison with freed tables found.

    Returns
    -------
    FitCheck
    """
    pairs, families = chosen
    groups = [(pair, False) for pair in pairs] + [(family, True) for family in families]
    deviations = [
        _compare(network, variables, counts, drawn, len(groups), conditional)
        for (variables, conditional), counts in zip(groups, observed, strict=True)
    ]
    p_value = min((deviation.p_value for deviation in deviations), default=1.0)
    worst, mechanisms = _worst(deviations[: len(pairs)]), _worst(deviations[len(pairs) :])
    return FitCheck(p_value, len(pairs), len(families), worst, mechanisms, changed)


def _worst(deviations: list[Deviation]) -> tuple[Deviation, ...]:
    order = sorted(deviations, key=lambda deviation: deviation.p_value)
    return tuple(d for d in order[:_LISTED] if d.p_value < MISFIT_LEVEL)


def _compare(
    network: Cells,
    variables: tuple[int, ...],
    rows: JointCounts,
    drawn: Configurations,
    n_tests: int,
    conditional: bool,
) -> Deviation:
    """Test the joint distribution of some variables."""
    parts = (rows, joint_counts(network, variables, drawn))
    cells, place = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
    both = np.split(place.ravel(), [len(rows[0])])
    observed, expected = (
        np.bincount(where, weights=counts, minlength=cells.size).astype(np.float64)
        for where, (_, counts) in zip(both, parts, strict=True)
    )
    p_value = min(homogeneity_p_value(observed, expected) * n_tests, 1.0)
    last = int(network.cardinalities[variables[-1]])
    given = cells // last if conditional else np.zeros_like(cells)
    return Deviation(variables, p_value, _distance(observed, expected, given))


def _distance(observed: Floats, expected: Floats, given: Ints) -> float:
    """Total variation between two tables within each group of cells, averaged over the first."""
    _, group = np.unique(given, return_inverse=True)
    total, drawn = (np.bincount(group, weights=t)[group] for t in (observed, expected))
    # Where the mixture draws nothing, all of what was observed deviates.
    shares = np.divide(expected, drawn, out=np.zeros_like(expected), where=drawn > 0)
    difference = np.abs(observed - total * shares)
    deviating = np.where(drawn > 0, 0.5 * difference, difference)
    return float(deviating.sum() / max(observed.sum(), 1.0))


def homogeneity_p_value(first: Floats, second: Floats) -> float:
    """Chi-square test that two tables of counts come from one distribution.

    Parameters
    ----------
    first, second : ndarray, shape (n_cells,)
        Counts.

    Returns
    -------
    float
        The p-value; 1 when fewer than two cells are left after pooling.

    Examples
    --------
    >>> import numpy as np
    >>> homogeneity_p_value(np.array([50.0, 50.0]), np.array([500.0, 500.0]))
    1.0
    """
    n1, n2 = float(first.sum()), float(second.sum())
    if n1 == 0 or n2 == 0:
        return 1.0
    pooled = first + second
    small = pooled * min(n1, n2) / (n1 + n2) < _LEAST_EXPECTED
    groups1 = np.append(first[~small], first[small].sum())
    groups2 = np.append(second[~small], second[small].sum())
    total = groups1 + groups2
    groups1, groups2, total = groups1[total > 0], groups2[total > 0], total[total > 0]
    if total.size < 2:
        return 1.0
    expected1, expected2 = total * n1 / (n1 + n2), total * n2 / (n1 + n2)
    statistic = float(
        ((groups1 - expected1) ** 2 / expected1).sum()
        + ((groups2 - expected2) ** 2 / expected2).sum()
    )
    return float(gammaincc((total.size - 1) / 2, statistic / 2))
