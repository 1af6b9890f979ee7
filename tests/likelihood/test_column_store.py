"""Columns of rows in blocks are computed once for a network, and read in other passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dosift.data.blocks import MemoryBlocks
from dosift.likelihood import column_store
from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.evidence import Evidence
from fitted_numbers import TARGETS, WEIGHTS, learned, true_network


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of rows whose columns were computed, one entry a column."""
    told: list[int] = []
    own = RowLikelihoods._compute

    def counted(self: RowLikelihoods, target: Any) -> Any:
        told.append(len(self.block))
        return own(self, target)

    monkeypatch.setattr(RowLikelihoods, "_compute", counted)
    monkeypatch.setattr("dosift.data.blocks._CHUNK_ROWS", 150)
    return told


def rows(here: bool = True) -> tuple[Any, Evidence]:
    rng = np.random.default_rng(0)
    network: Any = learned(true_network(), 500, rng)
    values, _ = network.draw(TARGETS, WEIGHTS, 700, rng)
    blocks = MemoryBlocks(values, threads=2)
    blocks.is_here = here
    return network, Evidence.of_rows(network, blocks)


def test_a_second_pass_computes_nothing(computed: list[int]) -> None:
    network, evidence = rows()
    first = evidence.weigh(network, TARGETS, WEIGHTS)
    assert sum(computed) == 700 * len(TARGETS)
    computed.clear()
    again = evidence.weigh(network, TARGETS, WEIGHTS)
    some = evidence.weigh(network, TARGETS[[3, 0]], np.array([0.5, 0.5]))
    assert not computed
    np.testing.assert_array_equal(first.information, again.information)
    assert float(first.log_density[0]) == float(again.log_density[0])
    evidence.forget()
    anew = evidence.weigh(network, TARGETS[[3, 0]], np.array([0.5, 0.5]))
    assert sum(computed) == 700 * 2
    np.testing.assert_allclose(some.gradient, anew.gradient, rtol=1e-12)


def test_another_network_is_computed_anew(computed: list[int]) -> None:
    network, evidence = rows()
    evidence.weigh(network, TARGETS, WEIGHTS)
    taught = evidence.taught(network, TARGETS, WEIGHTS, range(5))
    computed.clear()
    found = evidence.weigh(replace(taught), TARGETS, WEIGHTS)
    assert sum(computed) == 700 * len(TARGETS)
    block = MemoryBlocks(evidence.rows.whole.values)  # type: ignore[attr-defined]
    held = Evidence.held_rows(taught, block)  # type: ignore[arg-type]
    expected = held.weigh(taught, TARGETS, WEIGHTS)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.information, expected.information, rtol=1e-9)


@pytest.mark.parametrize("why", ["elsewhere", "no room"])
def test_without_a_store_all_is_computed_again(
    why: str, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "no room":

        def full(*args: object, **named: object) -> None:
            raise OSError("no room")

        monkeypatch.setattr(column_store.tempfile, "TemporaryFile", full)
    network, evidence = rows(here=why == "no room")
    first = evidence.weigh(network, TARGETS, WEIGHTS)
    again = evidence.weigh(network, TARGETS, WEIGHTS)
    assert sum(computed) == 2 * 700 * len(TARGETS)
    np.testing.assert_array_equal(first.information, again.information)
