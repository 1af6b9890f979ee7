"""What patterns of targets say under libraries of changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dosift.errors import InputError
from dosift.model.categorical import CategoricalMechanism, States
from dosift.model.known_rows import ALONE, ANY, ControlRows, LabelledRows
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.noise import Noise
from dosift.search.patterns import Patterns

KINDS = frozenset({"shift"})


def network() -> MechanismNetwork:
    """Two numbers, of two changes and of one, and a variable of two states."""
    numbers = tuple(LinearMechanism(i, (), (), np.zeros(1), Noise.normal(1.0)) for i in range(2))
    states = CategoricalMechanism(2, (), (), np.array([[0.5, 0.5]]))
    return MechanismNetwork(
        (*numbers, states),
        (
            Changes((Shift(3.0), SetNormal(-4.0, 0.5)), KINDS),
            Changes((Shift(2.0),), KINDS),
            States(("0", "1")),
        ),
    )


def listed(*patterns: tuple[int, int, int]) -> np.ndarray:
    return np.array(patterns, dtype=np.int16).reshape(-1, 3)


def patterns(**known: object) -> Patterns:
    nothing = listed()
    free = Patterns(np.ones(3, dtype=bool), nothing, nothing, nothing, nothing, np.empty(0))
    return replace(free, **known)  # type: ignore[arg-type]


DO, FIRST, BOTH = (ALONE,) * 3, (ANY, ALONE, ALONE), (ANY, ANY, ALONE)


def test_patterns_stand_for_all_changes_that_they_match() -> None:
    found = patterns(forbidden=listed(FIRST, (ALONE, ALONE, 1))).constraints(network())
    assert sorted(found.forbidden.tolist()) == [[-1, -1, 1], [0, -1, -1], [1, -1, -1]]
    assert found.candidates is None
    # Changes that are not there are not allowed.
    assert found.allowed.tolist() == [[True, True], [True, False], [True, True]]
    excluded = patterns(excluded=listed(BOTH)).constraints(network()).excluded
    assert sorted(excluded.tolist()) == [[0, 0, -1], [1, 0, -1]]
    still = patterns(changeable=np.array([False, True, True])).constraints(network())
    assert still.allowed.tolist() == [[False, False], [True, False], [True, True]]


def test_candidates_are_those_of_all_lists() -> None:
    known = patterns(
        candidates=listed(DO, FIRST), required=listed((ALONE, ALONE, 0)), known_weights=np.empty(0)
    )
    found = known.constraints(network())
    assert found.candidates is not None
    assert sorted(found.candidates.tolist()) == [
        [-1, -1, -1],
        [-1, -1, 0],
        [0, -1, -1],
        [1, -1, -1],
    ]
    bare = replace(network(), libraries=(Changes(()), Changes(()), States(("0", "1"))))
    with pytest.raises(InputError, match="no change of the variables"):
        patterns(candidates=listed(FIRST)).constraints(bare)


def test_only_what_a_target_may_touch_can_grow() -> None:
    def kinds(known: Patterns) -> list[bool]:
        libraries = known.restricted(network()).libraries
        assert isinstance(libraries[2], States)
        for library in libraries[:2]:
            assert isinstance(library, Changes)
            assert bool(library.kinds) == bool(len(library))
        return [len(library) > 0 for library in libraries[:2]]

    assert kinds(patterns()) == [True, True]
    assert kinds(patterns(changeable=np.array([True, False, True]))) == [True, False]
    assert kinds(patterns(candidates=listed(DO, FIRST))) == [True, False]
    wanted = listed((ALONE, ANY, ALONE))
    assert kinds(patterns(candidates=listed(DO), required=wanted)) == [False, True]
    assert kinds(patterns(excluded=wanted)) == [True, False]
    # That both are not changed together leaves each.
    assert kinds(patterns(excluded=listed(BOTH))) == [True, True]


def test_what_is_required_is_the_heaviest_that_matches() -> None:
    targets = np.array([[-1, -1, -1], [0, -1, -1], [1, -1, -1], [1, 0, -1]])
    weights = np.array([0.4, 0.1, 0.2, 0.3])
    known = patterns(required=listed(FIRST, (ALONE, ALONE, 1)))
    found = known.constraints(network(), targets, weights)
    assert found.required.tolist() == [[1, -1, -1], [-1, -1, 1]]
    # Before there is a mixture: the first change of the library.
    assert known.constraints(network()).required.tolist() == [[0, -1, -1], [-1, -1, 1]]
    assert known.unseen(targets).tolist() == [[-1, -1, 1]]
    bare = replace(network(), libraries=(Changes(()), *network().libraries[1:]))
    assert known.constraints(bare).required.tolist() == [[-1, -1, 1]]


def test_rows_with_that_label_say_which_change_is_required() -> None:
    values = np.array([[-4.1, 0.0, 0.0], [-3.9, 0.1, 1.0]])
    rows = LabelledRows(ControlRows(values, np.ones(2)), np.array(FIRST))
    labelled = replace(network(), labelled=(rows,))
    known = patterns(required=listed(FIRST))
    assert known.constraints(labelled).required.tolist() == [[1, -1, -1]]
    targets = np.array([[0, -1, -1], [1, -1, -1]])
    found = known.constraints(labelled, targets, np.array([0.9, 0.1]))
    assert found.required.tolist() == [[1, -1, -1]]


def test_a_known_weight_is_that_of_one_target_and_no_other_may_match() -> None:
    targets = np.array([[-1, -1, -1], [0, -1, -1], [1, -1, -1]])
    weights = np.array([0.5, 0.2, 0.3])
    known = patterns(known=listed(FIRST, DO), known_weights=np.array([0.3, 0.5]))
    found = known.constraints(network(), targets, weights)
    assert found.known.tolist() == [[1, -1, -1], [-1, -1, -1]]
    assert found.known_weights.tolist() == [0.3, 0.5]
    assert found.forbidden.tolist() == [[0, -1, -1]]
    # Nobody knows yet by which change: it is there, and that is all.
    first = known.constraints(network())
    assert first.required.tolist() == [[0, -1, -1]]
    assert first.known.tolist() == [[-1, -1, -1]]
    assert first.known_weights.tolist() == [0.5]
    # A weight of zero forbids all that match.
    none = patterns(known=listed(FIRST), known_weights=np.zeros(1))
    found = none.constraints(network())
    assert sorted(found.forbidden.tolist()) == [[0, -1, -1], [1, -1, -1]]
    assert found.required.size == found.known.size == 0
    assert none.unseen(targets[:1]).size == 0


def test_all_is_known_if_the_weights_are_and_the_changes() -> None:
    assert patterns(known=listed(DO), known_weights=np.ones(1)).is_whole
    assert not patterns(known=listed(DO), known_weights=np.array([0.9])).is_whole
    assert not patterns(known=listed(FIRST), known_weights=np.ones(1)).is_whole
