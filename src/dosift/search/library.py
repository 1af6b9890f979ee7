"""Targets together with the library of changes that they are made of.

For a discrete variable the library is given, do's on its states. What happened to a number is not
known beforehand: changes are looked for in the pool, variable by variable; targets are searched
with these; and then changes are looked for once more inside each component, where what others did
to the variable does not hide them, for as long as that raises the score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dosift.data.configurations import Configurations, systematic_sample
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.weights import DEFAULT_GAP
from dosift.model.mechanism import Change, Changes
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Network
from dosift.search.changes import ChangeFinder
from dosift.search.engine import find_targets
from dosift.search.patterns import Patterns
from dosift.search.regrouping import regrouped
from dosift.search.result import SearchResult

Floats = NDArray[np.float64]
Progress = Callable[[str, int, "int | None"], None]

#: Rows by which changes are looked for; beyond that a systematic sample is taken.
_ROWS = 5000
#: Rounds of looking inside components, and the least rise of the score (nats) for another.
_ROUNDS, _LEAST_RISE = 4, 1e-2
#: Components of fewer rows are not looked into.
_LEAST_ROWS = 25.0


def find_changes(
    network: MechanismNetwork,
    configurations: Configurations,
    *,
    max_size: int | None = None,
    refine: bool = True,
    gap: float = DEFAULT_GAP,
    progress: Progress | None = None,
    look_around: bool = True,
    patterns: Patterns | None = None,
) -> SearchResult:
    """Find targets, and the changes of numbers that they are made of.

    Parameters
    ----------
    network : MechanismNetwork
        Changes that its libraries hold already are where the search begins; they grow by the kinds
        of change that they may.
    configurations : Configurations
        The mixture rows, without missing values.
    max_size, refine, gap, progress, look_around
        As for :func:`~dosift.search.engine.find_targets`.
    patterns : Patterns, optional
        What is known about targets.

    Returns
    -------
    SearchResult
        Its network holds the changes that targets make, and no others.
    """
    tell = progress or (lambda stage, done, total: None)
    few = systematic_sample(configurations, _ROWS)
    tell("looking for changes", 0, None)
    start = _with_changes(network, few, np.ones((1, len(few.counts))))

    def search(given: MechanismNetwork, begun: SearchResult | None, look: bool) -> SearchResult:
        return find_targets(
            as_network(given),
            configurations,
            max_size=max_size,
            refine=refine,
            gap=gap,
            progress=progress,
            look_around=look,
            start=begun,
            constraints=None if patterns is None else patterns.constraints(given),
        )

    best = tidied(search(start, None, False))
    for k in range(_ROUNDS):
        tell("looking for changes inside components", k, _ROUNDS)
        posterior = _posterior(best, few)
        begun = _regrouped(best, few, posterior)
        grown = _with_changes(of(begun.network), few, np.ascontiguousarray(posterior.T))
        if grown is of(best.network):
            break
        better = tidied(search(grown, begun, False))
        if score_of(better) <= score_of(best) + _LEAST_RISE:
            break
        best = better
    return search(of(best.network), best, look_around)


def _regrouped(result: SearchResult, few: Configurations, posterior: Floats) -> SearchResult:
    """Let components share changes where that is better, and have their own where not."""
    found = regrouped(of(result.network), few.codes, result.targets, posterior)
    if found is None:
        return result
    network, targets = found
    targets, inverse = np.unique(targets, axis=0, return_inverse=True)
    weights = np.bincount(inverse, result.weights).astype(np.float64)
    return replace(result, network=as_network(network), targets=targets, weights=weights)


def grows(network: Network | MechanismNetwork) -> bool:
    """Whether libraries of a network may grow, as its variables are numbers."""
    if not isinstance(network, MechanismNetwork):
        return False
    return any(isinstance(one, Changes) and one.kinds for one in network.libraries)


def of(network: object) -> MechanismNetwork:
    """Return a network that is known to be one of mechanisms."""
    assert isinstance(network, MechanismNetwork)
    return network


def score_of(result: SearchResult) -> float:
    """Joint score of pool and control rows, in nats."""
    return result.penalised_score + result.network.log_prior()


def tidied(result: SearchResult) -> SearchResult:
    """Keep those changes of numbers that targets make, and no others."""
    network = of(result.network)
    libraries, targets = list(network.libraries), result.targets.copy()
    for i, library in enumerate(libraries):
        if not isinstance(library, Changes):
            continue
        used = np.unique(targets[:, i])
        used = used[used >= 0]
        libraries[i] = replace(library, changes=tuple(library[int(k)] for k in used))
        position = np.full(len(library) + 1, -1)
        position[used] = np.arange(used.size)
        targets[:, i] = position[targets[:, i]]  # position -1 stays -1, the last entry
    network = replace(network, libraries=tuple(libraries))
    return replace(result, network=as_network(network), targets=targets)


def _posterior(result: SearchResult, few: Configurations) -> Floats:
    """Weight of each row times the posterior of its targets."""
    evidence = Evidence.of_configurations(result.network, few)
    return evidence.posterior(result.network, result.targets, result.weights)


def _with_changes(
    network: MechanismNetwork, few: Configurations, posterior: Floats
) -> MechanismNetwork:
    """Add changes that rows, weighted in several ways, speak for."""
    log_choices = float(np.log(max(network.n_variables, 1)))
    libraries = list(network.libraries)
    for i in range(network.n_variables):
        library = libraries[i]
        if not isinstance(library, Changes) or not library.kinds:
            continue
        new: list[Change] = []
        for weights in posterior:
            if few.counts @ (weights > 0) and weights.sum() >= _LEAST_ROWS:
                present = (*library[:], *new)
                rows = weights * few.counts if len(posterior) == 1 else weights
                finder = ChangeFinder(network.mechanisms[i], library, few.codes, rows, log_choices)
                new += finder.found(present, fixed=True)
        if new:
            libraries[i] = replace(library, changes=(*library[:], *new))
    if all(one is two for one, two in zip(libraries, network.libraries, strict=True)):
        return network
    return replace(network, libraries=tuple(libraries))
