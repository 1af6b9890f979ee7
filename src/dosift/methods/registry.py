"""The methods of estimation by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dosift.data.configurations import Configurations
from dosift.errors import InputError
from dosift.likelihood.weights import DEFAULT_GAP
from dosift.methods.enumerated import brute_force_estimate, em_estimate
from dosift.methods.moments import moment_estimate, smoothed
from dosift.methods.partial_rows import estimate_partial
from dosift.model.network import Network
from dosift.search.constraints import Constraints
from dosift.search.engine import SearchResult, describe, find_targets

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Progress = Callable[[str, int, "int | None"], None]

#: Threshold of the paper's code on weights.
DEFAULT_EPSILON = 1e-3


@dataclass(frozen=True)
class Options:
    """What a method may be told.

    Attributes
    ----------
    max_size : int or None
        Largest number of variables that a target sets (likelihood, em, brute-force).
    refine : bool
        Whether the mixture rows teach a learned network too (likelihood).
    gap : float
        Optimality gap of the weights, in nats a row (likelihood).
    epsilon : float
        Weights below this are dropped (moments, em, brute-force).
    delta : float or None
        Added to every count of control rows; None for one over their number (moments).
    constraints : Constraints or None
        What is known about targets (likelihood; in part em and brute-force).
    """

    max_size: int | None = None
    refine: bool = True
    gap: float = DEFAULT_GAP
    epsilon: float = DEFAULT_EPSILON
    delta: float | None = None
    constraints: Constraints | None = None


def _likelihood(
    network: Network, configurations: Configurations, options: Options, tell: Progress
) -> SearchResult:
    return find_targets(
        network,
        configurations,
        max_size=options.max_size,
        refine=options.refine,
        gap=options.gap,
        progress=tell,
        constraints=options.constraints,
    )


def _moments(
    network: Network, configurations: Configurations, options: Options, tell: Progress
) -> SearchResult:
    tell("solving moment equations", 0, None)
    network = smoothed(network, options.delta)
    targets, weights = moment_estimate(network, configurations, options.epsilon)
    return describe(network, configurations, targets, weights)


def _em(
    network: Network, configurations: Configurations, options: Options, tell: Progress
) -> SearchResult:
    targets, weights, converged = em_estimate(
        network, configurations, options.max_size, options.epsilon, tell, options.constraints
    )
    return describe(network, configurations, targets, weights, converged)


def _brute_force(
    network: Network, configurations: Configurations, options: Options, tell: Progress
) -> SearchResult:
    targets, weights = brute_force_estimate(
        network, configurations, options.max_size, options.epsilon, tell, options.constraints
    )
    return describe(network, configurations, targets, weights)


_FINDERS = {
    "likelihood": _likelihood,
    "moments": _moments,
    "em": _em,
    "brute-force": _brute_force,
}
#: Names of the methods, the default first.
METHODS = tuple(_FINDERS)
#: Methods whose weights maximise the likelihood: its curvature gives their standard errors, and if
#: the mixture does not describe the rows, the model is to blame.
OPTIMISING = ("likelihood", "em")


def estimate(
    method: str,
    network: Network,
    configurations: Configurations,
    options: Options,
    progress: Progress | None = None,
) -> SearchResult:
    """Find targets and weights by one of the methods.

    Parameters
    ----------
    method : {"likelihood", "moments", "em", "brute-force"}
    network : Network
    configurations : Configurations
        The mixture rows; missing values only for "likelihood".
    options : Options
    progress : callable, optional
        Called with a stage's name, the steps done and the steps in all.

    Returns
    -------
    SearchResult
        For "moments" and "brute-force", which maximise no likelihood, `converged` says that the
        algorithm came to its end, and the gap is what better weights over the same targets could
        gain at most, in nats a row.

    Raises
    ------
    InputError
        If the method cannot be used on this network or these rows, such as rows with missing
        values.
    """
    missing = np.flatnonzero((configurations.codes < 0).any(axis=0))
    if missing.size and method == "likelihood":
        known = options.constraints or Constraints.none(network.cardinalities)
        tell = progress or _silent
        with threadpool_limits(1):
            return estimate_partial(
                network,
                configurations,
                known,
                options.gap,
                lambda given, rows: _likelihood(given, rows, options, tell),
                tell,
            )
    if missing.size:
        raise InputError(
            f"method {method!r} needs complete rows, and variable "
            f"{network.names[int(missing[0])]!r} has missing values; leave those rows out, or use "
            "method 'likelihood'"
        )
    with threadpool_limits(1):
        return _FINDERS[method](network, configurations, options, progress or _silent)


def cause_of_misfit(method: str) -> str:
    """Say what may be behind a mixture that does not describe the rows.

    Parameters
    ----------
    method : str
        The method that found it.

    Returns
    -------
    str
        A clause that follows a semicolon.

    Examples
    --------
    >>> cause_of_misfit("likelihood")
    'some mechanism changed in a way that is no do-intervention, or the network is wrong there'
    """
    if method in OPTIMISING:
        return (
            "some mechanism changed in a way that is no do-intervention, or the network is wrong "
            "there"
        )
    return (
        f"method {method!r} does not maximise the likelihood, so the error may be its own: see "
        "whether method 'likelihood' describes the rows"
    )


def _silent(stage: str, done: int, total: int | None) -> None:
    return
