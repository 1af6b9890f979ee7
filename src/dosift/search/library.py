"""Targets together with the library of changes that they are made of.

For a discrete variable the library is given, do's on its states. What happened to a number is not
known beforehand: changes are looked for in the pool, variable by variable; targets are searched
with these; and then changes are looked for once more inside each component, where what others did
to the variable does not hide them, for as long as that raises the score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from dosift.data.configurations import Configurations, systematic_sample
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.solve import solve
from dosift.likelihood.weights import DEFAULT_GAP
from dosift.model.arrays import Bools, Floats, Ints, distinct
from dosift.model.mechanism import Change, Changes, Library
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Network
from dosift.search.change_pairs import change_pairs
from dosift.search.changes import ChangeFinder
from dosift.search.constraints import Constraints
from dosift.search.engine import find_targets
from dosift.search.joint import JointFitter
from dosift.search.neighbourhood import Neighbourhood
from dosift.search.patterns import Patterns
from dosift.search.promising import promising
from dosift.search.regrouping import divided, regrouped
from dosift.search.result import SearchResult, ranked
from dosift.search.shared_noise import earning, never_both, pairs_that_share, with_parts
from dosift.utils.progress import Progress

#: What is known about targets under the libraries of a network.
KnownOf = Callable[[MechanismNetwork, "SearchResult | None"], Constraints]

#: With more rows, a systematic sample of so many is searched, and all rows judge what was found.
_SEARCHED = 20_000
#: Rise of the joint objective (nats a row) in one step of EM over all rows at which it ends.
_ALL_RISE = 2e-6
#: Rows by which changes are looked for; beyond that a systematic sample is taken.
_ROWS = 5000
#: Rounds of looking inside components, and the least rise of the score (nats) for another.
_ROUNDS, _LEAST_RISE = 4, 1e-2
#: Least rise of the score (nats) that parts components which share a change.
_LEAST_PARTED = 0.1
#: Pairs of changes that are tried in one round.
_MOST_PAIRS = 4
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
    on_all: bool = True,
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
    on_all : bool, default=True
        Whether rows that are many judge all together what a sample of them found; otherwise others
        do.

    Returns
    -------
    SearchResult
        Its network holds the changes that targets make, and no others.
    """
    tell = progress or (lambda stage, done, total: None)
    every, configurations = configurations, systematic_sample(configurations, _SEARCHED)
    few = systematic_sample(configurations, _ROWS)
    tell("looking for changes", 0, None)
    apart = few.apart
    start = _with_changes(network, apart, np.ones((1, len(apart.counts))))
    # Pairs of variables of which no change together is to be found, as they only share noise.
    sharing: set[tuple[int, int]] = set()

    def known(of_network: MechanismNetwork, begun: SearchResult | None) -> Constraints:
        return never_both(_known(patterns, of_network, begun), of_network, sharing)

    def search(
        given: MechanismNetwork, begun: SearchResult | None, look: bool, is_settled: bool = False
    ) -> SearchResult:
        return find_targets(
            as_network(given),
            configurations,
            max_size=max_size,
            refine=refine,
            gap=gap,
            progress=progress,
            look_around=look,
            start=begun,
            constraints=known(given, begun),
            is_settled=is_settled,
        )

    def searched(
        given: MechanismNetwork, begun: SearchResult | None, is_settled: bool = False
    ) -> SearchResult:
        """Search, and once more without what only shared noise speaks for."""
        found = tidied(search(given, begun, False, is_settled))
        for _ in range(_ROUNDS):
            fewer, pairs = _without_shared_noise(found, configurations, known)
            if not pairs:
                break
            sharing.update(pairs)
            found = tidied(search(of(fewer.network), fewer, False))
        return found

    best = searched(start, None)
    for k in range(_ROUNDS):
        tell("looking for changes inside components", k, _ROUNDS)
        posterior = _posterior(best, few)
        begun = _regrouped(best, apart, posterior)
        grown = _with_changes(of(begun.network), apart, np.ascontiguousarray(posterior.T), best)
        better = best
        if grown is not of(best.network):
            better = searched(grown, begun, begun is best)
        if score_of(better) <= score_of(best) + _LEAST_RISE:
            other = None
            if refine:
                other = _parted(best, configurations, known)
                other = other or _paired(best, configurations, known, max_size)
            if other is None:
                break
            better = searched(of(other.network), other)
        best = better
    found = search(of(best.network), best, look_around, is_settled=True)
    if every is configurations or not on_all:
        return found
    return _on_all(found, every, refine, gap, known(of(best.network), best))


