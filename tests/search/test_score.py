"""What a target costs: among how many it is told apart."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.search.score import Score

ALONE = np.array([[0, -1], [-1, 0]])


def test_targets_of_variables_with_more_states_cost_more() -> None:
    one, other = Score(1000.0, np.array([2, 5]), 2).names(ALONE)
    # One state of each is spare.
    assert other - one == pytest.approx(np.log(4.0))


def test_states_that_may_not_be_set_are_not_counted() -> None:
    """Of five states two may be set; where more may be than there are, all are counted."""
    score = Score(1000.0, np.array([3, 5]), 2, choices=np.array([9, 2]))
    one, other = score.names(ALONE)
    assert other - one == pytest.approx(np.log(2.0) - np.log(2.0))
    score = Score(1000.0, np.array([5, 5]), 2, choices=np.array([1, 9]))
    one, other = score.names(ALONE)
    assert other - one == pytest.approx(np.log(4.0))
