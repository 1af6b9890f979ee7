"""When all rows must teach after a search in some, and rows that nothing produces."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dosift.data.blocks import Block
from dosift.methods.likelihood import _explaining_all, _Impossible, _rise, _teaches
from dosift.model.network import Network
from dosift.search.joint import EM_RISE
from plain_sums import toy_network, toy_rows


@pytest.mark.parametrize(
    ("refine", "learns", "held", "incomplete", "teaches"),
    [
        (True, True, True, 0.0, False),
        (True, True, True, 1.0, True),
        (True, True, True, 0.5, True),
        (True, True, False, 0.0, True),
        (False, True, False, 1.0, False),
        (True, False, False, 1.0, False),
    ],
)
def test_rows_that_the_search_did_not_see_as_they_are_must_teach(
    refine: bool, learns: bool, held: bool, incomplete: float, teaches: bool
) -> None:
    network: Any = SimpleNamespace(learns=learns)
    evidence: Any = SimpleNamespace(held=1 if held else None, incomplete=incomplete)
    options: Any = SimpleNamespace(refine=refine)
    assert _teaches(network, evidence, options) == teaches


def test_passes_over_many_rows_of_numbers_end_earlier() -> None:
    numbers: Any = SimpleNamespace()
    held: Any = SimpleNamespace(held=1, total=1e9)
    stored: Any = SimpleNamespace(held=None, total=1e9)
    few: Any = SimpleNamespace(held=None, total=1.0)
    assert _rise(numbers, held) == _rise(toy_network(1), stored) == EM_RISE
    assert _rise(numbers, few) == EM_RISE
    assert _rise(numbers, stored) > EM_RISE
    more: Any = SimpleNamespace(held=None, total=1e12)
    assert _rise(numbers, more) == _rise(numbers, stored)


def test_rows_that_no_target_produces_are_listed_once_in_any_order() -> None:
    network = Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": np.eye(2)}
    )
    sizes = network.cardinalities
    work = _Impossible(np.array([[-1, -1], [1, -1]], dtype=np.int16), sizes)
    one, two = np.array([[0, 1], [0, 1], [1, 0]]), np.array([[1, 0], [0, 1]])
    assert sorted(work.merge(one, two).tolist()) == [[0, 1], [1, 0]]
    assert work.merge(one, two).tolist() == work.merge(two, one).tolist()
    rows = toy_rows(1)
    evidence = rows.evidence(held=True)
    free = _Impossible(np.full((1, 4), -1, dtype=np.int16), rows.network.cardinalities)
    found = free(evidence.under(rows.network, free.targets))
    assert len(found) == 0
    only = _Impossible(np.array([[1, -1, -1, -1]], dtype=np.int16), rows.network.cardinalities)
    found = only(evidence.under(rows.network, only.targets))
    expected = {tuple(row) for row in rows.codes.tolist() if row[0] == 0}
    assert {tuple(row) for row in found.tolist()} == expected


@pytest.mark.parametrize("beside", [False, True])
def test_rows_that_nothing_found_explains_join_the_search(beside: bool) -> None:
    values = np.array([[0, 1], [1, 0]], dtype=np.int8)
    batch = np.array([1, 2]) if beside else None
    first = np.array([0, 1]) if beside else None
    begun = Block(values, np.array([3.0, 4.0]), batch, first=first)
    left_out, seen = np.array([[1, 1], [0, 0]], dtype=np.int8), []

    def propose(block: Block) -> Any:
        seen.append(block)
        network = SimpleNamespace(is_positive=len(seen) == 2)
        return SimpleNamespace(network=network, targets=np.zeros((1, 2)))

    proposer: Any = SimpleNamespace(propose=propose, network=toy_network(0))
    rows = SimpleNamespace(reduce=lambda task, merge: left_out)
    evidence: Any = SimpleNamespace(held=None, rows=rows)
    _explaining_all(proposer, evidence, begun)
    assert seen[0] is begun
    again = seen[1]
    assert again.values.tolist() == [*values.tolist(), *left_out.tolist()]
    assert again.counts.tolist() == [3.0, 4.0, 1.0, 1.0]
    assert again.batch is None if not beside else again.batch.tolist() == [1, 2, 0, 0]
    assert again.first is None if not beside else again.first.tolist() == [0, 1, 2, 3]
    held: Any = SimpleNamespace(held=1, rows=rows)
    seen.clear()
    _explaining_all(proposer, held, begun)
    assert len(seen) == 1