def _known(
    patterns: Patterns | None, network: MechanismNetwork, begun: SearchResult | None
) -> Constraints:
    """Return what is known about targets under the libraries of a network."""
    if patterns is None:
        return Constraints.none(network.n_changes)
    if begun is None:
        return patterns.constraints(network)
    return patterns.constraints(network, begun.targets, begun.weights)


def _on_all(
    found: SearchResult,
    configurations: Configurations,
    refine: bool,
    gap: float,
    known: Constraints,
) -> SearchResult:
    """Let all rows judge what a sample of them found: weights, mechanisms and changes."""
    network = found.network
    evidence = Evidence.of_configurations(network, configurations)
    targets, weights = found.targets, found.weights[None]
    if refine and network.learns:
        fitter = JointFitter(network, evidence, known)
        joint = fitter.fit(network, targets, weights, rise=_ALL_RISE * evidence.total)
        network, targets, weights = joint.network, joint.targets, joint.weights
    solved = solve(evidence, network, targets, weights, gap, fixed=known.fixed(targets))
    around = Neighbourhood(found.certificate, found.undecided, found.near_equivalent)
    return ranked(
        evidence,
        network,
        targets,
        solved.weights[0],
        constraints=known,
        gap=float(solved.sums.gap.max()),
        converged=bool(solved.converged.all()),
        neighbourhood=around if len(targets) == len(found.targets) else None,
    )


def _parted(
    result: SearchResult, configurations: Configurations, known_of: KnownOf
) -> SearchResult | None:
    """Let components that share a change have their own, if a fit shows that to be better."""
    evidence = Evidence.of_configurations(result.network, configurations)
    best, parted = score_of(result) + _LEAST_PARTED, None
    for network, targets in divided(of(result.network), result.targets):
        known = known_of(network, replace(result, targets=targets))
        fitter = JointFitter(as_network(network), evidence, known)
        # The posterior of each component moves its own change first.
        start = result.weights[None]
        trial = fitter.fit(as_network(network), targets, start, needed=best)
        if trial.score > best and len(trial.targets) == len(targets):
            best = trial.score
            parted = replace(
                result, network=trial.network, targets=trial.targets, weights=trial.weights[0]
            )
    return parted


def _paired(
    result: SearchResult,
    configurations: Configurations,
    known_of: KnownOf,
    max_size: int | None,
) -> SearchResult | None:
    """Add targets that change two numbers in rows which neither of them shows, where that pays."""
    if configurations.first is not None:
        return None  # of units no single row says how likely a target is
    network, targets, weights = of(result.network), result.targets, result.weights
    evidence = Evidence.of_configurations(as_network(network), configurations)
    posterior = evidence.posterior(as_network(network), targets, weights)
    # Mostly no intervention, which is where small targets hide.
    base = int(weights.argmax())
    if max_size is not None and int((targets[base] >= 0).sum()) + 2 > max_size:
        return None
    relative = posterior[:, base] / (configurations.counts * weights[base])
    log_choices = float(np.log(max(network.n_variables, 1)))
    rows, counts = configurations.codes, configurations.counts
    found = change_pairs(network, rows, counts, relative, targets[base], log_choices)
    now, before = None, score_of(result)
    for pair in found[:_MOST_PAIRS]:
        libraries, added = list(network.libraries), targets[base].copy()
        for i, change in zip(pair.variables, pair.changes, strict=True):
            known = libraries[i]
            assert isinstance(known, Changes)
            places = [k for k, one in enumerate(known[:]) if one is change]
            if not places:
                libraries[i] = replace(known, changes=(*known[:], change))
            added[i] = places[0] if places else len(known)
        grown = replace(network, libraries=tuple(libraries))
        start = np.append((1.0 - pair.share) * weights, pair.share)
        together = np.concatenate([targets, added[None]])
        permitted = known_of(grown, replace(result, targets=together, weights=start))
        if not permitted.permits(added[None]).all():
            continue
        fitter = JointFitter(as_network(grown), evidence, permitted)
        trial = fitter.fit(as_network(grown), together, start[None], needed=before)
        if trial.score > before + _LEAST_PARTED and len(trial.targets) == len(together):
            network, targets, weights = of(trial.network), trial.targets, trial.weights[0]
            before = trial.score
            now = replace(result, network=trial.network, targets=targets, weights=weights)
    return now


