"""Densities of targets written out by hand, with SciPy: what promises of numbers are judged by.

Only parameters are read from the fitted network, and the features of parents; whatever a fit says
of likelihoods, gradients and posteriors can be worked out anew from that. Densities are those on
the working scales.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Key = tuple[int, ...]
#: Counts up to which those that are missing are summed over.
MOST_COUNTED = 1200
#: Position of what rows from elsewhere have for a change, in every variable.
ELSEWHERE = 32767


def working(network: Any, rows: Any) -> Floats:
    """Bring a table to the working scales; states to their positions."""
    out = np.empty((len(rows), len(network.variables)))
    for i, (variable, scale) in enumerate(zip(network.variables, network.scales, strict=True)):
        column = rows[variable.name].to_list()
        if variable.kind == "discrete":
            out[:, i] = [np.nan if v is None else variable.states.index(str(v)) for v in column]
            continue
        value = np.array(column, dtype=float)
        if scale.form == "log":
            value = np.log(value + scale.added)
        elif scale.form == "logit":
            value = np.log(value / (1.0 - value))
        out[:, i] = (value - scale.centre) / scale.spread
    return out


def log_likelihoods(network: Any, keys: list[Key], values: Floats) -> Floats:
    """Log-density of what each row shows under each target, shape (n_rows, n_targets).

    A row may lack one of the variables that others depend on, which is integrated over a grid, or
    the last one, on which nothing depends.
    """
    lacks = np.isnan(values)
    out = np.empty((len(values), len(keys)))
    for j in (-1, *range(values.shape[1] - 1)):
        rows = np.flatnonzero(lacks[:, j] if j >= 0 else ~lacks[:, :-1].any(axis=1))
        if not rows.size:
            continue
        if j < 0:
            out[rows] = _log_likelihoods(network, keys, values[rows])
            continue
        out[rows] = _without(network, keys, values[rows], j)
    return out


def _without(network: Any, keys: list[Key], values: Floats, j: int) -> Floats:
    """The same of rows that lack one variable: what does not depend on it comes once."""
    grid, log_width = _grid(network, j)
    filled = np.repeat(values, len(grid), axis=0)
    filled[:, j] = np.tile(grid, len(values))
    near = {j, *(i for i, one in enumerate(network.mechanisms) if j in one.parents)}
    of_grid = _of_variables(network, keys, filled, near)
    rest = set(range(len(network.mechanisms))) - near
    of_rows = _of_variables(network, keys, np.where(np.isnan(values), 0.0, values), rest)
    if len(network.mechanisms) - 1 in rest:
        _open_the_last(network, of_rows, np.isnan(values[:, -1]))
    else:
        _open_the_last(network, of_grid, np.isnan(filled[:, -1]))
    integrals: dict[tuple[int, ...], Floats] = {}
    out = np.empty((len(values), len(keys)))
    for t, key in enumerate(keys):
        own = tuple(key[i] for i in sorted(near))
        if own not in integrals:
            log = np.sum([of_grid[i, key[i]] for i in near], axis=0).reshape(len(values), -1)
            most = log.max(axis=1, keepdims=True)
            most[np.isneginf(most)] = 0.0
            with np.errstate(divide="ignore"):
                sums = np.log(np.exp(log - most).sum(axis=1))
            integrals[own] = sums + most[:, 0] + log_width
        out[:, t] = integrals[own] + sum(of_rows[i, key[i]] for i in rest)
    return out


def _grid(network: Any, j: int) -> tuple[Floats, float]:
    """All values that a variable may have, and the logarithm of what each of them counts."""
    variable = network.variables[j]
    if variable.kind == "discrete":
        return np.arange(len(variable.states), dtype=float), 0.0
    if variable.kind == "count":
        return np.arange(MOST_COUNTED, dtype=float), 0.0
    grid = np.linspace(-12.0, 12.0, 481)
    return grid, float(np.log(grid[1] - grid[0]))


def _log_likelihoods(network: Any, keys: list[Key], values: Floats) -> Floats:
    """The same of rows that lack nothing but the last variable."""
    n = len(network.mechanisms)
    open_ = np.isnan(values[:, -1])
    parts = _of_variables(network, keys, np.where(np.isnan(values), 0.0, values), set(range(n)))
    _open_the_last(network, parts, open_)
    return np.stack([np.sum([parts[i, key[i]] for i in range(n)], axis=0) for key in keys], axis=1)


def _open_the_last(
    network: Any, parts: dict[tuple[int, int], Floats], is_open: NDArray[np.bool_]
) -> None:
    """Let the last variable say nothing where it is missing: nothing depends on it."""
    for (i, _), log in parts.items():
        if i == len(network.mechanisms) - 1:
            log[is_open] = 0.0


def _of_variables(
    network: Any, keys: list[Key], values: Floats, some: set[int]
) -> dict[tuple[int, int], Floats]:
    """Log-density of some variables, left alone and under each change that targets make."""
    found = {(i, -1): log_density(network.mechanisms[i], values) for i in some}
    changed = {(i, key[i]) for i in some for key in keys if key[i] >= 0}
    return found | {(i, k): log_density_under(network, i, k, values) for i, k in changed}


def neighbours(network: Any, key: Key) -> Iterator[Key]:
    """Targets that differ from one in a single variable."""
    for i, library in enumerate(network.libraries):
        for a in range(-1, len(library)):
            if a != key[i] and ELSEWHERE not in key:
                yield (*key[:i], a, *key[i + 1 :])


def every_target(network: Any) -> list[Key]:
    """Every target that the network's changes make."""
    return list(itertools.product(*(range(-1, len(one)) for one in network.libraries)))


