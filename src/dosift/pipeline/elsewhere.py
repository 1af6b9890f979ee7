"""Rows that come from elsewhere: told apart from the others, and given a line of their own.

Rows that no target explains make a handful of components that are not there. Where a share of rows
with a distribution of its own pays in the score, the search is made again in the other rows, each
row counting as far as it does not come from elsewhere; and what that proposes is weighed on all
rows, with rows from elsewhere as one more target (:mod:`dosift.model.other`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.checks.foreign_rows import ForeignRows, find_foreign_rows, with_other_column
from dosift.checks.verdict import Answer, Repair
from dosift.data.blocks import NOTHING, Block, MemoryBlocks
from dosift.likelihood.assignment import assign
from dosift.likelihood.evidence import Evidence
from dosift.methods import Options, Progress
from dosift.methods.likelihood import weighed_with_other
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.model.other import is_other
from dosift.pipeline.find import find
from dosift.pipeline.gather import Gathered
from dosift.pipeline.recipe import Recipe
from dosift.search.result import SearchResult, ranked

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Passes over rows that are told from those that come from elsewhere.
_PASSES = 2


@dataclass(frozen=True)
class Apart:
    """Rows that come from elsewhere, told from the others.

    Attributes
    ----------
    foreign : ForeignRows
    rest : Gathered
        The others: each row counts as far as it does not come from elsewhere.
    result : SearchResult
        Of these.
    """

    foreign: ForeignRows
    rest: Gathered
    result: SearchResult

    def answer(self) -> Answer:
        """Return what is found when they have a line of their own."""
        targets, weights = with_other_column(
            self.result.targets, self.result.weights, self.foreign.share
        )
        repair = Repair("rows", "foreign", (), self.foreign.gain, self.foreign.share)
        return Answer((repair,), self.foreign.gain, targets, weights)


def told_apart(
    recipe: Recipe,
    network: Network,
    gathered: Gathered,
    options: Options,
    result: SearchResult,
    progress: Progress | None = None,
    least_gain: float = 0.0,
) -> Apart | None:
    """Look for rows that come from elsewhere, and search again in the others.

    Parameters
    ----------
    recipe : Recipe
    network : Network
        As it was before any mixture row taught it.
    gathered : Gathered
    options : Options
    result : SearchResult
        Of all rows.
    progress : callable, optional
    least_gain : float
        Gain (nats) up to which nothing is searched again: what another repair gains far beyond that
        is the answer to be compared with.

    Returns
    -------
    Apart or None
        None where a share of rows with a distribution of its own does not pay (so much), rows come
        in units or with labels, or targets are restricted.
    """
    held = gathered.evidence.held if gathered.sample is None else gathered.sample
    if isinstance(network, MechanismNetwork) or held is None or held.label is not None:
        return None
    is_free = options.constraints is None or options.constraints.is_free
    if held.first is not None or not is_free:
        return None
    looked_at = _held(network, replace(held, batch=None), gathered)
    foreign = find_foreign_rows(looked_at, result)
    if foreign is None or foreign.gain <= least_gain:
        return None
    plain, gain = replace(recipe, interventions="hard"), foreign.gain
    rest, now = gathered, result
    for _ in range(_PASSES):
        others = replace(held, counts=held.counts * (1.0 - foreign.posterior))
        rest = Gathered(_held(network, others, gathered), None)
        now, _ = find(plain, network, rest, options, progress)
        again = find_foreign_rows(looked_at, now)
        if again is None:
            break
        foreign = again
    return Apart(replace(foreign, gain=gain), rest, now)


def _held(network: Network, block: Block, gathered: Gathered) -> Evidence:
    """Return rows that are held as evidence."""
    beside = gathered.evidence.rows.beside if block.batch is not None else NOTHING
    return Evidence.held_rows(network, MemoryBlocks.of_block(block, beside))


def with_line_of_their_own(
    network: Network, gathered: Gathered, options: Options, apart: Apart
) -> SearchResult:
    """Weigh what was found in the other rows on all rows, rows from elsewhere among the targets.

    Parameters
    ----------
    network : Network
        As it was before any mixture row taught it.
    gathered : Gathered
        All rows.
    options : Options
    apart : Apart

    Returns
    -------
    SearchResult
        Its network says what rows from elsewhere look like.
    """
    own = replace(apart.result, network=apart.result.network.with_other(apart.foreign.states))
    return weighed_with_other(
        network.with_other(apart.foreign.states),
        gathered.evidence,
        gathered.sample,
        options,
        own,
        apart.foreign.share,
    )


def without_elsewhere(
    network: Network, gathered: Gathered, result: SearchResult
) -> tuple[Gathered, SearchResult]:
    """Leave rows from elsewhere out of rows and mixture, as far as they are there.

    Parameters
    ----------
    network : Network
        As it was before any mixture row taught it.
    gathered : Gathered
    result : SearchResult
        Some of whose rows come from elsewhere.

    Returns
    -------
    gathered : Gathered
        Each row counts as far as it does not come from elsewhere; a sample, where all rows are not
        held.
    result : SearchResult
        The mixture of the others.
    """
    held = gathered.evidence.held if gathered.sample is None else gathered.sample
    assert held is not None
    other = is_other(result.targets)
    posterior = assign(result.network, result.targets, result.weights, held.values).posterior
    others = replace(held, counts=held.counts * (1.0 - posterior[:, other].sum(axis=1)))
    evidence = _held(network, others, gathered)
    weights = result.weights[~other] / result.weights[~other].sum()
    batches = result.batch_weights
    if batches is not None:
        batches = batches[:, ~other]
        batches = batches / np.maximum(batches.sum(axis=1, keepdims=True), 1e-300)
    own = result.network.with_other(None)
    rest = ranked(evidence.pooled, own, result.targets[~other], weights, batch_weights=batches)
    return Gathered(evidence, None), replace(rest, converged=result.converged)


def found_again(
    recipe: Recipe, network: Network, gathered: Gathered, options: Options, tells_apart: bool
) -> SearchResult:
    """Find targets and weights in other rows as in a fit.

    Parameters
    ----------
    recipe : Recipe
    network : Network
    gathered : Gathered
    options : Options
    tells_apart : bool
        Whether the fit gave rows from elsewhere a line of their own.

    Returns
    -------
    SearchResult
    """
    found, _ = find(recipe, network, gathered, options)
    apart = told_apart(recipe, network, gathered, options, found) if tells_apart else None
    return found if apart is None else with_line_of_their_own(network, gathered, options, apart)
