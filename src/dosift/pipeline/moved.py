"""A mechanism that is another in the pool than in control rows: freed, and targets found anew.

Components that stand in for such a mechanism hide what was done, so that hardly any weight is
right. Where one mechanism explains the rows far better than every other repair, it is learned from
the pool alone, and the search is made again with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dosift.checks.verdict import FAR_BEHIND, LEAST_GAIN, Answer
from dosift.graphs.findings import GraphFindings
from dosift.model.arrays import distinct
from dosift.model.mechanism_network import MechanismNetwork, as_network, compared_targets
from dosift.model.network import Network
from dosift.pipeline.find import find
from dosift.pipeline.setup import Setup
from dosift.search.library import of, score_of
from dosift.search.mechanisms import ChangedMechanism, changed_mechanism
from dosift.search.moved_numbers import told_by_control, with_freed
from dosift.search.result import SearchResult


@dataclass(frozen=True)
class Moved:
    """A mixture with a mechanism that is another in the pool than in control rows.

    Attributes
    ----------
    network : Network
        As it was given, but that control rows say nothing of that mechanism.
    result : SearchResult
        Found with it.
    answer : Answer
        What the repair gained.
    changed : tuple of ChangedMechanism
        Where the mechanism is a table, how it changed.
    """

    network: Network
    result: SearchResult
    answer: Answer
    changed: tuple[ChangedMechanism, ...]

    @property
    def variable(self) -> int:
        """Whose mechanism it is."""
        return self.answer.repairs[0].variables[0]


def with_moved_mechanism(
    setup: Setup, in_full: bool, result: SearchResult, answers: Sequence[Answer]
) -> Moved | None:
    """Free a mechanism that clearly is another in the pool, and search again.

    Parameters
    ----------
    setup : Setup
        With rows as they count in the fit.
    in_full : bool
        Whether they count in full there.
    result : SearchResult
        Of these.
    answers : sequence of Answer
        That repairs of it would give.

    Returns
    -------
    Moved or None
        None where no mechanism, or not a mechanism alone, explains the rows better.
    """
    given, evidence = setup.network, setup.gathered.evidence
    answer = _only_a_mechanism(answers)
    if answer is None or answer.network is None:
        return None
    i = answer.repairs[0].variables[0]
    if not isinstance(given, MechanismNetwork):
        assert isinstance(answer.network, Network)
        found, freed = answer.found, answer.network
        if found is None or not in_full or setup.recipe.interventions != "hard":
            found, _ = find(replace(setup, network=freed))
        changed = (changed_mechanism(given, evidence.pooled, found, i, answer.gain),)
        return _moved(freed, found, answer, changed)
    freed = _freed_number(given, of(answer.network), i)
    found, _ = find(replace(setup, network=freed))
    gain = score_of(found) + told_by_control(given, i, evidence.total) - score_of(result)
    if not gain > answer.least:
        return None
    return _moved(freed, found, answer, ())


def without_questions(graph: GraphFindings | None) -> GraphFindings | None:
    """Leave out edges that were asked for while another mechanism was wrong.

    Parameters
    ----------
    graph : GraphFindings or None

    Returns
    -------
    GraphFindings or None
    """
    if graph is None:
        return None
    return replace(graph, asked=(), targets=None, weights=None, gain=0.0)


def _only_a_mechanism(answers: Sequence[Answer]) -> Answer | None:
    """Return the answer with one changed mechanism, where all others are far behind it.

    The same mechanism, freed in one batch, is no other answer, but a part of this one. Where
    changes in most rows stand in for it, no other is to be far better: these are asked for again.
    """
    ordered = sorted(answers, key=lambda one: -one.gain)
    for one in ordered:
        if one.least < LEAST_GAIN and one.gain > ordered[0].gain - FAR_BEHIND:
            return one
    if not ordered or [one.what for one in ordered[0].repairs] != ["changed"]:
        return None
    best = ordered[0]
    others = [one for one in ordered[1:] if not _is_a_part_of(one, best)]
    needed = max([LEAST_GAIN, *(one.gain + FAR_BEHIND for one in others)])
    return best if best.gain > needed else None


def _is_a_part_of(one: Answer, moved: Answer) -> bool:
    """Whether an answer is that a mechanism that moved did so in one batch."""
    (changed,) = moved.repairs
    return [(own.what, own.variables) for own in one.repairs] == [("drift", changed.variables)]


def _freed_number(given: MechanismNetwork, repaired: MechanismNetwork, i: int) -> Network:
    """Free a mechanism of a network, with the changes that the repair has found."""
    freed = of(with_freed(given, i, repaired.mechanisms[i]))
    return as_network(replace(freed, libraries=repaired.libraries))


def _moved(
    network: Network,
    found: SearchResult,
    answer: Answer,
    changed: tuple[ChangedMechanism, ...],
) -> Moved:
    targets = compared_targets(found.network, found.targets)
    every, weights = distinct(targets, found.weights)
    made = replace(answer, targets=every, weights=weights, network=None, found=None)
    return Moved(network, found, made, changed)
