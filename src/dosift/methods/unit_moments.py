"""Targets and weights from units of several rows, along the topological order: no exclusion.

The rows of a unit were hit by the same intervention and are independent given it. Of one variable,
each unit tells two things. If its rows differ, nothing set the variable. If they agree on state a,
either do(X=a) was at work or chance, and how often chance does that is known from the mechanism.
So for every choice c on the variable (left alone, or set to a state) there is a function of a unit

    left alone:  h  =  1[rows differ] / (1 - sum_a pi_a)
    set to a:    h  =  1[all rows have a]  -  pi_a 1[rows differ] / (1 - sum_a pi_a)

with pi_a the product of p(a | parents) over the rows, whose mean is 1 in units where c was chosen
and 0 in units with another choice, whatever the parents do (docs/units.md). Products of these over
the variables have the weights of targets as means. Their variance grows with the number of
variables, so of the variables that are done only the prefixes that were found are told apart, by
functions of least variance, and their weights are set right by moments of least variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dosift.errors import InputError
from dosift.methods.prefixes import entry_name
from dosift.model.arrays import Floats, Ints
from dosift.model.network import Network

#: Chance that a prefix of weight zero is taken along for a while, and that some target of weight
#: zero is among those found in the end.
_FALSE_PREFIX, _FALSE_TARGET = 0.01, 0.05
#: Chance that rows of a unit differ, below which they cannot tell set from left alone.
_LEAST_DIFFERENCE = 1e-12
_LEAST_Z = -float(ndtri(_FALSE_PREFIX))
#: Newton steps on the weights of prefixes, and the least share of a weight that a step leaves.
_STEPS, _LEAST_LEFT = 3, 0.5
#: Change of a weight at which the steps end.
_STEP_TOLERANCE = 1e-4
#: Eigenvalues relative to the largest below which prefixes have the same law.
_RANK_TOLERANCE = 1e-12


@dataclass(frozen=True)
class UnitMoments:
    """Targets and weights.

    Attributes
    ----------
    targets : ndarray of int64, shape (n_targets, n_variables)
        The heaviest first.
    weights : ndarray of float64, shape (n_targets,)
        Positive; they sum to one.
    std_errors : ndarray of float64, shape (n_targets,)
        Of the weights, if the network is known and the targets are given.
    n_units : float
        Units of two rows and more, which is what the estimate is made of.
    """

    targets: NDArray[np.int64]
    weights: Floats
    std_errors: Floats
    n_units: float


@dataclass(frozen=True)
class _Prefixes:
    """Targets on the variables that are done.

    `logs` is the log-likelihood of each unit under each prefix less the largest of its unit;
    `dual` are functions of units, the mean of which under a prefix is 1 for its own and 0 for the
    others.
    """

    targets: NDArray[np.int64]
    weights: Floats
    logs: Floats
    dual: Floats


def unit_moment_estimate(
    network: Network,
    codes: Ints,
    first: Ints,
    counts: Floats | None = None,
    *,
    epsilon: float = 1e-3,
) -> UnitMoments:
    """Estimate targets and weights from units of several rows: one pass, no exclusion.

    Parameters
    ----------
    network : Network
        Zeros in its tables do no harm, as long as no variable follows from its parents.
    codes : ndarray of int, shape (n_rows, n_variables)
        States, without missing values. The rows of a unit stand together.
    first : ndarray of int, shape (n_units,)
        Where each unit begins: ascending, the first 0.
    counts : ndarray of float, shape (n_units,), optional
        How many units each of them stands for; one if left out.
    epsilon : float
        Weights below this are zero.
        So are those that are not clear of their standard error.

    Returns
    -------
    UnitMoments

    Raises
    ------
    InputError
        If no unit has two rows, or rows stand under a parent configuration that leaves a variable
        no choice; the message names it.

    Notes
    -----
    Units of one row tell set from left alone only under exclusion, and are not used; each other
    unit counts once, however many rows it has. The number of rows must not depend on the target;
    where it does, `weights_of_targets` is right for the population of these units all the same.

    With K_s the law of a unit under prefix s and Q the mixture of these, the ratios K_s / Q are
    made dual to the prefixes by a system of equations of their number: given the prefixes, these
    are the functions of least variance. Multiplied by the functions of the next variable their
    means are the weights of all extensions at once. What is left of the errors of earlier
    variables is taken out by Newton steps on the moments E[K_s / Q] = 1, the most that can be
    had of the prefixes. The time taken goes with rows x variables and units x variables x
    prefixes squared; nothing is enumerated.

    Examples
    --------
    A coin that is left alone in half of the units, and set to either side in a quarter: one row
    a unit says no more than that both sides are as frequent.

    >>> coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    >>> pairs = np.array([[0], [0], [0], [1], [1], [0], [1], [1]])
    >>> found = unit_moment_estimate(
    ...     coin, pairs, np.array([0, 2, 4, 6]), np.array([3.0, 1.0, 1.0, 3.0]) * 1e6
    ... )
    >>> found.targets.ravel().tolist(), found.weights.round(3).tolist()
    ([-1, 0, 1], [0.5, 0.25, 0.25])
    """
    units = _Units.of(codes, first, counts)
    n = network.n_variables
    prefixes = _Prefixes(
        np.full((1, n), -1, dtype=np.int64),
        np.ones(1),
        np.zeros((units.first.size, 1)),
        np.ones((units.first.size, 1)),
    )
    for variable in network.order:
        k = int(network.cardinalities[variable])
        if k == 1:
            continue
        log_alone, state, apart = _of_variable(network, units, variable)
        parts = []
        for choice in range(-1, k):
            products = prefixes.dual * apart[:, choice + 1, None]
            mean, error = units.mean_and_error(products)
            kept = mean > np.maximum(epsilon, _LEAST_Z * error)
            targets = prefixes.targets[kept]
            targets[:, variable] = choice
            likelihood = log_alone if choice < 0 else np.where(state == choice, 0.0, -np.inf)
            parts.append((targets, mean[kept], prefixes.logs[:, kept] + likelihood[:, None]))
        targets, weights, logs = (
            np.concatenate([part[i] for part in parts], axis=i // 2) for i in range(3)
        )
        if not weights.size:
            raise InputError(
                f"no weight is clear of its error: {units.total:,.0f} units of two rows and more "
                "are too few for method 'moments'; use method 'likelihood'"
            )
        prefixes = _weighed(units, targets, weights / weights.sum(), logs)
    return _without_doubtful(units, prefixes, epsilon)


def _without_doubtful(units: _Units, found: _Prefixes, epsilon: float) -> UnitMoments:
    """Drop targets one by one, the least sure of them first, and sort the others."""
    while True:
        _, errors = units.mean_and_error(found.dual)
        n = len(errors)
        least_z = -float(ndtri(_FALSE_TARGET / n))
        is_sure = found.weights > np.maximum(epsilon, least_z * errors)
        if n == 1 or is_sure.all():
            break
        sureness = found.weights / np.maximum(errors, 1e-300)
        others = np.arange(n) != np.where(is_sure, np.inf, sureness).argmin()
        left = found.weights[others]
        found = _weighed(units, found.targets[others], left / left.sum(), found.logs[:, others])
    heaviest = np.argsort(-found.weights, kind="stable")
    return UnitMoments(
        found.targets[heaviest], found.weights[heaviest], errors[heaviest], units.total
    )


def weights_of_targets(
    network: Network, codes: Ints, first: Ints, targets: Ints, counts: Floats | None = None
) -> tuple[Floats, Floats]:
    """Estimate the weights of targets that are given, each by itself and without bias.

    The mean, over the units of two rows and more, of the product over the variables of the
    functions above. No other target need be known.

    Parameters
    ----------
    network, codes, first, counts
        As for `unit_moment_estimate`.
    targets : ndarray of int, shape (n_targets, n_variables)

    Returns
    -------
    weights, std_errors : ndarray, shape (n_targets,)
        The weights can be negative.

    Raises
    ------
    InputError
        As `unit_moment_estimate`.

    Examples
    --------
    >>> coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    >>> pairs = np.array([[0], [0], [0], [1], [1], [0], [1], [1]])
    >>> counts = np.array([3.0, 1.0, 1.0, 3.0])
    >>> weights_of_targets(coin, pairs, np.arange(0, 8, 2), np.array([[-1], [1]]), counts)[0]
    array([0.5 , 0.25])
    """
    units = _Units.of(codes, first, counts)
    products = np.ones((units.first.size, len(targets)))
    for variable in network.order:
        if network.cardinalities[variable] > 1:
            _, _, apart = _of_variable(network, units, variable)
            products *= apart[:, targets[:, variable] + 1]
    return units.mean_and_error(products)


@dataclass(frozen=True)
class _Units:
    """Units of two rows and more."""

    codes: NDArray[np.int64]
    first: NDArray[np.int64]
    shares: Floats
    total: float

    @classmethod
    def of(cls, codes: Ints, first: Ints, counts: Floats | None) -> _Units:
        """Leave out units of one row."""
        sizes = np.diff(np.r_[first, len(codes)])
        several = sizes >= 2
        if not several.any():
            raise InputError(
                "every unit has one row, and method 'moments' with units needs two; leave the "
                "units out, or use method 'likelihood'"
            )
        mass = np.ones(len(sizes)) if counts is None else np.asarray(counts, dtype=np.float64)
        kept = codes[np.repeat(several, sizes)].astype(np.int64)
        left = sizes[several]
        total = float(mass[several].sum())
        return cls(kept, np.r_[0, np.cumsum(left)[:-1]], mass[several] / total, total)

    def mean_and_error(self, values: Floats) -> tuple[Floats, Floats]:
        """Means over units and their standard errors, for each column."""
        mean = self.shares @ values
        square = self.shares @ np.square(values)
        return mean, np.sqrt(np.maximum(square - mean**2, 0.0) / self.total)


def _of_variable(
    network: Network, units: _Units, variable: int
) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Log-likelihood of each unit if it is left alone; the unit's state or -1; the functions."""
    rows = network.parent_rows(variable, units.codes)
    table, values = network.tables[variable], units.codes[:, variable]
    low = np.minimum.reduceat(values, units.first)
    agree = low == np.maximum.reduceat(values, units.first)
    state = np.where(agree, low, -1)
    with np.errstate(divide="ignore"):
        log_alone = np.add.reduceat(np.log(table)[rows, values], units.first)
    chance = np.multiply.reduceat(table[rows], units.first, axis=0)
    differ = 1.0 - chance.sum(axis=1)
    blind = np.flatnonzero(differ < _LEAST_DIFFERENCE)
    if blind.size:
        unit = int(blind[0])
        given = entry_name(network, variable, int(rows[units.first[unit]]), int(low[unit]))
        raise InputError(
            f"{given} is certain in every row of a unit, so that setting "
            f"{network.names[variable]!r} to it cannot be told from leaving it alone, and method "
            "'moments' with units needs that; use method 'likelihood'"
        )
    left = ~agree / differ
    apart = np.empty((len(state), table.shape[1] + 1))
    apart[:, 0] = left
    apart[:, 1:] = (state[:, None] == np.arange(table.shape[1])) - chance * left[:, None]
    return log_alone, state, apart


