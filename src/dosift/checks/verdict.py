"""Does the answer stand? A fit beside the answers that it would give if its model were repaired.

With many rows no model is exactly true. What matters is how far the answer is off: so each repair
that the rows ask for (an edge, a mechanism, rows that come from elsewhere, control rows that are no
control) is made, and components and totals of the two answers are compared. What no repair removes,
or moves by more than it is unsure of, stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from dosift.model.arrays import Bools, Floats, Ints, distinct
from dosift.model.mechanism import System
from dosift.search.result import SearchResult

#: A weight may move by so many standard errors, by such a share of it, or by so much.
_ERRORS, _RELATIVE, _ABSOLUTE = 3.0, 0.6, 0.01
#: Weight of components that do not stand up to which an answer stands, and from which it does not.
IN_PART, NOT_AT_ALL = 0.02, 0.5
#: Share of the rows that may be explained otherwise after a repair for an answer to stand.
_MOVED = 0.05
#: Weight that may be invented in control rows, at the power that the fit is made with, for an
#: answer to stand in part.
MOST_INVENTED = 0.05
#: Gain (nats) behind the best repair from which another one is no alternative to it.
FAR_BEHIND = 20.0
#: Nats that a repair gains at least.
LEAST_GAIN = 4.0
#: Probability from which a component may stand: below, it is likelier that it is not there.
EVEN_ODDS = 0.5
#: Probability, at most, of a component that does not stand, and of one that a repair removes.
_UNSURE, _REMOVED = 0.97, 0.02

STANDS, PART, FALLS = "stands", "stands in part", "does not stand"


@dataclass(frozen=True)
class Repair:
    """Something that the rows ask for.

    Attributes
    ----------
    kind : {"edge", "mechanism", "noise", "rows", "cause"}
    what : str
        ``"add"``, ``"remove"`` or ``"reverse"`` an edge; ``"changed"`` for a mechanism,
        ``"drift"`` for one that is another in one batch;
        ``"bursts"`` for counts of which some are a few times as large, ``"states"`` where these are
        so many that the control rows are of two kinds;
        ``"foreign"`` or ``"control"`` for rows; ``"hidden"`` for a cause of a variable and its
        child that nobody measured.
    variables : tuple of int
        Parent and child, the variable, or none.
    gain : float
        Rise of the penalised log-likelihood, in nats; NaN where it is not known of this one alone.
    share : float
        Of rows that come from elsewhere, of control rows in which something was done, or of counts
        that are larger.
    """

    kind: str
    what: str
    variables: tuple[int, ...]
    gain: float
    share: float = 0.0


@dataclass(frozen=True)
class RepairedModel:
    """The model that a repair leads to.

    Attributes
    ----------
    network : Network or MechanismNetwork
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    """

    network: object
    targets: Ints
    weights: Floats


@dataclass(frozen=True)
class Answer:
    """What is found when something is repaired.

    Attributes
    ----------
    repairs : tuple of Repair
    gain : float
        Rise of the penalised log-likelihood (nats) by all of them.
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
        Of all rows.
    model : RepairedModel or None
        By which single rows are judged, where that makes their probabilities better; else None.
    presence : ndarray, shape (n_targets,), or None
        Probability that each target is there, if the repaired model is right; None where that is
        not known.
    network : System or None
        With what was repaired, for a fit to begin with; None where no fit can.
    found : SearchResult or None
        With that network, where all rows were searched anew.
    least : float
        Nats from which it is to be preferred; less than those of others where changes in most rows
        stand in, without the repair, for a mechanism that is another one in all.
    """

    repairs: tuple[Repair, ...]
    gain: float
    targets: Ints
    weights: Floats
    model: RepairedModel | None = None
    presence: Floats | None = None
    network: System | None = None
    found: SearchResult | None = None
    least: float = LEAST_GAIN

    @classmethod
    def merged(
        cls, repairs: Sequence[Repair], gain: float, targets: Ints, weights: Floats
    ) -> Answer:
        """Take targets that are the same for one, and leave those of no weight out.

        Parameters
        ----------
        repairs : sequence of Repair
        gain : float
        targets : ndarray of int, shape (n_targets, n_variables)
        weights : ndarray, shape (n_targets,)

        Returns
        -------
        Answer
        """
        every, summed = distinct(targets, weights)
        return cls(tuple(repairs), gain, every[summed > 0], summed[summed > 0])

    @property
    def is_asked_for(self) -> bool:
        """Whether it is clearly better than none."""
        return self.gain > LEAST_GAIN

    @property
    def is_of_graph(self) -> bool:
        """Whether it explains dependence that the graph does not, by edges or by hidden causes."""
        return bool(self.repairs) and {one.kind for one in self.repairs} <= {"edge", "cause"}

    @property
    def is_simpler(self) -> bool:
        """Whether it only takes edges away.

        The model as it is holds such an answer as a special case, with an edge that does nothing:
        that rows cannot pay for the edge speaks for no other answer.
        """
        return bool(self.repairs) and all(
            (one.kind, one.what) == ("edge", "remove") for one in self.repairs
        )


@dataclass(frozen=True)
class Verdict:
    """How much of an answer stands.

    Attributes
    ----------
    value : {"stands", "stands in part", "does not stand"}
    stands : ndarray of bool, shape (n_components,)
        Of each component.
    removed : ndarray of bool, shape (n_components,)
        Components that a repair removes.
    probability : ndarray, shape (n_components,)
        Largest probability that a component may have, in the light of repairs.
    answers : tuple of Answer
        The best repair first.
    changes : tuple of float
        Total variation between the answer and each of these.
    invented : float or None
        Weight invented in control rows, at the power that the fit was made with; None without
        control rows.
    failed : bool
        Whether the weights did not converge, or rows are impossible.
    misfit : bool
        Whether rows are off from the mixture though nothing is known that would repair it.
    doubtful : frozenset of int
        Variables whose totals do not stand: those that a hidden cause seems to move together, and
        those that are off.
    of_rows : ndarray, shape (n_components,), or None
        What is left, in the light of the best repair, of the posteriors of rows of which each
        component is the most probable; None for all of them.
    n_unlikely : int
        How many components do not stand because they are likelier not to be there.
    presence : ndarray, shape (n_components,), or None
        Probability that each component is there by the best repair, where that says so; else 0.
    """

    value: str
    stands: Bools
    removed: Bools
    probability: Floats
    answers: tuple[Answer, ...]
    changes: tuple[float, ...]
    invented: float | None
    failed: bool
    misfit: bool = False
    doubtful: frozenset[int] = frozenset()
    of_rows: Floats | None = None
    n_unlikely: int = 0
    presence: Floats | None = None

    @property
    def others(self) -> tuple[Answer, ...]:
        """Answers that speak against this one, the best repair first."""
        return tuple(one for one in self.answers if not one.is_simpler)

    @property
    def trusted(self) -> bool:
        """Whether anything stands."""
        return self.value != FALLS


def judge_answer(
    targets: Ints,
    weights: Floats,
    std_error: Floats,
    answers: Sequence[Answer],
    suspicious: Floats,
    *,
    presence: Floats | None = None,
    invented: float | None = None,
    failed: bool = False,
    misfit: bool = False,
) -> Verdict:
    """Say what of an answer stands.

    Parameters
    ----------
    targets : ndarray of int, shape (n_components, n_variables)
    weights : ndarray, shape (n_components,)
    std_error : ndarray, shape (n_components,)
        NaN where it is not known.
    answers : sequence of Answer
        What is found when something is repaired.
    suspicious : ndarray, shape (n_components,)
        Weight invented in control rows by interventions that touch what the component touches.
    presence : ndarray, shape (n_components,), optional
        Probability that each component is there, if the model is right.
    invented : float, optional
        Weight invented in control rows in all.
    failed : bool
        Whether the weights did not converge, or rows are impossible.
    misfit : bool
        Whether rows are off from the mixture though nothing is known that would repair it.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> repair = Answer((), 50.0, np.array([[-1]]), np.array([1.0]))
    >>> found = judge_answer(
    ...     np.array([[-1], [1]]), np.array([0.9, 0.1]), np.full(2, 0.01), [repair], np.zeros(2)
    ... )
    >>> found.value, found.stands.tolist()
    ('stands in part', [True, False])
    """
    ordered = plausible(answers)
    allowed = tolerance(weights, std_error)
    stands = suspicious <= np.maximum(_RELATIVE * weights, _ABSOLUTE)
    there = np.ones(weights.size) if presence is None else presence
    by_repair = _presence(ordered, targets)
    if by_repair is not None:
        there = np.maximum(there, by_repair)
    unlikely = stands & (there < EVEN_ODDS)
    stands &= ~unlikely
    removed = np.zeros(weights.size, dtype=bool)
    changes, weighty, missing = [], [], []
    for answer in ordered:
        changes.append(change(targets, weights, answer))
        if answer.is_simpler:
            continue
        other = weights_in(answer, targets)
        gone = other <= 0
        stands &= ~gone & (np.abs(other - weights) <= allowed)
        removed |= gone
        weighty.append(answer)
        missing.append(gone)
    probability = _left_by(weighty, missing, weights.size)
    probability = np.where(stands, probability, np.minimum(probability, _UNSURE))
    lost = float(weights[~stands].sum())
    moved = max(
        (c for c, one in zip(changes, ordered, strict=True) if not one.is_simpler), default=0.0
    )
    value = STANDS if lost <= IN_PART and moved <= _MOVED and not misfit else PART
    if max(lost, moved) > NOT_AT_ALL or failed or (invented or 0.0) > MOST_INVENTED:
        value = FALLS
        stands = np.zeros_like(stands) if failed else stands
    return Verdict(
        value,
        stands,
        removed,
        probability,
        ordered,
        tuple(changes),
        invented,
        failed,
        misfit,
        n_unlikely=int(unlikely.sum()),
        presence=by_repair,
    )


def _left_by(answers: Sequence[Answer], missing: Sequence[Bools], n_components: int) -> Floats:
    """Probability of components where repairs may be made, by which components each lacks.

    Repairs of different kinds may both be right. But edges, and a hidden cause that makes the same
    variables depend on each other, explain the same rows twice: one of them is right, or none.
    """
    of_graph = [k for k, one in enumerate(answers) if one.is_of_graph]
    alternatives = [[k] for k in range(len(answers)) if k not in of_graph]
    out = np.ones(n_components)
    for some in [*alternatives, *([of_graph] if of_graph else [])]:
        gone = np.array([missing[k] for k in some])
        share = softmax([0.0, *(answers[k].gain for k in some)])[1:]
        left = np.maximum(1.0 - share @ gone, _REMOVED)
        out = np.where(gone.any(axis=0), np.minimum(out, left), out)
    return out


def unjudged(n_components: int) -> Verdict:
    """Return the verdict on an answer of which nothing is known beside itself."""
    none = np.zeros(n_components, dtype=bool)
    return Verdict(STANDS, ~none, none, np.ones(n_components), (), (), None, failed=False)


def plausible(answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """Order answers by what they gain; those far behind the best are none to be compared with."""
    ordered = sorted(answers, key=lambda one: -one.gain)
    return tuple(one for one in ordered if one.gain > ordered[0].gain - FAR_BEHIND)


def tolerance(weights: Floats, std_error: Floats) -> Floats:
    """By how much each weight may be another in another answer."""
    known = np.nan_to_num(std_error, nan=0.0)
    return np.asarray(
        np.maximum.reduce([_ERRORS * known, _RELATIVE * weights, np.full(weights.size, _ABSOLUTE)])
    )


def _presence(answers: Sequence[Answer], targets: Ints) -> Floats | None:
    """Probability that targets are there by the first answer that is known to say so; else 0."""
    first = next((one for one in answers if not one.is_simpler), None)
    if first is None or first.presence is None:
        return None
    return weights_in(replace(first, weights=first.presence), targets)


def weights_in(answer: Answer, targets: Ints) -> Floats:
    """Weight of each of some targets in an answer; 0 where it is not there."""
    known: dict[bytes, float] = {}
    for row, weight in zip(_codes(answer.targets), answer.weights, strict=True):
        # Several targets of numbers may touch the same variables.
        known[row.tobytes()] = known.get(row.tobytes(), 0.0) + float(weight)
    return np.array([known.get(row.tobytes(), 0.0) for row in _codes(targets)])


def change(targets: Ints, weights: Floats, answer: Answer) -> float:
    """Total variation between an answer and that after a repair."""
    both = np.concatenate([_codes(targets), _codes(answer.targets)])
    signed = np.concatenate([weights, -answer.weights])
    _, differences = distinct(both, signed)
    # Rows that come from elsewhere are in neither target of the other answer.
    elsewhere = abs(float(weights.sum() - answer.weights.sum()))
    return 0.5 * (float(np.abs(differences).sum()) + elsewhere)


def _codes(targets: Ints) -> NDArray[np.int16]:
    return np.ascontiguousarray(targets, dtype=np.int16)
