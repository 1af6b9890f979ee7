"""What rows ask for when a mixture is there: checks, repairs, and rows that come from elsewhere.

Rows from elsewhere are the one repair that is made by itself: where it is worth more than every
other one, they get a line of their own, and all else is asked of the other rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dosift.checks.foreign_rows import with_other_column
from dosift.checks.model_check import ModelCheck, check_model
from dosift.checks.verdict import FAR_BEHIND, Answer
from dosift.data.blocks import Beside, MemoryBlocks
from dosift.graphs.findings import GraphFindings
from dosift.likelihood.evidence import Evidence
from dosift.model.mechanism_network import compared_targets
from dosift.model.network import Network
from dosift.model.other import is_other
from dosift.pipeline.elsewhere import told_apart, with_line_of_their_own, without_elsewhere
from dosift.pipeline.graph import check_graph, refitted
from dosift.pipeline.impure_control import not_by_impure_control
from dosift.pipeline.moved import Moved, with_moved_mechanism, without_questions
from dosift.pipeline.recipe import Recipe
from dosift.pipeline.repairs import repaired_answers
from dosift.pipeline.setup import Gathered, Setup
from dosift.search.filling import filled_in
from dosift.search.mechanisms import ChangedMechanism
from dosift.search.result import SearchResult

#: Units by which a mechanism that changed is looked for; of more, every so many-th.
_MOST_UNITS = 2**14


@dataclass(frozen=True)
class Asked:
    """What rows ask for.

    Attributes
    ----------
    result : SearchResult
        The mixture; with rows from elsewhere among its targets, if there are any.
    check : ModelCheck
    graph : GraphFindings or None
    answers : tuple of Answer
        That repairs would give.
    elsewhere : Answer or None
        The one that was made already: rows from elsewhere.
    moved : Moved or None
        Another that was made already: a mechanism that is another in the pool.
    """

    result: SearchResult
    check: ModelCheck
    graph: GraphFindings | None
    answers: tuple[Answer, ...] = ()
    elsewhere: Answer | None = None
    moved: Moved | None = None


@dataclass(frozen=True)
class Asking:
    """Asks rows what they want of a mixture.

    Attributes
    ----------
    setup : Setup
        Of the fit, with rows as they count there.
    whole : Gathered
        The rows, which count in full.
    power : float
        What each row counts for in the fit.
    changed : tuple of ChangedMechanism
        That the fit has freed already.
    graph : GraphFindings or None
        Where rows chose it.
    skipped : frozenset of int
        Variables that are not missing completely at random.
    again : callable, optional
        Where rows came in order of time, finds targets once more, under another network.
    """

    setup: Setup
    whole: Gathered
    power: float = 1.0
    changed: tuple[ChangedMechanism, ...] = ()
    graph: GraphFindings | None = None
    skipped: frozenset[int] = frozenset()
    again: Callable[[Network], SearchResult] | None = None

    @property
    def in_full(self) -> Setup:
        """The same with rows that count in full."""
        return replace(self.setup, gathered=self.whole)

    def about(
        self, result: SearchResult, one_by_one: tuple[Gathered, SearchResult] | None = None
    ) -> Asked:
        """Ask about a mixture of all rows.

        Parameters
        ----------
        result : SearchResult
        one_by_one : tuple of (Gathered, SearchResult), optional
            Where rows came in order of time, the rows by themselves, and the mixture with the
            shares of these.

        Returns
        -------
        Asked
        """
        found = self._with_others_apart(result, one_by_one)
        is_final = self.changed or one_by_one is not None or found.elsewhere is not None
        recipe, given = self.setup.recipe, self.setup.network
        teaches = recipe.refine and given.learns and self.graph is None
        moved = None
        if teaches and not is_final and recipe.moved_mechanism:
            moved = self._with_moved(found)
        found = moved or found
        # Fits that an answer came with, and answers that gain nothing, were only there to be gone
        # on with.
        asked_for = (one for one in found.answers if one.is_asked_for)
        plain = tuple(replace(one, network=None, found=None) for one in asked_for)
        return replace(found, answers=plain)

    def _with_moved(self, found: Asked) -> Asked | None:
        """Learn a mechanism from the pool alone, where that is what the rows ask for."""
        in_full = self.setup.gathered is self.whole
        moved = with_moved_mechanism(self.setup, in_full, found.result, found.answers)
        if moved is None:
            return None
        again = replace(self, setup=replace(self.setup, network=moved.network))
        graph = without_questions(found.graph)
        full = judged_in_full(moved.result, self.whole.evidence, self.power)
        check = again._checked(self.whole, moved.result, self.whole, moved.result)
        answers = repaired_answers(again.in_full, full, check, graph)
        # One mechanism may move; where more seem to, it is something else that is wrong.
        if any(repair.what == "changed" for one in answers for repair in one.repairs):
            return None
        return Asked(moved.result, check, graph, answers, moved=moved)

    def _with_others_apart(
        self, result: SearchResult, one_by_one: tuple[Gathered, SearchResult] | None
    ) -> Asked:
        """Ask, and give rows from elsewhere a line of their own."""
        setup = self.in_full
        full = judged_in_full(result, self.whole.evidence, self.power)
        rows, shown = one_by_one or (self.whole, result)
        check = self._checked(rows, shown, rows, shown)
        found = self._looked(result, check, setup, full)
        if self.changed or one_by_one is not None or setup.recipe.method != "likelihood":
            return found
        least = max((one.gain for one in found.answers), default=FAR_BEHIND) - FAR_BEHIND
        apart = told_apart(setup, result, least)
        if apart is None:
            return found
        answer = apart.answer()
        if _forbids_other(setup.recipe) or any(one.gain > answer.gain for one in found.answers):
            return replace(found, answers=(*found.answers, answer))
        result = with_line_of_their_own(self.setup, apart)
        rest, others = without_elsewhere(setup, result)
        check = self._checked(self.whole, result, rest.gathered, others)
        found = self._looked(result, check, rest, others)
        share = float(result.weights[is_other(result.targets)].sum())
        (repair,) = answer.repairs
        answers = tuple(_with_other(one, share) for one in found.answers)
        answer = replace(
            answer,
            repairs=(replace(repair, share=share),),
            targets=compared_targets(result.network, result.targets),
            weights=result.weights,
        )
        return replace(found, answers=answers, elsewhere=answer)

    def _checked(
        self, rows: Gathered, result: SearchResult, rest: Gathered, others: SearchResult
    ) -> ModelCheck:
        """Hold rows against a mixture; control rows teach no mechanism that is fixed."""
        recipe, given = self.setup.recipe, self.setup.network
        known = self.setup.options.constraints_on(others.network, others.targets, others.weights)
        of_tables = isinstance(given, Network)
        # Where targets or labels bind the search, components cannot stand in for a change.
        bound = not known.is_free or self.changed or recipe.method != "likelihood" or not of_tables
        plain = given
        if of_tables and not recipe.refine:
            plain = Network(given.variables, given.parents, given.tables)
        sample = None if bound else _few(given, rest, others)
        seed, skipped = recipe.random_state, self.skipped
        return check_model(plain, rows.evidence, result, seed, sample, skipped, others)

    def _looked(
        self, result: SearchResult, check: ModelCheck, rest: Setup, others: SearchResult
    ) -> Asked:
        """Ask what the rows that no other origin explains want repaired."""
        graph, given = self.graph, rest.network
        if graph is None and not self.changed:
            graph = refitted(rest, check_graph(rest, others), self.again)
        if graph is not None and isinstance(given, Network):
            graph = not_by_impure_control(graph, given, others)
        answers = () if self.changed else repaired_answers(rest, others, check, graph)
        return Asked(result, check, graph, answers)


def _forbids_other(recipe: Recipe) -> bool:
    """Whether rows from elsewhere are to have no line of their own."""
    known = recipe.prior_knowledge
    return known is not None and known.forbids_other


def judged_in_full(result: SearchResult, evidence: Evidence, power: float) -> SearchResult:
    """Say how likely all rows are, where they counted for less in the fit.

    Parameters
    ----------
    result : SearchResult
    evidence : Evidence
        The rows, which count in full.
    power : float
        What they counted for.

    Returns
    -------
    SearchResult
    """
    if power == 1.0:
        return result
    pooled = evidence.pooled
    sums = pooled.weigh(result.network, result.targets, result.weights)
    log_likelihood = sums.log_likelihood(pooled.reference(result.network))
    cost = result.log_likelihood - result.penalised_score
    return replace(
        result,
        log_likelihood=log_likelihood,
        penalised_score=log_likelihood - (cost if np.isfinite(cost) else 0.0),
    )


def _with_other(answer: Answer, share: float) -> Answer:
    targets, weights = with_other_column(answer.targets, answer.weights, share)
    presence = None if answer.presence is None else np.append(answer.presence, 1.0)
    return replace(answer, targets=targets, weights=weights, presence=presence)


def _few(network: Network, gathered: Gathered, result: SearchResult) -> Evidence:
    """Return the rows, or a sample of them, held, complete and without batches.

    Missing values are filled in as the mixture would, which makes a look for changes err on the
    side of seeing none.
    """
    held = gathered.held
    if held is not None and not held.incomplete:
        return held if not held.has_units else _some_units(network, held)
    block = gathered.block
    assert block is not None
    rows = block.shared.collapsed(network.cardinalities)
    if block.has_missing:
        rows = filled_in(result.network, result.targets, result.weights, rows)
    return Evidence.of_configurations(network, rows)


def _some_units(network: Network, evidence: Evidence) -> Evidence:
    """Return units that are held, or of many every so many-th."""
    held = evidence.held
    assert held is not None
    step = -(-len(held) // _MOST_UNITS)
    if step <= 1:
        return evidence
    some = replace(held, batch=None).part(slice(None, None, step))
    return Evidence.held_rows(network, MemoryBlocks.of_block(some, Beside((), ())))
