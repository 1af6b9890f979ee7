"""Baselines that enumerate all targets: EM on their weights, and brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Block
from dosift.errors import InputError
from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.factors import MechanismFactors
from dosift.methods.options import Options
from dosift.model.arrays import Floats, Ints
from dosift.model.network import Network
from dosift.search.constraints import Constraints
from dosift.utils.progress import Progress

#: Memory that the matrix of an enumeration may take, in bytes.
MOST_BYTES = 2**30
#: Optimality gap (nats a row) at which EM stops, and the steps after which it gives up.
EM_GAP, EM_STEPS = 1e-4, 20_000
#: Rows that are summed over at a time, where they are in blocks.
_CHUNK_ROWS = 2**14
#: Steps that share incomplete rows out among cells, and the change at which they end.
_SHARING_STEPS, _SHARING_CHANGE = 200, 1e-9
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
    network: Network, evidence: Evidence, options: Options, tell: Progress
) -> tuple[Ints, Floats, bool]:
    """Weights of all targets by expectation maximisation; small ones are dropped.

    Parameters
    ----------
    network : Network
    evidence : Evidence
        In one batch. Where rows are not held, every step is a pass over them.
    options : Options
        Weights below `epsilon` are dropped, and the others fitted again until all are larger. Rows
        that only dropped targets can produce are left without any; zero drops nothing. Only targets
        that `constraints` permit are considered.
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
    choices, max_size = settable(network), options.max_size
    n_targets = count_targets(choices, max_size)
    # The matrix (of a chunk, where rows are in blocks), and targets as a list and as one array.
    n_rows = _CHUNK_ROWS if evidence.held is None else len(evidence.held)
    n_bytes = n_targets * (8 * n_rows + 4 * network.n_variables)
    of = "rows of a block" if evidence.held is None else "distinct rows"
    check_memory("em", n_targets, n_bytes, f"{n_rows} {of}")
    targets = _permitted(all_targets(choices, max_size), options.constraints)
    converged = True
    weights = np.full(len(targets), 1 / len(targets))
    while True:
        weights, done = _em(_gradient_of(evidence, network, targets), weights, tell)
        converged &= done
        stays = weights >= min(options.epsilon, weights.max())
        if stays.all():
            return targets, weights, converged
        targets, weights = targets[stays], weights[stays]


def _gradient_of(evidence: Evidence, network: Network, targets: Ints) -> Callable[[Floats], Floats]:
    """Return the function that gives the gradient, a row, at weights of some targets."""
    if evidence.held is None:

        def by_pass(weights: Floats) -> Floats:
            gradient, n_rows = evidence.sum(network, targets, _SumGradient(targets, weights))
            return np.asarray(gradient / max(float(n_rows), 1e-300))

        return by_pass
    columns, counts = evidence.under(network, targets).columns(targets), evidence.held.counts
    # Rows that no target can produce are left out.
    possible = columns.max(axis=1) > 0
    if not possible.all():
        columns, counts = columns[possible], counts[possible]
    shares = counts / max(float(counts.sum()), 1e-300)

    def by_matrix(weights: Floats) -> Floats:
        return np.asarray((shares / (columns @ weights)) @ columns)

    return by_matrix


@dataclass(frozen=True)
class _SumGradient:
    """Sums the gradient over rows, and the rows that some target can produce."""

    targets: Ints
    weights: Floats

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        columns, counts = rows.columns(self.targets), rows.block.counts
        mixture = columns @ self.weights
        share = np.divide(counts, mixture, out=np.zeros_like(mixture), where=mixture > 0)
        return share @ columns, np.asarray(counts[mixture > 0].sum())


def _em(
    gradient_at: Callable[[Floats], Floats], start: Floats, tell: Progress
) -> tuple[Floats, bool]:
    """EM steps until the gap is small."""
    weights = start / start.sum()
    for step in range(EM_STEPS):
        gradient = gradient_at(weights)
        if gradient.max(initial=0.0) - 1.0 <= EM_GAP:
            return weights, True
        if step % _LOOK == 0:
            tell("expectation maximisation", step, None)
        weights = weights * gradient
        weights /= weights.sum()
    return weights, False


