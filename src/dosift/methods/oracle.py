"""The oracle algorithm: exact probabilities in, the one mixture that satisfies exclusion out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.errors import InputError
from dosift.interventions import Mixture
from dosift.methods.prefixes import extensions, solve_stage, solve_system, stage_of
from dosift.network.model import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
#: Probabilities of partial assignments: codes with -1 for what is summed out.
Probabilities = Callable[[NDArray[np.int64]], ArrayLike]

#: Largest deviation of a table's sum from one.
_SUM_TOLERANCE = 1e-9


def recover_mixture(
    network: Network,
    p_mix: Mixture | ArrayLike | Probabilities,
    *,
    tolerance: float = 1e-10,
) -> Mixture:
    """Recover a mixture of do-interventions from its exact distribution.

    Parameters
    ----------
    network : Network
        The undisturbed system, with positive conditional probability tables.
    p_mix : Mixture, array-like or callable
        The distribution of the mixture. As a table: one axis for each variable, in the network's
        order, entries that sum to 1. As a callable: gets state codes, an integer array of shape
        (n_points, n_variables) with -1 for variables to be summed out, and returns the
        probability of each point; it is called for the first variables of a topological order
        only. As a mixture: its own distribution is computed.
    tolerance : float, default=1e-10
        Weights up to this count as zero.

    Returns
    -------
    Mixture
        The only mixture that satisfies exclusion and has this distribution.

    Raises
    ------
    InputError
        If a conditional probability is zero (positivity), if no mixture that satisfies exclusion
        has this distribution, or if `p_mix` is no distribution over the network's variables.

    Notes
    -----
    Algorithm 1 of Kumar and Sinha (UAI 2021). The system of a prefix with weight mu,
    ``(c I - a 1') x = b``, has rank k - 1 and the null vector a > 0; its only non-negative
    solution with a zero entry is ``x = (b - a min(b / a)) / c``.

    Examples
    --------
    >>> import dosift
    >>> network = dosift.Network.from_tables(
    ...     {"a": ["0", "1"], "b": ["0", "1"]}, {"b": ["a"]},
    ...     {"a": [[0.5, 0.5]], "b": [[0.5, 0.5], [0.5, 0.5]]},
    ... )
    >>> truth = dosift.Mixture({dosift.do(a="0"): 0.5, dosift.do(a="0", b="0"): 0.5})
    >>> found = recover_mixture(network, [[0.75, 0.25], [0.0, 0.0]])
    >>> found == truth
    True
    """
    _check_positivity(network)
    n = network.n_variables
    probability = _probabilities(network, p_mix)
    targets: Ints = np.full((1, n), -1, dtype=np.int64)
    weights = np.ones(1)
    excluded = np.zeros(n, dtype=np.int64)
    for j, variable in enumerate(network.order):
        seen = np.asarray(network.order[:j], dtype=np.int64)
        stage = stage_of(network, seen, variable, targets, excluded)
        k = int(network.cardinalities[variable])
        points = np.repeat(stage.points, k, axis=0)
        points[:, variable] = np.tile(np.arange(k), len(targets))
        at_points = probability(points).reshape(-1, k)
        own, extended = solve_stage(stage, weights, at_points, _solve)
        excluded[variable] = extended.sum(axis=0).argmin()
        own[np.abs(own) <= tolerance] = 0.0
        extended[extended <= tolerance] = 0.0
        _check_solution(network, variable, own, extended)
        targets, weights = extensions(targets, variable, own, extended)
    return Mixture.from_codes(network, targets, weights / weights.sum())


def _solve(right: Floats, mechanism: Floats, weight: float) -> Floats:
    return solve_system(right, mechanism)


def _check_solution(network: Network, variable: int, own: Floats, extended: Floats) -> None:
    name = network.names[variable]
    if own.min() < 0:
        raise InputError(
            f"no mixture that satisfies exclusion has this distribution: at variable {name} the "
            f"interventions would have more weight than there is (by {-own.min():.2g}); check the "
            "network, and whether p_mix is exact"
        )
    if extended.sum(axis=0).min() > 0:
        raise InputError(
            f"no mixture that satisfies exclusion has this distribution: every value of variable "
            f"{name} would be set by some target; check the network, and whether p_mix is exact"
        )


def _check_positivity(network: Network) -> None:
    for i, table in enumerate(network.tables):
        zero = np.argwhere(table <= 0)
        if zero.size:
            row, state = map(int, zero[0])
            raise InputError(
                f"the conditional probability of {network.names[i]}="
                f"{network.variables[i].states[state]} is zero for the parents' configuration "
                f"number {row}; the algorithm needs positivity"
            )


def _probabilities(network: Network, p_mix: object) -> Callable[[NDArray[np.int64]], Floats]:
    if isinstance(p_mix, Mixture):
        targets, weights = p_mix.to_codes(network)
        return lambda points: _mixture_probability(network, targets, weights, points)
    if callable(p_mix):
        return lambda points: _checked_values(p_mix(points), len(points))
    return _TableOfPrefixes(network, p_mix)


def _checked_values(values: ArrayLike, n: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (n,) or not np.all(np.isfinite(array)) or (n and array.min() < 0):
        raise InputError(
            f"p_mix must return one probability for each of {n} points, not an array of shape "
            f"{array.shape}" + ("" if array.shape != (n,) else " with negative or infinite values")
        )
    return array


def _mixture_probability(
    network: Network, targets: Ints, weights: Floats, points: NDArray[np.int64]
) -> Floats:
    """Probability of points over the first variables of a topological order."""
    seen = [v for v in network.order if points[0, v] >= 0]
    terms = np.tile(weights, (len(points), 1))
    for v in seen:
        own = network.tables[v][network.parent_rows(v, points), points[:, v]]
        is_set = targets[:, v] >= 0
        terms[:, ~is_set] *= own[:, None]
        terms[:, is_set] *= points[:, v, None] == targets[is_set, v]
    out: Floats = terms.sum(axis=1)
    return out


class _TableOfPrefixes:
    """A dense table, summed out from the last variable of the order to the first."""

    def __init__(self, network: Network, table: object) -> None:
        shape = tuple(int(k) for k in network.cardinalities)
        try:
            dense = np.asarray(table, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(
                "p_mix is neither a Mixture, nor a callable, nor a table of numbers"
            ) from None
        if dense.shape != shape:
            raise InputError(f"p_mix has shape {dense.shape}; the network's variables need {shape}")
        if not np.all(np.isfinite(dense)) or dense.min() < 0:
            raise InputError("p_mix holds negative or infinite entries; give probabilities")
        if abs(dense.sum() - 1.0) > _SUM_TOLERANCE:
            raise InputError(f"p_mix sums to {dense.sum():.12g}, not to 1")
        self._order = np.asarray(network.order)
        tables = [dense.transpose(self._order)]
        for _ in shape[1:]:
            tables.append(tables[-1].sum(axis=-1))
        self._tables = tables[::-1]

    def __call__(self, points: NDArray[np.int64]) -> Floats:
        n_seen = int((points[0] >= 0).sum())
        out: Floats = self._tables[n_seen - 1][tuple(points[:, self._order[:n_seen]].T)]
        return out
