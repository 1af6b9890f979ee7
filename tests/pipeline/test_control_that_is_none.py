"""What it gains that control rows in which something was done teach nothing."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dosift.pipeline import repairs


@dataclass(frozen=True)
class Given:
    """A setup, as far as it is asked for here."""

    recipe: Any
    network: Any = None


@pytest.mark.parametrize(
    ("pool", "best", "gain"), [(-95.0, 0.0, 15.0), (-105.0, 0.0, 10.0), (-95.0, 80.0, None)]
)
def test_the_pool_may_gain_along_with_the_control_rows(
    pool: float, best: float, gain: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    impure = SimpleNamespace(gain=10.0, network="other", share=0.2)
    targets, weights = np.full((1, 2), -1), np.ones(1)
    found = SimpleNamespace(penalised_score=pool, targets=targets, weights=weights)
    result: Any = SimpleNamespace(penalised_score=-100.0)
    monkeypatch.setattr(repairs, "find_impure_control", lambda network, result: impure)
    monkeypatch.setattr(repairs, "_rise_with_targets", lambda setup, result: 5.0)
    monkeypatch.setattr(repairs, "find", lambda setup: (found, ()))
    given: Any = Given(SimpleNamespace(refine=True))
    answer = repairs._by_control(given, result, best)
    if gain is None:  # far behind the best repair
        assert answer is None
        return
    assert answer is not None
    assert answer.gain == gain
    (repair,) = answer.repairs
    assert (repair.what, repair.gain, repair.share) == ("control", gain, 0.2)
    fixed: Any = Given(SimpleNamespace(refine=False))
    assert repairs._by_control(fixed, result, best) is None
