"""What a hidden cause makes look shifted along, by targets and graphs that are written down."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from dosift.checks.verdict import Answer, Repair
from dosift.model.categorical import CategoricalMechanism, States
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.noise import Noise
from dosift.pipeline.hidden_cause import (
    ancestors,
    by_hidden_cause,
    linked_by_no_edge,
    without_undone_edges,
)

SETS, SHIFTS = 0, 1


def findings(asked: list[tuple[str, int, int]], pairs: tuple[tuple[int, int, float], ...]) -> Any:
    edits = [SimpleNamespace(kind=kind, parent=p, child=i) for kind, p, i in asked]
    return SimpleNamespace(asked=edits, common_causes=pairs, gain=33.0)


def chain(n: int = 4) -> MechanismNetwork:
    """Numbers, each a child of the one before but the last, which stands alone."""
    mechanisms = tuple(
        LinearMechanism(
            i,
            (i - 1,) if 0 < i < n - 1 else (),
            (),
            np.zeros(1),
            Noise.normal(1.0),
        )
        for i in range(n)
    )
    return MechanismNetwork(mechanisms, (Changes((SetNormal(2.0, 0.1), Shift(1.0))),) * n)


def test_edges_that_are_asked_for_and_common_causes_link() -> None:
    found = findings([("add", 0, 3), ("remove", 1, 2), ("reverse", 4, 5)], ((6, 7, 0.01),))
    assert linked_by_no_edge(found) == {0, 3, 6, 7}
    assert linked_by_no_edge(findings([], ())) == frozenset()


def test_ancestors_are_found_along_all_paths_once() -> None:
    parents = ((), (0,), (0, 1), (2,), (), (4,))
    assert ancestors(parents, 3) == [0, 1, 2]
    assert ancestors(parents, 5) == [4]
    assert ancestors(parents, 0) == []


def test_what_is_shifted_along_with_an_ancestor_is_left_alone() -> None:
    targets = np.array(
        [
            [-1, -1, -1, -1],
            [SHIFTS, -1, SHIFTS, -1],
            [-1, SETS, SHIFTS, -1],
            [SETS, -1, SETS, -1],  # one that sets it is no shift along
            [-1, -1, SHIFTS, -1],  # nothing above it is changed
        ],
        dtype=np.int16,
    )
    weights = np.array([0.5, 0.2, 0.15, 0.1, 0.05])
    found = by_hidden_cause(findings([("add", 2, 3)], ()), chain(), targets, weights)
    assert found is not None
    # Of the two ancestors the first is changed in more rows where it is shifted along.
    assert found.repairs == (Repair("cause", "hidden", (0, 2), 33.0),)
    assert found.gain == 33.0
    touched = {
        tuple(line): weight
        for line, weight in zip(
            (found.targets >= 0).astype(int).tolist(), found.weights, strict=True
        )
    }
    assert {line: round(float(weight), 10) for line, weight in touched.items()} == {
        (0, 0, 0, 0): 0.5,
        (1, 0, 0, 0): 0.2,
        (0, 1, 0, 0): 0.15,
        (1, 0, 1, 0): 0.1,
        (0, 0, 1, 0): 0.05,
    }


def test_without_a_link_or_an_ancestor_there_is_no_such_answer() -> None:
    targets = np.array([[-1, -1, -1, -1], [SHIFTS, -1, SHIFTS, -1]], dtype=np.int16)
    weights = np.array([0.7, 0.3])
    assert by_hidden_cause(findings([], ()), chain(), targets, weights) is None
    # Neither end of the pair is shifted along with anything.
    assert by_hidden_cause(findings([], ((0, 3, 0.01),)), chain(), targets, weights) is None
    assert by_hidden_cause(None, chain(), targets, weights) is None
    linked = findings([], ((2, 3, 0.01),))
    assert by_hidden_cause(linked, object(), targets, weights) is None
    assert by_hidden_cause(linked, chain(), targets, weights) is not None
    states = CategoricalMechanism(2, (1,), (2,), np.full((2, 2), 0.5))
    network = chain()
    mixed = MechanismNetwork(
        (*network.mechanisms[:2], states, network.mechanisms[3]),
        (*network.libraries[:2], States(("0", "1")), network.libraries[3]),
    )
    assert by_hidden_cause(linked, mixed, targets, weights) is None


def answer(targets: list[list[int]], weights: list[float]) -> Answer:
    edge = Repair("edge", "add", (0, 1), 9.0)
    return Answer((edge,), 9.0, np.array(targets, dtype=np.int16), np.array(weights))


def test_only_the_greater_part_is_undone() -> None:
    known, weights = np.array([[-1, -1], [0, -1]]), np.array([0.6, 0.4])
    split = [[-1, -1], [0, 0], [0, -1]]
    for own, rest, undone in ((0.25, 0.15, True), (0.2, 0.2, False), (0.15, 0.25, False)):
        found = without_undone_edges(answer(split, [0.6, own, rest]), known, weights)
        assert found.targets[1].tolist() == ([0, -1] if undone else [0, 0])
        assert found.weights.tolist() == [0.6, own, rest]


def test_both_parts_together_are_about_what_was_one() -> None:
    known, weights = np.array([[-1, -1], [0, -1]]), np.array([0.6, 0.4])
    # It may be half as much again, or half as much.
    for weight, undone in ((0.21, True), (0.19, False), (0.59, True), (0.61, False)):
        found = without_undone_edges(answer([[-1, -1], [0, 0]], [0.5, weight]), known, weights)
        assert found.targets[1].tolist() == ([0, -1] if undone else [0, 0])
    # Weights of a target that is listed twice count together.
    twice = np.array([[-1, -1], [0, -1], [0, -1]])
    found = without_undone_edges(
        answer([[-1, -1], [0, 0]], [0.6, 0.4]), twice, np.array([0.6, 0.2, 0.2])
    )
    assert found.targets[1].tolist() == [0, -1]
    # What was a component before stays one.
    as_before = np.array([[-1, -1], [0, -1], [0, 0]])
    stays = without_undone_edges(
        answer([[-1, -1], [0, 0]], [0.6, 0.4]), as_before, np.array([0.5, 0.3, 0.2])
    )
    assert stays.targets[1].tolist() == [0, 0]
    # Something stays changed.
    alone = answer([[-1, -1], [-1, 0]], [0.6, 0.4])
    only = without_undone_edges(alone, np.array([[-1, -1]]), np.ones(1))
    assert only.targets[1].tolist() == [-1, 0]
