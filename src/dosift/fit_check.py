"""Does the fitted mixture describe the rows? A test on pairs of variables.

Pure array code. The rows are compared with a large sample drawn from the fitted mixture: for each
pair of variables a chi-square test of homogeneity on their joint table (cells with small expected
counts are pooled), corrected over the pairs by Bonferroni's inequality. The mixture was fitted to
the same rows, which makes the test err on the side of acceptance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from dosift.network.model import Network
from dosift.rows.configurations import collapse

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Cells with smaller expected counts are pooled.
_LEAST_EXPECTED = 5.0
#: Above this many variables only pairs that an edge joins are compared.
_ALL_PAIRS_UP_TO = 30
#: Level below which the model is said not to fit.
MISFIT_LEVEL = 1e-3


@dataclass(frozen=True)
class FitCheck:
    """Outcome of the test.

    Attributes
    ----------
    p_value : float
        Smallest p-value over the pairs, times the number of pairs, at most 1.
    n_pairs : int
        Pairs of variables compared.
    fits : bool
        Whether `p_value` is at least ``MISFIT_LEVEL``.
    worst : tuple of (int, int, float)
        The pairs that deviate most, as positions and corrected p-values, worst first; only
        those below ``MISFIT_LEVEL``, at most ten.
    """

    p_value: float
    n_pairs: int
    fits: bool
    worst: tuple[tuple[int, int, float], ...]


def check_fit(network: Network, codes: Ints, counts: Floats, simulated: Ints) -> FitCheck:
    """Compare configurations with rows simulated from the fitted mixture.

    Parameters
    ----------
    network : Network
    codes : ndarray of int, shape (n_configurations, n_variables)
    counts : ndarray, shape (n_configurations,)
    simulated : ndarray of int, shape (n_simulated, n_variables)
        Independent rows from the fitted mixture.

    Returns
    -------
    FitCheck
    """
    n = network.n_variables
    if n <= _ALL_PAIRS_UP_TO:
        pairs = [(i, j) for j in range(n) for i in range(j)] or [(0, 0)]
    else:
        pairs = [(p, i) for i in range(n) for p in network.parents[i]]
        pairs += [(i, i) for i in range(n) if not network.parents[i]]
    # Distinct rows are fewer than rows, and there are many pairs to count.
    drawn_rows = collapse(simulated, network.cardinalities)
    p_values = np.empty(len(pairs))
    for k, (i, j) in enumerate(pairs):
        width = int(network.cardinalities[j])
        size = int(network.cardinalities[i]) * width
        observed = _pair_counts(codes, i, j, width, size, counts)
        drawn = _pair_counts(drawn_rows.codes, i, j, width, size, drawn_rows.counts)
        p_values[k] = homogeneity_p_value(observed, drawn)
    corrected = np.minimum(p_values * len(pairs), 1.0)
    order = np.argsort(corrected, kind="stable")
    worst = tuple(
        (pairs[k][0], pairs[k][1], float(corrected[k]))
        for k in order[:10]
        if corrected[k] < MISFIT_LEVEL
    )
    return FitCheck(float(corrected.min()), len(pairs), not worst, worst)


def _pair_counts(codes: Ints, i: int, j: int, width: int, size: int, counts: Floats) -> Floats:
    index = codes[:, i].astype(np.int64) * width + codes[:, j]
    return np.bincount(index, weights=counts, minlength=size).astype(np.float64)


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
