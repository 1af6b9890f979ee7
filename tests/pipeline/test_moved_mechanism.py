"""When a mechanism is taken for moved: what other answers say."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.checks.verdict import FAR_BEHIND, Answer, Repair
from dosift.data.blocks import Beside, MemoryBlocks
from dosift.likelihood.evidence import Evidence
from dosift.model.network import Network
from dosift.pipeline import asked
from dosift.pipeline.moved import _only_a_mechanism


def answer(kind: str, what: str, variables: tuple[int, ...], gain: float) -> Answer:
    targets = np.full((1, 3), -1, dtype=np.int16)
    return Answer((Repair(kind, what, variables, gain),), gain, targets, np.ones(1))


@pytest.mark.parametrize(
    ("other", "alone"),
    [
        (answer("mechanism", "drift", (2,), 40.0), True),
        (answer("mechanism", "drift", (1,), 40.0), False),
        (answer("edge", "add", (0, 2), 40.0), False),
        (answer("edge", "add", (0, 2), 49.0 - FAR_BEHIND), True),
        (answer("mechanism", "drift", (2,), 60.0), False),
    ],
)
def test_the_same_mechanism_in_one_batch_is_no_other_answer(other: Answer, alone: bool) -> None:
    changed = answer("mechanism", "changed", (2,), 50.0)
    found = _only_a_mechanism([other, changed])
    assert (found is changed) if alone else (found is None)


def test_of_many_units_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    codes = np.asfortranarray(np.arange(20)[:, None] % 2)
    blocks = MemoryBlocks(codes, np.ones(10), beside=Beside(), first=np.arange(0, 20, 2))
    units = Evidence.held_rows(network, blocks)
    assert units.has_units
    assert asked._some_units(network, units) is units
    monkeypatch.setattr(asked, "_MOST_UNITS", 4)
    some = asked._some_units(network, units)
    assert some.total == 4
    assert some.has_units