def brute_force_estimate(
    network: Network, evidence: Evidence, options: Options, tell: Progress
) -> tuple[Ints, Floats]:
    """Constrained least squares over all targets, for every pattern of excluded values.

    Parameters
    ----------
    network : Network
    evidence : Evidence
        In one batch. Rows with missing values are shared out among cells by maximum likelihood.
    options : Options
        Weights below `epsilon` are dropped. Only targets that `constraints` permit are considered.
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
    choices, max_size = settable(network), options.max_size
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
    targets = _permitted(all_targets(choices, max_size), options.constraints)
    n_targets = len(targets)
    cells = np.indices(sizes).reshape(len(sizes), -1).T
    factors = MechanismFactors(network, cells)
    columns = factors.columns(targets)
    with np.errstate(under="ignore"):
        columns *= np.exp(factors.log_base())[:, None]
    frequency = cell_frequencies(evidence, tuple(sizes))
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
    kept = np.flatnonzero(best >= min(options.epsilon, best.max()))
    return targets[kept], best[kept] / best[kept].sum()


def cell_frequencies(evidence: Evidence, sizes: tuple[int, ...]) -> Floats:
    """Share of the rows in each cell of the full table.

    Parameters
    ----------
    evidence : Evidence
    sizes : tuple of int
        Number of states of each variable.

    Returns
    -------
    ndarray, shape (n_cells,)
        In C order. Where values are missing (at random) it maximises the likelihood of what was
        seen, by EM.
    """
    task = _CountCells(sizes)
    counted = (
        task(evidence.held) if evidence.held is not None else evidence.rows.reduce(task, task.merge)
    )
    cells = np.indices(sizes).reshape(len(sizes), -1)
    n_cells = cells.shape[1]
    complete = counted.pop(b"", np.zeros(n_cells))
    total = float(complete.sum() + sum(float(part.sum()) for part in counted.values()))
    patterns = []
    for key, part in counted.items():
        seen = np.frombuffer(key, dtype=np.int64)
        shape = tuple(sizes[i] for i in seen)
        place = np.ravel_multi_index(tuple(cells[seen]), shape) if seen.size else 0 * cells[0]
        patterns.append((place, part))
    share = np.full(n_cells, 1.0 / n_cells)
    for _ in range(_SHARING_STEPS if patterns else 1):
        expected = complete.copy()
        for place, part in patterns:
            seen_share = np.bincount(place, share, part.size)
            ratio = np.divide(part, seen_share, out=np.zeros(part.size), where=seen_share > 0)
            expected += share * ratio[place]
        new = expected / total
        change = float(np.abs(new - share).sum())
        share = new
        if change < _SHARING_CHANGE:
            break
    return share


@dataclass(frozen=True)
class _CountCells:
    """Counts cells, apart for each set of variables that were seen; a task for blocks."""

    sizes: tuple[int, ...]

    def __call__(self, block: Block) -> dict[bytes, Floats]:
        """Count the rows of a block; the key names the variables seen, empty for all."""
        missing = block.values < 0
        patterns, which = np.unique(missing, axis=0, return_inverse=True)
        out = {}
        for k, pattern in enumerate(patterns):
            at = which.ravel() == k
            seen = np.flatnonzero(~pattern)
            shape = tuple(self.sizes[i] for i in seen)
            place = np.zeros(int(at.sum()), dtype=np.int64)
            if seen.size:
                codes = block.values[at][:, seen].T.astype(np.int64)
                place = np.ravel_multi_index(tuple(codes), shape)
            counts = np.bincount(place, block.counts[at], math.prod(shape)).astype(np.float64)
            key = b"" if seen.size == len(self.sizes) else seen.astype(np.int64).tobytes()
            # Rows in which nothing was seen say nothing.
            if seen.size:
                out[key] = counts
        return out

    def merge(self, one: dict[bytes, Floats], other: dict[bytes, Floats]) -> dict[bytes, Floats]:
        """Bring the counts of two blocks together."""
        nothing = np.zeros(1)
        return {key: one.get(key, nothing) + other.get(key, nothing) for key in {**one, **other}}


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
