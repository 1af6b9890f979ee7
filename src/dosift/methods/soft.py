"""Interventions that are no do's: stochastic ones, and mechanisms that changed otherwise."""

from __future__ import annotations

from dataclasses import replace

from dosift.data.blocks import Block
from dosift.likelihood.evidence import Evidence
from dosift.methods.options import Options
from dosift.methods.registry import estimate
from dosift.model.arrays import Ints
from dosift.model.network import Network
from dosift.search.constraints import Constraints, keys_of
from dosift.search.mechanisms import ChangedMechanism, find_changed_mechanisms
from dosift.search.result import SearchResult
from dosift.search.stochastic import complete_values
from dosift.utils.progress import Progress

#: What `interventions` may be, the default first.
KINDS = ("hard", "stochastic", "any")


def soften(
    kind: str,
    network: Network,
    evidence: Evidence,
    result: SearchResult,
    options: Options,
    progress: Progress | None,
    sample: Block | None = None,
) -> tuple[SearchResult, tuple[ChangedMechanism, ...]]:
    """Allow more than do's, where that explains the rows better.

    Parameters
    ----------
    kind : {"hard", "stochastic", "any"}
    network : Network
        As it was given.
    evidence : Evidence
    result : SearchResult
        With do's only.
    options : Options
    progress : callable, optional
    sample : Block, optional
        Some of the rows, where they are not held.

    Returns
    -------
    result : SearchResult
    changed : tuple of ChangedMechanism
    """
    changed: tuple[ChangedMechanism, ...] = ()
    if kind == "any":

        def free(other: Network, refine: bool) -> SearchResult:
            own = replace(options, refine=refine)
            return estimate("likelihood", other, evidence, own, progress, sample)

        result, changed = find_changed_mechanisms(network, evidence, result, free, progress)
    known = options.constraints or Constraints.none(network.cardinalities)
    if kind != "hard" and known.is_free:

        def from_list(listed: Ints) -> SearchResult:
            own = replace(options, refine=False, constraints=replace(known, candidates=listed))
            return estimate("likelihood", result.network, evidence, own, progress, sample)

        completed = complete_values(result, network.cardinalities, from_list)
        # If no value joined, what is known of targets beyond the list still holds.
        if keys_of(completed.targets) != keys_of(result.targets):
            result = completed
    return result, changed
