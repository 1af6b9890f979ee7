"""Baselines that enumerate all targets: EM on their weights, and brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError
from dosift.likelihood import MechanismFactors
from dosift.network.model import Network
from dosift.rows.configurations import Configurations

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Memory that the matrix of an enumeration may take, in bytes.
MOST_BYTES = 2**30
#: Optimality gap (nats a row) at which EM stops, and the steps after which it gives up.
EM_GAP, EM_STEPS = 1e-4, 20_000
#: Steps between two looks at the gap.
_LOOK = 50
#: Floating-point operations that brute force may take, about ten minutes.
_MOST_WORK = 1e12


def all_targets(cardinalities: Ints, max_size: int | None = None) -> NDArray[np.int16]:
    """List every target.

    Parameters
    ----------
    cardinalities : ndarray of int, shape (n_variables,)
    max_size : int, optional
        Largest number of variables that a target sets.

    Returns
    -------
    ndarray of int, shape (n_targets, n_variables)
        The empty target first, then by size.

    Examples
    --------
    >>> all_targets(np.array([2, 2]), 1).tolist()
    [[-1, -1], [0, -1], [1, -1], [-1, 0], [-1, 1]]
    """
    n = len(cardinalities)
    blocks = []
    for size in range((n if max_size is None else min(max_size, n)) + 1):
        for variables in itertools.combinations(range(n), size):
            states = [int(cardinalities[v]) for v in variables]
            block = np.full((math.prod(states), n), -1, dtype=np.int16)
            block[:, list(variables)] = np.indices(states).reshape(size, len(block)).T
            blocks.append(block)
    return np.concatenate(blocks)


def count_targets(cardinalities: Ints, max_size: int | None = None) -> int:
    """Count the targets that :func:`all_targets` lists, without listing them."""
    by_size = [1]
    for k in map(int, cardinalities):
        longer = [*by_size, 0]
        for size, number in enumerate(by_size):
            longer[size + 1] += k * number
        by_size = longer
    return sum(by_size[: None if max_size is None else max_size + 1])


def em_estimate(
    network: Network,
    configurations: Configurations,
    max_size: int | None,
    epsilon: float,
    tell: Callable[[str, int, int | None], None],
) -> tuple[Ints, Floats, bool]:
    """Weights of all targets by expectation maximisation; those under a threshold are dropped.

    Parameters
    ----------
    network : Network
    configurations : Configurations
    max_size : int, optional
    epsilon : float
        Weights below this are dropped, and the others fitted again until all are larger.
    tell : callable
        Progress.

    Returns
    -------
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    converged : bool
        Whether every fit ended with an optimality gap of at most ``EM_GAP``.

    Raises
    ------
    InputError
        If the likelihoods of all targets would not fit in memory.

    Notes
    -----
    Nothing here prefers the mixture that satisfies exclusion: where several mixtures have the
    same distribution, EM ends somewhere between them.
    """
    n_targets = count_targets(network.cardinalities, max_size)
    n_rows = len(configurations.codes)
    check_memory("em", n_targets, 8.0 * n_targets * n_rows, f"{n_rows} distinct rows")
    targets = all_targets(network.cardinalities, max_size)
    columns = MechanismFactors(network, configurations.codes).columns(targets)
    kept, converged = np.arange(n_targets), True
    weights = np.full(n_targets, 1 / n_targets)
    while True:
        weights, done = _em(columns[:, kept], configurations.counts, weights, tell)
        converged &= done
        large = weights >= min(epsilon, weights.max())
        if large.all():
            return targets[kept], weights, converged
        kept, weights = kept[large], weights[large]


def _em(
    columns: Floats,
    counts: Floats,
    start: Floats,
    tell: Callable[[str, int, int | None], None],
) -> tuple[Floats, bool]:
    """EM steps until the gap is small; rows that no target can produce are left out."""
    possible = columns.max(axis=1) > 0
    columns, shares = columns[possible], counts[possible] / counts[possible].sum()
    weights = start / start.sum()
    for step in range(EM_STEPS):
        mixture = columns @ weights
        gradient = (shares / mixture) @ columns
        if gradient.max() - 1.0 <= EM_GAP:
            return weights, True
        if step % _LOOK == 0:
            tell("expectation maximisation", step, None)
        weights = weights * gradient
        weights /= weights.sum()
    return weights, False


def brute_force_estimate(
    network: Network,
    configurations: Configurations,
    max_size: int | None,
    epsilon: float,
    tell: Callable[[str, int, int | None], None],
) -> tuple[Ints, Floats]:
    """Constrained least squares over all targets, for every pattern of excluded values.

    Parameters
    ----------
    network : Network
    configurations : Configurations
    max_size : int, optional
    epsilon : float
        Weights below this are dropped.
    tell : callable
        Progress.

    Returns
    -------
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)

    Raises
    ------
    InputError
        If the equations would not fit in memory, or take too long.
    """
    from scipy.optimize import nnls

    sizes = [int(k) for k in network.cardinalities]
    n_cells = math.prod(sizes)
    n_targets = count_targets(network.cardinalities, max_size)
    per_pattern = count_targets(np.maximum(network.cardinalities - 1, 0), max_size)
    check_memory("brute-force", n_targets, 8.0 * n_targets * n_cells, f"{n_cells} cells")
    work = float(n_cells) * n_cells * per_pattern * per_pattern
    if work > _MOST_WORK:
        raise InputError(
            f"method 'brute-force' would solve {n_cells} constrained least-squares problems with "
            f"{per_pattern} unknowns and {n_cells} equations each, which takes hours; use fewer "
            "variables, a smaller max_size, or method 'likelihood'"
        )
    targets = all_targets(network.cardinalities, max_size)
    cells = np.indices(sizes).reshape(len(sizes), -1).T
    factors = MechanismFactors(network, cells)
    with np.errstate(under="ignore"):
        columns = factors.columns(targets) * np.exp(factors.log_base())[:, None]
    frequency = np.zeros(n_cells)
    position = np.ravel_multi_index(tuple(configurations.codes.T.astype(np.int64)), tuple(sizes))
    frequency[position] = configurations.counts / configurations.total
    best, least = np.zeros(n_targets), np.inf
    # The last equation holds the weights' sum to one.
    right = np.append(frequency, 1.0)
    for number, pattern in enumerate(cells):
        if number % _LOOK == 0:
            tell("patterns of excluded values", number, n_cells)
        allowed = np.flatnonzero((targets != pattern).all(axis=1))
        matrix = np.vstack([columns[:, allowed], np.ones(allowed.size)])
        weights, residual = nnls(matrix, right)
        if residual < least - 1e-12:
            best, least = np.zeros(n_targets), residual
            best[allowed] = weights
    kept = np.flatnonzero(best >= min(epsilon, best.max()))
    return targets[kept], best[kept] / best[kept].sum()


def check_memory(method: str, n_targets: int, n_bytes: float, of: str) -> None:
    """Refuse an enumeration that does not fit.

    Raises
    ------
    InputError
        With the number of targets, the memory, and what to do.
    """
    if n_bytes > MOST_BYTES:
        raise InputError(
            f"method {method!r} enumerates {n_targets:,} targets over {of}, which takes "
            f"{n_bytes / 2**30:,.1f} GiB of memory, more than {MOST_BYTES / 2**30:.0f} GiB; "
            "give a smaller max_size, or use method 'likelihood', which enumerates nothing"
        )