def _without_shared_noise(
    result: SearchResult, configurations: Configurations, known_of: KnownOf
) -> tuple[SearchResult, set[tuple[int, int]]]:
    """Drop targets that change two numbers where noise that both share explains it.

    Also return the pairs of numbers of which no target is left that changes both.
    """
    network, targets, weights = of(result.network), result.targets, result.weights
    pairs = pairs_that_share(network, targets)
    known = known_of(network, result)
    if not pairs or len(known.required) or len(known.known) or configurations.first is not None:
        return result, set()  # of units no single row says how likely a target is
    n_given = len(targets)
    targets, weights = with_parts(targets, weights, pairs)
    may = known.permits(targets)
    may[:n_given] = True
    targets, weights = targets[may], weights[may]
    evidence = Evidence.of_configurations(result.network, configurations)
    columns = evidence.under(result.network, targets).columns(targets)
    kept = earning(
        network,
        pairs,
        configurations.codes,
        configurations.counts,
        columns,
        targets,
        weights,
        known.score(evidence.total, network.libraries),
        n_given,
    )
    left = targets[kept]
    gone = {pair for pair in pairs if not (left[:, list(pair)] >= 0).all(axis=1).any()}
    fewer = replace(result, targets=left, weights=weights[kept] / weights[kept].sum())
    return (fewer, gone) if gone else (result, gone)


def _regrouped(result: SearchResult, few: Configurations, posterior: Floats) -> SearchResult:
    """Let components share changes where that is better, and have their own where not."""
    found = regrouped(of(result.network), few.codes, result.targets, posterior)
    if found is None:
        return result
    network = found[0]
    targets, weights = distinct(found[1], result.weights)
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
    libraries, targets = tidied_changes(network.libraries, result.targets)
    network = replace(network, libraries=libraries)
    return replace(result, network=as_network(network), targets=targets)


def tidied_changes(libraries: Sequence[Library], targets: Ints) -> tuple[tuple[Library, ...], Ints]:
    """Keep those changes of numbers that targets make, and no others.

    Parameters
    ----------
    libraries : sequence of Library
    targets : ndarray of int, shape (n_targets, n_variables)

    Returns
    -------
    libraries : tuple of Library
        The same objects where nothing is left out.
    targets : ndarray of int, shape (n_targets, n_variables)
        By positions in these.
    """
    kept, targets = list(libraries), targets.copy()
    for i, library in enumerate(kept):
        if not isinstance(library, Changes):
            continue
        used = np.unique(targets[:, i])
        used = used[used >= 0]
        if used.size == len(library):
            continue
        kept[i] = replace(library, changes=tuple(library[int(k)] for k in used))
        position = np.full(len(library) + 1, -1)
        position[used] = np.arange(used.size)
        targets[:, i] = position[targets[:, i]]  # position -1 stays -1, the last entry
    return tuple(kept), targets


def _posterior(result: SearchResult, few: Configurations) -> Floats:
    """Weight of each row times the posterior of its unit's targets."""
    evidence = Evidence.of_configurations(result.network, few)
    return evidence.completed(result.network, result.targets, result.weights)[1]


def _with_changes(
    network: MechanismNetwork,
    few: Configurations,
    posterior: Floats,
    result: SearchResult | None = None,
) -> MechanismNetwork:
    """Add changes that rows speak for: all of them, or those of each component of a result."""
    log_choices = float(np.log(max(network.n_variables, 1)))
    libraries = list(network.libraries)
    for i in range(network.n_variables):
        library = libraries[i]
        if not isinstance(library, Changes) or not library.kinds:
            continue
        new: list[Change] = []
        for weights in posterior[_promising(network, few, posterior, result, i, log_choices)]:
            if few.counts @ (weights > 0) and weights.sum() >= _LEAST_ROWS:
                present = (*library[:], *new)
                rows = weights * few.counts if result is None else weights
                finder = ChangeFinder(network.mechanisms[i], library, few.codes, rows, log_choices)
                new += finder.found(present, fixed=True)
        if new:
            libraries[i] = replace(library, changes=(*library[:], *new))
    if all(one is two for one, two in zip(libraries, network.libraries, strict=True)):
        return network
    return replace(network, libraries=tuple(libraries))


def _promising(
    network: MechanismNetwork,
    few: Configurations,
    posterior: Floats,
    result: SearchResult | None,
    i: int,
    log_choices: float,
) -> Bools:
    """Tell which components of a result to look into for changes of a variable."""
    every: Bools = np.ones(len(posterior), dtype=np.bool_)
    library = network.libraries[i]
    if result is None or not isinstance(library, Changes):
        return every
    known = of(result.network).libraries[i]
    present = tuple(known[int(k)] if k >= 0 else None for k in result.targets[:, i])
    return promising(network.mechanisms[i], library, present, few.codes, posterior, log_choices)
