"""Rows that come from elsewhere: told apart from the others, and given a line of their own.

Rows that no target explains make a handful of components that are not there. Where a share of rows
with a distribution of its own pays in the score, the search is made again in the other rows, each
row counting as far as it does not come from elsewhere; and what that proposes is weighed on all
rows, with rows from elsewhere as one more target (:mod:`dosift.model.other`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dosift.checks.foreign_numbers import kind_of, tell_apart
from dosift.checks.foreign_rows import find_foreign_rows, with_other_column
from dosift.checks.verdict import Answer, Repair
from dosift.data.blocks import Beside, Block, MemoryBlocks
from dosift.likelihood.assignment import judge
from dosift.likelihood.evidence import Evidence
from dosift.methods.likelihood import weighed_with_other
from dosift.model.arrays import Floats, Ints
from dosift.model.mechanism_network import MechanismNetwork, as_network, compared_targets
from dosift.model.network import Network
from dosift.model.other import is_other
from dosift.model.other_numbers import OtherNumbers
from dosift.pipeline.find import find
from dosift.pipeline.setup import Gathered, Setup
from dosift.search.joint import JointFitter
from dosift.search.library import of
from dosift.search.result import SearchResult, ranked

#: Passes over rows that are told from those that come from elsewhere.
_PASSES = 2
#: Rows of measurements by which they are told apart; of more, every so many-th.
_MOST_LOOKED_AT = 5000
#: What a row that counts for no more of what it counted does not count at all.
_NOTHING = 1e-9


@dataclass(frozen=True)
class Apart:
    """Rows that come from elsewhere, told from the others.

    Attributes
    ----------
    share : float
        Of rows from elsewhere, among all.
    gain : float
        Rise of the score (nats) when they are told apart.
    other : tuple of ndarray, or OtherNumbers
        What they look like.
    rest : Gathered
        The others: each row counts as far as it does not come from elsewhere.
    result : SearchResult
        Of these.
    """

    share: float
    gain: float
    other: tuple[Floats, ...] | OtherNumbers
    rest: Gathered
    result: SearchResult

    def answer(self) -> Answer:
        """Return what is found when they have a line of their own."""
        compared = compared_targets(self.result.network, self.result.targets)
        targets, weights = with_other_column(compared, self.result.weights, self.share)
        repair = Repair("rows", "foreign", (), self.gain, self.share)
        return Answer((repair,), self.gain, targets, weights)


def told_apart(setup: Setup, result: SearchResult, least_gain: float = 0.0) -> Apart | None:
    """Look for rows that come from elsewhere, and search again in the others.

    Parameters
    ----------
    setup : Setup
    result : SearchResult
        Of all rows.
    least_gain : float
        Gain (nats) up to which nothing is searched again: what another repair gains far beyond that
        is the answer to be compared with.

    Returns
    -------
    Apart or None
        None where a share of rows with a distribution of its own does not pay (so much) or is among
        the targets already, or some weight is known: of all rows, or of those that do not come from
        elsewhere, nobody said.
    """
    gathered = setup.gathered
    known = setup.options.constraints_on(result.network, result.targets, result.weights)
    if len(known.known) or is_other(result.targets).any():
        return None
    if isinstance(setup.network, MechanismNetwork):
        return _numbers_apart(setup, result, least_gain)
    held = gathered.block
    if held is None:
        return None
    looked_at = _held(setup.network, replace(held, batch=None), gathered)
    foreign = find_foreign_rows(looked_at, result, known)
    if foreign is None or foreign.gain <= least_gain:
        return None
    gain, rest, now = foreign.gain, gathered, result
    for _ in range(_PASSES):
        others = replace(held, counts=held.counts * (1.0 - foreign.posterior))
        rest = Gathered(_held(setup.network, others, gathered))
        now = _found_in(setup, rest)
        again = find_foreign_rows(looked_at, now, known)
        if again is None:
            break
        foreign = again
    return Apart(foreign.share, gain, foreign.states, rest, now)


def _numbers_apart(setup: Setup, result: SearchResult, least_gain: float) -> Apart | None:
    """Do the same where variables are measurements or counts."""
    network, gathered, taught = setup.network, setup.gathered, of(result.network)
    held = gathered.block
    if not setup.recipe.refine or held is None or taught.control is None:
        return None
    # What fits to other rows remembered is forgotten.
    now = as_network(replace(taught, control=replace(taught.control)))
    known = setup.options.constraints_on(now, result.targets, result.weights)
    step = -(-len(held) // _MOST_LOOKED_AT)
    some = _held(network, replace(held, batch=None).part(slice(None, None, step)), gathered)
    base = JointFitter(now, some, known).fit(now, result.targets, result.weights[None])
    kinds = [kind_of(taught, i) for i in range(taught.n_variables)]
    foreign = tell_apart(base, some, kinds, known)
    if foreign is None or foreign.gain <= least_gain:
        return None
    own = of(foreign.fit.network).with_other(foreign.other)
    targets, weights = with_other_column(foreign.fit.targets, foreign.fit.weights[0], foreign.share)
    rest = _rest(network, as_network(own), gathered, targets, weights)
    return Apart(foreign.share, foreign.gain, foreign.other, rest, _found_in(setup, rest))


def _found_in(setup: Setup, rest: Gathered) -> SearchResult:
    """Search in the rows that do not come from elsewhere, for nothing but do's."""
    recipe = replace(setup.recipe, interventions="hard")
    return find(replace(setup, recipe=recipe, gathered=rest))[0]


