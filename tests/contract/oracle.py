"""Likelihoods by enumeration: what the promises are judged by, and nothing of dosift's own sums.

A network of a few variables has few joint states. A target's distribution is one array over all
of them, a row with missing values is a sum over what it may have been, and whatever a fit says of
likelihoods, gradients and posteriors can be worked out anew from that.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dosift.model.network import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Key = tuple[int, ...]
#: Position of what rows from elsewhere have for a state, in every variable.
ELSEWHERE = 32767


def is_elsewhere(target: Key) -> bool:
    """Whether a target is that of rows from elsewhere."""
    return ELSEWHERE in target


def done(target: Key) -> Key:
    """What was done to the variables: nothing, in rows from elsewhere."""
    return (-1,) * len(target) if is_elsewhere(target) else target


def density(network: Network, target: Key) -> Floats:
    """Probability of every joint state under one target, one axis for each variable.

    In rows from elsewhere each variable has shares of its own, whatever its parents are.
    """
    if is_elsewhere(target):
        assert network.other is not None
        return np.asarray(functools.reduce(np.multiply.outer, network.other))
    sizes = [len(v.states) for v in network.variables]
    out = np.ones(sizes)
    for i, parents in enumerate(network.parents):
        shape = [1] * len(sizes)
        if target[i] >= 0:
            shape[i] = sizes[i]
            out = out * np.eye(sizes[i])[target[i]].reshape(shape)
            continue
        axes = [*parents, i]
        table = network.tables[i].reshape([sizes[a] for a in axes])
        order = sorted(axes)
        for a in axes:
            shape[a] = sizes[a]
        out = out * table.transpose([axes.index(a) for a in order]).reshape(shape)
    return out


def likelihoods(network: Network, targets: list[Key], codes: Ints) -> Floats:
    """Probability of each row under each target; a missing value (-1) is summed over."""
    densities = np.stack([density(network, target) for target in targets])
    distinct, place = np.unique(codes, axis=0, return_inverse=True)
    out = np.empty((len(distinct), len(targets)))
    for r, row in enumerate(distinct.tolist()):
        seen = densities[(slice(None), *(slice(None) if v < 0 else v for v in row))]
        out[r] = seen.reshape(len(targets), -1).sum(axis=1)
    return out[place.ravel()]


def chain(
    columns: Floats, times: Ints, series: Ints, weights: Floats, rate: float
) -> tuple[float, Floats]:
    """Log-likelihood of rows in order of time, and the posterior of each row's target.

    One row after the other, with every transition as a matrix. `series` says which rows hang
    together, `weights` has a line for each row. Rows at one time are a millionth of the median step
    apart.
    """
    order = np.lexsort((times, series))
    steps = np.diff(times[order])[np.diff(series[order]) == 0]
    least = 1e-6 * float(np.median(steps[steps > 0]))
    n, m = columns.shape
    moves = [np.tile(weights[order[0]], (m, 1))]
    for before, now in itertools.pairwise(order.tolist()):
        stay = 0.0
        if series[now] == series[before]:
            stay = math.exp(-rate * max(times[now] - times[before], least))
        moves.append(stay * np.eye(m) + (1.0 - stay) * weights[now])
    forward, backward, total = np.empty((n, m)), np.ones((n, m)), 0.0
    reached = np.full(m, 1.0 / m)
    for k, row in enumerate(order.tolist()):
        reached = reached @ moves[k] * columns[row]
        total += math.log(reached.sum())
        reached = reached / reached.sum()
        forward[row] = reached
    for k in range(n - 1, 0, -1):
        after = moves[k] @ (columns[order[k]] * backward[order[k]])
        backward[order[k - 1]] = after / after.sum()
    both = forward * backward
    return total, both / both.sum(axis=1, keepdims=True)


def all_targets(network: Network) -> list[Key]:
    """Every target there is."""
    return list(itertools.product(*(range(-1, len(v.states)) for v in network.variables)))


def neighbours(network: Network, target: Key) -> Iterator[Key]:
    """Targets that differ from one in a single variable; of rows from elsewhere there are none."""
    if is_elsewhere(target):
        return
    for i, variable in enumerate(network.variables):
        for a in range(-1, len(variable.states)):
            if a != target[i]:
                yield (*target[:i], a, *target[i + 1 :])


def best_weights(columns: Floats, counts: Floats, fixed: Floats | None = None) -> Floats:
    """Maximum-likelihood weights by plain expectation maximisation; `fixed` are NaN where free."""
    m = columns.shape[1]
    fixed = np.full(m, np.nan) if fixed is None else fixed
    free = np.isnan(fixed)
    weights = np.where(free, 0.0, fixed)
    if not free.any():
        return weights
    rest = 1.0 - weights.sum()
    weights[free] = rest / free.sum()
    kept = counts > 0
    columns, counts = columns[kept], counts[kept]
    for _ in range(500):
        taken = weights * (counts @ (columns / (columns @ weights)[:, None]))
        weights[free] = rest * taken[free] / taken[free].sum()
    return weights


def description_length(network: Network, targets: list[Key], n_rows: float) -> float:
    """Half a logarithm of the rows for each weight, and a name among the targets of its size."""
    n = network.n_variables
    values = [math.log(max(len(v.states) - 1, 1)) for v in network.variables]
    mean = sum(values) / n
    total = 0.0
    for target in targets:
        if is_elsewhere(target):
            total += 0.5 * math.log(n_rows)
            continue
        size = sum(a >= 0 for a in target)
        sizes = [math.log(math.comb(n, s)) + s * mean for s in range(size + 1)]
        total += max(sizes) - size * mean + 0.5 * math.log(n_rows)
        total += sum(values[i] for i, a in enumerate(target) if a >= 0)
    return total
