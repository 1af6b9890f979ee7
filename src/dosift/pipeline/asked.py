"""What rows ask for when a mixture is there: checks, repairs, and rows that come from elsewhere.

Rows from elsewhere are the one repair that is made by itself: where it is worth more than every
other one, they get a line of their own, and all else is asked of the other rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.checks.foreign_rows import with_other_column
from dosift.checks.model_check import ModelCheck, check_model
from dosift.checks.verdict import Answer
from dosift.graphs.findings import GraphFindings
from dosift.likelihood.evidence import Evidence
from dosift.methods import Options, Progress
from dosift.model.network import Network
from dosift.model.other import is_other
from dosift.pipeline.elsewhere import told_apart, with_line_of_their_own, without_elsewhere
from dosift.pipeline.gather import Gathered
from dosift.pipeline.graph import check_graph
from dosift.pipeline.impure_control import not_by_impure_control
from dosift.pipeline.recipe import Recipe
from dosift.pipeline.repairs import repaired_answers
from dosift.search.filling import filled_in
from dosift.search.mechanisms import ChangedMechanism
from dosift.search.result import SearchResult

Floats = NDArray[np.float64]


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
    """

    result: SearchResult
    check: ModelCheck
    graph: GraphFindings | None
    answers: tuple[Answer, ...] = ()
    elsewhere: Answer | None = None


@dataclass(frozen=True)
class Asking:
    """Asks rows what they want of a mixture.

    Attributes
    ----------
    recipe : Recipe
    given : Network
        As it was before any mixture row taught it.
    gathered : Gathered
        The rows, as they count in the fit.
    whole : Gathered
        The rows, which count in full.
    options : Options
    changed : tuple of ChangedMechanism
        That the fit has freed already.
    graph : GraphFindings or None
        Where rows chose it.
    skipped : frozenset of int
        Variables that are not missing completely at random.
    in_order : bool
        Whether rows came in order of time.
    progress : callable, optional
    """

    recipe: Recipe
    given: Network
    gathered: Gathered
    whole: Gathered
    options: Options
    changed: tuple[ChangedMechanism, ...] = ()
    graph: GraphFindings | None = None
    skipped: frozenset[int] = frozenset()
    in_order: bool = False
    progress: Progress | None = None

    def about(self, result: SearchResult) -> Asked:
        """Ask about a mixture of all rows."""
        found = self._looked(result, self.whole, result)
        if self.changed or self.in_order or self.recipe.method != "likelihood":
            return found
        apart = told_apart(self.recipe, self.given, self.whole, self.options, result, self.progress)
        if apart is None:
            return found
        answer, known = apart.answer(), self.recipe.prior_knowledge
        forbidden = known is not None and known.forbids_other
        if forbidden or any(one.gain > answer.gain for one in found.answers):
            return replace(found, answers=(*found.answers, answer))
        result = with_line_of_their_own(self.given, self.gathered, self.options, apart)
        rest, others = without_elsewhere(self.given, self.whole, result)
        found = self._looked(result, rest, others)
        share = float(result.weights[is_other(result.targets)].sum())
        (repair,) = answer.repairs
        answers = tuple(_with_other(one, share) for one in found.answers)
        answer = replace(
            answer,
            repairs=(replace(repair, share=share),),
            targets=result.targets,
            weights=result.weights,
        )
        return replace(found, answers=answers, elsewhere=answer)

    def _looked(self, result: SearchResult, rest: Gathered, others: SearchResult) -> Asked:
        """Check a mixture, and ask what the rows that no other origin explains want repaired."""
        recipe, given, options = self.recipe, self.given, self.options
        known = options.constraints_on(others.network, others.targets, others.weights)
        of_tables = isinstance(given, Network)
        # Where targets or labels bind the search, components cannot stand in for a change.
        bound = not known.is_free or self.changed or recipe.method != "likelihood" or not of_tables
        plain = given
        if of_tables and not recipe.refine:
            plain = Network(given.variables, given.parents, given.tables)
        sample = None if bound else _few(given, rest, others)
        check = check_model(
            plain,
            self.whole.evidence,
            result,
            recipe.random_state,
            sample,
            self.skipped,
            others,
        )
        graph = self.graph
        if graph is None and not self.changed:
            graph = check_graph(recipe, given, rest, options, others, self.progress)
        if graph is not None and of_tables:
            graph = not_by_impure_control(graph, given, others)
        answers: tuple[Answer, ...] = ()
        if not self.changed and not self.in_order:
            answers = repaired_answers(
                recipe, given, rest, options, others, check, graph, self.progress
            )
        return Asked(result, check, graph, answers)


def _with_other(answer: Answer, share: float) -> Answer:
    targets, weights = with_other_column(answer.targets, answer.weights, share)
    return replace(answer, targets=targets, weights=weights)


def _few(network: Network, gathered: Gathered, result: SearchResult) -> Evidence:
    """Return the rows, or a sample of them, held, complete and without batches.

    Missing values are filled in as the mixture would, which makes a look for changes err on the
    side of seeing none.
    """
    held = gathered.held
    if held is not None and not held.incomplete and not held.has_units:
        return held
    block = gathered.evidence.held if gathered.sample is None else gathered.sample
    assert block is not None
    rows = block.shared.collapsed(network.cardinalities)
    if block.has_missing:
        rows = filled_in(result.network, result.targets, result.weights, rows)
    return Evidence.of_configurations(network, rows)