def _rest(
    given: Network, network: Network, gathered: Gathered, targets: Ints, weights: Floats
) -> Gathered:
    """Let each row count as far as it does not come from elsewhere under a mixture."""
    held = gathered.block
    assert held is not None
    every = _held(given, replace(held, batch=None), gathered)
    posterior = judge(every.under(network, targets), targets, weights).posterior
    counts = held.counts * (1.0 - posterior[:, is_other(targets)].sum(axis=1))
    others = replace(held, counts=counts).part(counts > _NOTHING * held.counts)
    return Gathered(_held(given, others, gathered))


def _held(network: Network, block: Block, gathered: Gathered) -> Evidence:
    """Return rows that are held as evidence."""
    own = gathered.evidence.rows.beside
    batches = () if block.batch is None else own.batches
    beside = Beside(batches, () if block.label is None else own.labels)
    labels = None if block.label is None else gathered.evidence.labels
    return Evidence.held_rows(network, MemoryBlocks.of_block(block, beside), labels)


def with_line_of_their_own(setup: Setup, apart: Apart) -> SearchResult:
    """Weigh what was found in the other rows on all rows, rows from elsewhere among the targets.

    Parameters
    ----------
    setup : Setup
        With all rows.
    apart : Apart

    Returns
    -------
    SearchResult
        Its network says what rows from elsewhere look like.
    """
    network, gathered = setup.network, setup.gathered
    known, other = apart.result.network, apart.other
    if isinstance(other, OtherNumbers):
        known = as_network(of(known).with_other(other))
        network = known
    else:
        known, network = known.with_other(other), network.with_other(other)
    own = replace(apart.result, network=known)
    rows = (gathered.evidence, gathered.sample, setup.options)
    return weighed_with_other(network, *rows, own, apart.share)


def without_elsewhere(setup: Setup, result: SearchResult) -> tuple[Setup, SearchResult]:
    """Leave rows from elsewhere out of rows and mixture, as far as they are there.

    Parameters
    ----------
    setup : Setup
    result : SearchResult
        Some of whose rows come from elsewhere.

    Returns
    -------
    setup : Setup
        Each row counts as far as it does not come from elsewhere; a sample, where all rows are not
        held.
    result : SearchResult
        The mixture of the others.
    """
    other = is_other(result.targets)
    mixture = (result.targets, result.weights)
    rest = _rest(setup.network, result.network, setup.gathered, *mixture)
    weights = result.weights[~other] / result.weights[~other].sum()
    batches = result.batch_weights
    if batches is not None:
        batches = batches[:, ~other]
        batches = batches / np.maximum(batches.sum(axis=1, keepdims=True), 1e-300)
    own = result.network.with_other(None)
    pooled = rest.evidence.pooled
    found = ranked(pooled, own, result.targets[~other], weights, batch_weights=batches)
    return replace(setup, gathered=rest), replace(found, converged=result.converged)


def found_again(setup: Setup, tells_apart: bool) -> SearchResult:
    """Find targets and weights in other rows as in a fit.

    Parameters
    ----------
    setup : Setup
        With these rows.
    tells_apart : bool
        Whether the fit gave rows from elsewhere a line of their own.

    Returns
    -------
    SearchResult
    """
    found, _ = find(setup)
    apart = told_apart(setup, found) if tells_apart else None
    return found if apart is None else with_line_of_their_own(setup, apart)
