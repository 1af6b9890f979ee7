"""The oracle algorithm: exact probabilities in, the one mixture that satisfies exclusion out."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.data.configurations import collapse
from dosift.errors import InputError
from dosift.methods.prefixes import (
    Stage,
    entry_name,
    extensions,
    solve_stage,
    solve_system,
    stage_of,
)
from dosift.model import Mixture
from dosift.model.arrays import Floats, Ints
from dosift.model.network import Network
from dosift.model.simulate import sample_codes

#: Probabilities of partial assignments: codes with -1 for what is summed out.
Probabilities = Callable[[NDArray[np.int64]], ArrayLike]

#: Largest deviation of a table's sum from one.
_SUM_TOLERANCE = 1e-9
#: The answer's distribution may differ from the one given by this many tolerances of a weight
#: (total variation distance), and by the second number in any case.
_TOLERANCES, _LEAST_DISTANCE = 100.0, 1e-8
#: Distributions over at most this many cells are compared in all of them, others in as many rows as
#: the second number, drawn from the answer. Tables are compared in blocks of the first size.
_FEW_CELLS, _COMPARED_ROWS = 2**16, 10_000


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
        The undisturbed system. Its conditional probabilities must be positive wherever the
        algorithm uses them, that is, given the values that a target sets and excluded values
        elsewhere.
    p_mix : Mixture, array-like or callable
        The distribution of the mixture. As a table: one axis for each variable, in the network's
        order, entries that sum to 1. As a callable: gets state codes, an integer array of shape
        (n_points, n_variables) with -1 for variables to be summed out, and returns the
        probability of each point; it is called for the first variables of a topological order
        only, in the order ``network.order``. As a mixture: its own distribution is computed.
    tolerance : float, default=1e-10
        Weights up to this count as zero; in [0, 1).

    Returns
    -------
    Mixture
        The only mixture that satisfies exclusion and has this distribution.

    Raises
    ------
    InputError
        If a conditional probability that is needed is zero (positivity), if no mixture that
        satisfies exclusion has this distribution, or if `p_mix` is no distribution over the
        network's variables.

    Notes
    -----
    Algorithm 1 of Kumar and Sinha (UAI 2021). The system of a prefix with weight mu,
    ``(c I - a 1') x = b``, has rank k - 1 and the null vector a > 0; its only non-negative
    solution with a zero entry is ``x = (b - a min(b / a)) / c``. Where several values of a variable
    are set by no target, any of them will do, and the one that leaves the largest probabilities
    to the next systems is taken.

    At the end the answer's distribution is compared with the one given: in all cells if `p_mix`
    is a table or if there are at most 65,536 cells, otherwise in 10,000 rows drawn from the
    answer. So a mixture that violates exclusion either comes back as the one mixture with the
    same distribution that satisfies it, or is refused.

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
    _check_arguments(network, tolerance)
    n = network.n_variables
    probability = _probabilities(network, p_mix)
    targets: Ints = np.full((1, n), -1, dtype=np.int64)
    weights = np.ones(1)
    excluded = np.zeros(n, dtype=np.int64)
    for j, variable in enumerate(network.order):
        seen = np.asarray(network.order[:j], dtype=np.int64)
        stage = stage_of(network, seen, variable, targets, excluded)
        _check_positivity(network, variable, stage)
        k = int(network.cardinalities[variable])
        points = np.repeat(stage.points, k, axis=0)
        points[:, variable] = np.tile(np.arange(k), len(targets))
        at_points = probability(points).reshape(-1, k)
        own, extended = solve_stage(stage, weights, at_points, _solve)
        own[np.abs(own) <= tolerance] = 0.0
        extended[extended <= tolerance] = 0.0
        _check_solution(network, variable, own, extended)
        excluded[variable] = _excluded_value(network, variable, stage, extended)
        targets, weights = extensions(targets, variable, own, extended)
    weights = weights / weights.sum()
    most = max(_LEAST_DISTANCE, _TOLERANCES * tolerance)
    every_cell = not isinstance(p_mix, Mixture) and not callable(p_mix)
    distance = _distance(network, probability, targets, weights, every_cell)
    if distance > most:
        raise InputError(
            "no mixture that satisfies exclusion has this distribution: the only candidate is "
            f"{distance:.2g} away from it in total variation; check the network, and whether p_mix "
            "is exact"
        )
    return Mixture.from_codes(network, targets, weights)


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


def _check_arguments(network: object, tolerance: object) -> None:
    if not isinstance(network, Network):
        raise InputError(
            f"network is {type(network).__name__}, not a dosift Network; read one with "
            "dosift.read_network(path)"
        )
    number = isinstance(tolerance, int | float | np.number) and not isinstance(tolerance, bool)
    if not number or not 0 <= tolerance < 1:  # type: ignore[operator]
        raise InputError(f"tolerance is {tolerance!r}; give a number in [0, 1)")


def _check_positivity(network: Network, variable: int, stage: Stage) -> None:
    zero = np.argwhere(stage.mechanism <= 0)
    if zero.size:
        prefix, state = map(int, zero[0])
        row = int(network.parent_rows(variable, stage.points[prefix : prefix + 1])[0])
        raise InputError(
            f"the conditional probability of {entry_name(network, variable, row, state)} is zero "
            "and is needed: positivity does not hold, so that the mixture need not be unique; "
            "dosift.identifiability tells what can be said"
        )
    if (reach := np.diag(stage.reach).min()) < np.finfo(np.float64).tiny:
        raise InputError(
            f"the excluded values before variable {network.names[variable]} have probability "
            f"{reach:.2g}, which is beyond double precision; there are too many variables"
        )


def _excluded_value(network: Network, variable: int, stage: Stage, extended: Floats) -> int:
    """Choose, of the values that nothing sets, one with large probabilities in what follows."""
    quality = stage.mechanism.min(axis=0)
    for child, parents in enumerate(network.parents):
        if variable in parents:
            shape = [int(network.cardinalities[p]) for p in parents]
            table = np.moveaxis(
                network.tables[child].reshape(*shape, -1), parents.index(variable), 0
            )
            quality = quality * table.reshape(quality.size, -1).min(axis=1)
    return int(np.where(extended.sum(axis=0) > 0, -1.0, quality).argmax())


def _distance(
    network: Network,
    probability: Callable[[NDArray[np.int64]], Floats],
    targets: Ints,
    weights: Floats,
    every_cell: bool,
) -> float:
    """Total variation distance between the answer and the distribution given."""
    sizes = tuple(int(k) for k in network.cardinalities)
    n_cells = math.prod(sizes)
    distance = 0.0
    if not every_cell and n_cells > _FEW_CELLS:
        drawn, _ = sample_codes(network, targets, weights, _COMPARED_ROWS, np.random.default_rng(0))
        rows = collapse(drawn, network.cardinalities)
        points = np.ascontiguousarray(rows.codes, dtype=np.int64)
        ratio = probability(points) / _mixture_probability(network, targets, weights, points)
        return float(rows.counts @ np.maximum(1.0 - ratio, 0.0)) / rows.total
    for begin in range(0, n_cells, _FEW_CELLS):
        cells = np.arange(begin, min(begin + _FEW_CELLS, n_cells))
        points = np.stack(np.unravel_index(cells, sizes), axis=1).astype(np.int64)
        own = _mixture_probability(network, targets, weights, points)
        distance += float(np.maximum(own - probability(points), 0.0).sum())
    return distance


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
    seen = np.array([v for v in network.order if points[0, v] >= 0], dtype=np.int64)
    own = np.array(
        [network.tables[v][network.parent_rows(int(v), points), points[:, v]] for v in seen]
    )
    out = np.zeros(len(points))
    for target, weight in zip(targets[:, seen], weights, strict=True):
        is_set = target >= 0
        rows = np.flatnonzero((points[:, seen[is_set]] == target[is_set]).all(axis=1))
        out[rows] += weight * own[~is_set][:, rows].prod(axis=0)
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
