"""Baselines that enumerate all targets: EM on their weights, and brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dosift.data.configurations import Configurations
from dosift.errors import InputError
from dosift.likelihood.factors import MechanismFactors
from dosift.model.network import Network
from dosift.search.constraints import Constraints

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Memory that the matrix of an enumeration may take, in bytes.
MOST_BYTES = 2**30
#: Optimality gap (nats a row) at which EM stops, and the steps after which it gives up.
EM_GAP, EM_STEPS = 1e-4, 20_000
#: Steps between two looks at the gap.
_LOOK = 50
#: Operations of brute force in a second (measured with 5 and 6 variables of three states), and
#: the seconds that it may take.
_SPEED, _MOST_SECONDS = 6e9, 600.0


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
    if max_size is None:
        return math.prod(int(k) + 1 for k in cardinalities)
    by_size = [1] + [0] * min(max_size, len(cardinalities))
    for k in map(int, cardinalities):
        for size in range(len(by_size) - 1, 0, -1):
            by_size[size] += k * by_size[size - 1]
    return sum(by_size)


def _permitted(targets: Ints, constraints: Constraints | None) -> Ints:
    if constraints is None:
        return targets
    permitted = targets[constraints.permits(targets)]
    if not len(permitted):
        raise InputError("no target is permitted; allow more, such as do()")
    return permitted


def settable(network: Network) -> NDArray[np.int64]:
    """Count the states that a variable can be set to: none if it has only one."""
    sizes = network.cardinalities
    return np.where(sizes > 1, sizes, 0)


def em_estimate(
    network: Network,
    configurations: Configurations,
    max_size: int | None,
    epsilon: float,
    tell: Callable[[str, int, int | None], None],
    constraints: Constraints | None = None,
) -> tuple[Ints, Floats, bool]:
    """Weights of all targets by expectation maximisation; small ones are dropped.

    Parameters
    ----------
    network : Network
    configurations : Configurations
    max_size : int, optional
    epsilon : float
        Weights below this are dropped, and the others fitted again until all are larger. Rows
        that only dropped targets can produce are left without any; zero drops nothing.
    tell : callable
        Progress.
    constraints : Constraints, optional
        Only targets that it permits are considered.

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
    choices = settable(network)
    n_targets = count_targets(choices, max_size)
    n_rows = len(configurations.codes)
    # The matrix, and targets as a list of blocks and as one array.
    n_bytes = n_targets * (8 * n_rows + 4 * network.n_variables)
    check_memory("em", n_targets, n_bytes, f"{n_rows} distinct rows")
    targets = _permitted(all_targets(choices, max_size), constraints)
    n_targets = len(targets)
    columns = MechanismFactors(network, configurations.codes).columns(targets)
    kept, converged = np.arange(n_targets), True
    weights = np.full(n_targets, 1 / n_targets)
    while True:
        weights, done = _em(columns, configurations.counts, weights, tell)
        converged &= done
        stays = weights >= min(epsilon, weights.max())
        if stays.all():
            return targets[kept], weights, converged
        kept, columns, weights = kept[stays], columns[:, stays], weights[stays]


def _em(
    columns: Floats,
    counts: Floats,
    start: Floats,
    tell: Callable[[str, int, int | None], None],
) -> tuple[Floats, bool]:
    """EM steps until the gap is small; rows that no target can produce are left out."""
    possible = columns.max(axis=1) > 0
    if not possible.any():
        return start / start.sum(), True
    if not possible.all():
        columns, counts = columns[possible], counts[possible]
    shares = counts / counts.sum()
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
    constraints: Constraints | None = None,
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
    constraints : Constraints, optional
        Only targets that it permits are considered.

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
    choices = settable(network)
    n_targets = count_targets(choices, max_size)
    per_pattern = count_targets(network.cardinalities - 1, max_size)
    # The matrix, that of one pattern twice (the solver makes a copy), and targets as above.
    n_bytes = 8 * n_cells * (n_targets + 2 * per_pattern) + 4 * n_targets * len(sizes)
    check_memory("brute-force", n_targets, n_bytes, f"{short(n_cells)} cells")
    seconds = (n_cells * per_pattern) ** 2 / _SPEED
    if seconds > _MOST_SECONDS:
        raise InputError(
            f"method 'brute-force' would solve {n_cells:,} constrained least-squares problems with "
            f"{per_pattern:,} unknowns and {n_cells:,} equations each, which takes about "
            f"{seconds / 3600:,.1f} hours; use fewer variables, a smaller max_size, or method "
            "'likelihood'"
        )
    targets = _permitted(all_targets(choices, max_size), constraints)
    n_targets = len(targets)
    cells = np.indices(sizes).reshape(len(sizes), -1).T
    factors = MechanismFactors(network, cells)
    columns = factors.columns(targets)
    with np.errstate(under="ignore"):
        columns *= np.exp(factors.log_base())[:, None]
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


def check_memory(method: str, n_targets: int, n_bytes: int, of: str) -> None:
    """Refuse an enumeration that does not fit.

    Parameters
    ----------
    method : str
    n_targets, n_bytes : int
        Targets, and memory at the peak; as large as they may be.
    of : str
        What each target has an entry for.

    Raises
    ------
    InputError
        With the number of targets, the memory, and what to do.
    """
    if n_bytes > MOST_BYTES:
        gibibytes = n_bytes / 2**30 if n_bytes < 2**60 else n_bytes // 2**30
        amount = f"{gibibytes:,.1f}" if isinstance(gibibytes, float) else short(gibibytes)
        raise InputError(
            f"method {method!r} enumerates {short(n_targets)} targets over {of}, which takes "
            f"{amount} GiB of memory, more than {MOST_BYTES / 2**30:.0f} GiB; "
            "give a smaller max_size, or use method 'likelihood', which enumerates nothing"
        )


def short(number: int) -> str:
    """Write a number, and its magnitude only if it is very large.

    Examples
    --------
    >>> short(1234567), short(4**2000)
    ('1,234,567', 'about 10^1204')
    """
    if number < 10**15:
        return f"{number:,}"
    return f"about 10^{int(math.log10(number))}"
