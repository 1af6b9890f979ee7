"""What the rows ask for: repairs of the model, each with the answer that would be given then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from dosift.checks.model_check import ModelCheck
from dosift.checks.verdict import FAR_BEHIND, Answer, Repair, RepairedModel
from dosift.data.blocks import MemoryBlocks
from dosift.graphs.findings import GraphFindings
from dosift.likelihood.evidence import Evidence
from dosift.methods import estimate
from dosift.model.mechanism_network import compared_targets
from dosift.model.network import Network
from dosift.pipeline.find import find
from dosift.pipeline.hidden_cause import by_hidden_cause, without_undone_edges
from dosift.pipeline.impure_control import find_impure_control
from dosift.pipeline.number_repairs import number_answers
from dosift.pipeline.setup import Gathered, Setup
from dosift.search.joint import JointFitter
from dosift.search.mechanisms import (
    ChangedMechanism,
    suspect_mechanism,
    with_free_tables,
    with_freed_table,
)
from dosift.search.result import SearchResult, ranked

#: Batches up to which each is looked at alone.
_MOST_BATCHES = 8
#: How many times more a search may bring than the targets as they are.
_LARGER = 3.0


def repaired_answers(
    setup: Setup, result: SearchResult, check: ModelCheck, graph: GraphFindings | None
) -> tuple[Answer, ...]:
    """Make the repairs that rows ask for.

    Parameters
    ----------
    setup : Setup
        With rows that count in full.
    result : SearchResult
    check : ModelCheck
        Which may name a mechanism that changed.
    graph : GraphFindings or None
        What the rows would change in a graph that is fixed.

    Returns
    -------
    tuple of Answer
    """
    recipe = setup.recipe
    if recipe.method != "likelihood" or not np.isfinite(result.log_likelihood):
        return ()
    changed = check.fit.changed
    setup.tell("looking for what the rows ask for", 0, None)
    answers = [_by_graph(graph, result)]
    if not isinstance(setup.network, Network):
        answers.append(by_hidden_cause(graph, result.network, result.targets, result.weights))
        answers += number_answers(setup, result)
        return _worth_a_look(answers)
    best = max((one.gain for one in answers if one is not None), default=0.0)
    if changed is not None and changed.gain > best and recipe.interventions != "any":
        answers.append(_by_mechanism(setup, result, changed))
    if of_batches := _by_drift(setup, result):
        answers.append(of_batches)
    best = max((one.gain for one in answers if one is not None), default=0.0)
    answers.append(_by_control(setup, result, best))
    return _worth_a_look(answers)


def _worth_a_look(answers: Sequence[Answer | None]) -> tuple[Answer, ...]:
    """Leave out answers that gain nothing, but for those that are to be preferred even so."""
    return tuple(one for one in answers if one is not None and one.gain > one.least)


def _by_graph(graph: GraphFindings | None, result: SearchResult) -> Answer | None:
    if graph is None or not graph.asked or graph.targets is None or graph.weights is None:
        return None
    edits = tuple(
        Repair("edge", one.kind, (one.parent, one.child), one.gain) for one in graph.asked
    )
    answer = Answer(edits, graph.gain, graph.targets, graph.weights)
    targets = compared_targets(result.network, result.targets)
    found, answer = graph.repaired, without_undone_edges(answer, targets, result.weights)
    if found is None or not np.array_equal(answer.targets, graph.targets):
        return answer
    return replace(answer, model=RepairedModel(found.network, found.targets, found.weights))


def _by_mechanism(setup: Setup, result: SearchResult, changed: ChangedMechanism) -> Answer | None:
    """Free the table that seems to have changed, and search again."""
    pooled, i = setup.gathered.evidence.pooled, changed.variable
    found, gain = with_freed_table(setup.network, pooled, result, i, partial(_searched, setup))
    # The check has judged it already, by its p-value: a large table pays for many entries here.
    gain = max(gain, changed.gain)
    repair = Repair("mechanism", "changed", (i,), gain)
    freed = with_free_tables(setup.network, pooled, (i,))
    answer = Answer((repair,), gain, found.targets, found.weights)
    return replace(answer, network=freed, found=found)


def _searched(setup: Setup, network: Network) -> SearchResult:
    """Search by do's, under another network that the rows teach."""
    own, rows = replace(setup.options, refine=True), setup.gathered
    return estimate("likelihood", network, rows.evidence, own, setup.progress, rows.sample)


def _by_drift(setup: Setup, result: SearchResult) -> Answer | None:
    """Free a table in one batch, whose mechanisms are not those of the others."""
    network, evidence, weights = setup.network, setup.gathered.evidence, result.batch_weights
    held = evidence.held
    if held is None or held.batch is None or weights is None or evidence.incomplete:
        return None
    if held.label is not None or evidence.has_units or not 1 < len(weights) <= _MOST_BATCHES:
        return None
    share = evidence.n_rows / evidence.total
    found = []
    for b, own in enumerate(weights):
        kept = own > 0
        rows = held.part(held.batch == b)
        blocks = MemoryBlocks(np.asfortranarray(rows.values), rows.counts)
        alone = Evidence.held_rows(network, blocks)
        mixture = ranked(alone, result.network, result.targets[kept], own[kept])
        changed = suspect_mechanism(network, alone, mixture)
        if changed is not None:
            found.append((changed, b, alone, mixture))
    if not found:
        return None
    changed, b, alone, mixture = max(found, key=lambda one: one[0].gain)
    in_batch = partial(_searched, replace(setup, gathered=Gathered(alone)))
    freed, gain = with_freed_table(network, alone, mixture, changed.variable, in_batch)
    rest = np.where(np.arange(len(weights)) == b, 0.0, share) @ weights
    targets = np.concatenate([result.targets, freed.targets])
    both = np.concatenate([rest, share[b] * freed.weights])
    gain = max(gain, changed.gain)
    repair = Repair("mechanism", "drift", (changed.variable,), gain)
    return Answer.merged((repair,), gain, targets, both)


def _by_control(setup: Setup, result: SearchResult, best: float) -> Answer | None:
    """Let those control rows teach in which nothing seems to have been done.

    Nothing is searched where, with the targets as they are, this gains far less than the `best`
    repair: a wrong edge makes control rows look as if something had been done in them, too.
    """
    impure = find_impure_control(setup.network, result)
    if impure is None or not setup.recipe.refine:
        return None
    other = replace(setup, network=impure.network)
    quick = impure.gain + _LARGER * _rise_with_targets(other, result)
    if quick < best - 2.0 * FAR_BEHIND:
        return None
    found, _ = find(other)
    # What was done in control rows also makes mechanisms look changed: the pool gains with them.
    gain = impure.gain + max(found.penalised_score - result.penalised_score, 0.0)
    repair = Repair("rows", "control", (), gain, impure.share)
    return Answer((repair,), gain, found.targets, found.weights)


def _rise_with_targets(setup: Setup, result: SearchResult) -> float:
    """Rise of the pool's score (nats) under another network with the same targets; at least 0."""
    pooled = setup.gathered.evidence.pooled
    fit = JointFitter(setup.network, pooled).fit(setup.network, result.targets, result.weights)
    found = ranked(pooled, fit.network, fit.targets, fit.weights[0])
    return max(found.penalised_score - result.penalised_score, 0.0)
