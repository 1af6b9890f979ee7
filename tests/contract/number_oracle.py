"""Densities of targets written out by hand, with SciPy's distributions: what promises of numbers
are judged by.

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
from scipy import stats

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Key = tuple[int, ...]


def working(network: Any, rows: Any) -> Floats:
    """Bring a table to the working scales; states to their positions."""
    out = np.empty((len(rows), len(network.variables)))
    for i, (variable, scale) in enumerate(zip(network.variables, network.scales, strict=True)):
        column = rows[variable.name].to_list()
        if variable.kind == "discrete":
            out[:, i] = [variable.states.index(str(v)) for v in column]
            continue
        value = np.array(column, dtype=float)
        if scale.form == "log":
            value = np.log(value + scale.added)
        elif scale.form == "logit":
            value = np.log(value / (1.0 - value))
        out[:, i] = (value - scale.centre) / scale.spread
    return out


def log_likelihoods(network: Any, keys: list[Key], values: Floats) -> Floats:
    """Log-density of each row under each target, shape (n_rows, n_targets)."""
    n = len(network.mechanisms)
    plain = [log_density(one, values) for one in network.mechanisms]
    known = {
        (i, k): log_density_under(network, i, k, values)
        for i in range(n)
        for k in {key[i] for key in keys if key[i] >= 0}
    }
    columns = [
        np.sum([plain[i] if key[i] < 0 else known[i, key[i]] for i in range(n)], axis=0)
        for key in keys
    ]
    return np.stack(columns, axis=1)


def neighbours(network: Any, key: Key) -> Iterator[Key]:
    """Targets that differ from one in a single variable."""
    for i, library in enumerate(network.libraries):
        for a in range(-1, len(library)):
            if a != key[i]:
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
        wide = 1.0 + np.array([row @ m.covariance @ row for row in x]) / factor**2
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
    if m.dispersion > 0:
        p = np.exp(stats.nbinom.logpmf(own, 1 / m.dispersion, 1 / (1 + m.dispersion * mean)))
    else:
        p = np.exp(stats.poisson.logpmf(own, mean))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(m.zeros * (own == 0) + (1 - m.zeros) * p))


def _table(m: Any, values: Floats, shift: float, factor: float) -> Floats:
    out = []
    for row in values.astype(int).tolist():
        at = 0
        for parent, size in zip(m.parents, m.sizes, strict=True):
            at = at * size + row[parent]
        out.append(np.log(m.table[at, row[m.variable]]))
    return np.array(out)


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


def log_density_under(network: Any, i: int, k: int, values: Floats) -> Floats:
    """Log-density of variable i under the change of position k in its library."""
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
        size = 1 / change.dispersion
        return np.asarray(stats.nbinom.logpmf(own, size, size / (size + change.mean)))
    raise AssertionError(f"the oracle does not know {kind}")
