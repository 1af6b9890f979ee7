"""What targets of a joint fit may do without, and what more steps of EM may bring."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.mechanism import Changes
from dosift.search.joint import _parts, _without_change, to_come
from dosift.search.library import tidied_changes


def fit_of(targets: list[list[int]], exclusive: bool, parents: Any = ((), (0,), ())) -> Any:
    network = SimpleNamespace(
        libraries=tuple(SimpleNamespace(is_exclusive=exclusive) for _ in range(3)), parents=parents
    )
    own = np.array(targets, dtype=np.int16)
    weights = np.arange(1.0, 2 * len(own) + 1).reshape(2, -1)
    return SimpleNamespace(targets=own, network=network, weights=weights)


def test_a_change_is_taken_out_of_all_targets_that_do_more_or_of_one() -> None:
    fit = fit_of([[-1, -1, -1], [0, 1, -1], [0, -1, 2], [1, -1, -1]], exclusive=False)
    found = [(j, np.flatnonzero(held).tolist()) for j, held in _parts(fit)]
    # Change 0 of the first in both or one of two; 1 of it is alone and stays.
    assert found == [(0, [1, 2]), (0, [1]), (0, [2]), (1, [1]), (2, [2])]
    alone = fit_of([[0, -1, -1], [0, 1, -1]], exclusive=False)
    found = [(j, np.flatnonzero(held).tolist()) for j, held in _parts(alone)]
    assert found == [(0, [1]), (1, [1])]


def test_a_state_is_taken_out_of_one_target_where_it_follows_from_a_parent() -> None:
    fit = fit_of([[0, 1, -1], [-1, 1, 0], [1, 0, -1]], exclusive=True)
    found = [(j, np.flatnonzero(held).tolist()) for j, held in _parts(fit)]
    assert found == [(1, [0]), (1, [2])]


def test_targets_that_become_the_same_are_taken_together() -> None:
    fit = fit_of([[-1, -1, -1], [0, -1, -1], [0, 1, -1]], exclusive=False)
    targets, weights = _without_change(fit, 1, np.array([False, False, True]))
    found = {tuple(t): w for t, w in zip(targets.tolist(), weights.T.tolist(), strict=True)}
    assert found == {(-1, -1, -1): [1.0, 4.0], (0, -1, -1): [2.0 + 3.0, 5.0 + 6.0]}
    assert fit.targets[2].tolist() == [0, 1, -1]


def test_steps_that_shrink_bring_twice_the_sum_of_a_series() -> None:
    assert to_come(2.0, np.inf) == to_come(2.0, 0.0) == 50.0
    # Of half each: 1 + 1/2 + ... = 2 in all, twice.
    assert to_come(2.0, 4.0) == pytest.approx(2.0 * 2.0)
    assert to_come(-1.0, 4.0) == 0.0
    # Of those that do not shrink 25 at most.
    assert to_come(2.0, 1.0) == pytest.approx(2.0 * 2.0 * 25.0)


def test_changes_that_no_target_makes_are_left_out() -> None:
    library = Changes((Shift(1.0), Shift(2.0), SetNormal(0.0, 1.0)))
    targets = np.array([[-1, 2], [2, 0], [0, -1]])
    libraries, found = tidied_changes((library, library), targets)
    assert found.tolist() == [[-1, 1], [1, 0], [0, -1]]
    for own in libraries:
        assert isinstance(own, Changes)
        assert own.changes == (Shift(1.0), SetNormal(0.0, 1.0))
