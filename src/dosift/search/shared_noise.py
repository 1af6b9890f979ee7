"""Noise that two measurements share, as control rows show: what it makes is no change of both.

Two sensors in one box go up and down together, and no edge says so. Densities of targets take the
noise of each variable for independent of all others, so that rows in which both are high look like
rows in which both were shifted, by nothing else and on top of everything else. Here the targets
that change both are judged once more, under a density in which the residuals of the two have the
correlation of the control rows wherever neither was changed (a normal copula), and those that do
not earn their cost then are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Bools, Floats, Ints, Values
from dosift.model.linear import LinearMechanism
from dosift.model.mechanism import Mechanism
from dosift.model.mechanism_network import MechanismNetwork
from dosift.search.constraints import Constraints
from dosift.search.score import Score

#: Control rows by which shared noise is judged at least, standard errors from which a correlation
#: is clear, the largest that is believed, and standard deviations beyond which residuals are alike.
_LEAST_CONTROL, _CLEARLY, _MOST_SHARED, _MOST_SDS = 30, 5.0, 0.95, 4.0
#: Steps of EM for weights, and the rise in nats at which they end.
_EM_STEPS, _EM_RISE = 100, 0.01


def shared_noise(network: MechanismNetwork, i: int, j: int) -> float:
    """Correlation of two variables' residuals in control rows.

    Parameters
    ----------
    network : MechanismNetwork
    i, j : int
        Positions of two variables.

    Returns
    -------
    float
        0 where it is not clear, an edge links the two, or they are no regressions.
    """
    control = network.control
    pair = network.mechanisms[i], network.mechanisms[j]
    if control is None or not all(isinstance(one, LinearMechanism) for one in pair):
        return 0.0
    if i in pair[1].parents or j in pair[0].parents:
        return 0.0
    both = np.stack([_residuals(one, control.values) for one in pair])
    seen = np.isfinite(both).all(axis=0) & (control.weights > 0)
    if seen.sum() < _LEAST_CONTROL:
        return 0.0
    covariance = np.cov(both[:, seen], aweights=control.weights[seen])
    found = float(covariance[0, 1] / np.sqrt(max(covariance[0, 0] * covariance[1, 1], 1e-300)))
    clear = _CLEARLY / np.sqrt(float(control.weights.sum()))
    return float(np.clip(found, -_MOST_SHARED, _MOST_SHARED)) if abs(found) > clear else 0.0


def log_copula(network: MechanismNetwork, i: int, j: int, shared: float, values: Values) -> Floats:
    """Logarithm of the density of rows by noise that two variables share, over that without.

    Parameters
    ----------
    network : MechanismNetwork
    i, j : int
    shared : float
        Correlation of their residuals.
    values : ndarray, shape (n_rows, n_variables)

    Returns
    -------
    ndarray, shape (n_rows,)
        0 where a value is missing.
    """
    x, y = (_residuals(network.mechanisms[k], values) for k in (i, j))
    rest = 1.0 - shared**2
    log = shared * (x * y - 0.5 * shared * (x * x + y * y)) / rest - 0.5 * np.log(rest)
    return np.asarray(np.nan_to_num(log))


def _residuals(mechanism: Mechanism, values: Values) -> Floats:
    """Residuals of a regression in standard deviations, the outermost brought in."""
    assert isinstance(mechanism, LinearMechanism)
    return np.clip(mechanism.residuals(values) / mechanism.noise.sd, -_MOST_SDS, _MOST_SDS)


def pairs_that_share(network: MechanismNetwork, targets: Ints) -> dict[tuple[int, int], float]:
    """Find the pairs of variables with shared noise that some target changes together.

    Parameters
    ----------
    network : MechanismNetwork
    targets : ndarray of int, shape (n_targets, n_variables)

    Returns
    -------
    dict
        Correlation of the residuals of each pair.
    """
    together = {
        pair for target in targets for pair in combinations(np.flatnonzero(target >= 0).tolist(), 2)
    }
    found = {pair: shared_noise(network, *pair) for pair in sorted(together)}
    return {pair: shared for pair, shared in found.items() if shared}


def with_parts(
    targets: Ints, weights: Floats, pairs: Iterable[tuple[int, int]]
) -> tuple[Ints, Floats]:
    """Set targets beside those that change both of a pair which change one of the two, or none.

    Parameters
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    pairs : iterable of (int, int)

    Returns
    -------
    targets : ndarray of int, shape (n_more, n_variables)
        The given ones first.
    weights : ndarray, shape (n_more,)
        To begin with; they sum to one.
    """
    known = {target.tobytes() for target in targets}
    more, start = [*targets], [*weights]
    for i, j in pairs:
        for k in np.flatnonzero((targets[:, i] >= 0) & (targets[:, j] >= 0)):
            for freed in ([i], [j], [i, j]):
                part = targets[k].copy()
                part[freed] = -1
                if part.tobytes() not in known:
                    known.add(part.tobytes())
                    more.append(part)
                    start.append(0.5 * weights[k])
    found = np.array(start)
    return np.array(more, dtype=targets.dtype), found / found.sum()


def earning(
    network: MechanismNetwork,
    pairs: Mapping[tuple[int, int], float],
    values: Values,
    counts: Floats,
    columns: Floats,
    targets: Ints,
    weights: Floats,
    score: Score,
    n_given: int,
) -> NDArray[np.int64]:
    """Say which targets earn their cost where noise is shared.

    Parameters
    ----------
    network : MechanismNetwork
    pairs : mapping
        From :func:`pairs_that_share`.
    values : ndarray, shape (n_rows, n_variables)
    counts : ndarray, shape (n_rows,)
    columns : ndarray, shape (n_rows, n_targets)
        Likelihoods of the targets if noise were independent.
    targets : ndarray of int, shape (n_targets, n_variables)
        From :func:`with_parts`.
    weights : ndarray, shape (n_targets,)
    score : Score
    n_given : int
        How many of the targets were found; the others may take their place.

    Returns
    -------
    ndarray of int64
        Positions of the targets to keep, ascending.
    """
    logs = np.zeros_like(columns)
    suspect = np.zeros(len(targets), dtype=bool)
    for (i, j), shared in pairs.items():
        left = (targets[:, i] < 0) & (targets[:, j] < 0)
        logs[:, left] += log_copula(network, i, j, shared, values)[:, None]
        suspect |= (targets[:, i] >= 0) & (targets[:, j] >= 0)
    logs -= logs.max(axis=1, keepdims=True)
    own = columns * np.exp(logs)
    every = np.arange(len(targets))

    def value(kept: NDArray[np.int64]) -> float:
        return _best(own[:, kept], counts, weights[kept]) - score.total(targets[kept])

    def fewer(kept: NDArray[np.int64], spare: Bools) -> tuple[Ints, float]:
        """Drop what does not earn its cost, the lightest first."""
        now = value(kept)
        for t in sorted(kept[spare[kept]].tolist(), key=lambda t: weights[t]):
            rest = kept[kept != t]
            trial = value(rest) if rest.size else -np.inf
            if trial >= now:
                kept, now = rest, trial
        return kept, now

    # What no target with both explains as well goes as a whole: dropped one by one, some of them
    # would stand in for what a normal copula lacks of the tails that the two share.
    parts, without = fewer(every[~suspect], every >= n_given)
    if without >= value(every[:n_given]):
        return np.asarray(parts, dtype=np.int64)
    return np.asarray(fewer(every[:n_given], suspect)[0], dtype=np.int64)


def never_both(
    known: Constraints, network: MechanismNetwork, pairs: Iterable[tuple[int, int]]
) -> Constraints:
    """Let no target change both variables of some pairs, whatever it does to them.

    Parameters
    ----------
    known : Constraints
    network : MechanismNetwork
    pairs : iterable of (int, int)

    Returns
    -------
    Constraints
    """
    added = [known.excluded]
    for i, j in sorted(pairs):
        one, two = np.indices((len(network.libraries[i]), len(network.libraries[j])))
        both = np.full((one.size, network.n_variables), -1, dtype=known.excluded.dtype)
        both[:, i], both[:, j] = one.ravel(), two.ravel()
        added.append(both)
    return replace(known, excluded=np.concatenate(added)) if len(added) > 1 else known


def _best(columns: Floats, counts: Floats, weights: Floats) -> float:
    """Log-likelihood of rows at the best weights; minus infinity if some cannot come from any."""
    weights = weights / weights.sum()
    before = -np.inf
    for _ in range(_EM_STEPS):
        density = columns @ weights
        if not (density > 0).all():
            return -np.inf
        value = float(counts @ np.log(density))
        if value - before < _EM_RISE:
            return value
        before = value
        weights = weights * (columns.T @ (counts / density)) / counts.sum()
    return before