def _weighed(units: _Units, targets: NDArray[np.int64], weights: Floats, logs: Floats) -> _Prefixes:
    """Set the weights of prefixes right, and find functions of least variance that part them.

    The ratios K_s / Q have the matrix of inner products G[s, r] = E[K_s K_r / Q^2], which units
    estimate; G^-1 (K / Q) is dual to K. At the right weights E[K_s / Q] = 1, and the derivative
    of these moments is -G.
    """
    # Logarithms, as products over many rows and variables underflow.
    largest = logs.max(axis=1, keepdims=True)
    logs = logs - np.where(np.isfinite(largest), largest, 0.0)
    relative = np.exp(logs)
    for step in range(_STEPS + 1):
        mixture = relative @ weights
        # A unit that no prefix can produce counts as nothing.
        ratio = relative / np.where(mixture > 0, mixture, 1.0)[:, None]
        # Scaled by the weights, the matrix has a diagonal between 0 and 1.
        root = np.sqrt(weights)
        scaled = ratio * root
        gram = scaled.T @ (units.shares[:, None] * scaled)
        inverse = np.linalg.pinv(gram, rcond=_RANK_TOLERANCE, hermitian=True)
        moments = units.shares @ scaled
        change = root * (inverse @ (moments - root))
        if step == _STEPS or np.abs(change).max() < _STEP_TOLERANCE:
            break
        room = (1.0 - _LEAST_LEFT) * weights
        weights = weights + change * min(1.0, float((room / np.maximum(-change, 1e-300)).min()))
        weights = weights / weights.sum()
    return _Prefixes(targets, weights, logs, scaled @ (inverse * root))
