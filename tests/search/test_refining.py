"""Turns of refining a network and searching: which fit they end with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dosift.search import engine


class Turns:
    """A search that proposes targets one after the other, and fits whose scores are given."""

    def __init__(self, proposals: list[int], scores: dict[int, float]) -> None:
        self.proposals, self.scores = proposals, scores
        self.network = SimpleNamespace(n_variables=1)
        self.constraints = None
        self.simplified: list[int] = []

    def joint(self, state: int) -> Any:
        return SimpleNamespace(
            network=self.network,
            targets=np.array([[-1], [state]], dtype=np.int16),
            weights=np.array([[0.5, 0.5]]),
            score=self.scores[state],
        )

    # The fitter.

    def fit(self, network: Any, targets: Any, weights: Any) -> Any:
        return self.joint(int(targets[1, 0]))

    def simplify(self, joint: Any) -> Any:
        self.simplified.append(int(joint.targets[1, 0]))
        return joint

    # The search.

    def tell(self, *words: Any) -> None:
        return

    def under(self, network: Any) -> Turns:
        return self

    def from_targets(self, targets: Any, weights: Any) -> tuple[Any, Any]:
        state = self.proposals.pop(0) if self.proposals else int(targets[1, 0])
        whole = np.array([[-1], [state]], dtype=np.int16)
        problem = SimpleNamespace(whole=lambda fit: (whole, np.array([0.5, 0.5])))
        return SimpleNamespace(problem=problem, to_network=lambda targets, n: targets), None


@pytest.mark.parametrize(
    ("proposals", "scores", "end"),
    [
        ([1, 2], {0: -100.0, 1: -90.0, 2: -80.0}, 2),
        ([1, 2], {0: -100.0, 1: -90.0, 2: -95.0}, 1),
        # Less than a hundredth of a nat is no rise.
        ([1, 2], {0: -100.0, 1: -99.995, 2: -80.0}, 0),
        ([1, 2], {0: -100.0, 1: -99.985, 2: -80.0}, 2),
        # What the search proposes again was judged.
        ([0, 1], {0: -100.0, 1: -80.0}, 0),
    ],
)
def test_turns_end_where_the_joint_score_rises_no_more(
    monkeypatch: pytest.MonkeyPatch, proposals: list[int], scores: dict[int, float], end: int
) -> None:
    turns: Any = Turns(list(proposals), scores)
    monkeypatch.setattr(engine, "JointFitter", lambda *given: turns)
    start = turns.joint(0)
    nothing = start.targets[:0]
    found = engine._refine(turns, start.targets, start.weights[0], turns, nothing)
    assert found.targets[1, 0] == end
    # To begin with all is tried that may be spared, unless that was done.
    assert turns.simplified[0] == 0
    again: Any = Turns(list(proposals), scores)
    monkeypatch.setattr(engine, "JointFitter", lambda *given: again)
    engine._refine(again, start.targets, start.weights[0], again, start.targets)
    assert 0 not in again.simplified
