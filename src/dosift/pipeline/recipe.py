"""What was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from dosift.data.blocks import RowBlocks
from dosift.learning.edge_knowledge import EdgeKnowledge
from dosift.likelihood.weights import DEFAULT_GAP
from dosift.methods import DEFAULT_EPSILON, Options
from dosift.methods.prior_knowledge import PriorKnowledge
from dosift.model.simulate import RandomState
from dosift.refusals import NUMBERS, UNITS
from dosift.search.constraints import Constraints
from dosift.search.patterns import Patterns


@dataclass(frozen=True)
class Recipe:
    """What was asked for.

    Attributes
    ----------
    method : {"likelihood", "moments", "em", "brute-force"}
    max_size : int or None
    refine : bool
    gap : float
    epsilon : float
    delta : float or None
    prior_knowledge : PriorKnowledge or None
    interventions : {"hard", "stochastic", "any"}
    random_labels : bool
        Whether labelled rows are a random sample of all rows, and so tell about the weights.
    random_state : int, Generator or None
        Seed of the draws behind intervals, probabilities and checks.
    edges : {"fixed", "repair", "learn"}
        What rows may do to the graph of the network: nothing; add, remove and reverse edges; or
        make it, where it is not known.
    edge_knowledge : EdgeKnowledge or None
        What is known of edges, which holds whatever rows may do.
    changes : tuple of str or None
        Kinds of change of measurements and counts that are tried; None for those that suit each.
    knockouts : bool
        Whether changes of counts only lower them.
    negative_control : bool
        Whether control rows are played as a pool, to see what is invented there.
    moved_mechanism : bool
        Whether a mechanism that clearly is another in the pool than in control rows is learned from
        the pool, and targets are found anew.

    Notes
    -----
    What the others mean, :class:`~dosift.estimator.InterventionMixture` says.
    """

    method: str = "likelihood"
    max_size: int | None = None
    refine: bool = True
    gap: float = DEFAULT_GAP
    epsilon: float = DEFAULT_EPSILON
    delta: float | None = None
    prior_knowledge: PriorKnowledge | None = None
    interventions: str = "hard"
    random_labels: bool = False
    random_state: RandomState = 0
    edges: str = "fixed"
    edge_knowledge: EdgeKnowledge | None = None
    changes: tuple[str, ...] | None = None
    knockouts: bool = False
    negative_control: bool = True
    moved_mechanism: bool = True

    def options(self, constraints: Constraints | None, patterns: Patterns | None) -> Options:
        """Return what the method is told."""
        asked = (self.max_size, self.refine, self.gap, self.epsilon, self.delta)
        return Options(*asked, constraints, patterns)


_KINDS = {"stochastic": "stochastic interventions", "any": "changed mechanisms"}


def features_of(recipe: Recipe, rows: RowBlocks, has_numbers: bool = False) -> set[str]:
    """Name what a recipe and rows ask for, as far as it is known before the rows are visited."""
    named = {recipe.method}
    if has_numbers:
        named.add(NUMBERS)
    if recipe.interventions in _KINDS:
        named.add(_KINDS[recipe.interventions])
    if recipe.edges != "fixed":
        named.add("repaired graph")
    if rows.beside.batches:
        named.add("batches")
    if rows.beside.labels:
        named.add("labels")
    if rows.has_units:
        named.add(UNITS)
    return named
