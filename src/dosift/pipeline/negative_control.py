"""Negative control: the same method on control rows, in which nothing was done.

What is found there is what the method invents on this system. Each half of the control rows is
played as a pool, with the network that the other half taught. Where something is invented, rows are
made to count for less until (nearly) nothing is: the likelihood is taken to a power (the coarsened
posterior of Miller and Dunson, JASA 2019), for the pool as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np

from dosift.data.load import Loaded
from dosift.model.arrays import Bools, Floats, Ints, distinct
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.pipeline.control_halves import Half, can_be_split, control_halves, halves_in_units
from dosift.pipeline.control_series import halves_in_time
from dosift.pipeline.find import find
from dosift.pipeline.find_in_time import find_in_time
from dosift.pipeline.setup import Gathered, Setup
from dosift.search.constraints import Constraints
from dosift.search.patterns import Patterns
from dosift.search.result import SearchResult

#: Control rows from which halves of them say anything.
LEAST_CONTROL_ROWS = 100
#: Rows of each half that are played at most, of states and of numbers.
_MOST_PLAYED, _MOST_NUMBERS = 50_000, 3_000
#: Weight that may be invented where rows count in full, or for less.
TOLERATED = 0.01
#: Powers that are tried.
_POWERS = (1.0, 0.6, 0.35, 0.2, 0.12, 0.07, 0.04, 0.02, 0.01)


@dataclass(frozen=True)
class NegativeControl:
    """What is found in control rows, where nothing was done.

    Attributes
    ----------
    weight : float
        Weight of what is invented where every row counts in full, the mean over both halves.
    components : int
        How many interventions are invented there, in the half where these are more.
    n_rows : float
        Rows played as a pool, of each half on average.
    totals : ndarray, shape (n_variables, most_states), or None
        The same for each state of a network of tables.
    played_power : float
        The largest power of those tried at which no more than ``TOLERATED`` is invented; the least
        of them if there is none.
    left : float
        Weight of what is invented at that power.
    n_left : int
        How many interventions are invented at that power.
    left_touched : ndarray, shape (n_variables,)
        Weight of what is invented on each variable, at that power.
    power : float
        What rows of the pool count for: 1 where nothing is invented.
    targets : ndarray of int, shape (n_targets, n_variables)
        What was invented where rows count in full; in a network of tables.
    weights : ndarray, shape (n_targets,)
    in_order : bool or None
        Whether control rows of a series came in an order of their own; None where rows are no
        series.
    """

    weight: float
    components: int
    n_rows: float
    totals: Floats | None
    played_power: float
    left: float
    n_left: int
    left_touched: Floats
    power: float
    targets: Ints
    weights: Floats
    in_order: bool | None = None


@dataclass(frozen=True)
class Played:
    """How control rows are played.

    Attributes
    ----------
    control : Loaded or None
        In order of time, or in units; None where nothing is known of it.
    as_series : bool
        Whether rows are in order of time. Where control rows have none, any is as good.
    """

    control: Loaded | None = None
    as_series: bool = False

    def halves(self, network: Network, most: float) -> list[Half]:
        """Split the control rows that a network remembers.

        Parameters
        ----------
        network : Network
        most : float
            Rows or units to be explained at most.
        """
        if self.as_series:
            return list(halves_in_time(network, most, self.control))
        if self.control is not None:
            return list(halves_in_units(network, most, self.control))
        return list(control_halves(network, most))


_ROWS = Played()


def negative_control(setup: Setup, n_rows: float, played: Played = _ROWS) -> NegativeControl | None:
    """Play control rows as a pool.

    Parameters
    ----------
    setup : Setup
        Of the fit: its network has the graph chosen. What must be in the mixture of the pool need
        not be in control rows.
    n_rows : float
        Rows of the pool.
    played : Played, optional
        How control rows are played, where rows are in order of time or in units.

    Returns
    -------
    NegativeControl or None
        None where it is not wanted, the control rows are not at hand, or they are too few.
    """
    recipe, network, options = setup.recipe, setup.network, setup.options
    if not recipe.negative_control or recipe.method != "likelihood":
        return None
    if not can_be_split(network):
        return None
    setup.tell("playing control rows as a pool", 0, None)
    most = _MOST_NUMBERS if isinstance(network, MechanismNetwork) else _MOST_PLAYED
    n_played = min(most, max(n_rows, 1.0))
    halves = played.halves(network, n_played)
    n_half = float(np.mean([half.n_rows for half in halves]))
    if 2 * n_half < min(LEAST_CONTROL_ROWS, n_rows):
        return None
    own = replace(recipe, interventions="hard") if recipe.interventions == "any" else recipe
    free = replace(
        options,
        constraints=_not_required(options.constraints),
        patterns=_not_required(options.patterns),
    )
    free_setup = replace(setup, recipe=own, options=free, progress=None)
    in_full = [_played(free_setup, half, 1.0) for half in halves]
    power, at_power = 1.0, in_full
    if invented(in_full) > TOLERATED:
        # The power is found with the half in which more is invented, to save time.
        worse = int(np.argmax([invented([one]) for one in in_full]))
        power, at_worse = _largest(partial(_played, free_setup, halves[worse]))
        other = _played(free_setup, halves[1 - worse], power)
        at_power = [at_worse, other] if worse == 0 else [other, at_worse]
    targets, weights = _joined(network, in_full)
    return NegativeControl(
        weight=invented(in_full),
        components=max(_n_invented(one) for one in in_full),
        n_rows=n_half,
        totals=_totals(network, *_joined(network, at_power)),
        played_power=power,
        left=invented(at_power),
        n_left=max(_n_invented(one) for one in at_power),
        left_touched=_touched(*_joined(network, at_power)),
        power=power_for(power, n_half, n_rows),
        targets=targets,
        weights=weights,
        in_order=played.control is not None if played.as_series else None,
    )


def power_for(played_power: float, played: float, n_rows: float) -> float:
    """Say what rows of a pool count for, by what played rows may count for.

    With ``1 / (1 + n / a)`` for n rows the evidence is bounded by a, whatever their number.

    Examples
    --------
    >>> power_for(1.0, 1000, 5000), power_for(0.5, 1000, 1000), round(power_for(0.5, 1000, 9000), 3)
    (1.0, 0.5, 0.1)
    """
    if played_power >= 1.0:
        return 1.0
    bound = played * played_power / (1.0 - played_power)
    return 1.0 / (1.0 + n_rows / bound)


def invented(found: list[SearchResult]) -> float:
    """Mean weight of interventions over the halves."""
    return float(np.mean([1.0 - one.weights[_nothing(one)].sum() for one in found]))


def _nothing(result: SearchResult) -> Bools:
    return np.asarray((result.targets < 0).all(axis=1))


def _n_invented(result: SearchResult) -> int:
    return int((~_nothing(result)).sum())


def _largest(found: Callable[[float], SearchResult]) -> tuple[float, SearchResult]:
    """Find the largest power at which little is invented, by bisection."""
    low, high = 0, len(_POWERS) - 1  # too much is invented at the first
    tried: dict[int, SearchResult] = {}
    while high - low > 1:
        middle = (low + high) // 2
        tried[middle] = found(_POWERS[middle])
        if invented([tried[middle]]) > TOLERATED:
            low = middle
        else:
            high = middle
    if high not in tried:
        tried[high] = found(_POWERS[high])
    return _POWERS[high], tried[high]


def _touched(targets: Ints, weights: Floats) -> Floats:
    """Weight on each variable."""
    return np.asarray(weights @ (targets >= 0), dtype=np.float64)


def _played(setup: Setup, half: Half, power: float) -> SearchResult:
    own = replace(setup, network=half.network, gathered=Gathered(half.evidence))
    if half.series is not None:
        _, result, in_time = find_in_time(own, half.series, power)
        return in_time.with_weights(result)
    return find(own.counting_for(power))[0]


Known = TypeVar("Known", Constraints, Patterns)


def _not_required(known: Known | None) -> Known | None:
    """Leave out what must be in the mixture of the pool, with its known weights; permit nothing."""
    if known is None:
        return None
    none = known.required[:0]
    nothing: Ints = np.full((1, none.shape[1]), -1, dtype=none.dtype)
    listed = known.candidates
    return replace(
        known,
        required=none,
        known=none,
        known_weights=np.empty(0),
        forbidden=known.forbidden[(known.forbidden != -1).any(axis=1)],
        candidates=None if listed is None else np.unique(np.vstack([listed, nothing]), axis=0),
    )


def _joined(network: Network, found: list[SearchResult]) -> tuple[Ints, Floats]:
    """Targets of both halves; of numbers, whose changes differ, by the variables only."""
    targets, weights = [], []
    for one in found:
        some = ~_nothing(one)
        own = np.asarray(one.targets[some], dtype=np.int16)
        targets.append(np.minimum(own, 0) if isinstance(network, MechanismNetwork) else own)
        weights.append(one.weights[some] / len(found))
    return distinct(np.concatenate(targets), np.concatenate(weights))


def _totals(network: Network, targets: Ints, weights: Floats) -> Floats | None:
    if isinstance(network, MechanismNetwork):
        return None
    out = np.zeros((network.n_variables, int(network.cardinalities.max())))
    for i in range(network.n_variables):
        is_set = targets[:, i] >= 0
        np.add.at(out[i], targets[is_set, i], weights[is_set])
    return out
