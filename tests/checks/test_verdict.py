"""What of an answer stands beside the answers that repairs would give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dosift.checks.verdict import (
    FALLS,
    PART,
    STANDS,
    Answer,
    Repair,
    Verdict,
    change,
    judge_answer,
    plausible,
    tolerance,
)

TARGETS = np.array([[-1, -1], [0, -1], [-1, 1]])
WEIGHTS = np.array([0.6, 0.3, 0.1])
ERRORS = np.full(3, 0.01)
NOTHING = np.zeros(3)
REPAIR = Repair("edge", "add", (0, 1), 50.0)


def answer(weights: list[float], gain: float = 50.0) -> Answer:
    own = np.array(weights)
    return Answer((REPAIR,), gain, TARGETS[own > 0], own[own > 0])


def test_without_repairs_all_stands() -> None:
    found = judge_answer(TARGETS, WEIGHTS, ERRORS, (), NOTHING)
    assert found.value == STANDS
    assert found.stands.all()
    assert found.trusted
    assert (found.probability == 1.0).all()


def test_a_repair_that_changes_nothing_is_none_against_the_answer() -> None:
    found = judge_answer(TARGETS, WEIGHTS, ERRORS, [answer([0.59, 0.3, 0.11])], NOTHING)
    assert found.value == STANDS
    assert found.changes[0] == pytest.approx(0.01)


def test_what_a_repair_removes_does_not_stand_and_is_hardly_probable() -> None:
    found = judge_answer(TARGETS, WEIGHTS, ERRORS, [answer([0.7, 0.3, 0.0])], NOTHING)
    assert found.value == PART
    assert found.stands.tolist() == [True, True, False]
    assert found.removed.tolist() == [False, False, True]
    assert found.probability[2] < 0.1
    assert found.trusted


def test_what_a_repair_moves_far_does_not_stand_and_is_not_certain() -> None:
    found = judge_answer(TARGETS, WEIGHTS, ERRORS, [answer([0.75, 0.05, 0.2])], NOTHING)
    assert found.stands.tolist() == [True, False, False]
    assert not found.removed.any()
    assert (found.probability[1:] < 1.0).all()


def test_an_answer_of_which_most_is_removed_does_not_stand() -> None:
    found = judge_answer(TARGETS, WEIGHTS, ERRORS, [answer([0.0, 0.0, 1.0])], NOTHING)
    assert found.value == FALLS
    assert not found.trusted


def test_repairs_far_behind_the_best_are_not_compared_with() -> None:
    worse = answer([0.0, 0.0, 1.0], gain=20.0)
    found = judge_answer(TARGETS, WEIGHTS, ERRORS, [worse, answer([0.6, 0.3, 0.1])], NOTHING)
    assert found.value == STANDS
    assert len(found.answers) == 1


def test_what_control_rows_yield_as_well_does_not_stand() -> None:
    suspicious = np.array([0.0, 0.2, 0.0])
    found = judge_answer(TARGETS, WEIGHTS, ERRORS, (), suspicious, invented=0.03)
    assert (found.value, found.stands.tolist()) == (PART, [True, False, True])
    assert judge_answer(TARGETS, WEIGHTS, ERRORS, (), NOTHING, invented=0.2).value == FALLS


def test_nothing_stands_of_a_fit_that_failed() -> None:
    found = judge_answer(TARGETS, WEIGHTS, ERRORS, (), NOTHING, failed=True)
    assert found.value == FALLS
    assert not found.stands.any()


def test_rows_from_elsewhere_count_as_a_change() -> None:
    other = Answer((), 50.0, TARGETS, 0.9 * WEIGHTS)
    assert change(TARGETS, WEIGHTS, other) == pytest.approx(0.1)


def test_what_is_likelier_not_to_be_there_does_not_stand() -> None:
    there = np.array([1.0, 0.9, 0.3])
    found = judge_answer(TARGETS, WEIGHTS, ERRORS, (), NOTHING, presence=there)
    assert found.stands.tolist() == [True, True, False]
    assert (found.value, found.n_unlikely) == (PART, 1)
    # What a repair speaks against is not counted twice.
    both = judge_answer(
        TARGETS, WEIGHTS, ERRORS, (), np.array([0.0, 0.0, 1.0]), presence=there, invented=0.01
    )
    assert both.n_unlikely == 0


def test_what_a_repair_says_of_presence_counts() -> None:
    targets, weights = np.array([[-1], [1]]), np.array([0.8, 0.2])
    after = Answer((), 50.0, targets, weights, presence=np.array([1.0, 0.9]))
    verdict = judge_answer(
        targets, weights, np.full(2, 0.01), [after], np.zeros(2), presence=np.array([1.0, 0.1])
    )
    assert verdict.presence is not None
    assert verdict.presence.tolist() == [1.0, 0.9]
    assert verdict.stands.all()
    without = judge_answer(
        targets, weights, np.full(2, 0.01), [], np.zeros(2), presence=np.array([1.0, 0.1])
    )
    assert without.stands.tolist() == [True, False]


def test_edges_and_a_hidden_cause_that_explain_the_same_rows_are_alternatives() -> None:
    targets = np.array([[-1, -1], [0, -1], [0, 0]])
    weights, errors = np.array([0.5, 0.3, 0.2]), np.full(3, 0.01)
    edge = Repair("edge", "add", (0, 1), 90.0)
    hidden = Repair("cause", "hidden", (0, 1), 90.0)
    with_edge = Answer((edge,), 90.0, targets[:2], np.array([0.5, 0.5]))
    with_cause = Answer((hidden,), 90.0, targets[[0, 2]], np.array([0.5, 0.5]))
    both = judge_answer(targets, weights, errors, (with_edge, with_cause), np.zeros(3))
    assert both.stands.tolist() == [True, False, False]
    assert both.probability.tolist() == pytest.approx([1.0, 0.5, 0.5])
    # What neither has is not there, and what another kind of repair removes is not, either.
    neither = judge_answer(
        np.array([[-1, -1], [-1, 0]]),
        np.array([0.8, 0.2]),
        errors[:2],
        (with_edge, with_cause),
        np.zeros(2),
    )
    assert neither.probability[1] == pytest.approx(0.02)
    moved = Answer((Repair("mechanism", "changed", (0,), 80.0),), 80.0, targets[:2], weights[:2])
    three = judge_answer(targets, weights, errors, (with_edge, with_cause, moved), np.zeros(3))
    assert three.probability[1] == pytest.approx(0.5)
    assert three.probability[2] == pytest.approx(0.02)


def answer_of(weights: list[float], gain: float, kind: str = "mechanism") -> Answer:
    """What the components of a repaired fit weigh, in the order of the others."""
    targets = np.arange(len(weights), dtype=np.int16)[:, None]
    kept = np.array(weights) > 0
    repair = Repair(kind, "add", (0, 1), gain)
    return Answer((repair,), gain, targets[kept], np.array(weights)[kept])


OWN = np.array([0.5, 0.3, 0.2])
COMPONENTS = np.arange(3, dtype=np.int16)[:, None]


def judged(answers: list[Answer], errors: float = 0.0, **more: Any) -> Verdict:
    return judge_answer(
        COMPONENTS, OWN, np.full(3, errors), answers, more.pop("suspicious", np.zeros(3)), **more
    )


def test_a_weight_may_move_by_its_error_or_a_share_of_it() -> None:
    allowed = tolerance(np.array([0.5, 0.1, 0.001, 0.1]), np.array([0.01, 0.03, 0.001, np.nan]))
    assert allowed.tolist() == pytest.approx([0.3, 0.09, 0.01, 0.06])
    for moved, stands in ((0.11, True), (0.13, False)):
        found = judged([answer_of([0.5 + moved, 0.3, 0.2 - moved], 30.0)])
        assert found.stands.tolist() == [True, True, stands]
        found = judged([answer_of([0.5 + moved, 0.3, 0.2 - moved], 30.0)], errors=0.05)
        assert found.stands.all()


def test_an_answer_stands_up_to_a_small_part() -> None:
    # Moved by a twentieth of the rows.
    for moved, value in ((0.049, STANDS), (0.051, PART)):
        found = judged([answer_of([0.5 + moved, 0.3 - moved, 0.2], 30.0)])
        assert found.stands.all()
        assert found.changes == (pytest.approx(moved),)
        assert found.value == value
    assert judged([], misfit=True).value == PART
    # Up to a twentieth is invented in control rows, and up to half is not there.
    for invented, value in ((0.049, STANDS), (0.051, FALLS), (None, STANDS)):
        found = judged([], invented=invented)
        assert (found.value, found.trusted) == (value, value != FALLS)
    assert judged([answer_of([0.51, 0.49, 0.0], 30.0)]).value == PART
    assert judged([answer_of([0.0, 0.5, 0.5], 30.0)]).value == FALLS
    half = judged([], presence=np.array([0.49, 1.0, 1.0]))
    assert (half.value, half.n_unlikely, half.stands.tolist()) == (PART, 1, [False, True, True])
    assert judged([], presence=np.array([0.51, 1.0, 1.0])).n_unlikely == 0


def test_control_rows_may_yield_a_part_of_a_component() -> None:
    for suspicious, stands in ((0.119, True), (0.121, False)):
        found = judged([], suspicious=np.array([0.0, 0.0, suspicious]))
        assert found.stands.tolist() == [True, True, stands]
        assert found.probability[2] == (1.0 if stands else 0.97)


def test_the_probability_of_what_a_repair_removes() -> None:
    # A repair that gains so much is as likely as its odds say, and removes all but a fiftieth.
    for gain in (1.0, 3.0, 9.0):
        found = judged([answer_of([0.7, 0.3, 0.0], gain)])
        expected = max(1.0 / (1.0 + np.exp(gain)), 0.02)
        assert found.probability[2] == pytest.approx(expected)
        assert found.removed.tolist() == [False, False, True]
    # Two kinds may both be right: the less of the two; of two edges one is, or none.
    two = [answer_of([0.7, 0.3, 0.0], 1.0), answer_of([0.75, 0.0, 0.25], 2.0)]
    odds = 1.0 / (1.0 + np.exp([2.0, 1.0]))
    assert judged(two).probability.tolist() == pytest.approx([1.0, *odds])
    edges = [answer_of([0.7, 0.3, 0.0], 1.0, "edge"), answer_of([0.75, 0.0, 0.25], 2.0, "edge")]
    total = 1.0 + np.exp(1.0) + np.exp(2.0)
    expected = [1.0, 1.0 - np.exp(2.0) / total, 1.0 - np.exp(1.0) / total]
    assert judged(edges).probability.tolist() == pytest.approx(expected)


def test_answers_are_ordered_by_gain_up_to_twenty_nats_behind() -> None:
    answers = [answer_of([0.5, 0.3, 0.2], gain) for gain in (30.0, 49.9, 29.8, 10.0)]
    assert [one.gain for one in plausible(answers)] == [49.9, 30.0]
    assert plausible([]) == ()


def test_what_does_not_stand_may_weigh_two_hundredths() -> None:
    targets = np.arange(2, dtype=np.int16)[:, None]
    for weight, value in ((0.019, STANDS), (0.021, PART)):
        weights = np.array([1.0 - weight, weight])
        other = Answer((Repair("mechanism", "changed", (0,), 9.0),), 9.0, targets[:1], np.ones(1))
        found = judge_answer(targets, weights, np.zeros(2), [other], np.zeros(2))
        assert found.stands.tolist() == [True, False]
        assert found.value == value


def test_targets_of_a_repair_that_are_the_same_are_one() -> None:
    targets = np.array([[0, -1], [-1, -1], [0, -1], [1, 1]], dtype=np.int16)
    repair = Repair("edge", "add", (0, 1), 9.0)
    found = Answer.merged([repair], 9.0, targets, np.array([0.2, 0.5, 0.3, 0.0]))
    assert (found.repairs, found.gain) == ((repair,), 9.0)
    together = dict(zip(map(tuple, found.targets.tolist()), found.weights.tolist(), strict=True))
    assert together == {(-1, -1): 0.5, (0, -1): 0.5}


@pytest.mark.parametrize(
    ("repairs", "simpler", "of_graph"),
    [
        ([("edge", "remove")], True, True),
        ([("edge", "remove"), ("edge", "add")], False, True),
        ([("edge", "add"), ("cause", "hidden")], False, True),
        ([("edge", "remove"), ("mechanism", "changed")], False, False),
        ([], False, False),
    ],
)
def test_answers_that_only_take_edges_away_and_those_of_the_graph(
    repairs: list[tuple[str, str]], simpler: bool, of_graph: bool
) -> None:
    own = tuple(Repair(kind, what, (0, 1), 9.0) for kind, what in repairs)
    found = Answer(own, 9.0, COMPONENTS, OWN)
    assert (found.is_simpler, found.is_of_graph) == (simpler, of_graph)
    assert found.is_asked_for
    assert not Answer(own, 4.0, COMPONENTS, OWN).is_asked_for
    assert Answer(own, 4.1, COMPONENTS, OWN).is_asked_for


def test_an_answer_with_fewer_edges_speaks_against_no_component() -> None:
    gone = answer_of([0.8, 0.0, 0.2], 30.0)
    fewer = replace(gone, repairs=(Repair("edge", "remove", (0, 1), 30.0),))
    found = judged([fewer])
    assert found.stands.all()
    assert found.value == STANDS
    assert found.changes == (pytest.approx(0.3),)
    assert (found.answers, found.others) == ((fewer,), ())
    assert judged([gone]).others == (gone,)