def _design(features: Any, values: Floats) -> Floats:
    columns = [np.asarray(f(values), dtype=float) for f in features]
    return np.stack([np.ones(len(values)), *columns], axis=1)


def log_density(mechanism: Any, values: Floats, shift: float = 0.0, factor: float = 1.0) -> Floats:
    """Log-density of a mechanism; of a number moved by a shift, of a count by a factor."""
    return _DENSITIES[type(mechanism).__name__](mechanism, values, shift, factor)


def _linear(m: Any, values: Floats, shift: float, factor: float) -> Floats:
    x, own = _design(m.features, values), values[:, m.variable]
    width = np.full(len(x), m.factor * factor)
    if m.axis is not None:
        width = width * np.exp(m.slope * np.clip(x @ m.axis, -3.0, 3.0))
    wide = np.ones(len(x))
    if m.covariance is not None:
        wide = 1.0 + ((x @ m.covariance) * x).sum(axis=1) / factor**2
    mean = x @ m.coefficients + m.offset + shift
    parts = [
        share * stats.norm.pdf(own, mean + width * at, width * sd * np.sqrt(wide))
        for share, at, sd in zip(m.noise.shares, m.noise.means, m.noise.sds, strict=True)
    ]
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.sum(parts, axis=0)))


def _uniform(m: Any, values: Floats, shift: float, factor: float) -> Floats:
    own, width = values[:, m.variable], m.high - m.low
    inside = stats.uniform.pdf(own, m.low, width)
    around = stats.norm.pdf(own, (m.low + m.high) / 2, width)
    return np.asarray(np.log((1 - m.outside) * inside + m.outside * around))


def _counts(m: Any, values: Floats, shift: float, factor: float) -> Floats:
    mean = factor * np.exp(_design(m.features, values) @ np.array(m.coefficients) + m.log_fold)
    own = values[:, m.variable]
    p = np.exp(_log_counts(own, mean, m.dispersion))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(m.zeros * (own == 0) + (1 - m.zeros) * p))


def _log_counts(own: Floats, mean: Any, dispersion: float) -> Floats:
    """Log-probability of counts, by gamma functions: distributions of SciPy take far longer."""
    if dispersion <= 0:
        return np.asarray(special.xlogy(own, mean) - mean - special.gammaln(own + 1))
    size = 1 / dispersion
    log = special.gammaln(own + size) - special.gammaln(own + 1) - special.gammaln(size)
    return np.asarray(
        log - size * np.log1p(dispersion * mean) + special.xlogy(own, mean / (size + mean))
    )


def _table(m: Any, values: Floats, shift: float, factor: float) -> Floats:
    codes = values.astype(int)
    at = np.zeros(len(codes), dtype=int)
    for parent, size in zip(m.parents, m.sizes, strict=True):
        at = at * size + codes[:, parent]
    return np.asarray(np.log(m.table[at, codes[:, m.variable]]))


def _logistic(m: Any, values: Floats, shift: float, factor: float) -> Floats:
    odds = _design(m.features, values) @ m.coefficients.T
    odds = np.column_stack([np.zeros(len(odds)), odds])
    log = odds - np.log(np.exp(odds - odds.max(axis=1, keepdims=True)).sum(axis=1))[:, None]
    log -= odds.max(axis=1, keepdims=True)
    return np.asarray(log[np.arange(len(odds)), values[:, m.variable].astype(int)])


_DENSITIES = {
    "LinearMechanism": _linear,
    "UniformMechanism": _uniform,
    "NegativeBinomialMechanism": _counts,
    "CategoricalMechanism": _table,
    "LogisticMechanism": _logistic,
}


def _elsewhere(other: Any, i: int, own: Floats) -> Floats:
    """Log-density of a variable in rows from elsewhere, of one part only."""
    (part,) = other.parts
    one = part.marginals[i]
    if one.shape == "states":
        return np.asarray(np.log(np.array(one.numbers)[own.astype(int)]))
    first, second = one.numbers
    if not one.of_counts:
        if one.shape == "normal":
            return np.asarray(stats.norm.logpdf(own, first, second))
        with np.errstate(divide="ignore"):
            return np.asarray(stats.uniform.logpdf(own, first, second - first))
    bounds = np.log(own + 0.5), np.log(own + 1.5)
    if one.shape == "even":
        low, high = np.log(first + 0.5), np.log(second + 1.5)
        inside = (own >= first) & (own <= second)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(inside * (bounds[1] - bounds[0]) / (high - low)))
    below = np.where(own > 0, stats.norm.cdf(bounds[0], first, second), 0.0)
    return np.asarray(np.log(stats.norm.cdf(bounds[1], first, second) - below))


def log_density_under(network: Any, i: int, k: int, values: Floats) -> Floats:
    """Log-density of variable i under the change of position k in its library."""
    if k == ELSEWHERE:
        return _elsewhere(network.other, i, values[:, i])
    mechanism, change = network.mechanisms[i], network.libraries[i][k]
    own, kind = values[:, i], type(change).__name__
    if kind == "SetState":
        with np.errstate(divide="ignore"):
            return np.asarray(np.log((own == k).astype(float)))
    if kind == "SetNormal":
        return np.asarray(stats.norm.logpdf(own, change.mean, change.sd))
    if kind == "Shift":
        return log_density(mechanism, values, change.by, change.factor)
    if kind == "Fold":
        return log_density(mechanism, values, 0.0, change.factor)
    if kind == "SetCount":
        return _log_counts(own, change.mean, change.dispersion)
    raise AssertionError(f"the oracle does not know {kind}")
