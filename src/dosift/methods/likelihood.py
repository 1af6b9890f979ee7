"""Penalised maximum likelihood: the search, and the choice among what it proposes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Block
from dosift.data.configurations import collapse, systematic_sample
from dosift.data.sample import hash_rows
from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.solve import solve
from dosift.methods.options import Options
from dosift.methods.proposals import Proposals, Proposer
from dosift.model.arrays import Floats, Ints
from dosift.model.network import Network
from dosift.model.other import interventions, other_target
from dosift.search.constraints import NOTHING_LEFT, Constraints, keys_of
from dosift.search.engine import find_targets
from dosift.search.joint import EM_RISE, JointFitter
from dosift.search.library import find_changes, grows, of
from dosift.search.neighbourhood import survey
from dosift.search.result import SearchResult, ranked
from dosift.search.screening import SCREEN_FROM, screen_families
from dosift.search.selection import Mixture, Selection
from dosift.utils.progress import Progress

#: Rows of a sample by which targets that may replace a component are looked for.
_FEW_ROWS = 2**13
#: Distinct rows from which such a sample is taken.
_MANY = 3000
#: Configurations without any explanation that join the sample, and how often it is searched again.
_MOST_IMPOSSIBLE, _MAX_SEARCHES = 256, 3
#: Rise of the joint objective (nats a row, and of all rows at most) in one step of EM over many
#: rows of numbers at which it ends.
_RISE_A_ROW, _MOST_RISE = 2e-6, 2.0
#: How often all rows teach a learned network and choose again.
_MAX_TEACHINGS = 3


def estimate_likelihood(
    network: Network, evidence: Evidence, sample: Block | None, options: Options, tell: Progress
) -> SearchResult:
    """Find targets and weights, whatever the rows are.

    Parameters
    ----------
    network : Network
    evidence : Evidence
        All rows.
    sample : Block or None
        Some of them, where they are not held.
    options : Options
    tell : callable
        Called with a stage's name, the steps done and the steps in all.

    Returns
    -------
    SearchResult
    """
    if options.patterns is not None and options.patterns.is_whole:
        constraints = options.patterns.constraints(of(network))
        known, weights = constraints.known, constraints.known_weights
        return _whole(evidence, network, known, weights[None], constraints)
    if evidence.is_plain and grows(network):
        return find_changes(
            of(network),
            evidence.configurations,
            max_size=options.max_size,
            refine=options.refine,
            gap=options.gap,
            progress=tell,
            patterns=options.patterns,
        )
    constraints = Constraints.none(network.n_changes)
    if not grows(network):
        constraints = options.constraints_on(network)
    if evidence.is_plain:
        return find_targets(
            network,
            evidence.configurations,
            max_size=options.max_size,
            refine=options.refine,
            gap=options.gap,
            progress=tell,
            constraints=constraints,
        )
    if constraints.rest <= NOTHING_LEFT:
        known, weights = constraints.known, constraints.known_weights
        return _whole(evidence, network, known, weights[None], constraints)
    held = evidence.held if sample is None else sample
    assert held is not None
    if held.label is not None:
        held = held.part(held.label < 0)
    proposer = Proposer(network, constraints, options, tell, sample is not None)
    found = _explaining_all(proposer, evidence, held)
    if grows(network):
        network = found.network  # whose libraries have grown
        constraints = options.constraints_on(network, found.pooled.targets, found.pooled.weights)
    pool = _pool(evidence, constraints, found.targets)
    targets, weights, start = found.pooled.targets, found.pooled.weights, None
    teaches = _teaches(network, evidence, options)
    for _ in range(_MAX_TEACHINGS if teaches else 1):
        taught = found.network
        if teaches:
            tell("refining the network", 0, None)
            fitter = JointFitter(network, evidence.pooled, constraints)
            taught = fitter.fit(taught, targets, weights, rise=_rise(network, evidence)).network
        evidence.forget()
        tell("weighing targets", 0, None)
        variables = _variables(evidence, taught, pool)
        selection = Selection(evidence, taught, constraints, variables, options.max_size)
        chosen = selection.run(pool, start)
        if teaches and keys_of(chosen.targets) == keys_of(targets):
            break
        found = replace(found, network=taught)
        # What all rows chose teaches once more, and is judged again.
        targets, pool, start = chosen.targets, chosen.targets, chosen.weights
        weights = evidence.n_rows @ chosen.weights / evidence.total
    final = selection.solved(chosen.targets, chosen.weights, chosen.allowed, options.gap)
    tell("looking around", 0, None)
    return _surveyed(selection, final, options, _few(network, held, constraints))


def weighed_with_other(
    network: Network,
    evidence: Evidence,
    sample: Block | None,
    options: Options,
    found: SearchResult,
    share: float,
) -> SearchResult:
    """Choose on all rows among targets of some of them, and what lies around; with other rows.

    Parameters
    ----------
    network : Network
        Before any mixture row taught it. It says what rows from elsewhere look like.
    evidence : Evidence
        All rows.
    sample : Block or None
        Some of them, where they are not held.
    options : Options
    found : SearchResult
        In the rows that do not come from elsewhere.
    share : float
        Of the others.

    Returns
    -------
    SearchResult
        With the target of rows from elsewhere (:mod:`dosift.model.other`).
    """
    other = other_target(network.n_variables)[None]
    known = options.constraints_on(network, found.targets, found.weights)
    constraints = replace(known, required=np.concatenate([known.required, other]))
    targets = np.concatenate([np.asarray(found.targets, dtype=np.int16), other])
    batches = found.weights[None] if found.batch_weights is None else found.batch_weights
    start = np.column_stack([(1.0 - share) * batches, np.full(len(batches), share)])
    taught = found.network
    if options.refine and network.learns:
        pooled = np.append((1.0 - share) * found.weights, share)
        fitter = JointFitter(network, evidence.pooled, constraints)
        taught = fitter.fit(taught, targets, pooled).network
    evidence.forget()
    variables = _variables(evidence, taught, interventions(targets))
    selection = Selection(evidence, taught, constraints, variables, options.max_size)
    chosen = selection.run(targets, start if len(start) == evidence.n_batches else None)
    final = selection.solved(chosen.targets, chosen.weights, chosen.allowed, options.gap)
    held = evidence.held if sample is None else sample
    assert held is not None
    return _surveyed(selection, final, options, _few(network, held, known))


def _pool(evidence: Evidence, constraints: Constraints, targets: Ints) -> Ints:
    """Let "no intervention" be among the targets where the search saw only some of the rows.

    Rows that it did not see may have no other cause.
    """
    nothing: Ints = np.full((1, targets.shape[1]), -1, dtype=np.int16)
    if evidence.held is not None or not constraints.permits(nothing).all():
        return targets
    return np.unique(np.concatenate([targets, nothing]), axis=0)


def _explaining_all(proposer: Proposer, evidence: Evidence, block: Block) -> Proposals:
    """Search; rows that a sample did not hold and the answer makes impossible join it."""
    found = proposer.propose(block)
    if evidence.held is not None:
        return found
    for _ in range(_MAX_SEARCHES - 1):
        if found.network.is_positive:
            break
        task = _Impossible(found.targets, proposer.network.cardinalities)
        left_out = evidence.rows.reduce(_Rows(found.network, found.targets, task), task.merge)
        if not len(left_out):
            break
        values = np.concatenate([block.values, left_out])
        batch, first = block.batch, block.first
        if batch is not None:  # their own batch was not kept; the pool is searched, too
            batch = np.append(batch, np.zeros(len(left_out), dtype=batch.dtype))
        if first is not None:  # they join as units of one row
            first = np.append(first, len(block.values) + np.arange(len(left_out)))
        block = Block(values, np.append(block.counts, np.ones(len(left_out))), batch, first=first)
        found = proposer.propose(block)
    return found


@dataclass(frozen=True)
class _Rows:
    """A task for blocks that begins with likelihoods of targets."""

    network: Network
    targets: Ints
    work: Callable[[RowLikelihoods], Ints]

    def __call__(self, block: Block) -> Ints:
        return self.work(RowLikelihoods(self.network, block, False))


@dataclass(frozen=True)
class _Impossible:
    """Collects configurations that none of some targets can produce, a few of them.

    Which ones does not depend on the order of the rows.
    """

    targets: Ints
    cardinalities: NDArray[np.int64]

    def __call__(self, rows: RowLikelihoods) -> Ints:
        impossible = np.logical_not((rows.columns(self.targets) > 0).any(axis=1))
        return self._first(rows.block.values[impossible[rows.block.unit]])

    def merge(self, one: Ints, other: Ints) -> Ints:
        """Bring those of two blocks together."""
        return self._first(np.concatenate([one, other]))

    def _first(self, codes: Ints) -> Ints:
        rows = collapse(codes, self.cardinalities).codes
        # Evenly over all of them, by a hash; the first in the alphabet would be much alike.
        order = np.argsort(hash_rows(rows, 0), kind="stable")[:_MOST_IMPOSSIBLE]
        return np.asarray(rows[np.sort(order)])


def _rise(network: Network, evidence: Evidence) -> float:
    """Rise (nats, all rows) in one step of EM at which all rows have taught enough."""
    if evidence.held is not None or isinstance(network, Network):
        return EM_RISE
    return float(np.clip(_RISE_A_ROW * evidence.total, EM_RISE, _MOST_RISE))


def _teaches(network: Network, evidence: Evidence, options: Options) -> bool:
    """Whether all rows must teach a learned network, as the search saw others than these."""
    if not options.refine or not network.learns:
        return False
    return evidence.held is None or evidence.incomplete > 0


def _variables(evidence: Evidence, network: Network, targets: Ints) -> tuple[int, ...]:
    """Variables that the targets set, and those that the counts of their families point to."""
    is_set = set(np.flatnonzero((targets >= 0).any(axis=0)).tolist())
    if network.n_variables <= SCREEN_FROM:
        return network.changeable or (0,)
    if not isinstance(network, Network):
        return tuple(sorted(is_set)) or (0,)
    return tuple(sorted(is_set | set(screen_families(network, evidence.families)))) or (0,)


def _few(network: Network, block: Block, constraints: Constraints) -> Evidence | None:
    """Take a few complete rows, for a first look at what could replace a component."""
    if block.has_missing or len(block) <= _MANY or not constraints.is_free:
        return None
    rows = block.collapsed(network.cardinalities)
    return Evidence.of_configurations(network, systematic_sample(rows, _FEW_ROWS))


def _surveyed(
    selection: Selection, final: Mixture, options: Options, few: Evidence | None
) -> SearchResult:
    """Look around the final mixture."""
    constraints, evidence = selection.constraints, selection.evidence
    scope = "neighbours" if constraints.candidates is None else "candidates"
    around = selection.priced_in_the_rest(final)
    found = survey(selection, final.targets, final.weights, around, scope, few)
    pooled, batch_weights, gap = final.weights[0], None, float(final.solution.gap.max())
    converged = bool(final.solution.converged.all())
    if evidence.n_batches > 1 or evidence.rows.beside.batches:
        share = evidence.n_rows / evidence.total
        start = (share @ final.weights)[None]
        together = solve(
            evidence.pooled,
            selection.network,
            final.targets,
            start,
            options.gap,
            fixed=constraints.fixed(final.targets),
        )
        pooled, batch_weights = together.weights[0], final.weights
        converged &= bool(together.converged.all())
        gap = max(gap, float(together.gap.max()))
    return ranked(
        evidence.pooled,
        selection.network,
        final.targets,
        pooled,
        constraints=constraints,
        converged=converged,
        gap=gap,
        neighbourhood=found,
        batch_weights=batch_weights,
    )


def _whole(
    evidence: Evidence, network: Network, targets: Ints, weights: Floats, constraints: Constraints
) -> SearchResult:
    """Evaluate a mixture whose weights are all known."""
    batches = None
    if evidence.rows.beside.batches:
        batches = np.repeat(weights, evidence.n_batches, axis=0)
    return ranked(
        evidence.pooled,
        network,
        targets,
        weights[0],
        constraints=constraints,
        gap=0.0,
        batch_weights=batches,
    )
